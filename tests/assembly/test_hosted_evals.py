"""Runs of `/v1/evals` within one process: whose key they go by, and what limits do to them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from greenroom.assembly.evals import HostedEvals
from greenroom.assembly.house import House
from greenroom.errors import Forbidden
from greenroom.exchange import Caller
from greenroom.store.keys import Limits
from greenroom.wire.evals import NewEval, NewRun, read_query
from tests.clients.labelling_model import LabellingModel

Json = dict[str, Any]  # Any: JSON
SAME: Json = {
    "type": "string_check", "name": "same", "input": "{{sample.output_text}}", "reference": "{{item.a}}",
    "operation": "eq",
}  # fmt: skip
LABEL: Json = {
    "type": "label_model", "name": "label", "model": "main", "labels": ["good", "bad"], "passing_labels": ["good"],
    "input": [{"role": "user", "content": "Same question"}],
}  # fmt: skip


class Studio(NamedTuple):
    house: House
    evals: HostedEvals
    model: LabellingModel

    def caller(self, limits: Limits | None = None, apps: tuple[str, ...] = ()) -> Caller:
        row, _ = self.house.keys.create("default", "k", apps=apps, limits=limits or Limits())
        self.house.refresh_keys()
        found = self.house.access.find_id(row.id)
        assert found is not None
        return found.caller

    async def begin(self, caller: Caller, count: int, *graders: Json) -> tuple[str, str]:
        config = {"type": "custom", "item_schema": {}}
        wanted = NewEval(data_source_config=config, testing_criteria=list(graders or (SAME,)))
        made = await self.evals.desk.create(caller, wanted)
        rows = [{"item": {"a": f"row {n}"}} for n in range(count)]
        source = {
            "type": "completions", "model": "main", "source": {"type": "file_content", "content": rows},
            "input_messages": {"type": "template", "template": [{"role": "user", "content": "{{item.a}}"}]},
        }  # fmt: skip
        run = await self.evals.desk.create_run(caller, made["id"], NewRun(data_source=source), "")
        return made["id"], run["id"]

    async def ended(self, caller: Caller, eval: str, run: str) -> Json:
        async with asyncio.timeout(20):
            while True:
                found = await self.evals.desk.get_run(caller, eval, run, "")
                if found["status"] not in {"queued", "in_progress"}:
                    return found
                await asyncio.sleep(0.02)


async def until(fact: Callable[[], bool]) -> None:
    """Wait for what happens in other threads."""
    for _ in range(500):
        if fact():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("It did not happen within ten seconds.")


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    with LabellingModel() as model:
        config = tmp_path / "greenroom.toml"
        config.write_text(model.config, encoding="utf-8")
        async with House.open(config, tmp_path / "data", {}).running() as house:
            evals = HostedEvals(house)
            await evals.start()
            yield Studio(house, evals, model)
            await evals.stop()


async def test_nothing_is_opened_until_somebody_asks(studio: Studio) -> None:
    assert not (studio.house.data / "evals.db").exists()


async def test_a_revoked_key_asks_nothing_more(studio: Studio) -> None:
    caller = studio.caller()
    studio.model.delay_s = 0.05
    eval_id, run = await studio.begin(caller, 200)
    await until(lambda: studio.model.answers.total() > 0)

    await asyncio.to_thread(studio.house.keys.revoke, caller.key_id)
    studio.house.refresh_keys()
    told = await studio.ended(caller, eval_id, run)

    assert (told["status"], told["error"]["code"]) == ("failed", "invalid_api_key")
    assert 0 < studio.model.answers.total() < 50


async def test_a_run_waits_for_its_turn_under_a_limit_of_parallel_requests(studio: Studio) -> None:
    caller = studio.caller(Limits(parallel=1))

    told = await studio.ended(caller, *await studio.begin(caller, 5))

    assert told["result_counts"] == {"total": 5, "passed": 5, "failed": 0, "errored": 0}


async def test_a_limit_that_lasts_longer_ends_the_run(studio: Studio) -> None:
    caller = studio.caller(Limits(requests_per_day=3))

    told = await studio.ended(caller, *await studio.begin(caller, 9))

    assert (told["status"], told["error"]["code"]) == ("failed", "rate_limit_exceeded")
    assert studio.model.answers.total() == told["result_counts"]["passed"] == 3


async def test_the_same_question_of_a_grader_is_paid_for_once(studio: Studio) -> None:
    caller = studio.caller()

    eval_id, run = await studio.begin(caller, 6, LABEL)
    told = await studio.ended(caller, eval_id, run)

    assert told["result_counts"]["passed"] == 6
    assert studio.model.labels.total() == 1
    assert await asyncio.to_thread(lambda: studio.house.evals.spent(run).nano_usd) == 7 * 2_000_000


async def test_a_key_asks_graders_models_only_as_far_as_it_may(studio: Studio) -> None:
    caller = studio.caller(apps=("default",))

    with pytest.raises(Forbidden, match="may not use 'main'"):
        await studio.begin(caller, 1, LABEL)


async def test_every_call_leaves_a_record_with_the_runs_tag(studio: Studio) -> None:
    caller = studio.caller()
    eval_id, run = await studio.begin(caller, 2)
    await studio.ended(caller, eval_id, run)

    items = await studio.evals.desk.list_items(caller, eval_id, run, read_query({}))
    ids = [one["sample"]["trace_id"] for one in items["data"]]

    await until(lambda: studio.house.traces.get("default", ids[0]) is not None)
    record = studio.house.traces.get("default", ids[0])
    assert record is not None
    assert len(set(ids)) == 2
    assert (record["key"], record["tags"]) == (caller.key_id, {"eval": run})
