"""The embedded engine's process with a real model of 27,000 parameters: started, watched, ended, never left over."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from greenroom.errors import UpstreamTimeout, UpstreamUnreachable
from greenroom.models.engine import Engine, EngineSettings, is_installed
from greenroom.models.engines import Engines
from tests.models import tiny_gguf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]

SECRET = "sk-canary-9fJw2mXq"

Make = Callable[..., Engine]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest_asyncio.fixture
async def make(model: Path) -> AsyncIterator[Make]:
    """Engines that are stopped at the end."""
    made: list[Engine] = []

    def make_one(**changed: Any) -> Engine:  # Any: fields of EngineSettings
        settings = EngineSettings(**{"model_path": model, "model": "tiny", "threads": 1, **changed})
        made.append(Engine(settings, {**os.environ, "OPENAI_API_KEY": SECRET, "HTTPS_PROXY": "http://h:1"}))
        return made[-1]

    yield make_one
    for engine in made:
        engine.stop()


def is_there(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def kill_and_wait(pid: int) -> None:
    """End a process while the event loop sees nothing of it."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def within(seconds: float, fact: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def test_it_starts_once_for_all_who_wait_and_has_a_port_and_a_key_of_its_own(make: Make) -> None:
    engine, other = make(), make()
    assert engine.state == "stopped"

    addresses = await asyncio.gather(*(engine.address(20) for _ in range(5)), other.address(20))

    assert len(set(addresses)) == 2
    assert addresses[0].key != addresses[5].key
    assert addresses[0].url.startswith("http://127.0.0.1:")
    assert (engine.state, engine.starts) == ("ready", 1)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process was given")
async def test_it_is_given_no_secret_no_socket_and_a_group_of_its_own(make: Make) -> None:
    engine = make()
    key = (await engine.address(20)).key
    process = Path(f"/proc/{engine.pid}")

    environment, arguments = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
    opened = [str(one.readlink()) for one in (process / "fd").iterdir()]

    assert SECRET.encode() not in environment
    assert b"_PROXY" not in environment
    assert key.encode() not in environment + arguments
    assert sum(one.startswith("socket:") for one in opened) <= 2  # its own listener
    assert engine.pid is not None
    assert os.getpgid(engine.pid) == engine.pid


async def test_an_end_by_itself_is_followed_by_a_start_and_then_by_longer_and_longer_rests(
    make: Make,
) -> None:
    engine = make()
    await engine.address(20)
    pids = [engine.pid]
    assert engine.pid is not None

    os.kill(engine.pid, signal.SIGKILL)
    assert await within(2.0, lambda: engine.state == "ready" and engine.starts == 2)
    pids.append(engine.pid)
    os.kill(engine.pid, signal.SIGSEGV)
    assert await within(2.0, lambda: engine.state == "resting")

    with pytest.raises(UpstreamUnreachable, match="SIGSEGV") as raised:
        await engine.address(20)
    assert 0 < (raised.value.retry_after_s or 0) <= 1.0
    assert await within(5.0, lambda: engine.state == "ready")
    assert engine.starts == 3
    assert engine.pid not in pids


async def test_a_crash_that_nobody_saw_yet_is_seen_by_who_asks(make: Make) -> None:
    engine = make()
    before = await engine.address(20)
    assert engine.pid is not None
    kill_and_wait(engine.pid)

    assert await engine.address(20) != before


async def test_a_broken_connection_waits_for_no_process_that_took_the_place_of_its_own(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.models.engine.SETTLE_S", 100.0)
    engine = make()
    before = await engine.address(20)
    assert engine.pid is not None
    async with asyncio.timeout(30):
        os.kill(engine.pid, signal.SIGKILL)
        assert await engine.settle(before)
        after = await engine.address(20)
        assert after != before
        assert await engine.settle(before)
    monkeypatch.setattr("greenroom.models.engine.SETTLE_S", 0.01)
    assert not await engine.settle(after)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"model_path": Path("/nowhere/x.gguf")}, "'x.gguf' can't be read", id="missing"),
        pytest.param({"model_path": Path(__file__)}, "does not begin with 'GGUF'", id="no-model"),
        pytest.param({"start_s": 0.01}, "took longer than start_s", id="too-slow"),
    ],
)
async def test_what_can_not_be_loaded_is_said_without_its_folder(
    make: Make, changed: dict[str, Any], said: str
) -> None:
    engine = make(**changed)

    with pytest.raises(UpstreamUnreachable, match=said) as raised:
        await engine.address(20)

    assert "/" not in str(raised.value)
    assert (engine.state, engine.pid) == ("resting", None)
    with pytest.raises(UpstreamUnreachable, match="started again in"):
        await engine.address(20)
    assert engine.starts == 1


