"""One stretch of traffic, watched for harm: each side's units, and what is certain of their difference.

Two tests stand beside each other for each metric. The first takes each unit's first value and bets on it:
exact at any number of units. The second takes each unit's mean over all it gave, so that a few users who ask
a lot can show what a canary does to them; its error is that of the units' means, never of the exchanges,
which of one user are alike. It is asymptotic, and says nothing below `FEWEST` units of each side.
"""

from math import inf, sqrt
from typing import NamedTuple

from greenroom.offline.experiments.report import blocks
from greenroom.offline.experiments.sequential import Differences, width

FEWEST = 8
"""Units of each side before their means are compared: with fewer their spread says too little. The canary
gets one unit more, of the current's mean, so that few that agree by chance are no certainty.
"""


class Means:
    """The mean of every unit's mean, and how far these lie apart."""

    def __init__(self) -> None:
        self.count = 0
        self._of: dict[str, list[float]] = {}
        self._sum = self._squares = 0.0

    def add(self, unit: str, value: float, *, may_return: bool) -> None:
        """Take a value of a unit; one that may not return is not remembered."""
        known = self._of.get(unit) if may_return else None
        if known is None:
            self.count += 1
            self._sum += value
            self._squares += value * value
            if may_return:
                self._of[unit] = [value, 1.0]
            return
        before = known[0] / known[1]
        known[0] += value
        known[1] += 1
        after = known[0] / known[1]
        self._sum += after - before
        self._squares += after * after - before * before

    @property
    def mean(self) -> float:
        """Over all units, each counting once."""
        return self._sum / self.count if self.count else 0.0

    def variance(self, more: float | None = None) -> tuple[float, float, int]:
        """Mean, variance and number of the units; with `more`, of one unit more that has this mean."""
        count, total, squares = self.count, self._sum, self._squares
        if more is not None:
            count, total, squares = count + 1, total + more, squares + more * more
        if count < 2:
            return total / max(1, count), inf, count
        mean = total / count
        return mean, max(0.0, (squares - count * mean * mean) / (count - 1)), count


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
        self._seen: set[tuple[bool, str]] = set()
        self.sides = (Means(), Means())
        """The current's units and the canary's."""

    def add(self, unit: str, value: float, *, is_canary: bool, may_return: bool) -> None:
        """Take a value from 0 to 1, of which 1 is the bad one."""
        self.sides[is_canary].add(unit, value, may_return=may_return)
        if may_return:
            if (is_canary, unit) in self._seen:
                return
            self._seen.add((is_canary, unit))
        self._first.add(value, is_treatment=is_canary)

    def is_harm(self, margin: float, alpha: float) -> bool:
        """Whether the canary surely is worse by more than the margin. Each test has half of alpha."""
        if self._first.mean > margin and self._first.is_above(margin, alpha / 2):
            return True
        return self._by_means(alpha / 2) > margin

    def is_no_harm(self, margin: float, alpha: float) -> bool:
        """Whether it surely is not."""
        return self._first.is_below(margin, alpha)

    def bounds(self, alpha: float) -> Bounds:
        """The difference of the units' first values; each bound with all of alpha, as rules use them."""
        if not all(side.count for side in self.sides):
            return Bounds(None, -1.0, 1.0)
        low = max(self._first.lower(alpha), self._by_means(alpha))
        return Bounds(self.sides[1].mean - self.sides[0].mean, low, max(low, self._first.upper(alpha)))

    def _by_means(self, alpha: float) -> float:
        """What the difference of the units' means is above."""
        current, canary = self.sides
        if min(current.count, canary.count) < FEWEST:
            return -1.0
        own, own_spread, own_count = canary.variance(current.mean)
        mean, spread, count = current.variance()
        error = sqrt(own_spread / own_count + spread / count)
        if not error:  # nothing differs: what that proves, bets say better
            return -1.0
        return own - mean - width(count + own_count, alpha) * error


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
