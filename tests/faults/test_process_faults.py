"""FAULTS C10 to C13: clocks that jump, reloads under load, too few descriptors, busy machines, parts that crash."""

import asyncio
import contextlib
import http.client
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from greenroom.contracts import Step
from greenroom.errors import QuotaExceeded, Unauthorized
from greenroom.exchange import Caller, Exchange, Reply
from greenroom.gateway.access import Access
from greenroom.gateway.keys import Key
from greenroom.gateway.pipeline import StepEntry
from greenroom.gateway.recorder import Recorder
from greenroom.server.head import Limits
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore
from tests.faults.rawclient import RawClient, chat_bytes, request_bytes
from tests.faults.recipes import Wait, openai_reply, recipe, whole
from tests.faults.room import KEY, Room, code_of, works
from tests.faults.upstream import FaultUpstream
from tests.server.test_process import config_for
from tests.server_process import ServerProcess
from tests.store.exchanges import make_exchange

HOUR_NS = 3_600_000_000_000


# C10


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """By how much the wall clock is wrong, in nanoseconds: one number that tests set."""
    wrong = [0]
    true_ns, true_s = time.time_ns, time.time
    for module in ("greenroom.gateway.gateway.time_ns", "greenroom.exchange.time_ns", "time.time_ns"):
        monkeypatch.setattr(module, lambda: true_ns() + wrong[0])
    monkeypatch.setattr("time.time", lambda: true_s() + wrong[0] / 1e9)
    return wrong


async def test_c10_a_clock_that_jumps_changes_no_answer_no_duration_and_no_limit(
    upstream: FaultUpstream, jumping: list[int]
) -> None:
    key = Key(caller=Caller(key_id="k"), requests_per_minute=6)
    async with Room([upstream.base_url], key=key) as room:
        statuses = []
        for jump in (0, HOUR_NS, -HOUR_NS, 1_000_000_000, 0, 24 * HOUR_NS, -24 * HOUR_NS):
            jumping[0] = jump
            began = time.monotonic()
            statuses.append((await room.ask(stream=jump > 0)).status)
            assert time.monotonic() - began < 2

        assert statuses == [200] * 6 + [429]  # the window is not granted twice
        assert all(0 <= one.total_ns < 2_000_000_000 for one in room.kept.exchanges)
        assert len({one.id for one in room.kept.exchanges}) == 6


def test_c10_windows_follow_a_clock_that_never_goes_back() -> None:
    times = [0.0, 1.0, 2.0, 59.9, 60.1, 61.0, 62.0]
    access = Access({}, None, lambda: times[0])
    key = Key(caller=Caller(key_id="k"), requests_per_minute=2)
    granted = []
    while times:
        with contextlib.suppress(QuotaExceeded):
            access.admit(key).release(0)
            granted.append(times[0])
        del times[0]

    assert granted == [0.0, 1.0, 60.1, 61.0]


def test_c10_a_key_that_expires_counts_for_the_minute_that_a_clock_may_be_wrong_by(
    jumping: list[int],
) -> None:
    ends = time.time() + 10
    digest = sha256(b"gr-key").digest()
    access = Access({digest: Key(caller=Caller(key_id="k"), expires_at=ends)})
    found = []
    for second in (0, 10, 69, 72, 0):
        jumping[0] = second * 1_000_000_000
        with contextlib.suppress(Unauthorized):
            access.find(b"gr-key")
            found.append(second)

    assert found == [0, 10, 69, 0]


