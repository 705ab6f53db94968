"""`greenroom drift` and `greenroom quality`: what they print, and what their exit codes say."""

import time
from pathlib import Path

import pytest

from greenroom.assembly.drifting import LATE_S, DriftWatch
from greenroom.assembly.quality import sum_up
from greenroom.store.scores import Score
from tests.assembly import drift
from tests.cli.conftest import Run, folder, quiet, run

__all__ = ["folder", "quiet", "run"]  # fixtures


@pytest.fixture
def recent(monkeypatch: pytest.MonkeyPatch) -> int:
    """Traces whose last hour has just ended."""
    now = int(time.time() - LATE_S) // 3_600
    monkeypatch.setattr(drift, "BEGIN_H", now - drift.DAYS * 24)
    return now


def test_a_move_is_an_exit_code_of_1_until_it_is_accepted(run: Run, folder: Path, recent: int) -> None:
    house, end = drift.filled(folder, last_portuguese=0.45)
    DriftWatch(house).turn((end - 1) * 3_600 + LATE_S)
    house.stop()

    looked = run("drift", "look")
    shown = run("drift", "show", "--json")
    metric = run("drift", "show", "--app", "support", "--metric", "language")
    accepted = run("drift", "accept", "support")
    after = run("drift", "show")

    assert (looked.code, shown.code, metric.code, accepted.code) == (1, 1, 0, 0)
    assert shown.json["apps"][0]["state"] == "moved"
    assert "support\tlanguage pt\t" in looked.out
    assert "Como devolvo" in metric.out or "encomenda" in metric.out or "cartão" in metric.out
    assert "learnt anew" in accepted.out
    assert after.code != 1


def test_nothing_known_is_inconclusive_and_half_a_question_wrong_usage(run: Run) -> None:
    assert run("drift", "show").code == 2
    assert run("drift", "show", "--app", "support").code == 64
    assert run("drift", "canaries").code == 0
    assert run("drift", "canaries", "--run").code == 64
    assert run("drift", "accept", "nobody").code == 1


def test_scores_are_printed_with_their_intervals(run: Run, folder: Path, recent: int) -> None:
    house, end = drift.filled(folder)
    for number in range(4):
        house.traces.score(
            None, f"{end - 1:026x}{number:06x}", Score(name="helpful", value=float(number > 0))
        )
    sum_up(house, 0)
    house.stop()

    plain = run("quality", "--by", "app")
    found = run("quality", "--json", "--days", "2").json

    assert "helpful\tperson\tall\t0.750\t" in plain.out
    assert "support\t0.750" in plain.out
    assert found["scores"][0]["n"] == 4
    assert run("quality", "--by", "moon").code == 64
    assert run("quality", "--days", "0").code == 64
