"""Whether texts have moved: a classifier that tries to tell new from old, and topics found among the old.

Works on hashed words, so it knows no language from another and none is needed. numpy when first used.

Source of the test: Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017: what a classifier
tells apart on texts it was not taught differs.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenroom.offline.drift.reading import BUCKETS
from greenroom.offline.drift.two_samples import Moved, ranks

if TYPE_CHECKING:
    from numpy import float32, float64, int64
    from numpy.typing import NDArray

TOPICS = 8
_TAUGHT = 600
"""Texts that topics are found among."""
_ROUNDS = 8
_SEED = 20_261_127


def told_apart(new: Sequence[bytes], old: Sequence[bytes]) -> Moved:
    """How well words tell new from old: the AUC on texts not taught, 0.5 where they can't.

    Naive Bayes over which words a text has, taught on each half and tried on the other; of the two p values
    of `ranks` twice the smaller (Bonferroni).
    """
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    halves = [(new[half::2], old[half::2]) for half in (0, 1)]
    if any(len(one) < 2 for half in halves for one in half):
        return Moved(1.0, 0.5)
    found = []
    for taught, tried in (halves, halves[::-1]):
        weights = np.log(_shares(taught[0])) - np.log(_shares(taught[1]))
        found.append(ranks(_scores(tried[0], weights), _scores(tried[1], weights)))
    return Moved(min(1.0, 2 * min(one.p for one in found)), sum(one.effect for one in found) / len(found))


def meanings_apart(new: Sequence[bytes], old: Sequence[bytes]) -> Moved:
    """The same for vectors `(d,) float16`: along the line between the two means."""
    import numpy as np  # noqa: PLC0415 - as above

    sides = [np.array([np.frombuffer(one, np.float16) for one in side], np.float32) for side in (new, old)]
    halves = [tuple(side[half::2] for side in sides) for half in (0, 1)]
    if any(len(one) < 2 for half in halves for one in half):
        return Moved(1.0, 0.5)
    found = []
    for taught, tried in (halves, halves[::-1]):
        line = taught[0].mean(axis=0) - taught[1].mean(axis=0)
        found.append(ranks((tried[0] @ line).tolist(), (tried[1] @ line).tolist()))
    return Moved(min(1.0, 2 * min(one.p for one in found)), sum(one.effect for one in found) / len(found))


def newest_in_words(new: Sequence[bytes], old: Sequence[bytes]) -> list[int]:
    """The places of new texts, those first whose words are most of the new ones."""
    import numpy as np  # noqa: PLC0415 - as above

    scores = _scores(new, np.log(_shares(new)) - np.log(_shares(old)))
    return sorted(range(len(new)), key=lambda place: -scores[place])


class Topics:
    """Groups of texts with like words, found among old texts; any text belongs to the nearest.

    k-means by cosine (Dhillon, Modha, "Concept decompositions for large sparse text data", Machine Learning
    2001) over words weighted by how rare they are; seeded, so the same texts give the same topics.
    """

    def __init__(self, old: Sequence[bytes]) -> None:
        import numpy as np  # noqa: PLC0415 - as above

        some = old[:: max(1, len(old) // _TAUGHT)][:_TAUGHT]
        self._weights: NDArray[float32] = (-np.log(_shares(some))).astype(np.float32)
        rows = self._rows(some)
        chance = np.random.default_rng(_SEED)
        self._centres = rows[chance.choice(len(rows), min(TOPICS, len(rows)), replace=False)]
        for _ in range(_ROUNDS):
            nearest = (rows @ self._centres.T).argmax(axis=1)
            for place in range(len(self._centres)):
                own = rows[nearest == place]
                if len(own):
                    mean = own.mean(axis=0)
                    self._centres[place] = mean / max(float(np.linalg.norm(mean)), 1e-9)

    def of(self, texts: Sequence[bytes]) -> list[int]:
        """The topic of each text."""
        return [int(one) for one in (self._rows(texts) @ self._centres.T).argmax(axis=1)]

    def counts(self, texts: Sequence[bytes]) -> list[int]:
        """How many of these texts belong to each topic."""
        found = [0] * len(self._centres)
        for topic in self.of(texts):
            found[topic] += 1
        return found

    def _rows(self, texts: Sequence[bytes]) -> "NDArray[float32]":
        import numpy as np  # noqa: PLC0415 - as above

        rows: NDArray[float32] = np.zeros((len(texts), BUCKETS), np.float32)
        places, words = _joined(texts)
        rows[places, words] = self._weights[words]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(lengths, 1e-9)
        return rows


def _joined(texts: Sequence[bytes]) -> "tuple[NDArray[int64], NDArray[int64]]":
    """Which text each word is of, and the words of all."""
    import numpy as np  # noqa: PLC0415 - as above

    words = np.frombuffer(b"".join(texts), np.dtype("<u2")).astype(np.int64)
    places = np.repeat(np.arange(len(texts)), [len(one) // 2 for one in texts]).astype(np.int64)
    return places, words


def _shares(texts: Sequence[bytes]) -> "NDArray[float64]":
    """Of each word the share of texts that have it, as if each were in one text more of two more."""
    import numpy as np  # noqa: PLC0415 - as above

    _, words = _joined(texts)
    counts = np.bincount(words, minlength=BUCKETS).astype(np.float64)
    return (counts + 1.0) / (len(texts) + 2.0)


def _scores(texts: Sequence[bytes], weights: "NDArray[float64]") -> list[float]:
    """The mean weight of each text's words; 0 for a text without."""
    import numpy as np  # noqa: PLC0415 - as above

    places, words = _joined(texts)
    sums = np.bincount(places, weights=weights[words], minlength=len(texts))
    sizes = np.maximum(np.bincount(places, minlength=len(texts)), 1)
    return [float(one) for one in sums / sizes]
