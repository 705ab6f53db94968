"""How often evaluation sees a difference that is not there, and one that is: `make eval-statistics`.

Simulated runs, compared as `greenroom eval` compares them. Pairs of passed or failed are drawn with a
correlation (phi) between the two runs over the same questions; nothing is read, nothing asked.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from math import isnan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from greenroom.offline.evals.statistics import Difference, holm, mcnemar, paired

ALPHA = 0.05
binom: Any = import_module("scipy.stats").binom  # Any: scipy is untyped
CASES = 400
Numbers = NDArray[np.float64]


class Row(NamedTuple):
    """One simulated situation."""

    what: str
    found: float
    """Share of runs in which a difference was seen, p < 0.05 on either side."""
    worse: float
    """Share of runs in which the new one was found worse: what a rule of the kind "regression" looks at."""
    covered: float
    """Share of runs whose interval held the true difference."""
    exactly: float = float("nan")
    """What `found` would be in endless runs, where that can be counted out: passed or failed."""
    best: float = float("nan")
    """The same of the uniformly most powerful unbiased test (Lehmann and Romano, "Testing statistical
    hypotheses", section 4.5): no test whose false alarms are 5 % whatever the shares finds more.
    """


def pairs(
    chance: Generator, before: float, after: float, phi: float, n: int = CASES
) -> tuple[Numbers, Numbers]:
    """Passed (1) or failed (0) of `n` questions before and after, with these shares and this correlation."""
    both = before * after + phi * sqrt(before * (1 - before) * after * (1 - after))
    kinds = chance.choice(4, n, p=[both, after - both, before - both, 1 - before - after + both])
    new, old = (kinds == 0) | (kinds == 1), (kinds == 0) | (kinds == 2)
    return new.astype(np.float64), old.astype(np.float64)


def clustered(chance: Generator, shift: float, groups: int, size: int) -> tuple[Numbers, Numbers, list[str]]:
    """Scores of 0 to 1 in groups whose cases share both how hard they are and how much a run differs."""
    hard = np.repeat(chance.normal(0.6, 0.15, groups), size)
    drift = np.repeat(chance.normal(0, 0.08, groups), size)
    old = hard + chance.normal(0, 0.1, groups * size)
    new = hard + drift + shift + chance.normal(0, 0.1, groups * size)
    return new, old, [f"g{number}" for number in range(groups) for _ in range(size)]


def simulate(what: str, true: float, runs: int, once: Callable[[Generator], Difference]) -> Row:
    """`runs` comparisons of one kind, each with a seed of its own."""
    found = [once(np.random.default_rng([7, number])) for number in range(runs)]
    seen = sum(one.p < ALPHA for one in found)
    worse = sum(one.p < ALPHA and one.value < 0 for one in found)
    covered = sum(one.low <= true <= one.high for one in found)
    return Row(what, seen / runs, worse / runs, covered / runs)


def counted(what: str, runs: int, base: float, gain: float, phi: float, n: int = CASES) -> Row:
    """`runs` comparisons of passed or failed, and what endless ones would come to."""
    row = simulate(what, gain, runs, _shares(base, gain, phi, n))
    after = base + gain
    both = base * after + phi * sqrt(base * (1 - base) * after * (1 - after))
    differ = after + base - 2 * both
    exactly = best = 0.0
    for total, likely in enumerate(binom.pmf(range(n + 1), n, differ)):
        if likely > 1e-10:
            wins = binom.pmf(range(total + 1), total, (after - both) / differ)
            found, unbiased = _rejected(total)
            exactly += likely * float(wins @ found)
            best += likely * float(wins @ unbiased)
    return row._replace(exactly=exactly, best=best)


@cache
def _rejected(total: int) -> tuple[Numbers, Numbers]:
    """For each number of wins among `total` that differ: whether it is seen, how often the best sees it."""
    fewer = [min(wins, total - wins) for wins in range(total + 1)]
    found = np.array([mcnemar(one, total - one) < ALPHA for one in fewer], np.float64)
    best, left = np.zeros(total + 1), ALPHA
    for low in range(total // 2 + 1):
        ends = [low] if 2 * low == total else [low, total - low]
        chance = float(binom.pmf(ends, total, 0.5).sum())
        best[ends] = min(1.0, left / chance)
        left = max(0.0, left - chance)
    return found, best


def several(runs: int) -> Row:
    """Five metrics without a difference: how often any is seen after Holm's adjustment."""
    seen = worse = 0
    for number in range(runs):
        chance = np.random.default_rng([11, number])
        found = [_shares(0.8, 0.0, 0.5)(chance) for _ in range(5)]
        told = [one.value for one, p in zip(found, holm([one.p for one in found]), strict=True) if p < ALPHA]
        seen += bool(told)
        worse += any(value < 0 for value in told)
    return Row("A/A, any of 5 pass/fail metrics after Holm", seen / runs, worse / runs, float("nan"))


def _shares(base: float, gain: float, phi: float, n: int = CASES) -> Callable[[Generator], Difference]:
    """One comparison of passed or failed."""

    def once(chance: Generator) -> Difference:
        new, old = pairs(chance, base, base + gain, phi, n)
        return paired(new.tolist(), old.tolist())

    return once


def _scores(shift: float, groups: int, size: int) -> Callable[[Generator], Difference]:
    """One comparison of scores in groups."""

    def once(chance: Generator) -> Difference:
        new, old, names = clustered(chance, shift, groups, size)
        return paired(new.tolist(), old.tolist(), names)

    return once


def a_a(runs: int) -> Iterator[Row]:
    """Situations without a difference."""
    for base, phi, n in ((0.8, 0.5, CASES), (0.5, 0.0, CASES), (0.95, 0.7, CASES), (0.8, 0.5, 40)):
        yield counted(f"A/A, pass/fail, {n} pairs, base {base:.2f}, phi {phi}", runs, base, 0.0, phi, n)
    yield several(runs)
    for groups, size in ((100, 4), (12, 10)):
        yield simulate(
            f"A/A, scores, {groups} groups of {size}", 0.0, runs,
            _scores(0.0, groups, size),
        )  # fmt: skip


def power(runs: int) -> Iterator[Row]:
    """A true gain of five points."""
    for base, phi in (
        (0.9, 0.3),
        (0.9, 0.5),
        (0.8, 0.3),
        (0.8, 0.5),
        (0.8, 0.6),
        (0.8, 0.7),
        (0.6, 0.7),
        (0.6, 0.8),
    ):
        yield counted(
            f"+5 points, pass/fail, {CASES} pairs, base {base:.2f}, phi {phi}", runs, base, 0.05, phi
        )
    yield simulate(
        "+5 points, scores, 100 groups of 4", 0.05, runs,
        _scores(0.05, 100, 4),
    )  # fmt: skip


def main() -> int:
    """Print the table; exit 1 where a false alarm is more frequent than allowed."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    print(f"{'situation':<52}{'p < 0.05':>10}{'worse':>8}{'covered':>10}{'exactly':>10}{'best':>8}")
    most = 0.0
    for row in a_a(runs):
        most = max(most, row.worse)
        _print(row)
    for row in power(runs):
        _print(row)
    return int(most > ALPHA)


def _print(row: Row) -> None:
    rest = ["" if isnan(one) else f"{one:.1%}" for one in (row.covered, row.exactly, row.best)]
    print(
        f"{row.what:<52}{row.found:>10.1%}{row.worse:>8.1%}{rest[0]:>10}{rest[1]:>10}{rest[2]:>8}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
