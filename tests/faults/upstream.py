"""A model provider that misbehaves on request: raw sockets, scripted by recipes, everything logged with its time.

The recipe is chosen by the model's name in the request body; the n-th request for a model gets the n-th recipe it
was given, the last one from then on. A model without recipes gets a good answer. Knows the two dialects' routes and
nothing of Greenroom.
"""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self, cast

from tests.faults.recipes import (
    Action,
    Chunk,
    Drip,
    Fin,
    Flood,
    Head,
    LastChunk,
    Recipe,
    Reset,
    Send,
    Stall,
    Wait,
    default_recipe,
)

Kind = Literal[
    "connected", "received", "request", "sent", "left", "lost", "reset", "closed", "finished", "gone"
]
"""left: the peer ended its side; lost: it reset; reset, closed: we did; finished: a recipe ran to its end;
gone: nothing of the connection is left, always the last."""

_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')


@dataclass(frozen=True)
class Event:
    """Something that happened on a connection, `at` in seconds of the monotonic clock."""

    at: float
    connection: int
    kind: Kind
    data: bytes = b""


@dataclass(frozen=True)
class Seen:
    """One request as it was read; `body` is short when its recipe was an early one."""

    at: float
    connection: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    model: str
    stream: bool

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def json(self) -> dict[str, object]:
        """The body, decoded."""
        decoded: dict[str, object] = json.loads(self.body)
        return decoded


