"""Random faults from a seed, on virtual time: targets that fail in all of A's ways, clients that do as B says.

One scenario is a gateway with one to three targets and a handful of requests, some at once. What must hold
afterwards is the oracle's; here is only what each answer may look like.
"""

import asyncio
import gzip
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest.mock import patch

from greenroom.gateway.chain import PostEntry
from greenroom.models.dispatch import Patience
from greenroom.server.protocol import HttpProtocol
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from tests.faults.oracle import hold
from tests.faults.rawclient import Answer, RawClient, chat_bytes
from tests.faults.recipes import (
    Action,
    Chunk,
    Drip,
    Fin,
    Head,
    LastChunk,
    Recipe,
    Reset,
    Send,
    Stall,
    Wait,
    compressed,
    error,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import KEY, Room
from tests.faults.upstream import FaultUpstream
from tests.faults.virtual import MemoryTransport, VirtualLoop, run

TEXT = "Good morning."
FILTERS = (PostEntry(Decode(DecodeConfig()), refuse_on_error=True),)
TOTAL_S = 5.0
LATEST_S = 15.0
"""No request takes longer in all: its time, a queue, and the notice that a deadline has passed."""
SSE = Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked")
JSON = (("Content-Type", "application/json"),)
START = openai_events(("So", " far"), finish=None, done=False, usage=False)
EVENTS = openai_events()
BODY = openai_reply()


def good(random: Random, *, stream: bool) -> Recipe:
    """An answer that must reach the client, one way or another."""
    pause: list[Action] = [Wait(random.choice((0.0, 0.0, 0.3, 0.9)))]
    if not stream:
        head = Head(headers=JSON, framing=random.choice((str(len(BODY)), "close")))
        packed = compressed(BODY, random.choice(("gzip", "deflate")))
        chunked: list[Action] = [
            Head(headers=JSON, framing="chunked"),
            *[Chunk(BODY[at : at + 97]) for at in range(0, len(BODY), 97)],
            LastChunk(),
        ]
        answers: list[Sequence[Action]] = [
            (head, Send(BODY)), packed.actions, chunked, whole(BODY + b"\n").actions,
        ]  # fmt: skip
        return recipe(*pause, *random.choice(answers))
    joined = b"".join(EVENTS)
    answer = random.choice(
        (
            streamed(EVENTS, pace_s=random.choice((0.0, 0.05, 0.5))).actions,
            streamed(openai_events(usage=False)).actions,
            streamed(EVENTS[:-1]).actions,
            streamed([b": ka\n\n", *EVENTS]).actions,
            streamed([joined.replace(b"\n", b"\r\n")]).actions,
            (Head(headers=(*SSE.headers, ("Content-Encoding", "gzip")), framing="chunked"),
             Chunk(gzip.compress(joined)), LastChunk()),
        )
    )  # fmt: skip
    return recipe(*pause, *answer)


def bad(random: Random, *, stream: bool) -> Recipe:
    """One of the faults of A5 to A21."""
    limited = random.choice(
        ((), (("Retry-After", "1"),), (("retry-after-ms", "300"),), (("Retry-After", "90"),))
    )
    common = [
        error(random.choice((500, 502, 503, 529, 408, 409))),
        error(random.choice((400, 401, 403, 404, 413, 422))),
        error(429, headers=limited),
        recipe(Fin()),
        recipe(Reset()),
        recipe(Wait(random.random() * 2), Reset()),
        recipe(Stall()),
        recipe(Drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, 0.05)),
        recipe(Send(b"SSH-2.0-OpenSSH_9.2\r\n")),
        recipe(Head(302, "Found", (("Location", "http://127.0.0.1:1/"),), "0")),
        recipe(Head(204, "No Content")),
        whole(b"<html>", content_type="text/html"),
        whole(b'{"error": {"message": "no"}}'),
        whole(b""),
    ]
    if not stream:
        own = [
            whole(BODY, announced=len(BODY) + 50),
            recipe(
                Head(headers=JSON, framing=str(len(BODY))), Send(BODY[:40]), random.choice((Fin(), Reset()))
            ),
            recipe(Head(headers=JSON, framing=str(len(BODY))), Send(BODY[:40]), Stall()),
            recipe(Head(headers=JSON, framing="9999"), Drip(BODY + b" " * 9000, 0.05)),
            whole(BODY[:-9]),
            whole(BODY.replace(b'"content"', b'"content": "evil", "content"')),
            compressed(BODY, broken=True),
        ]
    else:
        at = random.randrange(len(START[0]))
        own = [
            recipe(SSE, Stall()),
            recipe(SSE, Reset()),
            streamed([]),
            streamed(START),
            streamed(START, then=(Reset(),)),
            streamed(START, then=(Fin(),)),
            streamed(START, then=(Stall(),)),
            streamed([*START, START[0][:at]], then=(Stall(),)),
            streamed([*START, b"data: [DONE]\n\n"]),
            streamed([*START, b"data: {nonsense\n\n", *EVENTS]),
            streamed([*START, b'data: {"error":{"message":"overloaded"}}\n\n']),
            recipe(SSE, *map(Chunk, START), Drip(b"1\r\nx\r\n" * 300, 0.1, 6)),
            recipe(SSE, *[one for _ in range(300) for one in (Chunk(b": ping\n\n"), Wait(0.1))]),
            streamed([b"data: [1,2]\n\n"]),
        ]
    return random.choice(common + own)


