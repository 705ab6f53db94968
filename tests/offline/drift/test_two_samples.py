"""The tests that drift uses, held to scipy's, and their laws."""

from importlib import import_module
from math import isclose
from random import Random
from typing import Any

import pytest

from greenroom.offline.drift.two_samples import (
    benjamini_hochberg,
    chi_square,
    cohen_h,
    fisher,
    psi,
    ranks,
    shares_p,
    signed_ranks,
)

stats: Any = import_module("scipy.stats")  # Any: scipy is untyped


@pytest.mark.parametrize("seed", range(5))
def test_ranks_are_those_of_mann_and_whitney_with_ties(seed: int) -> None:
    random = Random(seed)
    new = [round(random.gauss(0.3, 1), 1) for _ in range(60)]
    old = [round(random.gauss(0, 1), 1) for _ in range(90)]

    found = ranks(new, old)

    other = stats.mannwhitneyu(new, old, alternative="two-sided", method="asymptotic")
    assert isclose(found.p, other.pvalue, rel_tol=1e-9)
    assert isclose(found.effect, other.statistic / (60 * 90), rel_tol=1e-9)


def test_an_empty_sample_and_equal_values_show_nothing() -> None:
    assert ranks([], [1.0, 2.0]) == ranks([3.0] * 9, [3.0] * 7) == (1.0, 0.5)
    assert chi_square([0, 0], [3, 4]) == shares_p(0, 0, 1, 5) == signed_ranks([0.0] * 5) == 1.0


@pytest.mark.parametrize(
    ("new", "old"), [([40, 60], [80, 70]), ([20, 30, 50], [31, 44, 90]), ([9, 9, 30, 40, 50, 8], [7, 20, 40, 60, 77, 20])]
)  # fmt: skip
def test_chi_square_is_pearsons(new: list[int], old: list[int]) -> None:
    other = stats.chi2_contingency([new, old], correction=False)

    assert isclose(chi_square(new, old), other.pvalue, rel_tol=1e-9)


def test_rare_categories_are_joined_before_they_can_mislead() -> None:
    new, old = [100, 1, 1, 1, 1, 0, 0], [100, 0, 0, 0, 0, 1, 1]

    assert chi_square(new, old) > 0.4


@pytest.mark.parametrize("table", [(1, 20, 8, 40), (0, 15, 3, 500), (5, 5, 0, 9), (0, 30, 0, 40)])
def test_fisher_is_exact(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table

    other = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue

    assert isclose(fisher(a, n, b, m), other, rel_tol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_benjamini_and_hochberg_adjust_as_scipy_does(seed: int) -> None:
    random = Random(seed)
    ps = [random.random() ** 3 for _ in range(23)]

    assert benjamini_hochberg(ps) == pytest.approx(stats.false_discovery_control(ps))


@pytest.mark.parametrize("size", [6, 20, 60])
def test_signed_ranks_are_wilcoxons(size: int) -> None:
    random = Random(size)
    changes = [random.gauss(0.4, 1) for _ in range(size)]

    other = stats.wilcoxon(changes, correction=False, method="exact" if size <= 25 else "approx")
    assert isclose(signed_ranks(changes), other.pvalue, rel_tol=1e-9)


def test_effects_stand_where_their_sources_put_them() -> None:
    assert cohen_h(0.5, 0.4) == pytest.approx(0.201, abs=1e-3)  # Cohen 1988, table 6.2.2
    assert psi([500, 500], [500, 500]) == 0
    assert psi([600, 400], [300, 700]) == pytest.approx(0.3 * 0.6931 + 0.3 * 0.5596, abs=0.01)
