"""Greenroom inside a Python program: the server's path without the server.

Same configuration, steps, masks, limits and record. The caller is the program itself, so no key is needed.
The data folder belongs to one process at a time, as with a server.
"""

import asyncio
import os
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Literal, Self, overload

from msgspec import Struct
from msgspec.json import decode, encode

from greenroom.assembly.house import House
from greenroom.assembly.roomprompts import RoomPrompts
from greenroom.errors import (
    GreenroomError,
    MalformedRequest,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
)
from greenroom.gateway.gateway import Stream as Running
from greenroom.store.database import FolderLock, lock_folder
from greenroom.wire.source import Source

Json = dict[str, Any]  # Any: JSON, whose fields are the dialect's

_BROKEN = {kind.code: kind for kind in (UpstreamTimeout, UpstreamDisconnected, UpstreamProtocol)}
"""What can go wrong with a stream that has begun, by the code its last event names."""


class Answer(Struct, frozen=True):
    """A whole answer: `body` is the chat completion as a client of the server gets it."""

    id: str
    """The record's id: `greenroom trace show ID`."""
    body: Json
    model: str | None
    """The model that answered, None where a check refused before one was asked."""
    cost_usd: str | None
    """None where the price is not known."""

    @property
    def text(self) -> str:
        """What was said; empty where the answer is tool calls."""
        return self._message.get("content") or ""

    @property
    def tool_calls(self) -> list[Json]:
        """The tools to call, as the dialect writes them."""
        return self._message.get("tool_calls") or []

    @property
    def finish_reason(self) -> str:
        """Why it ended: "stop", "length", "tool_calls"; "content_filter" where a check refused."""
        return str(self.body["choices"][0]["finish_reason"])

    @property
    def _message(self) -> Json:
        message: Json = self.body["choices"][0]["message"]
        return message


class Piece(Struct, frozen=True):
    """One piece of a streamed answer: `body` is the chunk as a client of the server gets it."""

    body: Json

    @property
    def text(self) -> str:
        """What it adds to the text of the first choice."""
        return next(
            (one["delta"].get("content") or "" for one in self.body["choices"] if one["index"] == 0), ""
        )


class AnswerStream:
    """An answer in pieces: `async for piece in stream`. To leave early, `aclose` it or use `async with`."""

    def __init__(self, room: "Greenroom", id: str, running: Running) -> None:
        self.id = id
        """The record's id: `greenroom trace show ID`."""
        self._room = room  # stays open while it answers
        self._running = running
        self._pieces = _pieces(running)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Hang up on the provider and record what was said so far. Safe to call twice."""
        await self._pieces.aclose()
        self._running.finish()  # a generator that never began has not done it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


_HIGH_WATER_BYTES = 256 * 1024
"""What may wait for a program that is slower than the provider."""


class _Outlet:
    """Where a stream goes in process: kept until it is asked for."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._size_bytes = 0
        self._source: Source | None = None
        self._changed = asyncio.Event()

    def send(self, data: bytes) -> None:
        """Keep events; a source that is far ahead is paused."""
        self._waiting.append(data)
        self._size_bytes += len(data)
        if self._size_bytes > _HIGH_WATER_BYTES and self._source is not None:
            self._source.pause()
        self._changed.set()

    def writer(self) -> Callable[[bytes], object]:
        """The same for what is framed as a chunk of HTTP."""
        return lambda data: self.send(data[data.index(b"\r\n") + 2 : -2])

    def throttle(self, source: Source | None) -> None:
        """Pause this source when too much waits."""
        self._source = source

    async def drained(self) -> None:
        """Wait until little waits."""
        while self._size_bytes > _HIGH_WATER_BYTES:
            self._changed.clear()
            await self._changed.wait()

    async def next(self, work: asyncio.Task[None]) -> bytes | None:
        """The next events; None when the stream is over. Raises what it broke with."""
        while not self._waiting:
            if work.done():
                work.result()
                return None
            self._changed.clear()
            work.add_done_callback(self._end)
            await self._changed.wait()
        data = self._waiting.popleft()
        self._size_bytes -= len(data)
        if not self._waiting:
            self._changed.set()
            if self._source is not None:
                self._source.resume()
        return data

    def _end(self, _: object) -> None:
        self._changed.set()


async def _pieces(running: Running) -> AsyncGenerator[Piece, None]:
    outlet = _Outlet()
    # Ends with this generator, whoever ends that.
    work = asyncio.get_running_loop().create_task(running.run(outlet))
    try:
        while (data := await outlet.next(work)) is not None:
            for event in data.split(b"\n\n"):
                if event and event != b"data: [DONE]":
                    body = decode(event.removeprefix(b"data: "))
                    _raise_if_broken(body)
                    yield Piece(body)
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError, GreenroomError):
            await work
        running.finish()


