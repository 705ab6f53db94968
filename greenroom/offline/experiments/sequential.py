"""Intervals that hold at every moment at once: look as often as you like, stop whenever you like.

For values with known bounds (`Differences`): capital that grows when one bets against a mean that is not the
true one (I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B
86(1), 2024, section 4, with a mixture of constant bets). The values are differences of two arms, taken block
by block as units come: the next `a` of the treatment against the next `b` of the control. Against a mean that
is the true one the capital is a martingale that begins at 1, so by Ville's inequality it passes 1/α with a
chance of α at most, over all moments together and at any sample size. It needs neither known shares nor equal
numbers, and what changes with time for both arms alike cancels out.

For values without bounds (`Moments`: cost, latency, tokens): asymptotic confidence sequences (I.
Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 52(6), 2024, theorem 2.2). They hold as numbers grow;
below `FIRST` of each arm nothing is said.

For the numbers of units in the arms (`share_evidence`): M. Lindon and A. Malek, "Anytime-valid inference for
multinomial count data", NeurIPS 2022.

All assume that what the next unit of an arm gives has the same mean whatever came before: one value a unit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil, exp, floor, inf, lgamma, log, log1p, sqrt
from typing import NamedTuple

BETS = tuple(0.9 * 1.5**-step for step in range(13))
"""Shares of the capital that are bet, 0.9 down to 0.007, an equal part of it on each. A difference d of two
arms with variance v (of both together) is found quickest by a share of about d/v."""
STEPS = 1_000
"""Values are rounded to so many steps, for each bound to its safe side: what is kept does not grow."""
FIRST = 500
"""The fewest of each arm before an asymptotic interval is given. With 100, arms of one to nine and lognormal
values of σ = 1.5, 9 % of 500 A/A runs were called; with 300 5 %, with 1,000 1 %.
"""
AIMED = 2_000
"""The number of both arms together for which asymptotic intervals are narrowest."""
MISMATCH = 0.001
"""The chance of a false alarm about shares."""
_PRIOR = 100.0
"""How sure the alternative is of the shares as planned, in units."""
_HALVINGS = 24
_MOST_EXPONENT = 600.0


class Interval(NamedTuple):
    """A difference of means, treatment less control, and between what it lies."""

    difference: float
    low: float
    high: float


class Differences:
    """Differences of two arms whose values lie from 0 to 1, and bounds of their mean.

    What is kept is a histogram of at most `STEPS` + 1 numbers for each bound; a bound costs about 1 ms where
    values are 0 or 1, 0.1 s at most.
    """

    def __init__(self, treatment: int = 1, control: int = 1) -> None:
        """`treatment` and `control`: how many values of each make a block, as the arms' shares are."""
        self._size = treatment, control
        self._waiting: tuple[list[float], list[float]] = ([], [])
        self._below: Counter[int] = Counter()
        self._above: Counter[int] = Counter()
        self._sum = 0.0
        self.blocks = 0

    def add(self, value: float, *, is_treatment: bool) -> None:
        """Take the value of the next unit of one arm. Raises: ValueError for one outside 0…1."""
        if not 0.0 <= value <= 1.0:
            raise ValueError("a value must lie from 0 to 1")
        waiting = self._waiting
        waiting[not is_treatment].append(value)
        first, second = self._size
        if len(waiting[0]) < first or len(waiting[1]) < second:
            return
        difference = sum(waiting[0][:first]) / first - sum(waiting[1][:second]) / second
        del waiting[0][:first], waiting[1][:second]
        self._sum += difference
        self.blocks += 1
        place = (difference + 1) / 2 * STEPS  # 1e-9: what binary fractions of thousandths are off by
        self._below[max(0, floor(place + 1e-9))] += 1
        self._above[STEPS - min(STEPS, ceil(place - 1e-9))] += 1

    @property
    def mean(self) -> float:
        """The mean of all differences; 0 where there is none."""
        return self._sum / self.blocks if self.blocks else 0.0

    def lower(self, alpha: float) -> float:
        """What the true difference is above, at every moment at once with a chance of 1 − α."""
        return 2 * _bound(self._below, alpha) - 1

    def upper(self, alpha: float) -> float:
        """What the true difference is below; as `lower`."""
        return 1 - 2 * _bound(self._above, alpha)

    def is_above(self, difference: float, alpha: float) -> bool:
        """Whether the true difference is known to be greater. Quicker than `lower`."""
        return _log_capital(self._below, (difference + 1) / 2) >= log(1 / alpha)

    def is_below(self, difference: float, alpha: float) -> bool:
        """Whether the true difference is known to be less."""
        return _log_capital(self._above, (1 - difference) / 2) >= log(1 / alpha)

    def interval(self, alpha: float) -> Interval:
        """Both bounds, each with half of α."""
        return Interval(self.mean, self.lower(alpha / 2), self.upper(alpha / 2))


def _log_capital(counts: Mapping[int, int], mean: float) -> float:
    """Logarithm of what was made by betting that the mean of values k/`STEPS` is more than this one."""
    if mean <= 0.0:
        return 0.0 if not any(counts) else inf
    scaled = [(place / (STEPS * mean) - 1.0, count) for place, count in counts.items()]
    logs = [sum([count * log1p(bet * off) for off, count in scaled]) for bet in BETS]
    most = max(logs)
    return most + log(sum([exp(one - most) for one in logs]) / len(BETS))


def _bound(counts: Mapping[int, int], alpha: float) -> float:
    """The greatest mean that is ruled out, for values of 0…1: the capital falls as the mean rises."""
    limit = log(1 / alpha)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _log_capital(counts, middle) >= limit:
            low = middle
        else:
            high = middle
    return low


class Moments:
    """Number, mean and variance of values as they come (Welford's method)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, value: float) -> None:
        """Take the next value."""
        self.count += 1
        off = value - self.mean
        self.mean += off / self.count
        self._squares += off * (value - self.mean)

    @property
    def variance(self) -> float:
        """Of the values, with n − 1; 0 for fewer than two."""
        return self._squares / (self.count - 1) if self.count > 1 else 0.0


def asymptotic(control: Moments, treatment: Moments, alpha: float) -> Interval:
    """The difference of two means of values without bounds; infinitely wide below `FIRST` of each."""
    difference = treatment.mean - control.mean
    if min(control.count, treatment.count) < FIRST:
        return Interval(difference, -inf, inf)
    error = sqrt(control.variance / control.count + treatment.variance / treatment.count)
    half = error * width(control.count + treatment.count, alpha)
    return Interval(difference, difference - half, difference + half)


def width(count: int, alpha: float) -> float:
    """How many standard errors an asymptotic interval is wide on either side, after `count` values."""
    tail = -2 * log(alpha)
    scaled = count * (tail + log(tail + 1)) / AIMED  # t ρ², ρ as in appendix B.2 of the paper
    return sqrt(2 * (scaled + 1) / scaled * log(sqrt(scaled + 1) / alpha))


def share_evidence(counts: Sequence[int], shares: Sequence[float]) -> float:
    """An anytime-valid p-value of numbers as far from their shares as these.

    `counts`: units of each arm. `shares`: what each should have, all together 1.
    """
    prior = [_PRIOR * share for share in shares]
    evidence = lgamma(_PRIOR) - lgamma(_PRIOR + sum(counts))
    for count, share, weight in zip(counts, shares, prior, strict=True):
        evidence += lgamma(weight + count) - lgamma(weight) - count * log(share)
    return exp(-min(max(evidence, 0.0), _MOST_EXPONENT))