def test_c10_traces_stay_in_the_order_they_came_in(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    recorder = Recorder(store)
    recorder.start()
    for number, jump in enumerate((0, HOUR_NS, -HOUR_NS, 0)):
        recorder.put(make_exchange(f"{number:032x}", created_ns=1_760_000_000_000_000_000 + jump))
    recorder.stop()
    rows = store.list(TraceFilter(limit=10)).rows
    store.close()

    assert [int(row["id"], 16) for row in rows] == [3, 2, 1, 0]


# C11

APPS = '[apps.aaa]\nmodel = "{model}"\n# {number}\n'


@pytest.mark.slow
def test_c11_whatever_happens_to_the_file_under_load_no_request_fails(tmp_path: Path) -> None:
    good = APPS.format(model="greenroom/reader", number="{number}")
    with ServerProcess(tmp_path / "data", good) as server:
        statuses: list[int] = []
        ending = threading.Event()

        def load() -> None:
            while not ending.is_set():
                statuses.append(server.ask(model="aaa")[0])

        callers = [threading.Thread(target=load) for _ in range(3)]
        for one in callers:
            one.start()
        files: list[bytes | None] = [
            good.replace("{number}", "1").encode(),
            b"[apps.aaa]\nmodel = ",
            APPS.format(model="nobody/knows", number=2).encode(),
            None,
            good.replace("{number}", "3").encode() + b"[server]\nnonsense = 1\n",
            b"\xff\xfe",
            good.replace("{number}", "4").encode(),
        ]
        for data in files:
            if data is None:
                server.config_path.unlink()
            else:
                server.config_path.write_bytes(data)
            time.sleep(0.7)
        ending.set()
        for one in callers:
            one.join(10)

        assert set(statuses) == {200}
        assert len(statuses) > 50
        assert server.log().count("configuration taken") >= 2
        assert server.log().count("configuration not taken") >= 4
        assert "Traceback" not in server.log()


# C12


def health_s(port: int) -> float:
    """How long `/healthz` takes on a connection of its own."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("descriptors", [64, 96])
async def test_c12_with_few_descriptors_load_is_shed_with_a_503_and_the_server_lives(
    tmp_path: Path, descriptors: int
) -> None:
    async with FaultUpstream() as upstream:
        upstream.script("m", recipe(Wait(0.5), *whole(openai_reply()).actions))
        under = ["sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"']
        secret = {"UP_SECRET": "sk-canary"}
        with ServerProcess(
            tmp_path / "data", config_for(upstream), under=under, environment=secret
        ) as server:

            async def ask() -> int:
                try:
                    async with RawClient(server.port, timeout_s=8) as client:
                        await client.send(chat_bytes("up/m", key=server.local_key))
                        answer = await client.answer()
                        assert answer.status != 503 or answer.header("retry-after")
                        return answer.status
                except (OSError, EOFError):
                    return 0

            asked = [asyncio.create_task(ask()) for _ in range(100)]
            await asyncio.sleep(0.2)
            statuses = [await one for one in asked]
            assert statuses.count(200) >= 2
            assert statuses.count(503) >= 1
            assert set(statuses) <= {200, 503, 0}
            assert await ask() == 200
            assert (await asyncio.to_thread(server.ask))[0] == 200  # with documents, lexica and all
            assert min(health_s(server.port) for _ in range(10)) < 0.1  # the others have their turns, too
            assert "Traceback" not in server.log()
            assert server.stop() == 0


async def test_c12_bodies_being_read_are_bounded_in_sum(upstream: FaultUpstream) -> None:
    half = request_bytes(b" " * 400_000, key=KEY)[:300_000]
    small = Limits(bodies_bytes=1_000_000)
    async with Room([upstream.base_url], limits=small) as room, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(room.client()) for _ in range(5)]
        for client in clients[:3]:
            await client.send(half)
        await until(lambda: room.shared.room < 110_000)
        await clients[3].send(half)  # told at its head: the rest is not read
        early = await clients[3].answer()
        head = request_bytes(b"", key=KEY).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        with contextlib.suppress(OSError):
            await clients[4].send(head + b"20000\r\n" + b" " * 0x20000 + b"\r\n")
        late = await clients[4].answer()  # who says no length is told when there is no room left
        assert await works(room)  # a small body comes in one piece
        clients[0].close()
        await clients[1].send(request_bytes(b" " * 400_000, key=KEY)[300_000:])
        whole = await clients[1].answer()
        clients[2].close()
        await until(lambda: room.shared.room == 1_000_000)

    for answer in (early, late):
        assert (answer.status, code_of(answer), answer.header("retry-after")) == (503, "overloaded", "1")
    assert whole.status == 400  # spaces are no JSON, but they were read


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@pytest.mark.slow
def test_c12_beside_busy_neighbours_health_is_told_quickly(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            taken = [health_s(server.port) for _ in range(20)]
            assert server.ask()[0] == 200
        finally:
            for one in neighbours:
                one.kill()
                one.wait()

    assert sorted(taken)[10] < 0.1


# C13


class Crashing:
    """A step that breaks."""

    def __init__(self, stage: str, error: Callable[[], BaseException]) -> None:
        self.name, self.stage, self._error = "crashing", stage, error

    async def __call__(self, exchange: Exchange) -> Reply | None:
        raise self._error()


ERRORS = {"a bug": ZeroDivisionError, "no memory": MemoryError, "too deep": RecursionError}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("refuses", [True, False], ids=["refuse", "allow"])
async def test_c13_a_step_that_crashes_is_its_policys_and_nobody_elses(
    upstream: FaultUpstream, error: Callable[[], BaseException], refuses: bool
) -> None:
    step: Step = Crashing("check", error)  # type: ignore[assignment]  # a step by its shape
    async with Room([upstream.base_url], steps=[StepEntry(step, refuses)]) as room:
        answer = await room.ask()
        streamed = await room.ask(stream=True)
        exchange = await room.kept.next(2)

        assert answer.status == streamed.status == (500 if refuses else 200)
        assert len(upstream.requests) == (0 if refuses else 2)
        assert not refuses or code_of(answer) == "step_failed"
        assert exchange.steps[0].outcome == "failed"


async def test_c13_a_page_that_crashes_is_a_500_and_the_fast_routes_go_on(upstream: FaultUpstream) -> None:
    numbers = itertools.count()

    async def page(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        if next(numbers) % 2:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"p")]})
        raise ZeroDivisionError

    async with Room([upstream.base_url], app=page) as room, room.client() as client:
        answers = []
        for _ in range(2):
            await client.send(b"GET /requests HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answers.append(await client.answer())

        assert [one.status for one in answers] == [500, 500]
        assert not any(b"ZeroDivision" in one.body for one in answers)
        assert await works(room)