def _raise_if_broken(body: Json) -> None:
    """An error that a stream ends with, as the exception it would have been before the first piece."""
    error = body.get("error")
    if error is None:
        return
    other = UpstreamError if error["type"] == UpstreamError.type else GreenroomError
    raise _BROKEN.get(error["code"], other)(error["message"])


class Greenroom:
    """The path of a prompt, in process. `async with Greenroom(…) as room:`, or without.

    Opened by the first question or on entering; closed by `close`, on leaving, or at the latest when nobody
    refers to it or the program ends: what waits is written down then. It serves one event loop at a time.

    Without `config` the file is looked for as the server does: GREENROOM_CONFIG, then ./greenroom.toml, else
    the defaults. `data` is the folder of the stores, else GREENROOM_DATA, else what the file says.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | None = None,
        *,
        data: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._config = None if config is None else Path(config)
        self._data = None if data is None else Path(data)
        self._environment = os.environ if environment is None else environment
        self._house: House | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        """Two first questions at once open one house."""
        self._end: weakref.finalize[[House, FolderLock], Greenroom] | None = None
        self._streams: weakref.WeakSet[AnswerStream] = weakref.WeakSet()

    @property
    def prompts(self) -> RoomPrompts:
        """The prompts that are stored here: listed, filled, added, promoted, rolled back."""
        return RoomPrompts(self._opened)

    @overload
    async def chat(
        self, *, messages: Sequence[Json], model: str = ..., stream: Literal[False] = ...,
        session: str | None = ..., user: str | None = ..., tags: Mapping[str, str] | None = ...,
        **fields: Any,
    ) -> Answer: ...  # fmt: skip

    @overload
    async def chat(
        self, *, messages: Sequence[Json], model: str = ..., stream: Literal[True],
        session: str | None = ..., user: str | None = ..., tags: Mapping[str, str] | None = ...,
        **fields: Any,
    ) -> AnswerStream: ...  # fmt: skip

    async def chat(
        self, *, messages: Sequence[Json], model: str = "default", stream: bool = False,
        session: str | None = None, user: str | None = None, tags: Mapping[str, str] | None = None,
        **fields: Any,  # Any: JSON
    ) -> Answer | AnswerStream:  # fmt: skip
        """Send a chat through the four stages to the model and back.

        `model` is an app, a configured model or `provider/model`. `session`, `user` and `tags` are what the
        headers x-greenroom-session, -user and -tags are to the server. All other `fields` are the dialect's
        own (tools, temperature, response_format, …) and reach the provider as they are.

        Raises: RequestError for what the caller can fix; UpstreamError when no model answered, also from the
        stream when it breaks; what `open` raises, with the first question.
        """
        began = perf_counter_ns()
        house = await self._opened()
        body = _body({"model": model, "messages": messages, "stream": stream, **fields})
        exchange, app, grant = house.begin(body, _headers(session, user))
        exchange.tags.update({name[:64]: value[:512] for name, value in (tags or {}).items()})
        if not stream:
            answer = await house.gateway.whole(exchange, app, grant, began)
            return Answer(exchange.id, decode(answer), exchange.target, exchange.cost_usd)
        running = await house.gateway.begin_stream(exchange, app, grant, began)
        found = AnswerStream(self, exchange.id, running)
        self._streams.add(found)
        return found

    async def open(self) -> Self:
        """Open now rather than with the first question.

        Raises: ConfigError; StoreError, as when another process holds the data folder.
        """
        await self._opened()
        return self

    async def close(self) -> None:
        """End streams that still run, write down what waits, free the data folder. Safe to call twice."""
        for stream in list(self._streams):
            await stream.aclose()
        if self._house is not None and self._loop is asyncio.get_running_loop():
            await self._house.trials.end()
        self._free()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _opened(self) -> House:
        loop = asyncio.get_running_loop()
        async with self._opening:
            if self._loop is not None and self._loop.is_closed():
                self._free()  # it was opened in an `asyncio.run` that is over
            if self._house is None:
                self._house, self._loop = await self._begin(), loop
        if self._loop is not loop:
            raise RuntimeError(
                "This Greenroom was opened in another event loop. Close it there, or make one for each loop."
            )
        return self._house

    def _free(self) -> None:
        end, self._end, self._house, self._loop = self._end, None, None, None
        if end is not None:
            end()

    async def _begin(self) -> House:
        house = House.open(self._config, self._data, self._environment)
        end = weakref.finalize(self, _end, house, lock_folder(house.folder()))
        try:
            await house.start()
        except BaseException:
            end()
            raise
        self._end = end
        return house


def _end(house: House, lock: FolderLock) -> None:
    house.stop()
    lock.release()


def _body(fields: Json) -> bytes:
    try:
        return encode(fields)
    except (TypeError, ValueError) as error:
        raise MalformedRequest(f"The request can't be written as JSON: {error}.") from None


def _headers(session: str | None, user: str | None) -> dict[bytes, bytes]:
    given = {b"x-greenroom-session": session, b"x-greenroom-user": user}
    return {name: value.encode("utf-8", "replace") for name, value in given.items() if value is not None}
