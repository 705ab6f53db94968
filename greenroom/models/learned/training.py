"""How a router is fitted: trees over what is seen of prompts; chances are found by leaving groups out.

Each tree leaves out a part of the groups of prompts (`forest`), so what a prompt would be given had it and
its group not been seen is known without fitting again; from these values guesses are turned into chances.
Source: Platt, "Probabilistic outputs", 1999, for the chances.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.models.learned.examples import Examples
from greenroom.models.learned.features import BUCKETS, MEANING, TOPICS, form, sketch, words_of
from greenroom.models.learned.file import MOST_PROMPTS, Calibration, Header, TargetFacts, Trained
from greenroom.models.learned.forest import expect, grow
from greenroom.models.learned.predictor import Glance

if TYPE_CHECKING:
    from numpy import bool_, float32, float64, intp
    from numpy.typing import NDArray

    Floats = NDArray[float64]
    Array = NDArray[float32]

FEWEST_LABELS = 50
"""Scored answers from which on a target may be asked."""
OWN_LABELS = 250
"""Scored answers from which on guesses of a target are its own, where other targets have as many."""
_FOLDS = 5
_LEAST_IN_LANGUAGE = 20
_UNLIKE = 0.005
"""The share of prompts of training that would count as unfamiliar."""

Tell = Callable[[str], None]


class Prepared(NamedTuple):
    """Examples with what is seen of them."""

    examples: Examples
    forms: "Array"
    words: "list[NDArray[intp]]"
    vectors: "Array | None"
    languages: tuple[str, ...]

    def some(self, rows: "NDArray[intp]") -> "Prepared":
        """Those of the given rows."""
        return Prepared(
            self.examples.some(rows), self.forms[rows], [self.words[row] for row in rows],
            None if self.vectors is None else self.vectors[rows], tuple(self.languages[row] for row in rows),
        )  # fmt: skip


class Fitted(NamedTuple):
    """A router, and the chances it gives to the prompts it was fitted on, each left out with its group."""

    trained: Trained
    chances: "Floats"
    """`(prompts, targets)`, by the best of what the router has: with vectors where there are some. The curve
    from guess to chance is that of the other four fifths of the groups.
    """


class _Head(NamedTuple):
    arrays: "dict[str, NDArray[Any]]"  # Any: each of its own kind
    raw: "Floats"
    calibrations: list[Calibration]


def prepare(
    examples: Examples, glance: Glance | None, language_of: Callable[[str], str], tell: Tell = lambda _: None
) -> Prepared:
    """Look at every prompt: 0.3 ms each, and 3 ms where vectors are made. The newest 8,000 count."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    if len(examples.prompts) > MOST_PROMPTS:
        tell(f"Of {len(examples.prompts):,} prompts the last {MOST_PROMPTS:,} count.")
        total = len(examples.prompts)
        examples = examples.some(np.arange(total - MOST_PROMPTS, total))
    vectors = None
    if glance is not None:
        tell(f"Making vectors of {len(examples.prompts):,} prompts.")
        vectors = np.stack([glance(one) for one in examples.prompts])
    prompts = examples.prompts
    return Prepared(
        examples, np.stack([form(one) for one in prompts]), [words_of(one) for one in prompts],
        vectors, tuple(language_of(one) for one in examples.prompts),
    )  # fmt: skip


def fit(seen: Prepared, *, source: str = "", tell: Tell = lambda _: None) -> Fitted:
    """Fit a router. About 3 s for 1,000 prompts, a minute for 8,000."""
    import numpy as np  # noqa: PLC0415 - as above

    counted = np.zeros(BUCKETS)
    for one in seen.words:
        counted[one] += 1
    total = len(seen.words)
    rarity = np.where(counted > 1, np.log((1 + total) / (1 + counted)) + 1, 0).astype(np.float32)
    sketches = np.stack([sketch(one, rarity) for one in seen.words])
    turn = _directions(sketches, TOPICS)
    numbers = np.hstack([seen.forms, sketches @ turn])
    arrays: dict[str, NDArray[Any]] = {"rarity": rarity, "words_turn": turn}
    words = _head("words", seen.examples, numbers, tell, "words and form")
    arrays |= words.arrays
    best, meaning, known_meaning = words, None, 0.0
    if seen.vectors is not None:
        turn = _directions(seen.vectors, MEANING)
        numbers = np.hstack([numbers, seen.vectors @ turn])
        best = meaning = _head("meaning", seen.examples, numbers, tell, "words, form and meaning")
        arrays |= {"meaning_turn": turn} | meaning.arrays
        known_meaning = _known_meaning(seen.vectors, seen.examples.groups)
    known = np.array([(rarity[one] > 0).mean() if len(one) else 0.0 for one in seen.words])
    spoken = Counter(seen.languages)
    header = Header(
        targets=_facts(seen.examples, words, meaning),
        prompts=total,
        languages={code: count for code, count in spoken.items() if count >= min(_LEAST_IN_LANGUAGE, total)},
        known_share=float(np.quantile(known, _UNLIKE)),
        known_meaning=known_meaning,
        source=source,
    )
    return Fitted(Trained(header, arrays), _chances(best, seen.examples.scores, seen.examples.groups))


def _facts(examples: Examples, words: _Head, meaning: _Head | None) -> tuple[TargetFacts, ...]:
    import numpy as np  # noqa: PLC0415 - as above

    labelled = ~np.isnan(examples.scores)
    _, follows = _roles(labelled)
    return tuple(
        TargetFacts(
            name=name,
            labels=int(labelled[:, at].sum()),
            mean=float(np.nanmean(examples.scores[:, at])),
            output_tokens=None if np.isnan(examples.output_tokens[at]) else float(examples.output_tokens[at]),
            with_meaning=meaning.calibrations[at] if meaning is not None else None,
            from_words=words.calibrations[at],
            follows=bool(follows[at]),
        )
        for at, name in enumerate(examples.targets)
    )