async def test_a_model_that_the_engine_does_not_know_is_said(make: Make, tmp_path: Path) -> None:
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(tiny_gguf.content().replace(b"llama", b"lemma"))

    with pytest.raises(UpstreamUnreachable, match="can't be loaded"):
        await make(model_path=strange).address(20)


async def test_who_does_not_want_to_wait_is_told_and_the_start_goes_on(make: Make) -> None:
    engine = make()

    with pytest.raises(UpstreamTimeout, match="still loading"):
        await engine.address(0.001)

    assert (await engine.address(20)).url
    assert engine.starts == 1


async def test_what_it_sets_aside_past_its_memory_is_refused(make: Make) -> None:
    engine = make(memory_mb=64, context=262_144, parallel=1)

    with pytest.raises(UpstreamUnreachable, match="can't be loaded within memory_mb = 64"):
        await engine.address(20)

    assert "insufficient memory" in engine.detail


async def test_it_ends_when_it_takes_more_memory_than_it_may(make: Make, tmp_path: Path) -> None:
    large = tiny_gguf.write(tmp_path / "large.gguf")
    os.truncate(large, 60 << 20)  # its pages are memory too, once they are read
    engine = make(model_path=large, memory_mb=64)

    await engine.address(20)

    assert await within(10.0, lambda: engine.said.endswith("it took more memory than memory_mb = 64"))


async def test_a_file_larger_than_its_memory_is_not_even_loaded(make: Make, tmp_path: Path) -> None:
    large = tiny_gguf.write(tmp_path / "large.gguf")
    os.truncate(large, 65 << 20)

    with pytest.raises(UpstreamUnreachable, match="the file alone takes 65 MB"):
        await make(model_path=large, memory_mb=64).address(20)


async def test_it_stops_when_idle_and_only_then(make: Make) -> None:
    engine = make(idle_stop_s=0.2)
    engine.begin()
    await engine.address(20)
    await asyncio.sleep(0.4)
    assert engine.state == "ready"

    engine.end()
    pid = engine.pid
    assert pid is not None

    assert await within(2.0, lambda: engine.state == "stopped")
    assert not is_there(pid)
    assert engine.failures == 0
    await engine.address(20)
    assert engine.starts == 2


async def test_after_stop_nothing_is_left_and_nothing_starts(make: Make) -> None:
    engine = make()
    waiting = asyncio.ensure_future(engine.address(20))
    await asyncio.sleep(0)
    pid = engine.pid
    assert pid is not None

    engine.stop()
    engine.stop()

    assert not is_there(pid)
    with pytest.raises(UpstreamUnreachable):
        await waiting
    with pytest.raises(UpstreamUnreachable):
        await engine.address(20)


async def test_other_settings_are_another_engine_and_the_old_one_ends_after_its_answers(model: Path) -> None:
    engines = Engines(os.environ)
    settings = EngineSettings(model_path=model, model="tiny", threads=1)
    try:
        old = engines.of("tiny", settings)
        assert engines.of("tiny", EngineSettings(model_path=model, model="tiny", threads=1)) is old
        await old.address(20)
        old.begin()
        pulled = engines.of("llama/x", settings)
        new = engines.of("tiny", EngineSettings(model_path=model, model="tiny", threads=1, context=512))

        engines.keep([new], ("llama/",))
        await asyncio.sleep(0.1)
        assert old.state == "ready"
        old.end()

        assert await within(2.0, lambda: old.state == "stopped")
        assert engines.of("llama/x", settings) is pulled
    finally:
        engines.stop()


def test_the_end_of_the_parents_pipe_ends_it(model: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "greenroom.models.llama_engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    settings = {
        "model_path": str(model), "model": "tiny", "key": "k", "parent": os.getpid(), "context": 512,
        "parallel": 1, "threads": 1,
    }  # fmt: skip
    child.stdin.write(json.dumps(settings).encode() + b"\n")
    child.stdin.flush()
    assert b"http://127.0.0.1:" in child.stdout.readline()

    child.stdin.close()

    assert child.wait(5) == 0
    child.stdout.close()


def test_a_child_whose_parent_is_gone_already_ends_at_once(model: Path) -> None:
    settings = {
        "model_path": str(model),
        "model": "t",
        "key": "k",
        "parent": 1,
        "context": 512,
        "parallel": 1,
    }
    child = subprocess.run(
        [sys.executable, "-m", "greenroom.models.llama_engine"], input=json.dumps(settings).encode() + b"\n",
        capture_output=True, timeout=10, check=False,
    )  # fmt: skip

    assert (child.returncode, child.stdout) == (0, b"")
