"""The figures of a router against cases reckoned by hand."""

import numpy as np
import pytest

from greenroom.models.learned.curves import Point, aiq, apgr, area, ece, frontier


def floats(*values: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array(values, np.float64)


def test_a_router_that_knows_the_two_prompts_of_four_where_the_strong_model_is_better() -> None:
    weak, strong = floats(0, 0, 1, 1), floats(1, 1, 1, 1)

    # Recovered at shares 0, 1/4, 1/2, 3/4, 1: 0, 1/2, 1, 1, 1. Trapezoids: (1/4 + 3/4 + 1 + 1) / 4.
    assert apgr(floats(4, 3, 2, 1), weak, strong) == pytest.approx(0.75)


def test_the_same_router_the_wrong_way_round() -> None:
    weak, strong = floats(0, 0, 1, 1), floats(1, 1, 1, 1)

    # Recovered: 0, 0, 0, 1/2, 1. Trapezoids: (0 + 0 + 1/4 + 3/4) / 4.
    assert apgr(floats(1, 2, 3, 4), weak, strong) == pytest.approx(0.25)


def test_prompts_of_equal_gain_go_together_so_a_router_that_knows_nothing_has_a_half() -> None:
    assert apgr(floats(7, 7, 7, 7), floats(0, 0, 1, 1), floats(1, 1, 1, 1)) == pytest.approx(0.5)


def test_where_the_strong_model_is_sometimes_worse_more_than_the_gap_is_recovered() -> None:
    weak, strong = floats(0, 0, 1), floats(1, 1, 0)

    # The gap is 1/3. Recovered: 0, 1, 2, 1. Trapezoids: (1/2 + 3/2 + 3/2) / 3.
    assert apgr(floats(3, 2, 1), weak, strong) == pytest.approx(3.5 / 3)


def test_models_that_are_as_good_leave_no_gap_to_recover() -> None:
    assert np.isnan(apgr(floats(1, 2), floats(0, 1), floats(1, 0)))


def test_the_frontier_is_convex_and_pays_more_only_for_better() -> None:
    points = [Point(1, 0.5), Point(2, 0.6), Point(3, 0.9), Point(4, 0.8), Point(1, 0.2)]

    # (2, .6) lies under the line from (1, .5) to (3, .9), (4, .8) is dearer and worse.
    assert frontier(points) == [Point(1, 0.5), Point(3, 0.9)]


def test_the_area_under_a_frontier_of_two_points_and_what_follows_them() -> None:
    points = [Point(1, 0.4), Point(3, 0.8)]

    # From 1 to 3 the mean is .6, from 3 to 5 it stays .8: (2 * .6 + 2 * .8) / 4.
    assert aiq(points, 1, 5) == pytest.approx(0.7)


def test_one_cost_alone_gives_the_quality_there() -> None:
    assert aiq([Point(1, 0.4), Point(1, 0.6)], 1, 1) == pytest.approx(0.6)


def test_a_router_that_sees_the_future_has_the_whole_area() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    costs = np.array([[1.0, 3.0], [1.0, 3.0]])

    # Alone: costs 1 and 3, quality 1/2 each. With foresight: half of each, cost 2, quality 1.
    # Area from 1 to 3: from .5 to 1, then 1: (.75 + 1) / 2.
    assert area(scores, scores, costs) == pytest.approx(0.875)


def test_chances_that_are_off_by_a_tenth() -> None:
    chances = np.repeat([0.2, 0.8], 50)
    scores = np.concatenate([np.tile([1.0] * 3 + [0.0] * 7, 5), np.tile([1.0] * 7 + [0.0] * 3, 5)])

    # Ten bins of ten: in five of them .2 was said and .3 came, in five .8 was said and .7 came.
    assert ece(chances, scores) == pytest.approx(0.1)


def test_chances_that_are_true_have_no_error() -> None:
    assert ece(np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], 50)) == 0.0