class _Inbox(asyncio.Protocol):
    """What a client's end is given."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.has_ended = self.was_reset = False
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        self.has_ended = True
        self.news.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        self.was_reset = exc is not None
        self.news.set()


class MemoryClient(RawClient):
    """The raw client on a connection in memory; with `is_slow` it takes bytes only when it is asked to read."""

    def __init__(self, room: "VirtualRoom", *, is_slow: bool = False, timeout_s: float = 60.0) -> None:
        super().__init__(0, timeout_s=timeout_s, answers=room.answers)
        self._socket.close()
        self._room = room
        self._is_slow = is_slow
        self._transport: MemoryTransport

    async def __aenter__(self) -> Self:
        self._inbox = _Inbox()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._transport = loop.join(self._inbox, self._room.accept())
        return self

    async def send(self, data: bytes, timeout_s: float | None = None) -> None:
        self._transport.write(data)

    async def read_some(self, timeout_s: float | None = None, size: int = 65_536) -> bytes:
        inbox = self._inbox
        self._transport.resume_reading()
        async with asyncio.timeout(timeout_s or self.timeout_s):
            while not (self.unread or inbox.data or inbox.has_ended):
                inbox.news.clear()
                await inbox.news.wait()
        if self._is_slow:
            self._transport.pause_reading()
        self.unread += inbox.data
        inbox.data.clear()
        data = bytes(self.unread[:size])
        del self.unread[:size]
        return data

    def close(self) -> None:
        self._transport.close()

    def reset(self) -> None:
        self._transport.setsockopt()
        self._transport.abort()


class VirtualRoom(Room):
    """A gateway without a port: clients are joined to its protocol in memory."""

    async def __aenter__(self) -> Self:
        self.build()
        return self

    def accept(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        config = SimpleNamespace(loaded_app=self._asgi)
        state = SimpleNamespace(connections=set())
        return HttpProtocol(self.shared, config, state, {})

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await hold(self)
        finally:
            for connection in list(self.shared.connections):
                connection.abort()
            await asyncio.sleep(1.0)  # the timers of the server see that nobody is left
            self.pool.stop()


class Asked:
    """One request and what became of it."""

    def __init__(self, number: int, random: Random) -> None:
        self.number = number
        self.stream = random.random() < 0.6
        self.begins_s = random.choice((0.0, 0.0, random.random() * 3))
        self.leaves_s = random.choice((None, None, None, random.random() * 3))
        self.by_reset = random.random() < 0.5
        self.is_slow = random.random() < 0.2
        self.answer: Answer | None = None
        self.took_s = 0.0

    async def ask(self, room: VirtualRoom, model: str) -> None:
        """Ask, and read the answer or leave before it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.begins_s)
        began = loop.time()
        async with MemoryClient(room, is_slow=self.is_slow) as client:
            await client.send(chat_bytes(model, f"Question {self.number}.", stream=self.stream, key=KEY))
            try:
                async with asyncio.timeout(self.leaves_s):
                    self.answer = await client.answer()
            except TimeoutError:
                if self.by_reset:
                    client.reset()
            except EOFError:
                assert self.leaves_s is not None, "I1: the connection ended without an answer"
        self.took_s = loop.time() - began

    def check(self) -> None:
        """What every answer must be: whole and right, or an error that says so."""
        assert self.took_s < LATEST_S, f"took {self.took_s} s"
        answer = self.answer
        if answer is None:
            assert self.leaves_s is not None
            return
        assert answer.whole
        assert b"internal_error" not in answer.body
        assert b"evil" not in answer.body
        if answer.status != 200:
            told = answer.json()["error"]
            assert isinstance(told, dict)
            assert set(told) == {"message", "type", "param", "code"}
            assert answer.status != 429 or answer.header("retry-after") is not None
            return
        if not self.stream:
            choices: Any = answer.json()["choices"]  # Any: JSON
            assert choices[0]["message"]["content"] == TEXT
            return
        events = answer.events()
        said = "".join(
            choice["delta"].get("content") or ""
            for data in events
            if data != b"[DONE]"
            for choice in json.loads(data).get("choices", ())
        )
        if events[-1] == b"[DONE]":
            assert said == TEXT, f"half an answer was called whole: {said!r}"
        else:
            assert "error" in json.loads(events[-1])
            assert said in {"", "So", "So far", *(TEXT[:end] for end in range(len(TEXT) + 1))}


