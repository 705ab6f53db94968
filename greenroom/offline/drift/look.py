"""One look at one app: is the newest window different from the week before, and is it by enough to matter?

Every metric is compared twice: with the whole reference week, and with the same hours of the week in it. Both
must show it, in the same direction, so that nights and weekends are no drift. Knows readings only.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from statistics import median
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.offline.drift.reading import Reading
from greenroom.offline.drift.texts import Topics, meanings_apart, told_apart
from greenroom.offline.drift.two_samples import Moved, chi_square, cohen_h, psi, ranks, shares_p

LEAST_AUC = 0.65
"""From here on numbers or texts are told apart well enough to matter."""
LEAST_H = 0.2
"""Cohen's h from which on a share has moved: 10 % to 17 %, 20 % to 28.5 %, 1 % to 4 %."""
LEAST_PSI = 0.25
LEAST = 50
"""Readings without which the window, or what it is held against, says nothing."""
_MOST = 1_500
"""Readings of the reference that texts are compared with."""
_RARE = 0.02
"""A language below this share on both sides is one of the others."""

Kind = Literal["auc", "h", "psi"]
_LEAST: dict[Kind, float] = {"auc": LEAST_AUC - 0.5, "h": LEAST_H, "psi": LEAST_PSI}

NUMBERS: dict[str, Callable[[Reading], float | None]] = {
    "prompt_length": lambda one: one.asked,
    "answer_length": lambda one: one.said,
    "cost": lambda one: one.cost_nano,
    "latency": lambda one: one.total_us,
}
SHARES: dict[str, Callable[[Reading], bool]] = {
    "refusal": lambda one: one.is_refused,
    "personal_data": lambda one: one.has_personal,
}
METRICS = (
    "language", "topic", "prompt_words", "answer_words", "meaning", *NUMBERS, *SHARES,
)  # fmt: skip
"""All of them, in the order in which pages show them."""


class Finding(Struct, kw_only=True, frozen=True):
    """What one metric says in one look."""

    metric: str
    kind: Kind
    """What `effect` is: the AUC less 0.5, Cohen's h, or the population stability index."""
    p: float
    """Of both comparisons the larger; adjusted for all of a look's by `greenroom.assembly.drifting`."""
    effect: float
    """Of both comparisons the smaller; 0 where they point in different directions. Below 0: it fell."""
    new: float | None
    """The window's median or share; None where there is none to tell."""
    old: float | None
    """That of the same hours of the reference."""
    n: int
    m: int
    """Readings of the window, and of the same hours of the reference."""
    about: str = ""
    """Which language moved, where one did."""

    @property
    def is_large(self) -> bool:
        """Whether it is by enough to matter, certain or not."""
        return abs(self.effect) >= _LEAST[self.kind]


class Sides(NamedTuple):
    """The readings that are compared."""

    window: Sequence[Reading]
    like: Sequence[Reading]
    whole: Sequence[Reading]

    @property
    def is_enough(self) -> bool:
        """Whether there are readings enough to say anything."""
        return min(len(self.window), len(self.like), len(self.whole)) >= LEAST


def look(sides: Sides) -> list[Finding]:
    """What every metric says; one that too few readings have is left out."""
    found = [_language(sides), *_texts(sides)]
    for name, number in NUMBERS.items():
        found.append(_numbers(name, sides, number))
    for name, is_so in SHARES.items():
        found.append(_share(name, sides, is_so))
    return [one for one in found if one is not None]


def _numbers(name: str, sides: Sides, number: Callable[[Reading], float | None]) -> Finding | None:
    window, like, whole = (
        [float(value) for one in side if (value := number(one)) is not None and isfinite(value)]
        for side in sides
    )
    if min(len(window), len(like), len(whole)) < LEAST:
        return None
    return _joined(
        name, "auc", [_centred(ranks(window, other)) for other in (like, whole)],
        median(window), median(like), len(window), len(like),
    )  # fmt: skip


def _share(name: str, sides: Sides, is_so: Callable[[Reading], bool]) -> Finding:
    window, like, whole = ((sum(map(is_so, side)), len(side)) for side in sides)
    moves = [Moved(shares_p(*window, *other), _h(window, other)) for other in (like, whole)]
    return _joined(name, "h", moves, window[0] / window[1], like[0] / like[1], window[1], like[1])


