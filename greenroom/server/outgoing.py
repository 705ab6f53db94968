"""The side of a connection that answers go out on, slowed down where the client is slow.

Knows bytes and their framing; nothing of requests.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from greenroom.wire.source import Source

if TYPE_CHECKING:
    from greenroom.server.shared import Shared

_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 408: b"Request Timeout", 409: b"Conflict", 413: b"Content Too Large",
    414: b"URI Too Long", 421: b"Misdirected Request", 422: b"Unprocessable Content",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error",
    502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout",
}  # fmt: skip

_FINE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "


class Outgoing(asyncio.Protocol):
    """What an answer is written to: whole, or piece by piece."""

    def __init__(self, shared: "Shared", loop: asyncio.AbstractEventLoop) -> None:
        self.shared = shared
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.is_cut = False
        """Set when the drain limit has passed: the running answer ends with an error."""
        self._keep_alive = True
        self._started = False
        self._is_head = False
        self._writable: asyncio.Future[None] | None = None
        self._source: Source | None = None
        self._blocked_since = 0.0

    @property
    def started(self) -> bool:
        """Whether the head of an answer has been sent."""
        return self._started

    def respond(
        self,
        status: int,
        body: bytes,
        headers: bytes = b"",
        content_type: bytes = b"application/json",
    ) -> None:
        """Send a whole answer. `headers` are complete lines, each ending in CRLF."""
        transport = self.transport
        self._started = True
        if transport is None:
            return
        last = b"" if self._keep_alive and not self.shared.draining else self._last()
        transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n%b"
            % (
                status,
                _REASONS.get(status, b"Status"),
                content_type,
                len(body),
                headers,
                last,
                b"" if self._is_head else body,
            )
        )

    def respond_fine(self, body: bytes, headers: bytes) -> None:
        """Send a whole answer in JSON with status 200 to a POST: `respond`, in fewer steps."""
        self._started = True
        transport = self.transport
        if transport is None:
            return
        if not self._keep_alive or self.shared.draining:
            headers += self._last()
        transport.write(b"%b%d\r\n%b\r\n%b" % (_FINE, len(body), headers, body))

    def begin(self, headers: bytes) -> None:
        """Send the head of a stream of events."""
        self._started = True
        if self.transport is None:
            return
        last = b"" if self._keep_alive and not self.shared.draining else self._last()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"cache-control: no-cache\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n%b%b\r\n"
            % (headers, last)
        )

    def send(self, data: bytes) -> None:
        """Send a piece of a stream. Who sends much waits for `drained`, or has its source throttled."""
        if self.transport is not None:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def writer(self) -> Callable[[bytes], object]:
        """What sends a piece that is framed as a chunk already, with no step in between."""
        return self.raw if self.transport is None else self.transport.write

    def raw(self, data: bytes) -> None:
        """Send bytes that the ASGI cycle has framed itself."""
        self._started = True
        if self.transport is not None:
            self.transport.write(data)

    def end(self) -> None:
        """Send the end of a stream."""
        if self.transport is not None:
            self.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Close at once, so that a cut answer is seen as cut."""
        if self.transport is not None:
            self.transport.abort()

    def _last(self) -> bytes:
        self._keep_alive = False
        return b"connection: close\r\n"

    # a client that is slow to read

    def throttle(self, source: Source | None) -> None:
        """Stop reading `source` while the client does not read; None when it has ended."""
        self._source = source
        if source is not None and self._writable is not None:
            source.pause()

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises CancelledError when it is gone."""
        while self._writable is not None:
            await asyncio.shield(self._writable)
        if self.transport is None:
            raise asyncio.CancelledError

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self.loop.create_future()
            self._blocked_since = self.loop.time()
            if self._source is not None:
                self._source.pause()

    def resume_writing(self) -> None:
        self._resume()

    def _resume(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        if self._source is not None and self.transport is not None:
            self._source.resume()