@dataclass
class Log:
    """Everything that happened, in order, and a way to wait for it."""

    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, connection: int, kind: Kind, data: bytes = b"") -> None:
        self.events.append(Event(time.monotonic(), connection, kind, data))
        self._changed.set()

    def of(self, *kinds: Kind, connection: int | None = None) -> list[Event]:
        """The events of these kinds, oldest first."""
        return [
            event
            for event in self.events
            if event.kind in kinds and (connection is None or event.connection == connection)
        ]

    async def wait(self, *kinds: Kind, count: int = 1, timeout_s: float = 20.0) -> Event:
        """Wait until so many events of these kinds have happened; the last of them. Raises: TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while len(found := self.of(*kinds)) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]

    def bytes_received(self) -> bytes:
        """Everything any peer sent, to look for what must never leave."""
        return b"".join(event.data for event in self.of("received"))

    def bytes_sent(self, connection: int | None = None) -> int:
        """How many bytes we handed to the sockets."""
        return sum(int(event.data) for event in self.of("sent", connection=connection))


class FaultUpstream:
    """The server. `async with FaultUpstream() as upstream:` listens on a free loopback port."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.log = Log()
        self.requests: list[Seen] = []
        self._recipes: dict[str, tuple[Recipe, ...]] = {}
        self._served: Counter[str] = Counter()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: dict[int, _Connection] = {}
        self._connections = 0
        self.at_once = self.most_at_once = 0
        """Requests whose recipe is acted out: now, and at most."""
        self.port = 0

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a provider's `base_url` says for OpenAI's dialect."""
        return self.origin + "/v1"

    @property
    def open_connections(self) -> int:
        """Connections neither side has ended."""
        return len(self._open)

    def script(self, model: str, *recipes: Recipe) -> None:
        """The n-th request for `model` gets the n-th recipe; the last one stays."""
        self._recipes[model] = recipes
        self._served[model] = 0

    def asked(self, model: str) -> list[Seen]:
        """The requests for `model`, oldest first."""
        return [seen for seen in self.requests if seen.model == model]

    def choose(self, seen: Seen) -> Recipe:
        """The recipe of this request; counts it as served."""
        recipes = self._recipes.get(seen.model)
        if not recipes:
            return default_recipe(seen.path, stream=seen.stream)
        number = self._served[seen.model]
        self._served[seen.model] += 1
        return recipes[min(number, len(recipes) - 1)]

    def is_early(self, model: str) -> bool:
        """Whether the next recipe of `model` begins before the body is whole."""
        recipes = self._recipes.get(model, ())
        return bool(recipes) and recipes[min(self._served[model], len(recipes) - 1)].early

    def opened(self, connection: "_Connection") -> int:
        """Number a new connection."""
        self._connections += 1
        self._open[self._connections] = connection
        self.log.add(self._connections, "connected")
        return self._connections

    def gone(self, number: int) -> None:
        """Forget a connection."""
        self._open.pop(number, None)

    def forget(self) -> None:
        """Be as one that was asked nothing and told no recipe: for a test behind others of the same server."""
        self.log.events.clear()
        self.requests.clear()
        self._recipes.clear()
        self._served.clear()

    async def stop_listening(self) -> None:
        """Refuse new connections from now on; those that are open stay."""
        if self._server is not None:
            self._server.close()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_listening()
        waiting = [connection.end() for connection in list(self._open.values())]
        for one in waiting:
            await one


class _Connection(asyncio.Protocol):
    """One connection: reads requests, runs their recipes one after the other."""

    def __init__(self, upstream: FaultUpstream) -> None:
        self._upstream = upstream
        self._log = upstream.log
        self._buffer = bytearray()
        self._acting: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # asyncio's servers hand out nothing else
        self._number = self._upstream.opened(self)

    def data_received(self, data: bytes) -> None:
        self._log.add(self._number, "received", data)
        self._buffer += data
        self._next()

    def eof_received(self) -> bool:
        self._log.add(self._number, "left")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._log.add(self._number, "lost")
        self._log.add(self._number, "gone")
        self._gone.set()
        self._writable.set()
        self._upstream.gone(self._number)
        if self._acting is not None:
            self._acting.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def end(self) -> None:
        """Stop acting and close."""
        if self._acting is not None:
            self._acting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._acting
        self._transport.abort()

    def _next(self) -> None:
        """Begin the recipe of the next request, if one has been read."""
        if self._acting is not None:
            return
        seen = self._take_request()
        if seen is not None:
            self._upstream.requests.append(seen)
            self._log.add(self._number, "request", seen.body)
            chosen = self._upstream.choose(seen)
            self._acting = asyncio.get_running_loop().create_task(self._act(chosen))

    def _take_request(self) -> Seen | None:
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = (*first.split(" "), "", "")[:3]
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        lower = {name.lower(): value for name, value in headers}
        if "chunked" in lower.get("transfer-encoding", "").lower():
            body, used = _dechunk(rest)
        else:
            length = int(lower.get("content-length") or 0)
            body, used = (rest[:length], length) if len(rest) >= length else (rest, -1)
        match = _MODEL.search(body)
        model = match[1].decode() if match else ""
        if used < 0:
            if not self._upstream.is_early(model):
                return None
            used = len(rest)
        del self._buffer[: len(head) + 4 + used]
        stream = re.search(rb'"stream"\s*:\s*true', body) is not None
        return Seen(time.monotonic(), self._number, method, path, headers, body, model, stream)

    async def _act(self, recipe: Recipe) -> None:
        upstream = self._upstream
        upstream.at_once += 1
        upstream.most_at_once = max(upstream.most_at_once, upstream.at_once)
        try:
            for action in recipe.actions:
                await self._do(action)
        finally:
            upstream.at_once -= 1
        self._log.add(self._number, "finished")
        self._acting = None
        if not recipe.keep_alive or any(
            isinstance(one, Head) and one.framing == "close" for one in recipe.actions
        ):
            await self._do(Fin())
        elif not self._gone.is_set():
            self._next()

    async def _do(self, action: Action) -> None:
        match action:
            case Head():
                await self._write(_head_bytes(action))
            case Send(data):
                await self._write(data)
            case Chunk(data):
                await self._write(b"%x\r\n%b\r\n" % (len(data), data))
            case LastChunk():
                await self._write(b"0\r\n\r\n")
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Drip(data, every_s, size):
                for at in range(0, len(data), size):
                    await self._write(data[at : at + size])
                    await asyncio.sleep(every_s)
            case Flood(data, times):
                for _ in range(times):
                    await self._write(data)
            case Stall():
                await self._gone.wait()
            case Fin():
                self._log.add(self._number, "closed")
                self._transport.close()
            case Reset():
                await self._reset()

    async def _write(self, data: bytes) -> None:
        await self._writable.wait()
        if self._transport.is_closing():
            return
        self._transport.write(data)
        self._log.add(self._number, "sent", str(len(data)).encode())

    async def _reset(self) -> None:
        self._transport.set_write_buffer_limits(0)  # from now on "writable" means "nothing left to write"
        await self._writable.wait()
        await asyncio.sleep(0.02)  # what was sent before must have been read: RST may overtake it
        found = self._transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._log.add(self._number, "reset")
        self._transport.abort()


def _head_bytes(head: Head) -> bytes:
    lines = [f"{head.version} {head.status} {head.reason}"]
    lines += [f"{name}: {value}" for name, value in head.headers]
    if head.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif head.framing == "close":
        lines.append("Connection: close")
    elif head.framing:
        lines.append(f"Content-Length: {head.framing}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _dechunk(data: bytes) -> tuple[bytes, int]:
    """The body and the bytes it took; -1 for the latter when it is not whole."""
    body, at = b"", 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end].split(b";")[0], 16)
        if len(data) < end + size + 4:
            break
        body += data[end + 2 : end + 2 + size]
        at = end + size + 4
        if size == 0:
            return body, at
    return body, -1


class Unaccepting:
    """A port whose backlog is full: connecting to it hangs (A4). Use as an async context manager."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._fillers: list[socket.socket] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        await asyncio.sleep(0.05)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (*self._fillers, self._listener):
            one.close()
