"""Means and intervals from sums, held to scipy and to what they promise."""

from importlib import import_module
from math import isclose
from random import Random
from typing import Any

import pytest

from greenroom.offline.quality.estimates import Sums, estimate, student

stats: Any = import_module("scipy.stats")  # Any: scipy is untyped


@pytest.mark.parametrize("freedom", [1, 2, 4, 7, 29, 400])
def test_students_quantile_is_near_the_exact_one(freedom: int) -> None:
    assert isclose(student(0.975, freedom), stats.t.ppf(0.975, freedom), rel_tol=0.01)


def sums_of(values: list[float]) -> Sums:
    return Sums(
        len(values), sum(values), sum(one * one for one in values), sum(one not in (0, 1) for one in values)
    )


def test_shares_get_wilsons_interval_and_numbers_students() -> None:
    chance = Random(3)
    numbers = [chance.random() for _ in range(50)]
    share, number = estimate(sums_of([1.0] * 9 + [0.0])), estimate(sums_of(numbers))

    assert share is not None
    assert number is not None
    wilson = stats.binomtest(9, 10).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((wilson.low, wilson.high))
    low, high = stats.t.interval(0.95, 49, sum(numbers) / 50, stats.sem(numbers))
    assert (number.low, number.high) == pytest.approx((low, high), rel=1e-4)


def test_nothing_is_no_estimate_and_one_number_says_nothing_of_others() -> None:
    one = estimate(Sums(1, 0.4, 0.16, 1))

    assert estimate(Sums()) is None
    assert one is not None
    assert one.high - one.low == float("inf")


@pytest.mark.parametrize("chance_of", [0.05, 0.5, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say(chance_of: float) -> None:
    chance = Random(5)
    hits = 0
    for _ in range(400):
        found = estimate(sums_of([float(chance.random() < chance_of) for _ in range(60)]))
        assert found is not None
        hits += found.low <= chance_of <= found.high

    assert hits >= 0.92 * 400
