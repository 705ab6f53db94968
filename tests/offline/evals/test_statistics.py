"""Intervals and tests against published figures and laws."""

from math import inf, sqrt

import numpy as np
import pytest

from greenroom.offline.evals.statistics import cases_needed, holm, mean, paired, wilson


def test_wilson_is_the_published_interval() -> None:
    # R: prop.test(75, 100, correct = FALSE)
    assert wilson(0.75, 100) == pytest.approx((0.6569553, 0.8245479), abs=1e-6)


def test_a_share_has_wilsons_interval_and_a_mean_students() -> None:
    share = mean([1] * 75 + [0] * 25)
    numbers = mean([1.0, 2.0, 3.0, 4.0])

    assert (share.low, share.high) == pytest.approx(wilson(0.75, 100), abs=2e-3)
    # t(0.975, 3) = 3.182446, s = sqrt(5/3)
    assert numbers.high - numbers.value == pytest.approx(3.182446 * sqrt(5 / 3) / 2, rel=1e-5)


def test_mcnemar_is_mid_p() -> None:
    # 10 won, 2 lost of 12, what was seen counts half: 2 * (1 + 12 + 66 / 2) / 4096
    new, old = [1] * 10 + [0] * 2 + [1] * 30, [0] * 10 + [1] * 2 + [1] * 30

    found = paired(new, old)

    assert (found.test, found.wins, found.losses, found.ties) == ("mcnemar", 10, 2, 30)
    assert found.p == pytest.approx(2 * (1 + 12 + 66 / 2) / 4096)
    assert found.effect == pytest.approx(10 / 12 - 0.5)


@pytest.mark.parametrize("pairs", [0, 3])
def test_as_many_wins_as_losses_tell_nothing(pairs: int) -> None:
    new, old = [1] * pairs + [0] * pairs + [1] * 9, [0] * pairs + [1] * pairs + [1] * 9

    assert paired(new, old).p == pytest.approx(1.0)


def test_the_interval_of_matched_shares_is_that_of_agresti_and_min() -> None:
    # b = 2.5, c = 10.5, N = 44: (8 ± 1.96 * sqrt(13 - 64/44)) / 44, with t instead of z
    found = paired([1] * 10 + [0] * 2 + [1] * 30, [0] * 10 + [1] * 2 + [1] * 30)

    assert (found.low + found.high) / 2 == pytest.approx(8 / 44)
    assert found.error == pytest.approx(sqrt(13 - 64 / 44) / 44)


def test_flips_of_few_groups_are_counted_out() -> None:
    found = paired([1.5, 2.5, 3.5, 4.5, 5.5], [1.0, 2.0, 3.0, 4.0, 5.0])

    assert found.test == "permutation"
    assert found.p == pytest.approx(2 / 2**5)


def test_repeating_every_case_within_its_group_says_nothing_new() -> None:
    chance = np.random.default_rng(1)
    old = chance.normal(size=40)
    new = old + chance.normal(0.3, 1, size=40)
    names = [f"q{number}" for number in range(40)]

    once = paired(list(new), list(old), names)
    thrice = paired(
        list(np.repeat(new, 3)), list(np.repeat(old, 3)), [name for name in names for _ in range(3)]
    )

    assert thrice.groups == once.groups == 40
    assert (thrice.low, thrice.high, thrice.p) == pytest.approx((once.low, once.high, once.p), abs=5e-3)


def test_repeats_that_take_themselves_for_independent_would_see_too_much() -> None:
    new, old = [1] * 8 + [0] * 32, [0] * 8 + [0] * 32
    names = [f"q{number}" for number in range(40)]

    clustered = paired(new * 3, old * 3, names * 3)
    naive = paired(new * 3, old * 3)

    assert clustered.p > 10 * naive.p
    assert clustered.high - clustered.low > 1.4 * (naive.high - naive.low)


def test_without_any_difference_the_interval_is_still_open() -> None:
    few = paired([1, 1, 0, 1], [1, 1, 0, 1])
    many = paired([1] * 400, [1] * 400)

    assert few.p == many.p == 1
    assert few.high > 0.4
    assert 0 < many.high < 0.01


def test_one_group_says_nothing_of_others() -> None:
    assert mean([0.2, 0.4], ["a", "a"]).high == inf
    assert paired([0.2, 0.4], [0.1, 0.1], ["a", "a"]).low == -inf


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_cases_needed_is_the_usual_formula() -> None:
    found = mean([1.0, 3.0] * 50)  # s = 1.005

    assert cases_needed(found, 0.5) == 32  # (1.96 + 0.8416)² · 1.0101 / 0.25 = 31.7
    with pytest.raises(ValueError, match="above 0"):
        cases_needed(found, 0)


@pytest.mark.parametrize(
    ("new", "old", "groups"),
    [([], [], []), ([1], [1, 0], []), ([1, 0], [1, 0], ["a"]), ([float("nan")], [1], [])],
)
def test_what_can_not_be_compared_is_refused(new: list[float], old: list[float], groups: list[str]) -> None:
    with pytest.raises(ValueError, match="value"):
        paired(new, old, groups)
