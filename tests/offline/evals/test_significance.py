"""False alarms and power, simulated: a short form of `make eval-statistics`."""

from evals.significance import pairs, simulate
from greenroom.offline.evals.statistics import paired

RUNS = 400


def test_runs_without_a_difference_seldom_seem_to_have_one() -> None:
    found = simulate("", 0.0, RUNS, lambda chance: paired(*map(list, pairs(chance, 0.8, 0.8, 0.5))))

    assert found.found <= 0.05
    assert found.covered >= 0.93


def test_a_gain_of_five_points_is_found_in_four_hundred_pairs() -> None:
    found = simulate("", 0.05, RUNS, lambda chance: paired(*map(list, pairs(chance, 0.8, 0.85, 0.7))))

    assert found.found >= 0.8
