"""What an experiment may be said to show, from what its arms gave."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from greenroom.offline.experiments.plan import ArmConfig, ExperimentConfig, GuardConfig
from greenroom.offline.experiments.report import blocks, report
from greenroom.offline.experiments.sequential import FIRST
from greenroom.store.observations import Seen


def plan(metric: str = "helpful", **fields: object) -> ExperimentConfig:
    told = {"app": "support", "metric": metric, "arms": {"new": {"model": "m", "share": 0.5}}, **fields}
    return msgspec.convert(told, ExperimentConfig)


def seen(
    number: int, unit: str | None = None, score: float | None = None, *, outcome: str = "answered",
    cost_nano: int | None = 1_000, total_us: int = 1_000, at: int | None = None,
) -> Seen:  # fmt: skip
    scores = {} if score is None else {"helpful": (number if at is None else at, score)}
    return Seen(number, unit or f"u{number}", outcome, cost_nano, total_us, 10, scores)


def arm(values: Sequence[float], start: int = 0) -> list[Seen]:
    return [seen(start + 2 * number, score=value) for number, value in enumerate(values)]


def test_an_arm_that_surely_is_better_is_the_winner_and_one_that_may_be_is_not() -> None:
    random = Random("winner")
    control = arm([float(random.random() < 0.3) for _ in range(300)])
    better = arm([float(random.random() < 0.7) for _ in range(300)], 1)

    sure = report(plan(), {"control": control, "new": better})
    unsure = report(plan(), {"control": control[:15], "new": better[:15]})

    assert (sure.winner, sure.comparisons[0].verdict) == ("new", "better")
    assert sure.comparisons[0].low is not None
    assert sure.comparisons[0].low > 0
    assert (unsure.winner, unsure.comparisons[0].verdict) == (None, "undecided")


def test_with_lower_better_the_same_arm_is_lost() -> None:
    control, new = arm([0.0] * 60), arm([1.0] * 60, 1)

    found = report(plan(better="lower"), {"control": control, "new": new})

    assert found.comparisons[0].verdict == "worse"
    assert found.is_lost
    assert found.winner is None


def test_of_one_unit_only_its_first_value_counts() -> None:
    """A hundred answers to one user are no hundred users."""
    control = [seen(2 * n, "ana", 0.0) for n in range(100)]
    new = [seen(2 * n + 1, "bob", 1.0) for n in range(100)]

    found = report(plan(), {"control": control, "new": new})

    assert [(one.units, one.valued, one.exchanges) for one in found.arms] == [(1, 1, 100)] * 2
    assert found.comparisons[0].verdict == "undecided"


def test_the_first_value_is_that_which_was_scored_first() -> None:
    late_but_first = [seen(1, "ana", 0.0, at=9), seen(2, "ana", 1.0, at=5)]

    found = report(plan(), {"control": late_but_first})

    assert found.arms[0].mean == 1.0


@pytest.mark.parametrize("low_high", [(0.0, 1.0), (1.0, 5.0), (-1.0, 1.0)])
def test_intervals_are_in_the_measure_of_the_score(low_high: tuple[float, float]) -> None:
    low, high = low_high
    control, new = arm([low] * 80), arm([high] * 80, 1)

    (found,) = report(plan(low=low, high=high), {"control": control, "new": new}).comparisons

    assert found.difference == pytest.approx(high - low)
    assert found.low is not None
    assert found.high is not None
    assert 0.5 * (high - low) < found.low <= high - low <= found.high + 1e-6


def test_values_beyond_the_bounds_are_taken_for_them() -> None:
    found = report(plan(), {"control": arm([-3.0, 7.0])})

    assert found.arms[0].mean == 0.5


def test_a_guard_breaks_only_beyond_its_limit() -> None:
    control = [seen(2 * n, outcome="failed" if n % 20 == 0 else "answered") for n in range(400)]
    new = [seen(2 * n + 1, outcome="failed" if n % 4 == 0 else "answered") for n in range(400)]

    def broken(limit: float) -> list[bool]:
        guarded = plan(guards=[{"metric": "failed", "limit": limit}])
        return [one.is_broken for one in report(guarded, {"control": control, "new": new}).guards]

    assert broken(0.05) == [True]
    assert broken(0.3) == [False]


def test_cost_is_compared_in_dollars_and_without_bounds_only_with_many_of_each() -> None:
    random = Random("cost")

    def costs(mean: float, start: int, count: int) -> list[Seen]:
        return [seen(start + 2 * n, cost_nano=int(random.gauss(mean, 1e5))) for n in range(count)]

    few = report(plan("cost"), {"control": costs(1e6, 0, FIRST - 1), "new": costs(5e5, 1, FIRST - 1)})
    many = report(plan("cost"), {"control": costs(1e6, 0, FIRST), "new": costs(5e5, 1, FIRST)})
    bounded = report(plan("cost", high=0.002), {"control": costs(1e6, 0, 99), "new": costs(5e5, 1, 99)})

    assert (few.comparisons[0].low, few.comparisons[0].method) == (None, "asymptotic")
    assert many.comparisons[0].verdict == "better"
    assert many.comparisons[0].difference == pytest.approx(-5e-4, rel=0.1)
    assert (bounded.comparisons[0].verdict, bounded.comparisons[0].method) == ("better", "betting")


def test_numbers_that_do_not_fit_the_shares_are_told() -> None:
    found = report(plan(), {"control": arm([1.0] * 600), "new": arm([1.0] * 300, 1)})

    assert found.is_mismatched
    assert not report(plan(), {"control": arm([1.0] * 600), "new": arm([1.0] * 590, 1)}).is_mismatched


def test_an_experiment_of_nothing_says_nothing() -> None:
    found = report(plan(guards=[{"metric": "latency"}]), {})

    assert [one.mean for one in found.arms] == [None, None]
    assert found.comparisons[0].verdict == "undecided"
    assert not found.guards[0].is_broken
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.5, 0.5), (1, 1)), ((0.1, 0.9), (1, 9)), ((0.6, 0.2), (3, 1)), ((0.01, 0.99), (1, 20))],
)
def test_blocks_follow_the_shares(shares: tuple[float, float], expected: tuple[int, int]) -> None:
    assert blocks(*shares) == expected


def test_what_makes_an_experiment_another_one_changes_its_edition() -> None:
    first = plan()

    assert plan().edition == first.edition
    assert plan(guards=[GuardConfig(metric="failed")], confidence=0.9).edition == first.edition
    assert plan(unit="session").edition != first.edition
    assert plan(arms={"new": ArmConfig(model="m", share=0.4)}).edition != first.edition
