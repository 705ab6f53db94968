"""Intervals and tests for evaluations: means, shares, paired differences, several metrics at once.

Cases of one group (a conversation, a document, repeats of a question) are not independent, so errors are
clustered by group throughout. Knows numbers only; numpy and scipy are imported when first used.
"""

from collections.abc import Sequence
from importlib import import_module
from math import ceil, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from greenroom.errors import ExtraMissing

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

    Floats = NDArray[float64]
    Ints = NDArray[int64]

INSTALL = "pip install 'greenroom[eval]'"
CONFIDENCE = 0.95
POWER = 0.8
FLIPS = 9_999
"""Sign flips of a permutation test: p is known to about ±0.002 at 0.05."""
_SEED = 20_240_501
_BATCH = 256
"""Flips made at once: bounds memory at 256 × groups numbers."""


class Estimate(Struct, kw_only=True, frozen=True):
    """A mean with its interval."""

    value: float
    low: float
    high: float
    n: int
    groups: int
    """Independent groups among the `n` cases."""
    error: float
    """Standard error, clustered by group."""


class Difference(Struct, kw_only=True, frozen=True):
    """New minus old over the same cases."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of this comparison alone: see `holm` where there are several."""
    test: Literal["mcnemar", "permutation"]
    effect: float
    """Cohen's g (share of wins among the cases that differ, minus 0.5) for passed or failed; Cohen's d_z
    (mean of the differences in their standard deviations) for numbers. 0 where no case differs.
    """
    wins: int
    losses: int
    ties: int
    n: int
    groups: int
    error: float


def mean(
    values: Sequence[float],
    groups: Sequence[str] = (),
    *,
    confidence: float = CONFIDENCE,
    is_share: bool | None = None,
) -> Estimate:
    """The mean of `values` (n) with an interval clustered by `groups` (n names; "" stands for itself).

    Shares, which is what values that are all 0 or 1 are taken for unless `is_share` says, get Wilson's
    interval at the effective number of cases (Korn and Graubard, "Confidence intervals for proportions with
    small expected number of positive counts", 1998); others a t interval over the cluster-robust standard
    error (Miller, "Adding error bars to evals", 2024).

    Raises: ValueError where there are no values; ExtraMissing.
    """
    numbers, clusters = _read(values, groups)
    count, amount = len(numbers), _count(clusters)
    value = float(numbers.mean())
    error = _clustered_error(numbers - value, clusters, amount)
    if _is_binary(numbers) if is_share is None else is_share:
        effective = amount if error == 0 else min(value * (1 - value) / error**2, count)
        low, high = wilson(value, effective, confidence)
    else:
        margin = _margin(error, amount, confidence)
        low, high = value - margin, value + margin
    return Estimate(value=value, low=low, high=high, n=count, groups=amount, error=error)


def wilson(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval for a share of `n` cases (n may be an effective number).

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    margin = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - margin), min(1.0, middle + margin)


def paired(
    new: Sequence[float],
    old: Sequence[float],
    groups: Sequence[str] = (),
    *,
    confidence: float = CONFIDENCE,
    is_share: bool | None = None,
) -> Difference:
    """New minus old, case by case: both (n), in the same order.

    Shares (see `mean`): the interval of Agresti and Min ("Simple improved confidence intervals for comparing
    matched proportions", 2005) at the effective number of cases, and the mid-p McNemar test where each case
    stands for itself. All others: a t interval over the clustered standard error, and of two p values the
    larger: that of this interval, and that of a permutation test which flips the sign of whole groups (exact
    below 14 groups, else 9,999 flips with a fixed seed), so that none is below 0.05 on one account alone.

    Raises: ValueError where there are no cases, or not as many new as old; ExtraMissing.
    """
    if len(new) != len(old):
        raise ValueError(f"There are {len(new)} new and {len(old)} old values; each case needs both.")
    numbers, clusters = _read(new, groups)
    before, _ = _read(old, groups)
    change = numbers - before
    count, amount = len(change), _count(clusters)
    value = float(change.mean())
    wins, losses = int((change > 0).sum()), int((change < 0).sum())
    is_binary = _is_binary(numbers) and _is_binary(before) if is_share is None else is_share
    clustered = _clustered_error(change - value, clusters, amount)
    test: Literal["mcnemar", "permutation"] = "mcnemar" if is_binary and amount == count else "permutation"
    if test == "mcnemar":
        p = mcnemar(wins, losses)
    else:
        p = max(_sign_flips(change, clusters, amount), _student(value, clustered, amount))
    if is_binary:
        middle, error = _matched(wins, losses, count, amount, clustered)
        margin = _margin(error, amount, confidence)
        low, high = max(-1.0, middle - margin), min(1.0, middle + margin)
    else:
        error = clustered
        margin = _margin(error, amount, confidence)
        low, high = value - margin, value + margin
    return Difference(
        value=value, low=low, high=high, p=p, test=test,
        effect=_effect(change, wins, losses, is_binary=is_binary),
        wins=wins, losses=losses, ties=count - wins - losses, n=count, groups=amount, error=error,
    )  # fmt: skip


