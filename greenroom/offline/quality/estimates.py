"""Means of scores with their intervals, from sums alone. Knows numbers only; no library."""

from math import pi, sqrt, tan
from statistics import NormalDist
from typing import NamedTuple

from msgspec import Struct

from greenroom.offline.evals.statistics import wilson

CONFIDENCE = 0.95


class Sums(NamedTuple):
    """What scores of one kind came to."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    odd: int = 0
    """How many of them are neither 0 nor 1."""

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(
            self.n + other.n, self.total + other.total, self.squares + other.squares, self.odd + other.odd
        )


class Estimate(Struct, frozen=True):
    """A mean, between which bounds it surely lies, and of how many."""

    mean: float
    low: float
    high: float
    n: int


def estimate(sums: Sums) -> Estimate | None:
    """The mean with a 95 % interval; None for none.

    Scores that are all 0 or 1 get Wilson's interval for a share, others Student's. Each exchange counts as
    one of its own: where a few users ask most, the truth may lie further off.

    Source: Wilson, "Probable inference", JASA 1927; Student, "The probable error of a mean", Biometrika 1908.
    """
    if sums.n <= 0:
        return None
    mean = sums.total / sums.n
    if sums.odd <= 0:
        low, high = wilson(min(1.0, max(0.0, mean)), sums.n, CONFIDENCE)
        return Estimate(mean, 0.0 if mean <= 0 else low, 1.0 if mean >= 1 else high, sums.n)
    if sums.n < 2:
        return Estimate(mean, float("-inf"), float("inf"), sums.n)
    spread = sqrt(max(0.0, sums.squares - sums.n * mean * mean) / (sums.n - 1))
    margin = student(0.5 + CONFIDENCE / 2, sums.n - 1) * spread / sqrt(sums.n)
    return Estimate(mean, mean - margin, mean + margin, sums.n)


def student(share: float, freedom: int) -> float:
    """The quantile of Student's t, from the normal one: to 1 % from 4 degrees of freedom on.

    Source: Abramowitz, Stegun, "Handbook of mathematical functions", 26.7.5; exact for 1 and 2 (26.7.3-4).
    """
    if freedom == 1:
        return tan(pi * (share - 0.5))
    if freedom == 2:
        alpha = 4 * share * (1 - share)
        return 2 * (share - 0.5) * sqrt(2 / alpha)
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))
