"""What the pages of requests ask, of a house at work: collecting, sending again, costs, and other projects."""

import asyncio
import contextvars
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.request_desk import RequestDesk
from greenroom.errors import MalformedRequest, NotFound
from greenroom.offline.evals.kept import kept_data
from greenroom.server.pages.access import Person, enter
from greenroom.server.pages.requests.backend import By
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score

CONFIG = """
[prices."greenroom/reader"]
input_per_mtok_usd = 1.0
output_per_mtok_usd = 2.0
"""
BY = By("key_1", "127.0.0.1")
T = TypeVar("T")


def as_viewer_of(project: str, asks: Callable[[], T]) -> T:
    """Asked by somebody at a browser who sees one project."""

    def within() -> T:
        enter(Person("viewer", "key_2", project), "/requests", "GET")
        return asks()

    return contextvars.copy_context().run(within)


async def stored(desk: RequestDesk, id: str) -> None:
    for _ in range(100):
        if desk.get_trace(id) is not None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it was not stored")


@pytest.mark.slow
async def test_requests_are_collected_sent_again_and_kept_from_other_projects(tmp_path: Path) -> None:
    config = tmp_path / "greenroom.toml"
    config.write_text(CONFIG, encoding="utf-8")
    async with House.open(config, tmp_path / "data", {}).running() as house:
        desk = RequestDesk(house)
        ids = [
            str((await house.ask(text))["id"]) for text in ("How do I add a provider?", "What is a trace?")
        ]
        for id in ids:
            await stored(desk, id)

        # collecting
        assert desk.data_sets() == []
        first = desk.collect("hard", ids[:1], with_reply=True, by=BY)
        both = desk.collect("hard", ids, with_reply=True, by=BY)
        assert (first.version, first.rows, both.version, both.rows, both.added) == (1, 1, 2, 2, 1)
        samples = kept_data(house.evals, "hard").samples
        assert [sample.id for sample in samples] == ids
        assert all(sample.expected for sample in samples)
        assert desk.data_sets() == ["hard"]
        with pytest.raises(NotFound, match="None of these"):
            desk.collect("hard", ["nothing"], with_reply=False, by=BY)
        with pytest.raises(MalformedRequest, match="name"):
            desk.collect("", ids, with_reply=False, by=BY)

        # what it cost
        record = desk.get_trace(ids[0])
        assert record is not None
        parts = {one.name: one for one in desk.costs(record)}
        assert parts["input"].tokens == record["usage"]["input_tokens"]
        assert sum(one.share for one in parts.values()) == pytest.approx(1.0)
        assert float(parts["output"].usd) == pytest.approx(record["usage"]["output_tokens"] * 2e-6)
        assert desk.costs({**record, "cost_usd": "5"}) == []

        # sending it again
        again = await desk.replay(ids[0], BY)
        await stored(desk, again)
        replayed = desk.get_trace(again)
        assert replayed is not None
        assert replayed["tags"] == {"replay_of": ids[0]}
        assert replayed["request"] == record["request"]
        with pytest.raises(NotFound, match="nothing to send again"):
            await desk.replay("nothing", BY)

        # who may see only another project
        assert len(desk.browse(TraceFilter()).rows) == 3
        north = "north"
        assert as_viewer_of(north, lambda: desk.browse(TraceFilter()).rows) == []
        assert as_viewer_of(north, lambda: desk.get_trace(ids[0])) is None
        assert as_viewer_of(north, lambda: desk.bodies(ids[0])) is None
        assert as_viewer_of(north, lambda: desk.otlp(ids[0])) is None
        assert as_viewer_of(north, lambda: desk.score(ids[0], Score(name="x", value=1), BY)) is None
        assert as_viewer_of(north, desk.data_sets) == []
        assert as_viewer_of(north, lambda: desk.users(7)) == []
        assert as_viewer_of(north, lambda: desk.sessions(None, 5).rows) == []
        with pytest.raises(NotFound):
            as_viewer_of(north, lambda: desk.browse(TraceFilter(project="default")))
        with pytest.raises(NotFound):
            as_viewer_of(north, lambda: desk.session("default", "s", None, 5))
        assert len(as_viewer_of("default", lambda: desk.browse(TraceFilter()).rows)) == 3