def mcnemar(wins: int, losses: int) -> float:
    """The p value of passed or failed in the same cases: two-sided, mid-p, so what was seen counts half.

    With 20 to 400 pairs false alarms are 5.0 % at the most while no more than 70 % of the pairs differ, and
    it finds what the best unbiased test finds but for half a point. The exact test finds 4 points less.

    Source: McNemar 1947; Fagerland, Lydersen, Laake, "The McNemar test for binary matched-pairs data: mid-p
    and asymptotic are better than exact conditional", BMC Medical Research Methodology 2013.
    """
    binomial = _library("scipy.stats").binom
    fewer, total = min(wins, losses), wins + losses
    return float(2 * binomial.cdf(fewer - 1, total, 0.5) + binomial.pmf(fewer, total, 0.5))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values, in their order, adjusted for being several: any false alarm stays rarer than alpha.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted


def cases_needed(
    found: Estimate | Difference, smallest: float, *, alpha: float = 0.05, power: float = POWER
) -> int:
    """How many cases would show a change of `smallest` with this `power`, if they vary as those found do.

    The usual two-sided formula, ((z(1-alpha/2) + z(power)) * s / smallest)^2, with the spread s of the
    differences per case as clustered. Raises: ValueError unless `smallest` is above 0.
    """
    if smallest <= 0:
        raise ValueError("The smallest change that matters must be above 0.")
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    spread = found.error * sqrt(found.n)
    return ceil((reach * spread / smallest) ** 2)


def _library(name: str) -> Any:  # Any: scipy is untyped
    try:
        return import_module(name)
    except ImportError:
        raise ExtraMissing(f"Comparing needs scipy. Install it with: {INSTALL}") from None


def _read(values: Sequence[float], groups: Sequence[str]) -> "tuple[Floats, Ints]":
    """Values, and for each the number of its group."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    if not len(values):
        raise ValueError("There are no values.")
    if groups and len(groups) != len(values):
        raise ValueError(f"There are {len(values)} values and {len(groups)} groups; each value needs one.")
    numbers: Floats = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("A value is not a finite number.")
    known: dict[object, int] = {}
    names = [name or place for place, name in enumerate(groups)] if groups else range(len(values))
    clusters = np.fromiter((known.setdefault(name, len(known)) for name in names), np.int64, len(values))
    return numbers, clusters


def _count(clusters: "Ints") -> int:
    return int(clusters.max()) + 1


def _is_binary(numbers: "Floats") -> bool:
    return bool(((numbers == 0) | (numbers == 1)).all())


def _sums(numbers: "Floats", clusters: "Ints", amount: int) -> "Floats":
    import numpy as np  # noqa: PLC0415 - as above

    return np.bincount(clusters, weights=numbers, minlength=amount).astype(np.float64)


def _clustered_error(residuals: "Floats", clusters: "Ints", amount: int) -> float:
    """Standard error of a mean from residuals, with the small-sample factor groups / (groups - 1)."""
    if amount < 2:
        return 0.0
    sums = _sums(residuals, clusters, amount)
    return sqrt(float((sums**2).sum()) * amount / (amount - 1)) / len(residuals)


def _margin(error: float, groups: int, confidence: float) -> float:
    """By Student's t with groups - 1 degrees of freedom; infinite where one group says nothing of others."""
    if groups < 2:
        return float("inf")
    return float(_library("scipy.stats").t.ppf(0.5 + confidence / 2, groups - 1)) * error


def _student(value: float, error: float, groups: int) -> float:
    """The p value that belongs to the interval of `_margin`."""
    if error == 0 or groups < 2:
        return 0.0 if value else 1.0
    return float(2 * _library("scipy.stats").t.sf(abs(value) / error, groups - 1))


def _matched(wins: int, losses: int, count: int, groups: int, clustered: float) -> tuple[float, float]:
    """Middle and standard error of Agresti and Min's interval: half a case more in each of the four cells.

    Where cases hang together, they count as so many as would have the same error (the design effect).
    """
    effect = 1.0
    if groups < count:
        share = (wins + losses) / count - ((wins - losses) / count) ** 2
        effect = max(effect, clustered**2 * count / share if share > 0 else count / groups)
    more, less, total = wins / effect + 0.5, losses / effect + 0.5, count / effect + 2
    middle = (more - less) / total
    return middle, sqrt((more + less) - (more - less) ** 2 / total) / total


def _sign_flips(change: "Floats", clusters: "Ints", amount: int) -> float:
    import numpy as np  # noqa: PLC0415 - as above

    sums = _sums(change, clusters, amount)
    sums = sums[sums != 0]  # a flip of nothing changes nothing
    if len(sums) < 2:
        return 1.0
    found = _library("scipy.stats").permutation_test(
        (sums,), np.sum, permutation_type="samples", vectorized=True, n_resamples=FLIPS, batch=_BATCH,
        rng=np.random.default_rng(_SEED),
    )  # fmt: skip
    return float(found.pvalue)


def _effect(change: "Floats", wins: int, losses: int, *, is_binary: bool) -> float:
    if wins + losses == 0:
        return 0.0
    if is_binary:
        return wins / (wins + losses) - 0.5
    spread = float(change.std(ddof=1)) if len(change) > 1 else 0.0
    return float(change.mean()) / spread if spread else 0.0
