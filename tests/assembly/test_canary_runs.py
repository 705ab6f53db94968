"""Canary prompts through a running house: a baseline, a quiet day, another model behind the same name, money."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.assembly.canary_runs import CanaryRuns, run, shown
from greenroom.errors import ConfigError
from greenroom.offline.drift.canary_prompts import PROMPTS
from greenroom.offline.evals.keyed import KeyedAsker
from greenroom.offline.evals.sample import Output
from greenroom.store.listing import TraceFilter
from tests.assembly.experiments import house_of, running
from tests.assembly.talking import Talking

DAY_S = 86_400.0
NOON_S = 20_000 * DAY_S + DAY_S / 2
PLAN = '[canaries]\nmodels = ["sound"]\n'


@pytest.fixture
def talking() -> Iterator[Talking]:
    with Talking() as one:
        yield one


async def test_another_model_behind_the_same_name_is_found_within_one_run(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, PLAN, talking) as house:
        first = await run(house, "box/sound", NOON_S)
        talking.wobble = 0.1
        quiet = await run(house, "box/sound", NOON_S + DAY_S)
        told_before = house.alerts.opened()
        talking.model = "second"
        swapped = await run(house, "box/sound", NOON_S + 2 * DAY_S)
        (alert,) = house.alerts.opened()
        talking.model = "first"
        back = await run(house, "box/sound", NOON_S + 3 * DAY_S)
        (kept,) = shown(house)

    assert (first.state, quiet.state, swapped.state, back.state) == ("baseline", "same", "changed", "same")
    assert told_before == []
    assert (alert.rule, alert.kind, alert.subject) == ("canary.answers", "canary", "box/sound")
    assert swapped.models == ("m-first", "m-second")
    assert house.alerts.opened() == []
    assert isinstance(kept["runs"], list)
    assert [one["state"] for one in kept["runs"]] == [
        "same", "changed", "changed", "same", "baseline", "baseline", "baseline"
    ]  # fmt: skip


async def test_a_run_is_made_once_a_day_without_steps_and_is_tagged(tmp_path: Path, talking: Talking) -> None:
    async with running(tmp_path, PLAN, talking) as house:
        runs = CanaryRuns(house)
        await runs.due(NOON_S - 11 * 3_600)
        early = len(talking.asked)
        await runs.due(NOON_S)
        await runs.due(NOON_S + 60)
        asked = len(talking.asked)
        await runs.due(NOON_S + DAY_S)
        house.recorder.stop()
        rows = house.traces.list(TraceFilter(tag="eval=canary")).rows

    assert early == 0
    assert asked == 3 * len(PROMPTS)
    assert len(talking.asked) == 4 * len(PROMPTS)
    assert [one["content"] for one in talking.asked[0]["messages"]] == [PROMPTS[0]]
    assert talking.asked[0]["temperature"] == 0
    assert rows
    assert rows[0]["key"] == "local"


async def test_the_day_s_money_is_never_passed(tmp_path: Path, talking: Talking) -> None:
    plan = PLAN + "usd_a_day = 0.003\n"
    async with running(tmp_path, plan, talking) as house:
        report = await run(house, "box/sound", NOON_S)
        asked = len(talking.asked)
        again = await run(house, "box/sound", NOON_S)
        spent = house.drift.spent_nano(int(NOON_S - DAY_S / 2))

    assert report.state == again.state == "failed"
    assert "budget" in report.why
    assert 0 < asked < 3 * len(PROMPTS)
    assert spent <= 3_000_000


async def test_a_run_that_is_cut_off_keeps_what_it_spent_and_is_made_again(
    tmp_path: Path, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight_s = int(NOON_S - DAY_S / 2)
    async with running(tmp_path, PLAN, talking) as house:
        answer = KeyedAsker.answer

        async def dying(self: KeyedAsker, body: dict[str, Any]) -> Output:  # Any: JSON
            if len(talking.asked) == 5:
                raise asyncio.CancelledError
            return await answer(self, body)

        with monkeypatch.context() as patch:
            patch.setattr(KeyedAsker, "answer", dying)
            with pytest.raises(asyncio.CancelledError):
                await run(house, "box/sound", NOON_S)
        spent = house.drift.spent_nano(midnight_s)
        (cut,) = house.drift.canary_runs("box/sound")
        await CanaryRuns(house).due(NOON_S + 60)
        runs = house.drift.canary_runs("box/sound")

    assert (cut.state, cut.is_baseline, cut.cost_nano) == ("failed", False, spent)
    assert [one.state for one in runs] == ["baseline", "baseline", "baseline", "failed"]
    assert spent > (runs[0].cost_nano or 0) * 5 / len(PROMPTS) > 0, "five answers, and the worst of a sixth"


async def test_a_model_that_was_taken_away_keeps_no_other_from_being_asked(
    tmp_path: Path, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, PLAN, talking) as house:
        monkeypatch.setattr("greenroom.assembly.canary_runs.targets", lambda *_: ["local/gone", "box/sound"])
        await CanaryRuns(house).due(NOON_S)

        assert house.drift.canary_runs("local/gone") == []
        assert [one.state for one in house.drift.canary_runs("box/sound")] == ["baseline"] * 3


async def test_a_model_without_answers_is_a_failed_run_and_no_change(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, PLAN, talking) as house:
        await run(house, "box/sound", NOON_S)
        talking.dies_after = len(talking.asked)
        report = await run(house, "box/sound", NOON_S + DAY_S)

        assert report.state == "failed"
        assert house.alerts.opened() == []


def test_a_model_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"canaries\.models names 'nobody'"):
        house_of(tmp_path, '[canaries]\nmodels = ["nobody"]\n')