async def _scenario(loop: VirtualLoop) -> int:
    random = loop.random
    model = "m"
    streams = random.random() < 0.5
    patience = Patience(
        retries=random.choice((0, 1, 1, 2)),
        wait_s=random.choice((0.0, 0.5, 2.0)),
        queue_s=random.choice((0.3, 3.0)),
        hedge_s=random.choice((None, None, 0.2, 1.0)),
    )
    asked = [Asked(number, random) for number in range(random.randrange(1, 9))]
    for one in asked:
        one.stream = streams  # recipes are of one kind
    async with AsyncExitStack() as stack:
        urls, is_reachable = [], True
        for _ in range(random.choice((1, 2, 2, 3))):
            upstream = await stack.enter_async_context(FaultUpstream())
            urls.append(upstream.base_url)
            recipes = [
                (good if random.random() < 0.4 else bad)(random, stream=streams)
                for _ in range(random.randrange(1, 6))
            ]
            upstream.script(model, *recipes)
            state = random.random()
            if state < 0.08:
                await upstream.stop_listening()
            elif state < 0.15:
                loop.deaf.add(upstream.port)
            is_reachable = is_reachable and state >= 0.15
        in_flight = random.choice((64, 64, 3))
        room = VirtualRoom(
            urls,
            patience=patience,
            parallel=random.choice((None, None, 1, 2)),
            in_flight=in_flight,
            post=random.choice(((), FILTERS)),
            total_s=TOTAL_S,
        )
        async with room:
            async with asyncio.TaskGroup() as group:
                for one in asked:
                    group.create_task(one.ask(room, model))
                if is_reachable and in_flight > len(asked):
                    group.create_task(_healthy(room, random))
            for one in asked:
                one.check()
    return len(asked)


async def _healthy(room: VirtualRoom, random: Random) -> None:
    """I7: a request for a model that nothing is wrong with is answered at once, whatever goes on beside it."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(random.random() * 3)
    began = loop.time()
    async with MemoryClient(room) as client:
        await client.send(chat_bytes("healthy", stream=random.random() < 0.5, key=KEY))
        answer = await client.answer()
    assert answer.status == 200, f"I7: {answer.body!r}"
    assert answer.whole
    assert loop.time() - began < 0.5, "I7: a healthy request had to wait"


def play(seed: int) -> int:
    """Run the scenario of a seed; how many clients got what they may get. Raises AssertionError, Stuck or whatever broke."""
    loops: list[VirtualLoop] = []

    async def work(loop: VirtualLoop) -> int:
        loops.append(loop)
        return await _scenario(loop)

    def clock() -> float:
        return loops[0].now

    def spread() -> float:
        return loops[0].random.random()

    with (
        patch("greenroom.models.dispatch.monotonic", clock),
        patch("greenroom.models.attempt.monotonic", clock),
        patch("greenroom.models.dispatch.random", spread),
        patch("greenroom.models.health.random", spread),
    ):
        return run(seed, work)


__all__ = ["play"]