def _language(sides: Sides) -> Finding | None:
    window, like, whole = (Counter(one.language for one in side if one.language) for side in sides)
    sizes = [one.total() for one in (window, like, whole)]
    if min(sizes) < LEAST:
        return None
    common = [
        one for one in sorted(window.keys() | like.keys() | whole.keys())
        if any(side[one] >= _RARE * size for side, size in zip((window, like, whole), sizes, strict=True))
    ]  # fmt: skip
    p = max(_of(common, window, other)[0] for other in (like, whole))
    best: Finding | None = None
    for one in common:
        mine = window[one], sizes[0]
        moves = [
            Moved(p, _h(mine, (other[one], size))) for other, size in ((like, sizes[1]), (whole, sizes[2]))
        ]
        found = _joined(
            "language", "h", moves, mine[0] / mine[1], like[one] / sizes[1], sizes[0], sizes[1], one
        )
        if best is None or _weight(found) > _weight(best):
            best = found
    return best


def _weight(one: Finding) -> tuple[float, bool]:
    """Of two that moved by as much, the one that rose says more."""
    return round(abs(one.effect), 6), one.effect > 0


def _texts(sides: Sides) -> Iterator[Finding | None]:
    asked = [_some([one.asked_words for one in side if one.asked_words]) for side in sides]
    yield _topic(asked)
    yield _apart("prompt_words", asked, told_apart)
    yield _apart(
        "answer_words", [_some([one.said_words for one in side if one.said_words]) for side in sides],
        told_apart,
    )  # fmt: skip
    # Vectors of another encoder say nothing beside those of this one.
    size = next((len(one.meaning) for one in reversed(sides.window) if one.meaning), 0)
    vectors = [[one.meaning for one in side if size and len(one.meaning) == size] for side in sides]
    yield _apart("meaning", [_some(some) for some in vectors], meanings_apart)


def _apart(
    name: str, sides: Sequence[Sequence[bytes]],
    compare: Callable[[Sequence[bytes], Sequence[bytes]], Moved],
) -> Finding | None:  # fmt: skip
    if min(map(len, sides)) < LEAST:
        return None
    # Told apart worse than by chance is not told apart: there is no direction here.
    moves = [
        Moved(one.p if one.effect > 0.5 else 1.0, max(0.0, one.effect - 0.5))
        for one in (compare(sides[0], other) for other in sides[1:])
    ]
    return _joined(name, "auc", moves, None, None, len(sides[0]), len(sides[1]))


def _topic(sides: Sequence[Sequence[bytes]]) -> Finding | None:
    if min(map(len, sides)) < LEAST:
        return None
    topics = Topics(sides[2])
    window, *others = (topics.counts(side) for side in sides)
    moves = [Moved(chi_square(window, other), psi(window, other)) for other in others]
    return _joined("topic", "psi", moves, None, None, len(sides[0]), len(sides[1]))


def _of(common: Sequence[str], new: Counter[str], old: Counter[str]) -> tuple[float, float]:
    """P and PSI over the common languages and all others as one."""
    rows = [[side[one] for one in common] for side in (new, old)]
    for row, side in zip(rows, (new, old), strict=True):
        row.append(side.total() - sum(row))
    if not sum(row[-1] for row in rows):
        rows = [row[:-1] for row in rows]
    return chi_square(*rows), psi(*rows)


def _joined(
    name: str, kind: Kind, moves: Sequence[Moved], new: float | None, old: float | None, n: int, m: int,
    about: str = "",
) -> Finding:  # fmt: skip
    effects = [one.effect for one in moves]
    agree = all(one > 0 for one in effects) or all(one < 0 for one in effects)
    return Finding(
        metric=name, kind=kind, p=max(one.p for one in moves),
        effect=min(effects, key=abs) if agree else 0.0, new=new, old=old, n=n, m=m, about=about,
    )  # fmt: skip


def _centred(moved: Moved) -> Moved:
    return Moved(moved.p, moved.effect - 0.5)


def _h(new: tuple[int, int], old: tuple[int, int]) -> float:
    return cohen_h(new[0] / new[1], old[0] / old[1])


def _some(texts: list[bytes]) -> list[bytes]:
    """At most `_MOST`, evenly over time."""
    return texts if len(texts) <= _MOST else [texts[place * len(texts) // _MOST] for place in range(_MOST)]
