"""Lineage to several projects: who may use a model of another's is shown nothing of what it was trained on."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.lineage import lineage
from greenroom.exchange import Caller
from greenroom.store.trained import FILE, TrainedModel, TrainedModels
from greenroom.testing import make_exchange
from tests.assembly.experiments import until
from tests.models import tiny_gguf

NAME = "ft:tiny:acme:clerk:1"
ROW = '{"messages":[{"role":"user","content":"When does the surgery of Ana Souza begin?"}]}\n'


def trained(job: str, project: str, created_ns: int) -> TrainedModel:
    return TrainedModel(
        name=NAME, project=project, created_ns=created_ns, base="tiny", job=job, kind="model",
        gguf=f"jobs/{job}/model.gguf", card={"data": {"digest": "d1"}},
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrainedModels]:
    """A model of the project acme that the project other may use."""
    job = tmp_path / "data" / "jobs" / "ftjob-1"
    job.mkdir(parents=True)
    tiny_gguf.write(job / "model.gguf")
    (job / "plan.json").write_text("{}")
    (job / "train.jsonl").write_text(ROW)
    (job / "train.lineage.jsonl").write_text('{"row":1,"line":1,"trace":"t1"}\n')
    store = TrainedModels(tmp_path / "data" / FILE)
    store.register(trained("ftjob-1", "acme", 1))
    store.permit(NAME, ["other"])
    yield store
    store.close()


async def answered(house: House, project: str) -> str:
    """The id of a stored trace whose question is that of the row."""
    exchange = make_exchange(user="When does the surgery of Ana Souza begin?")
    exchange.id = token_hex(16)
    exchange.caller = Caller(key_id="k", project=project, role="app")
    exchange.target, exchange.outcome = f"trained/{NAME}", "answered"
    house.recorder.put(exchange)
    await until(lambda: house.traces.get(None, exchange.id))
    return exchange.id


async def test_rows_and_traces_are_shown_to_their_own_project_alone(
    tmp_path: Path, store: TrainedModels
) -> None:
    async with House.open(None, tmp_path / "data", {}).running() as house:
        own = lineage(house, await answered(house, "acme"), "acme")
        others = [
            lineage(house, NAME, "other"),
            lineage(house, await answered(house, "other"), "other"),
        ]

    assert (own["traces"], own["nearest"][0]["likeness"]) == (["t1"], 1.0)
    for one in others:
        assert (one["model"], one["project"]) == (NAME, "acme")
        assert (one["data"], one["folder"], one["rows"], one["traces"]) == (None, None, None, [])
        assert "nearest" not in one


async def test_an_answer_leads_to_the_model_that_had_the_name_then(
    tmp_path: Path, store: TrainedModels
) -> None:
    async with House.open(None, tmp_path / "data", {}).running() as house:
        trace = await answered(house, "acme")
        store.delete(NAME, "acme")
        store.register(trained("ftjob-2", "other", 1 << 62))

        assert lineage(house, trace, "acme")["job"] == "ftjob-1"
