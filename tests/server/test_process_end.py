"""FAULTS C1 and C2: SIGTERM and SIGINT: idle, under load, with connections left open, with streams in flight, and again."""

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore
from tests.faults.rawclient import RawClient, chat_bytes
from tests.faults.recipes import Chunk, Flood, Head, Recipe, Stall, openai_events, recipe, streamed
from tests.faults.upstream import FaultUpstream
from tests.patience import slowness
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow  # each starts processes of its own

EVENTS = (("Content-Type", "text/event-stream"),)


class Stage(NamedTuple):
    server: ServerProcess
    upstream: FaultUpstream

    async def exit_code(self, timeout_s: float = 10.0) -> int:
        """Wait for the end while the provider goes on."""
        return await asyncio.to_thread(self.server.process.wait, timeout_s)

    def outcomes(self) -> list[str]:
        """How the recorded requests ended, read from the file after the end."""
        store = TraceStore(self.server.data / "traces.db")
        try:
            rows = store.list(TraceFilter()).rows
            return [str(row["outcome"]) for row in rows]
        finally:
            store.close()


@contextlib.asynccontextmanager
async def staged(folder: Path, *server_lines: str) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = "\n".join(
            [
                "[server]", *server_lines,
                "[providers.up]", 'kind = "openai_compatible"', f'base_url = "{upstream.base_url}"',
                "[models.main]", 'targets = ["up/scripted"]', "",
            ]
        )  # fmt: skip
        with ServerProcess(folder / "data", config) as server:
            yield Stage(server, upstream)


def stalling(words: int = 300) -> Recipe:
    """A stream that says much and then nothing more."""
    pieces = openai_events([f"word{n} " for n in range(words)], finish=None, usage=False, done=False)
    return recipe(Head(headers=EVENTS, framing="chunked"), *map(Chunk, pieces), Stall())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_c1_an_idle_server_ends_well_within_two_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with ServerProcess(tmp_path / "data") as server:
        assert server.ask()[0] == 200
        began = time.monotonic()
        assert server.stop(number, 5) == 0
        assert time.monotonic() - began < 2.0 * slowness()
        assert server.log() == ""


HALF_OPEN = {
    "nothing sent": b"",
    "half a head": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a body": b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
def test_c1_half_open_connections_do_not_hold_the_end_up(tmp_path: Path, sent: bytes) -> None:
    with (
        ServerProcess(tmp_path / "data") as server,
        socket.create_connection(("127.0.0.1", server.port)) as half,
    ):
        half.sendall(sent)
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop(timeout_s=5) == 0
        assert time.monotonic() - began < 2.0 * slowness()


async def test_c1_a_stream_in_flight_is_told_to_its_end_and_nobody_new_is_let_in(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        words = [f"word{number} " for number in range(20)]
        stage.upstream.script("scripted", streamed(openai_events(words), pace_s=0.05))
        async with RawClient(stage.server.port) as client:
            await client.send(chat_bytes("default", stream=True, key=stage.server.local_key))
            await stage.upstream.log.wait("sent", count=3)
            stage.server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", stage.server.port), timeout=1)
            answer = await client.answer()
            code = await stage.exit_code()

        said = [json.loads(data) for data in answer.events() if data != b"[DONE]"]
        text = "".join(c["delta"].get("content") or "" for one in said for c in one["choices"])
        assert answer.whole
        assert answer.events()[-1] == b"[DONE]"
        assert text == "".join(words)
        assert code == 0
        assert stage.outcomes() == ["answered"]


async def test_c1_under_load_every_answer_is_told_to_its_end_and_recorded(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.upstream.script("scripted", streamed(openai_events(["a"] * 20), pace_s=0.04))
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(RawClient(stage.server.port)) for _ in range(20)]
            for client in clients:
                await client.send(chat_bytes("default", stream=True, key=stage.server.local_key))
            await stage.upstream.log.wait("sent", count=40)
            stage.server.process.send_signal(signal.SIGTERM)
            answers = [await client.answer() for client in clients]
            code = await stage.exit_code()

        assert [one.events()[-1] for one in answers] == [b"[DONE]"] * 20
        assert code == 0
        assert stage.outcomes() == ["answered"] * 20
        assert stage.server.log() == ""


@pytest.mark.parametrize("how", ["second signal", "drain limit"])
async def test_c1_c2_a_stream_that_does_not_end_is_cut_with_an_error_inside_it(
    tmp_path: Path, how: str
) -> None:
    async with staged(tmp_path, "drain_s = 0.5" if how == "drain limit" else "drain_s = 60") as stage:
        stage.upstream.script("scripted", stalling())
        async with RawClient(stage.server.port) as client:
            await client.send(chat_bytes("default", stream=True, key=stage.server.local_key))
            await client.read_until(b"word")
            stage.server.process.send_signal(signal.SIGTERM)
            if how == "second signal":
                await asyncio.sleep(0.3)
                assert stage.server.process.poll() is None
                stage.server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            rest = await client.read_to_end()
            code = await stage.exit_code()

        assert time.monotonic() - began < 2.0 * slowness()
        assert rest.endswith(b"0\r\n\r\n")
        errors = [line for line in rest.split(b"\n") if line.startswith(b'data: {"error"')]
        assert len(errors) == 1
        assert json.loads(errors[0][6:])["error"]["code"] == "shutting_down"
        assert code == 0
        assert len(stage.outcomes()) == 1
        assert "Traceback" not in stage.server.log()
        await stage.upstream.log.wait("gone")


async def test_c2_a_whole_answer_cut_before_it_began_is_503(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.upstream.script("scripted", recipe(Stall()))
        async with RawClient(stage.server.port) as client:
            await client.send(chat_bytes("default", key=stage.server.local_key))
            await stage.upstream.log.wait("request")
            for _ in range(2):
                stage.server.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
            answer = await client.answer()
            code = await stage.exit_code()

        assert answer.status == 503
        assert answer.header("connection") == "close"
        assert code == 0
        assert len(stage.outcomes()) == 1


async def test_c1_a_client_that_reads_nothing_does_not_hold_a_cut_server_up(tmp_path: Path) -> None:
    async with staged(tmp_path, "drain_s = 0.3", "[apps.raw]", 'pipeline = "off"') as stage:
        block = openai_events(["x" * 10_000 + " "], finish=None, usage=False, done=False)[0]
        chunk = b"%x\r\n%b\r\n" % (len(block), block)
        stage.upstream.script(
            "scripted", recipe(Head(headers=EVENTS, framing="chunked"), Flood(chunk, 10_000), Stall())
        )
        async with RawClient(stage.server.port, receive_bytes=4096) as client:
            await client.send(chat_bytes("raw", stream=True, key=stage.server.local_key))
            await client.read_until(b"xxx")
            sent = -1
            while sent != (sent := stage.upstream.log.bytes_sent()):  # noqa: ASYNC110  # until all buffers are full
                await asyncio.sleep(0.4)
            assert not stage.upstream.log.of("finished")
            stage.server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            code = await stage.exit_code()

        assert time.monotonic() - began < 3.0 * slowness()
        assert code == 0
        assert len(stage.outcomes()) == 1
