"""A judge held against labels: published figures, known rates found again, and never a NaN."""

from math import isfinite
from random import Random

import pytest

from greenroom.offline.evals.calibration import Calibration, calibrate, cohen_kappa, corrected_rate


def pairs_of(both: int, judge_only: int, human_only: int, neither: int) -> list[tuple[bool | None, bool]]:
    counts: dict[tuple[bool | None, bool], int] = {
        (True, True): both, (True, False): judge_only, (False, True): human_only, (False, False): neither,
    }  # fmt: skip
    return [pair for pair, count in counts.items() for _ in range(count)]


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    # 70 of 100 agree; by chance (50 * 60 + 50 * 40) / 100 would.
    kappa = cohen_kappa(40, 10, 20, 30)

    assert kappa is not None
    assert kappa.value == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert 0.2 < kappa.low < 0.4 < kappa.high < 0.6


def test_full_agreement_over_few_labels_is_not_certain() -> None:
    few, many = cohen_kappa(5, 0, 0, 5), cohen_kappa(500, 0, 0, 500)

    assert few is not None
    assert many is not None
    assert few.value == many.value == 1
    assert few.low < 0.6
    assert many.low > 0.95


@pytest.mark.parametrize("cells", [(10, 0, 0, 0), (0, 0, 0, 0), (5, 5, 0, 0), (5, 0, 5, 0), (0, 0, 0, 3)])
def test_without_variance_there_is_no_kappa(cells: tuple[int, int, int, int]) -> None:
    found = calibrate(pairs_of(*cells))

    assert found.kappa is None
    assert "Kappa can't be told" in found.notes[0]


def test_abstentions_and_errors_are_counted_beside_the_table() -> None:
    found = calibrate([*pairs_of(3, 1, 2, 4), (None, True), (None, False)], errors=7)

    assert (found.n, found.abstained, found.errors) == (10, 2, 7)
    assert (found.sensitivity, found.specificity, found.agreement) == (3 / 5, 4 / 5, 7 / 10)
    assert len(found.notes) == 2


def test_the_correction_takes_the_judges_mistakes_out() -> None:
    # It passes 90 % of good and 40 % of bad answers: of 1,000 with 300 good ones it passes 270 + 280.
    found = calibrate(pairs_of(90, 40, 10, 60))

    rate = corrected_rate(550, 1000, found)

    assert rate is not None
    assert rate.value == pytest.approx(0.3)
    assert rate.low < 0.3 < rate.high


def test_the_limits_hold_the_true_rate_as_often_as_they_say() -> None:
    random, held, rounds = Random(5), 0, 400
    for _ in range(rounds):
        labels: list[tuple[bool | None, bool]] = []
        for _ in range(80):
            human = random.random() < 0.4
            labels.append((random.random() < (0.85 if human else 0.2), human))
        passed = sum(random.random() < (0.85 if random.random() < 0.4 else 0.2) for _ in range(200))
        rate = corrected_rate(passed, 200, calibrate(labels))
        held += rate is not None and rate.low <= 0.4 <= rate.high

    assert held / rounds >= 0.93


@pytest.mark.parametrize(
    ("cells", "passed", "judged"),
    [((5, 5, 5, 5), 3, 10), ((0, 9, 9, 0), 3, 10), ((9, 0, 0, 0), 3, 10), ((9, 1, 1, 9), 0, 0)],
    ids=["chance", "worse than chance", "no fails", "nothing judged"],
)
def test_a_judge_that_tells_nothing_corrects_nothing(
    cells: tuple[int, int, int, int], passed: int, judged: int
) -> None:
    assert corrected_rate(passed, judged, calibrate(pairs_of(*cells))) is None


def test_no_table_gives_a_nan() -> None:
    sizes = (0, 1, 7)
    tables = [(a, b, c, d) for a in sizes for b in sizes for c in sizes for d in sizes]

    for table in tables:
        found = calibrate(pairs_of(*table))
        intervals = [found.kappa, *(corrected_rate(k, 10, found) for k in (0, 5, 10))]
        assert all(
            isfinite(one.low) and one.low <= one.value <= one.high for one in intervals if one is not None
        )
        assert isinstance(found, Calibration)
