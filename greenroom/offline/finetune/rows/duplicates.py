"""Rows that say the same as an earlier one: found among millions without comparing all with all.

Candidates by MinHash and bands (Broder, "On the resemblance and containment of documents", 1997; Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3), decided by comparing the texts themselves. 64
bytes a row stay in memory, and 8 where it begins; texts are read again from the file.
"""

from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.offline.finetune.rows.form import mapped
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.small_words import SMALL_WORDS
from greenroom.offline.finetune.rows.wording import (
    Wording,
    grams,
    is_exchanged,
    likeness,
    plain,
    says_other,
    wording,
)

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

    Numbers = NDArray[uint64]

NEAR = 0.7
"""Likeness (see `wording.likeness`) that each part of two rows must have. Published work takes 0.8 over whole
documents (Lee et al., "Deduplicating training data makes language models better", 2022); parts of a row are
short, where one changed word weighs more, and numbers, names and negations are held apart by themselves."""
_BANDS = 16
_ROWS = 4
"""At a likeness of 0.7 a pair shares a band with probability 0.988, at 0.8 with 0.9998, at 0.3 with 0.12."""
_NEIGHBOURS = 4
_MOST_CANDIDATES = 24
"""Earlier rows that one row is compared with, those that share the most bands."""
_BLOCK = 1 << 15
"""Runs hashed at once: bounds memory for rows of megabytes."""


class Sides(NamedTuple):
    """A row as it is compared: what is set, what is asked, what is answered."""

    system: str
    question: str
    answer: str


def sides(row: Json) -> Sides:
    """The texts of a row of either form."""
    given = row.get("input", row)
    parts: dict[str, list[str]] = {"system": [], "question": [], "answer": []}
    for message in given["messages"]:
        role = message["role"]
        part = (
            "answer" if role == "assistant" else "system" if role in ("system", "developer") else "question"
        )
        parts[part] += _texts(message)
    for name in ("preferred_output", "non_preferred_output"):
        parts["answer"] += (text for message in row.get(name, ()) for text in _texts(message))
    return Sides(*("\n".join(parts[name]) for name in Sides._fields))


def _texts(message: Json) -> list[str]:
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    mapped(message, note)
    return found


class Seen(NamedTuple):
    """A side that was read for comparing."""

    text: Wording
    runs: "Numbers"


Same = Callable[[tuple[Seen, ...], tuple[Seen, ...]], bool]


def alike(one: tuple[Seen, ...], other: tuple[Seen, ...]) -> bool:
    """Whether two rows say the same: in each part likeness enough, and nothing that look-alikes differ in.

    One word for another in the question may be a synonym; in question and answer alike it is another matter.
    """
    if not all(
        mine.text.plain == others.text.plain
        or (likeness(mine.runs, others.runs) >= NEAR and not says_other(mine.text, others.text))
        for mine, others in zip(one, other, strict=True)
    ):
        return False
    return not all(
        is_exchanged(mine.text.words - SMALL_WORDS, mine.text, others.text)
        for mine, others in zip(one[1:], other[1:], strict=True)
    )


def seen(row: Json) -> tuple[Seen, ...]:
    """A row read for comparing."""
    return tuple(Seen(found, grams(found.plain)) for found in map(_wording, sides(row)))


_wording = lru_cache(64)(wording)
"""The same system message stands in row after row."""


class Bands:
    """What is kept of each row, and which rows may be alike."""

    def __init__(self) -> None:
        self._kept = array("I")
        self.rows = 0

    def add(self, row: Json) -> None:
        """The next row."""
        found = sides(row)
        self._kept.frombytes(_bands(grams(plain(f"{found.question}\n{found.answer}"))).tobytes())
        self.rows += 1

    def candidates(self) -> Iterator[tuple[int, list[int]]]:
        """Each row that may be like earlier ones, with those, the likeliest first."""
        import numpy as np  # noqa: PLC0415  # as in `grams`

        if self.rows < 2:
            return
        table = np.frombuffer(self._kept, np.uint32).reshape(self.rows, _BANDS)
        codes, counts = np.unique(
            np.concatenate([_neighbours(table[:, band]) for band in range(_BANDS)]), return_counts=True
        )
        if not len(codes):
            return
        later, earlier = np.divmod(codes, np.uint64(self.rows))
        order = np.lexsort((earlier, -counts, later))
        later, earlier = later[order], earlier[order]
        starts = np.flatnonzero(np.diff(later, prepend=np.uint64(self.rows)))
        for start, end in zip(starts, [*starts[1:], len(later)], strict=True):
            yield int(later[start]), [int(one) for one in earlier[start : min(end, start + _MOST_CANDIDATES)]]


def repeats(bands: Bands, read: Callable[[int], Json], same: Same | None = None) -> Iterator[tuple[int, int]]:
    """Rows that say the same as an earlier one that stays: both numbers. `read` gives a row again.

    `same` decides, `alike` unless another is given.
    """
    same = same or alike

    @lru_cache(256)
    def again(number: int) -> tuple[Seen, ...]:
        return seen(read(number))

    gone: set[int] = set()
    for number, earlier in bands.candidates():
        for one in earlier:
            if one not in gone and same(again(one), again(number)):
                gone.add(number)
                yield number, one
                break


def _bands(runs: "Numbers") -> Any:  # Any: (16,) uint32
    """One number for each band of `_ROWS` smallest hashes."""
    import numpy as np  # noqa: PLC0415  # as above

    factors, offsets = _hashes()
    least = np.full(len(factors), np.iinfo(np.uint64).max, np.uint64)
    for at in range(0, len(runs), _BLOCK):
        mixed = runs[None, at : at + _BLOCK] * factors[:, None] + offsets[:, None]
        np.minimum(least, mixed.min(axis=1), out=least)
    rows = least.reshape(_BANDS, _ROWS)
    joined = np.zeros(_BANDS, np.uint64)
    for place in range(_ROWS):
        joined = (joined ^ rows[:, place]) * np.uint64(0x100000001B3)
    return (joined >> np.uint64(32)).astype(np.uint32)


@lru_cache(1)
def _hashes() -> "tuple[Numbers, Numbers]":
    """Multiply-shift hashing: odd factors and offsets, the same in every process."""
    import numpy as np  # noqa: PLC0415  # as above

    chance = np.random.default_rng(20_261_127)
    factors, offsets = chance.integers(0, 1 << 63, (2, _BANDS * _ROWS), np.uint64)
    return factors * np.uint64(2) + np.uint64(1), offsets


def _neighbours(band: Any) -> "Numbers":  # Any: (n,) uint32
    """Pairs of rows that share this band, as later × n + earlier: with the four before, and the first."""
    import numpy as np  # noqa: PLC0415  # as above

    count = len(band)
    order = np.argsort(band, kind="stable").astype(np.uint64)
    values = band[order]
    is_first = np.concatenate(([True], values[1:] != values[:-1]))
    firsts = order[np.maximum.accumulate(np.where(is_first, np.arange(count), 0))]
    pairs = [(order * np.uint64(count) + firsts)[~is_first]]
    for back in range(1, min(_NEIGHBOURS, count - 1) + 1):
        same = values[back:] == values[:-back]
        pairs.append((order[back:] * np.uint64(count) + order[:-back])[same])
    return np.unique(np.concatenate(pairs))
