"""What a job is told before it runs: guessed where that is enough, looked at where it matters, refused where it won't do."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from greenroom.assembly import foreseeing
from greenroom.assembly.foreseeing import Means, foreseen, refused, sentence
from greenroom.errors import InfrastructureError
from greenroom.models.catalogue.hardware import Hardware
from greenroom.offline.finetune.asked import Budget
from greenroom.offline.finetune.estimate import TYPICAL
from greenroom.offline.finetune.plan import Hyperparameters, Plan, Scratch
from greenroom.offline.finetune.resources import NANO, Survey, TokenCounts
from greenroom.offline.finetune.rows.prepared import Part, Prepared
from tests.offline.finetune import safe_models

PART = Part(
    path="train.jsonl", source="a.jsonl", source_digest="", digest="", rows_read=50, rows=50, chars=9200,
    tokens=2000, longest_tokens=90,
)  # fmt: skip
ROWS = Prepared(
    method="supervised", train=PART, valid=None, digest="", removed={}, samples=(), masked={}, masked_rows=0,
    warnings=(), warning_counts={},
)  # fmt: skip
SMALL = Plan(
    name="a", start="from_scratch", scratch=Scratch(size=2), hyperparameters=Hyperparameters(max_steps=10)
)
LOOKED = Survey(tokens=TokenCounts(lengths=[64] * 50, is_counted=True), speed=TYPICAL)
Looks = list[Path]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, 4 GB, and more where the operator says so."""
    found = Hardware(ram_total=4 << 30, ram_free=4 << 30, processors=2, said=True)
    monkeypatch.setattr(foreseeing, "probe", lambda: found)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """The folders that were looked at."""
    found: Looks = []

    def look(folder: Path, **_: Any) -> Survey:
        found.append(folder)
        return LOOKED

    monkeypatch.setattr(foreseeing, "survey", look)
    return found


def test_a_short_run_is_guessed(tmp_path: Path, looks: Looks) -> None:
    told = foreseen(tmp_path, SMALL, ROWS, Budget(), Means())

    assert told.fits
    assert looks == []
    assert told.wall_s.high > 3 * told.wall_s.value, "the speed is another machine's"
    assert refused(told, Budget()) is None


@pytest.mark.parametrize(
    ("plan", "budget"),
    [
        (SMALL, Budget(hours=1)),
        (SMALL, Budget(usd=1)),
        (replace(SMALL, scratch=Scratch(size=8, steps=5000)), Budget()),
        (replace(SMALL, scratch=Scratch(size=32, steps=1)), Budget()),
    ],
)
def test_what_is_limited_long_or_large_is_looked_at(
    tmp_path: Path, looks: Looks, plan: Plan, budget: Budget
) -> None:
    told = foreseen(tmp_path, plan, ROWS, budget, Means())

    assert looks == [tmp_path]
    assert told.wall_s.high == pytest.approx(1.2 * told.wall_s.value)


def test_where_a_guess_says_that_all_rows_are_too_long_they_are_counted(tmp_path: Path, looks: Looks) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**safe_models.CONFIG, "max_position_embeddings": 64}))
    long = replace(ROWS, train=replace(PART, tokens=50 * 70))

    told = foreseen(tmp_path, Plan(name="a", base=str(tmp_path)), long, Budget(), Means())

    assert looks == [tmp_path]
    assert told.fits


def test_a_look_that_fails_leaves_the_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, **_: Any) -> Survey:
        raise InfrastructureError("The look at the job ended with code 1.")

    monkeypatch.setattr(foreseeing, "survey", broken)

    assert foreseen(tmp_path, SMALL, ROWS, Budget(hours=1), Means()).fits


def test_what_will_not_fit_is_refused_with_remedies(tmp_path: Path, looks: Looks) -> None:
    """The tighter of the operator's and the job's own limit counts."""
    told = foreseen(tmp_path, SMALL, ROWS, Budget(memory_mb=300), Means(memory_mb=2000))
    refusal = refused(told, Budget())

    assert refusal is not None
    assert refusal.code == "does_not_fit"
    assert "only 300 MB can be had" in refusal.message
    assert told.remedies[0] in refusal.message


def test_time_and_money_above_the_budget_are_refused(tmp_path: Path, looks: Looks) -> None:
    means = Means(usd_per_hour=3600.0, watts=100.0, usd_per_kwh=1.0)
    told = foreseen(tmp_path, SMALL, ROWS, Budget(usd=1), means)

    assert told.cost_nano_usd.value == pytest.approx(told.wall_s.value * NANO * (1 + 1 / 36_000), rel=0.001)
    for budget, param in (
        (Budget(usd=1), "greenroom.budget.usd"),
        (Budget(hours=0.0001), "greenroom.budget.hours"),
    ):
        refusal = refused(told, budget)
        assert refusal is not None
        assert (refusal.code, refusal.param) == ("budget_exceeded", param)
    assert refused(told, Budget(usd=1000, hours=10)) is None
    assert "US dollars" in sentence(told)


def test_no_job_may_keep_the_others_waiting_for_longer_than_the_operator_says(
    tmp_path: Path, looks: Looks
) -> None:
    told = foreseen(tmp_path, SMALL, ROWS, Budget(), Means())

    refusal = refused(told, Budget(), told.wall_s.value / 3600 / 2)

    assert refusal is not None
    assert (refusal.code, refusal.param) == ("budget_exceeded", None)
    assert "finetune.hours" in refusal.message
    assert refused(told, Budget(), told.wall_s.value / 3600 * 2) is None
