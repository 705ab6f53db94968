"""What watches a real engine: memory that drains it, a hang that ends it, adapters that come and go."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from greenroom.errors import UpstreamUnreachable
from greenroom.models import engine as engine_module
from greenroom.models import pulse
from greenroom.models.adapters import Stand
from greenroom.models.engine import Engine, EngineSettings, is_installed
from greenroom.models.engines import Engines
from tests.models import tiny_gguf
from tests.models.test_engine import is_there, within

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_gguf.write(folder / "tiny.gguf")
    for step in (-1, 2, 3):
        tiny_gguf.write_adapter(folder / f"step{step}.gguf", step)
    return folder


@pytest_asyncio.fixture
async def engines() -> AsyncIterator[Engines]:
    engines = Engines(os.environ)
    yield engines
    engines.stop()


def settings(folder: Path, adapters: tuple[Path, ...] = (), memory_mb: int | None = None) -> EngineSettings:
    return EngineSettings(
        model_path=folder / "tiny.gguf", model="tiny", threads=1, context=512, adapters=adapters,
        memory_mb=memory_mb,
    )  # fmt: skip


async def test_past_its_memory_it_answers_what_it_has_and_is_started_again(
    engines: Engines, folder: Path
) -> None:
    engine = engines.of("tiny", settings(folder))
    address = await engine.address(20)
    before = engine.pid
    engine.begin()
    engine.enter(address)
    assert before is not None

    engine.drain("it took more memory than memory_mb = 64")  # as the child says it

    assert engine.state == "draining"
    waiting = asyncio.ensure_future(engine.address(20))
    await asyncio.sleep(0.2)
    assert is_there(before), "its request is still at work"
    assert not waiting.done()
    engine.end(address)
    assert (await waiting) != address
    assert not is_there(before)
    assert (engine.restarts, engine.failures, engine.state) == (1, 1, "ready")
    assert engine.facts()["ends"][0]["said"] == "it took more memory than memory_mb = 64"


async def test_a_request_that_never_ends_does_not_hold_up_the_new_process(
    engines: Engines, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DRAIN_S", 0.2)
    engine = engines.of("tiny", settings(folder))
    address = await engine.address(20)
    engine.begin()
    engine.enter(address)

    engine.drain("it took more memory than memory_mb = 64")

    assert await engine.address(20) != address
    engine.end(address)
    assert (engine.at_work, engine.state) == (0, "ready")


async def test_a_real_limit_is_noticed_by_the_process_itself(engines: Engines, folder: Path) -> None:
    large = tiny_gguf.write(folder / "large.gguf")
    os.truncate(large, 40 << 20)  # its pages count: with the engine's own some 75 MB, of 64
    limited = EngineSettings(model_path=large, model="large", threads=1, context=512, memory_mb=64)
    engine = engines.of("large", limited)

    await engine.address(20)

    assert await within(10.0, lambda: engine.restarts > 0)
    assert "memory_mb = 64" in engine.ends[0].said


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process has computed")
async def test_one_that_hangs_is_ended_and_started_again(
    engines: Engines, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "STILL_S", 1.5)
    monkeypatch.setattr(engine_module, "LOOK_S", 0.1)
    engine = engines.of("tiny", settings(folder))
    await engine.address(20)
    before = engine.pid
    assert before is not None

    os.kill(before, signal.SIGSTOP)

    assert await within(10.0, lambda: engine.state == "ready" and engine.pid != before)
    assert "it hung" in engine.ends[0].said
    assert not is_there(before)


async def test_its_beats_say_what_it_has_room_for(engines: Engines, folder: Path) -> None:
    engine = engines.of("tiny", settings(folder))
    await engine.address(20)

    assert await within(5.0, lambda: engine.facts().get("kv_limit") == 1024)
    facts = engine.facts()
    assert (facts["kv_tokens"], facts["processing"], facts["waiting"]) == (0, 0, 0)


def stand_over(engines: Engines, folder: Path) -> Stand:
    def make(adapters: tuple[Path, ...]) -> Engine:
        return engines.of("base", settings(folder, adapters))

    return Stand(make, engines.let_go)


async def test_an_engine_with_more_adapters_takes_over_when_it_is_ready(
    engines: Engines, folder: Path
) -> None:
    stand = stand_over(engines, folder)
    back, skip = folder / "step-1.gguf", folder / "step2.gguf"
    stand.want({"back": back})
    first, place = await stand.running("back", 20)
    assert place == 0
    address = await first.address(20)
    first.begin()
    first.enter(address)

    stand.want({"back": back, "skip": skip})
    assert stand.engine is first, "it answers until the other is ready"
    second, place = await stand.running("skip", 20)

    assert place == 1
    assert second is not first
    assert await stand.running("back", 1) == (second, 0)
    assert first.pid is not None
    first.end(address)
    assert await within(5.0, lambda: first.pid is None)
    assert engines.all() == [("base", second)]


async def test_what_can_not_be_loaded_is_left_out_and_the_others_come(engines: Engines, folder: Path) -> None:
    stand = stand_over(engines, folder)
    broken = folder / "broken.gguf"
    broken.write_bytes(b"GGUF")
    stand.want({"bad": broken, "back": folder / "step-1.gguf"})

    with pytest.raises(UpstreamUnreachable, match="can't be loaded"):
        await stand.running("bad", 20)
    engine, place = await stand.running("back", 20)

    assert (engine.state, place) == ("ready", 0)
    stand.want({"back": folder / "step-1.gguf"})
    assert (await stand.running("back", 1))[0] is engine
    with pytest.raises(UpstreamUnreachable, match="it was deleted"):
        await stand.running("bad", 1)


async def test_who_waits_for_a_base_that_is_let_go_is_served_and_no_engine_stays(
    engines: Engines, folder: Path
) -> None:
    stand = stand_over(engines, folder)
    stand.want({"one": folder / "step2.gguf"})
    waiting = asyncio.create_task(stand.running("one", 20))
    assert await within(5.0, lambda: any(engine.state == "starting" for _, engine in engines.all()))

    stand.end()
    engine, place = await waiting
    engine.begin()
    address = await engine.address(20)
    engine.end()

    assert (address.url[:17], place) == ("http://127.0.0.1:", 0)
    assert engines.all() == []
    assert await within(20.0, lambda: engine.pid is None)


async def test_a_crash_leaves_all_adapters_where_they_were(engines: Engines, folder: Path) -> None:
    stand = stand_over(engines, folder)
    stand.want({"back": folder / "step-1.gguf", "skip": folder / "step2.gguf"})
    engine, _ = await stand.running("skip", 20)
    before = engine.pid
    assert before is not None

    os.kill(before, signal.SIGKILL)

    assert await within(2.0, lambda: engine.state == "ready" and engine.pid != before)
    assert await stand.running("skip", 1) == (engine, 1)
