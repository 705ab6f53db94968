"""One stretch of traffic, watched for harm: each side's units, and what is certain of their difference.

Two tests stand beside each other for each metric, both exact at any number of units. The first takes each
unit's first value and bets on it (`offline/experiments/sequential.py`). The second is for users who ask a lot
while there are few of them: exchanges of one user are alike and prove little, but who got the canary was
drawn by lot. Did it change nothing, the users for whom much goes wrong would be spread over both sides by
chance alone, and how many of them the canary has would follow the hypergeometric distribution (R. A. Fisher,
"The Design of Experiments", 1935). It is looked at each time the canary's values have grown by `GROWTH`,
the j-th time with 6 / π² j² of the chance of a false alarm.
"""

from collections.abc import Sequence
from math import ceil, exp, lgamma, log, pi
from typing import NamedTuple

from greenroom.offline.experiments.report import blocks
from greenroom.offline.experiments.sequential import Differences

GROWTH = 1.25
MOST = 20_000
"""Users of a side that one stretch remembers; then later ones of both sides take no part in it."""
FIRST_LOOK = 8
"""Values of the canary before its users are looked at."""
_MUCH = 0.1
"""A user's mean above that of all by so much (or the margin, if more) is much; so is one of over 0.5."""


class Units:
    """The units of one side, each with the mean of all it gave."""

    def __init__(self) -> None:
        self.count = 0
        self.returned = 0
        """Values of units that may come again."""
        self._of: dict[str, tuple[float, int]] = {}
        self._once = 0.0

    @property
    def is_full(self) -> bool:
        """Whether no other unit is remembered: so many prove enough."""
        return len(self._of) >= MOST

    def knows(self, unit: str) -> bool:
        """Whether a unit that may return gave something."""
        return unit in self._of

    def add(self, unit: str, value: float, *, may_return: bool) -> bool:
        """Take a value of a unit, one that may not return without remembering it; whether it is its first."""
        known = self._of.get(unit) if may_return else None
        self.count += known is None
        if not may_return:
            self._once += value
            return True
        self.returned += 1
        total, count = known or (0.0, 0)
        self._of[unit] = total + value, count + 1
        return known is None

    @property
    def means(self) -> list[float]:
        """Of the units that may return."""
        return [total / count for total, count in self._of.values()]

    @property
    def mean(self) -> float:
        """Over all units, each counting once."""
        return (self._once + sum(self.means)) / self.count if self.count else 0.0


class Bounds(NamedTuple):
    """A metric's difference, the canary's less the current's, and between what it lies; higher is worse."""

    difference: float | None
    low: float
    high: float


class Test:
    """One metric over one stretch."""

    def __init__(self, share: float) -> None:
        """`share`: the canary's part of the units."""
        self._first = Differences(*blocks(share, 1 - share))
        self.sides = (Units(), Units())
        """The current's and the canary's."""
        self._due = FIRST_LOOK
        self._is_unlikely = False

    def add(self, unit: str, value: float, *, is_canary: bool, may_return: bool) -> None:
        """Take a value from 0 to 1, of which 1 is the bad one."""
        side = self.sides[is_canary]
        if may_return and not side.knows(unit) and any(one.is_full for one in self.sides):
            return  # nor on the side that has room: its newcomers would be held to others of before
        if side.add(unit, value, may_return=may_return):
            self._first.add(value, is_treatment=is_canary)

    def is_harm(self, margin: float, alpha: float) -> bool:
        """Whether the canary surely is worse, and by more than the margin. Each test has half of alpha."""
        if self._first.mean > margin and self._first.is_above(margin, alpha / 2):
            return True
        if self.sides[1].returned >= self._due:
            self._look(margin, alpha / 2)
        return self._is_unlikely

    def is_no_harm(self, margin: float, alpha: float) -> bool:
        """Whether it surely is not."""
        return self._first.is_below(margin, alpha)

    def bounds(self, alpha: float) -> Bounds:
        """The difference of the units' first values; each bound with all of alpha, as rules use them."""
        if not all(side.count for side in self.sides):
            return Bounds(None, -1.0, 1.0)
        difference = self.sides[1].mean - self.sides[0].mean
        return Bounds(difference, self._first.lower(alpha), self._first.upper(alpha))

    def _look(self, margin: float, alpha: float) -> None:
        returned = self.sides[1].returned
        look = 1 + int(log(returned / FIRST_LOOK) / log(GROWTH))  # by the size: a restart begins none anew
        self._due = ceil(returned * GROWTH) + 1
        current, canary = (side.means for side in self.sides)
        if _mean(canary) - _mean(current) > margin:
            everyone = [*current, *canary]
            much = min(0.5, _mean(everyone) + max(margin, _MUCH))
            p = chance(
                len(everyone),
                sum(one > much for one in everyone),
                len(canary),
                sum(one > much for one in canary),
            )
            self._is_unlikely = p < alpha * 6 / (pi * look) ** 2


class Detector:
    """Every metric over one stretch that began at some exchange."""

    def __init__(self, share: float, alpha: float) -> None:
        """`alpha`: the chance of a false alarm that this stretch may have, for each metric."""
        self.alpha = alpha
        self._share = share
        self.tests: dict[str, Test] = {}

    def add(self, metric: str, unit: str, value: float, *, is_canary: bool, may_return: bool) -> None:
        """Take one value."""
        test = self.tests.get(metric)
        if test is None:
            test = self.tests[metric] = Test(self._share)
        test.add(unit, value, is_canary=is_canary, may_return=may_return)


def chance(all_: int, marked: int, drawn: int, hit: int) -> float:
    """The chance that of `drawn` out of `all_`, of which some are marked, `hit` or more are."""
    if hit <= 0:
        return 1.0
    whole = _log_ways(all_, drawn)
    most = min(marked, drawn)
    return sum(
        exp(_log_ways(marked, one) + _log_ways(all_ - marked, drawn - one) - whole)
        for one in range(hit, most + 1)
        if drawn - one <= all_ - marked
    )


def _log_ways(of: int, choose: int) -> float:
    return lgamma(of + 1) - lgamma(choose + 1) - lgamma(of - choose + 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
