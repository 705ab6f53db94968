"""Tests and effect sizes for two samples: numbers, categories, shares; and several tests at once.

The few that drift needs, without scipy, so that a server without the extra `eval` can watch too. Knows
numbers only; numpy is imported when first used.
"""

from collections.abc import Sequence
from math import asin, erfc, exp, inf, lgamma, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

LEAST_EXPECTED = 5.0
"""What a cell must expect for the chi-square test to hold (Cochran 1954); rarer ones are joined."""


class Moved(NamedTuple):
    """What a test of two samples says."""

    p: float
    """Two-sided."""
    effect: float
    """Of `ranks`: the chance that a new value is above an old one, 0.5 for no difference (the AUC)."""


def ranks(new: Sequence[float], old: Sequence[float]) -> Moved:
    """The rank-sum test of Mann and Whitney, and the AUC that belongs to it. Ties count half.

    p by the normal approximation, corrected for ties and continuity: good from some eight values in each.
    An empty sample shows nothing: p is 1.

    Source: Mann, Whitney, "On a test of whether one of two random variables is stochastically larger than the
    other", Annals of Mathematical Statistics 1947; Hanley, McNeil, "The meaning and use of the area under a
    ROC curve", Radiology 1982.
    """
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    n, m = len(new), len(old)
    if not n or not m:
        return Moved(1.0, 0.5)
    both: NDArray[float64] = np.concatenate([np.asarray(new, np.float64), np.asarray(old, np.float64)])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean_ranks = ends - (counts - 1) / 2
    u = float(mean_ranks[inverse[:n]].sum()) - n * (n + 1) / 2
    total = n + m
    tied = float((counts.astype(np.float64) ** 3 - counts).sum())
    spread = sqrt(n * m / 12 * (total + 1 - tied / (total * (total - 1)))) if total > 1 else 0.0
    if spread == 0:
        return Moved(1.0, 0.5)
    z = max(0.0, abs(u - n * m / 2) - 0.5) / spread
    return Moved(erfc(z / sqrt(2)), u / (n * m))


def chi_square(new: Sequence[int], old: Sequence[int]) -> float:
    """The p value of Pearson's test that two rows of counts over the same categories are drawn alike.

    Categories that expect less than `LEAST_EXPECTED` in either row are joined; 1.0 where fewer than two are
    left.

    Source: Pearson, Philosophical Magazine 1900; Cochran, "Some methods for strengthening the common
    chi-square tests", Biometrics 1954.
    """
    n, m = sum(new), sum(old)
    if not n or not m:
        return 1.0
    least = LEAST_EXPECTED * (n + m) / min(n, m)
    cells = [(a, b) for a, b in zip(new, old, strict=True) if a + b >= least]
    rest = n - sum(a for a, _ in cells), m - sum(b for _, b in cells)
    if sum(rest) >= least:
        cells.append(rest)
    elif sum(rest) and cells:
        smallest = min(range(len(cells)), key=lambda place: sum(cells[place]))
        cells[smallest] = cells[smallest][0] + rest[0], cells[smallest][1] + rest[1]
    if len(cells) < 2:
        return 1.0
    statistic = 0.0
    for a, b in cells:
        for seen, size in ((a, n), (b, m)):
            expected = (a + b) * size / (n + m)
            statistic += (seen - expected) ** 2 / expected
    return _chi_square_above(statistic, len(cells) - 1)


def fisher(new_hits: int, new: int, old_hits: int, old: int) -> float:
    """The p value of Fisher's exact test that two shares are the same, two-sided: by the probability.

    Source: Fisher, "Statistical methods for research workers", 1934, section 21.02.
    """
    hits, total = new_hits + old_hits, new + old

    def likelihood(place: int) -> float:
        return _log_choose(new, place) + _log_choose(old, hits - place)

    low, high = max(0, hits - old), min(hits, new)
    seen, whole = likelihood(new_hits), _log_choose(total, hits)
    limit = seen + 1e-7
    found = sum(exp(one - whole) for place in range(low, high + 1) if (one := likelihood(place)) <= limit)
    return min(1.0, found)


