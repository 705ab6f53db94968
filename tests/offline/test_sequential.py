"""Intervals under peeking: how often they err where nothing differs, and how soon they see what does."""

import math
from collections.abc import Callable
from random import Random

import pytest

from greenroom.offline.experiments.sequential import (
    FIRST,
    Differences,
    Moments,
    asymptotic,
    share_evidence,
    width,
)

ALPHA = 0.05
RUNS = 1_000


def coin(random: Random, chance: float) -> Callable[[], float]:
    return lambda: float(random.random() < chance)


def stopped_at(
    treatment: Callable[[], float], control: Callable[[], float], pairs: int, every: int = 10
) -> int | None:
    """After how many pairs somebody who looks again and again calls a difference; None where he never does."""
    seen = Differences()
    for pair in range(1, pairs + 1):
        seen.add(treatment(), is_treatment=True)
        seen.add(control(), is_treatment=False)
        if pair % every == 0 and (seen.is_above(0.0, ALPHA / 2) or seen.is_below(0.0, ALPHA / 2)):
            return pair
    return None


@pytest.mark.parametrize("chance", [0.1, 0.5])
def test_where_nothing_differs_at_most_one_peeker_in_twenty_calls_a_difference(chance: float) -> None:
    random = Random(f"aa {chance}")
    draw = coin(random, chance)

    called = sum(stopped_at(draw, draw, 300) is not None for _ in range(RUNS))

    assert called <= ALPHA * RUNS


def test_values_between_the_bounds_err_as_seldom() -> None:
    random = Random("between")

    def draw() -> float:
        return random.betavariate(0.5, 0.2)

    called = sum(stopped_at(draw, draw, 100, every=50) is not None for _ in range(100))

    assert called <= 5


def test_values_without_bounds_err_as_seldom() -> None:
    random = Random("unbounded")
    called, runs = 0, 300
    for _ in range(runs):
        control, treatment = Moments(), Moments()
        for number in range(1_000):
            control.add(random.lognormvariate(0, 1))
            treatment.add(random.lognormvariate(0, 1))
            if number >= FIRST and number % 10 == 0:
                found = asymptotic(control, treatment, ALPHA)
                if found.low > 0 or found.high < 0:
                    called += 1
                    break

    assert called <= ALPHA * runs


def test_a_gain_of_five_points_is_found_by_most_within_three_thousand_pairs() -> None:
    random = Random("gain")
    better, worse = coin(random, 0.80), coin(random, 0.75)

    found = [stopped_at(better, worse, 3_000) for _ in range(50)]

    assert sum(one is not None for one in found) >= 40


def test_an_interval_holds_the_truth_and_narrows() -> None:
    random = Random("interval")
    seen, widths = Differences(), []
    for number in range(1, 4_001):
        seen.add(float(random.random() < 0.6), is_treatment=True)
        seen.add(float(random.random() < 0.5), is_treatment=False)
        if number in (100, 1_000, 4_000):
            found = seen.interval(ALPHA)
            assert found.low <= 0.1 <= found.high
            assert found.low <= found.difference <= found.high
            widths.append(found.high - found.low)

    assert widths[0] > 2 * widths[1] > 3 * widths[2]
    assert widths[2] < 0.09


def test_bounds_and_the_quick_questions_agree() -> None:
    random = Random("agree")
    seen = Differences(1, 3)
    for _ in range(900):
        seen.add(random.random(), is_treatment=True)
        for _ in range(3):
            seen.add(random.random() * 0.7, is_treatment=False)

    low, high = seen.lower(ALPHA), seen.upper(ALPHA)

    assert 0 < low < 0.15 < high
    assert seen.is_above(low - 0.001, ALPHA)
    assert not seen.is_above(low + 0.001, ALPHA)
    assert seen.is_below(high + 0.001, ALPHA)
    assert not seen.is_below(high - 0.001, ALPHA)


def test_blocks_wait_for_both_arms_and_keep_their_order() -> None:
    seen = Differences(1, 2)
    for value in (1.0, 1.0, 0.0):
        seen.add(value, is_treatment=True)
    assert seen.blocks == 0
    for value in (0.0, 0.5, 1.0):
        seen.add(value, is_treatment=False)

    assert (seen.blocks, seen.mean) == (1, 0.75)


def test_nothing_seen_says_nothing() -> None:
    assert Differences().interval(ALPHA) == (0.0, -1.0, 1.0)
    few = Moments()
    for value in (1.0, 2.0):
        few.add(value)
    assert asymptotic(few, few, ALPHA)[1:] == (-math.inf, math.inf)
    assert few.variance == 0.5


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_a_value_outside_of_the_bounds_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Differences().add(value, is_treatment=True)


def test_asymptotic_intervals_are_wider_than_those_of_one_look() -> None:
    """1.96 standard errors would do for a single look; peeking for ever costs half as much again or more."""
    widths = [width(count, ALPHA) for count in (2 * FIRST, 2_000, 100_000)]

    assert min(widths) > 2.7
    assert max(widths) < 4.5


def test_shares_that_are_kept_raise_no_alarm_and_others_do() -> None:
    random = Random("shares")
    alarms = 0
    for _ in range(200):
        counts = [0, 0]
        for number in range(1, 1_001):
            counts[random.random() < 0.1] += 1
            if number % 50 == 0 and share_evidence(counts, (0.9, 0.1)) < 0.05:
                alarms += 1
                break

    assert alarms <= 10
    assert share_evidence((5_000, 5_400), (0.5, 0.5)) < 0.01
    assert share_evidence((500_000, 501_000), (0.5, 0.5)) > 0.05
    assert share_evidence((0, 0), (0.5, 0.5)) == 1.0
    assert share_evidence((10_000_000, 0), (0.5, 0.5)) < 1e-100