def _roles(labelled: "NDArray[bool_]") -> "tuple[NDArray[bool_], NDArray[bool_]]":
    """Which targets have guesses of their own, and which follow those; `(targets,)` each."""
    import numpy as np  # noqa: PLC0415 - as above

    counts = labelled.sum(0)
    leads = counts >= OWN_LABELS
    if not leads.any():
        leads = np.ones(len(counts), bool)
    return leads, ~leads


def _head(name: str, examples: Examples, numbers: "Array", tell: Tell, by: str) -> _Head:
    """Trees and their means, and raw guesses with groups left out."""
    import numpy as np  # noqa: PLC0415 - as above

    tell(f"Growing trees by {by}.")
    scores = examples.scores
    labelled = ~np.isnan(scores)
    leads, follows = _roles(labelled)
    rows = np.flatnonzero(labelled[:, leads].any(1))
    mean = np.zeros(len(leads))
    mean[leads] = np.nanmean(scores[:, leads], 0)
    forest, left_out = grow(numbers[rows], (scores - mean)[np.ix_(rows, leads)], examples.groups[rows])
    raw = expect(forest, numbers).astype(np.float64)
    raw[rows] = left_out
    mean[follows] = mean[leads].mean()
    raw = _with_followers(raw, leads) + mean
    arrays: dict[str, NDArray[Any]] = {f"{name}_{part}": one for part, one in forest._asdict().items()}
    arrays[f"{name}_values"] = _with_followers(forest.values.astype(np.float64), leads).astype(np.float32)
    arrays[f"{name}_mean"] = mean.astype(np.float32)
    found = [_platt(raw[some, at], scores[some, at]) for at, some in enumerate(labelled.T)]
    return _Head(arrays, raw, found)


def _with_followers(leading: "Floats", leads: "NDArray[bool_]") -> "Floats":
    """A column for every target: that of its own, or the mean of those that have one."""
    import numpy as np  # noqa: PLC0415 - as above

    found = np.empty((len(leading), len(leads)))
    found[:, leads] = leading
    found[:, ~leads] = leading.mean(1, keepdims=True)
    return found


def _platt(raw: "Floats", scores: "Floats") -> Calibration:
    """Slope and shift of the logistic curve from guesses to scores, by Newton's steps on the log loss.

    A weak pull towards a slope of 4, that of guesses that are true near .5, keeps it finite.
    """
    import numpy as np  # noqa: PLC0415 - as above

    middle = float(raw.mean()) if len(raw) else 0.0
    sides = np.stack([raw - middle, np.ones(len(raw))], 1)
    found = np.array([4.0, 0.0])
    prior = np.diag([0.02, 0.02])
    for _ in range(50):
        chances = 1.0 / (1.0 + np.exp(-np.clip(sides @ found, -30, 30)))
        slope = sides.T @ (chances - scores) + prior @ (found - [4.0, 0.0])
        curve = (sides * (chances * (1 - chances))[:, None]).T @ sides + prior
        step = np.linalg.solve(curve, slope)
        found -= np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    steep = max(0.0, float(found[0]))
    return Calibration(steep, float(found[1]) - steep * middle)


def _chances(head: _Head, scores: "Floats", groups: "Floats") -> "Floats":
    """Chances by curves that saw neither the prompt nor its group."""
    import numpy as np  # noqa: PLC0415 - as above

    found = np.zeros(scores.shape)
    labelled = ~np.isnan(scores)
    fold = groups % _FOLDS
    for at in range(scores.shape[1]):
        for one in range(_FOLDS):
            others, here = labelled[:, at] & (fold != one), fold == one
            curve = _platt(head.raw[others, at], scores[others, at])
            found[here, at] = 1 / (
                1 + np.exp(-np.clip(curve.slope * head.raw[here, at] + curve.shift, -30, 30))
            )
    return found


def _directions(vectors: "Array", count: int) -> "Array":
    """The directions in which vectors have most of their length, `(d, count) float32`, at right angles.

    With fewer vectors or dimensions than that the rest is nought.
    Source: Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
    """
    import numpy as np  # noqa: PLC0415 - as above

    wide = min(count + 16, *vectors.shape)
    base = vectors @ np.random.default_rng(3).standard_normal((vectors.shape[1], wide)).astype(np.float32)
    for _ in range(3):
        base, _ = np.linalg.qr(base)
        base = vectors @ (vectors.T @ base)
    base, _ = np.linalg.qr(base)
    _, _, found = np.linalg.svd(base.T @ vectors, full_matrices=False)
    turn = np.zeros((vectors.shape[1], count), np.float32)
    turn[:, : min(count, len(found))] = found[:count].T
    return turn.astype(np.float16).astype(np.float32)  # as it comes back from a file


def _known_meaning(vectors: "Array", groups: "Floats") -> float:
    """The part of a vector in the directions of others that all but a few prompts of training have.

    A prompt unlike the others sticks out of the space that they span. Groups are left out by fifths.
    Source: Jackson and Mudholkar, "Control procedures for residuals", Technometrics 1979.
    """
    import numpy as np  # noqa: PLC0415 - as above

    fold = groups % _FOLDS
    found = [np.ones(0, np.float32)]
    for one in range(_FOLDS):
        here = fold == one
        if here.any() and not here.all():
            found.append(((vectors[here] @ _directions(vectors[~here], MEANING)) ** 2).sum(1))
    inside = np.concatenate(found)
    return min(1.0, float(np.quantile(inside, _UNLIKE))) if len(inside) else 0.0