def shares_p(new_hits: int, new: int, old_hits: int, old: int) -> float:
    """The p value that two shares are the same: exact where a cell expects less than 5, else chi-square."""
    if not new or not old:
        return 1.0
    hits = new_hits + old_hits
    least = min(hits, new + old - hits) * min(new, old) / (new + old)
    if least < LEAST_EXPECTED:
        return fisher(new_hits, new, old_hits, old)
    return chi_square((new_hits, new - new_hits), (old_hits, old - old_hits))


def cohen_h(new: float, old: float) -> float:
    """The distance of two shares where equal steps are as easily seen anywhere: 0.2 small, 0.5 medium.

    Source: Cohen, "Statistical power analysis for the behavioral sciences", 1988, chapter 6.
    """
    return 2 * asin(sqrt(new)) - 2 * asin(sqrt(old))


def psi(new: Sequence[int], old: Sequence[int]) -> float:
    """The population stability index of two rows of counts: below 0.1 little, from 0.25 a real move.

    Half a count is added to each cell, so that an empty one is no infinity.

    Source: Siddiqi, "Credit risk scorecards", 2006, chapter 8; it is the divergence of Jeffreys (1946).
    """
    size = len(new)
    n, m = sum(new) + size / 2, sum(old) + size / 2
    found = 0.0
    for a, b in zip(new, old, strict=True):
        p, q = (a + 0.5) / n, (b + 0.5) / m
        found += (p - q) * log(p / q)
    return found


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """The p values, in their order, adjusted: of what is below alpha, alpha is false in the long run at most.

    Source: Benjamini, Hochberg, "Controlling the false discovery rate", JRSS B 1995.
    """
    adjusted = [1.0] * len(ps)
    least = 1.0
    for rank, place in reversed(list(enumerate(sorted(range(len(ps)), key=ps.__getitem__), 1))):
        least = min(least, ps[place] * len(ps) / rank)
        adjusted[place] = least
    return adjusted


def signed_ranks(changes: Sequence[float]) -> float:
    """The p value of Wilcoxon's test that changes are as often up as down, two-sided; zeros say nothing.

    Exact to 25 changes where no two are alike, else by the normal approximation, corrected for ties.

    Source: Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1945.
    """
    kept = sorted((one for one in changes if one), key=abs)
    n = len(kept)
    if not n:
        return 1.0
    positive, tied, at = 0.0, 0.0, 0
    while at < n:
        end = at
        while end < n and abs(kept[end]) == abs(kept[at]):
            end += 1
        positive += (at + end + 1) / 2 * sum(one > 0 for one in kept[at:end])
        tied += (end - at) ** 3 - (end - at)
        at = end
    whole = n * (n + 1) / 2
    less = min(positive, whole - positive)
    if n <= 25 and not tied:
        ways = [1] + [0] * int(whole)
        for rank in range(1, n + 1):
            for place in range(int(whole), rank - 1, -1):
                ways[place] += ways[place - rank]
        return min(1.0, 2 * float(sum(ways[: int(less) + 1])) / 2.0**n)
    spread = sqrt(n * (n + 1) * (2 * n + 1) / 24 - tied / 48)
    return erfc(abs(positive - whole / 2) / spread / sqrt(2))


def _log_choose(n: int, k: int) -> float:
    return -inf if k < 0 or k > n else lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _chi_square_above(statistic: float, freedom: int) -> float:
    """The upper tail of the chi-square distribution: Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    if freedom % 2:
        tail, term = erfc(sqrt(half)), exp(-half) * sqrt(2 * statistic / 3.141592653589793)
        for odd in range(3, freedom + 1, 2):
            tail += term
            term *= statistic / odd
        return min(1.0, tail)
    term = tail = exp(-half)
    for even in range(1, freedom // 2):
        term *= half / even
        tail += term
    return min(1.0, tail)
