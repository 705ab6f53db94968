"""An answer of the gateway as server-sent events of a page, and its end when the browser is gone.

The pieces of the answer are those any client gets; events of our own stand between them. Knows the gateway's
outlet by its shape.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.json import Encoder
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from greenroom.server.pages.headers import HEADERS

_MOST_WAITING_BYTES = 256 * 1024
"""What the browser has not taken yet, beyond which the provider is not read."""
_encode = Encoder().encode


class Source(Protocol):
    """Where an answer comes from: it can be made to wait."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Tape:
    """Takes the pieces of one answer, and gives them on in their order. Belongs to one event loop."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._is_over = False
        self._source: Source | None = None
        self._is_paused = False

    def tell(self, name: str, value: object) -> None:
        """Add an event of our own, with JSON."""
        self.send(b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(value)))

    def end(self) -> None:
        """Say that nothing more comes."""
        self._is_over = True
        self._changed.set()

    async def take(self) -> bytes:
        """What came since the last time, once there is something; empty at the end."""
        while not self._pieces and not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        taken, self._pieces, self._waiting_bytes = b"".join(self._pieces), [], 0
        if self._is_paused and self._source is not None:
            self._is_paused = False
            self._source.resume()
        self._changed.set()  # whoever waits until it is drained
        return taken

    # the gateway's outlet

    def send(self, data: bytes) -> None:
        """Add events."""
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        self._changed.set()
        if self._waiting_bytes > _MOST_WAITING_BYTES and self._source is not None and not self._is_paused:
            self._is_paused = True
            self._source.pause()

    async def drained(self) -> None:
        """Wait until what came is taken."""
        while self._waiting_bytes > _MOST_WAITING_BYTES:
            self._changed.clear()
            await self._changed.wait()

    def writer(self) -> Callable[[bytes], object]:
        """The same for an event that is framed as one chunk of HTTP already."""
        return lambda chunk: self.send(chunk[chunk.index(b"\n") + 1 : -2])

    def throttle(self, source: Source | None) -> None:
        """Pause `source` while too much waits, until None is given."""
        self._source, self._is_paused = source, False


class EventStream(Response):
    """Has `play` fill a tape, and sends what stands on it. A browser that leaves ends it at once."""

    def __init__(self, play: Callable[[Tape], Awaitable[None]]) -> None:
        super().__init__(None, 200, HEADERS, "text/event-stream")
        del self.headers["content-length"]
        self._play = play

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it."""
        tape = Tape()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with asyncio.TaskGroup() as group:
            player = group.create_task(self._fill(tape))
            watcher = group.create_task(_end_when_gone(receive, player))
            try:
                while piece := await tape.take():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            finally:
                watcher.cancel()
                player.cancel()  # nothing where it has ended
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _fill(self, tape: Tape) -> None:
        try:
            await self._play(tape)
        finally:
            tape.end()


async def _end_when_gone(receive: Receive, player: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    player.cancel()
