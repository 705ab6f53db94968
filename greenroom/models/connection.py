"""One HTTP/1.1 connection to a provider, on asyncio and httptools.

Knows bytes, headers, deadlines; nothing of JSON, models or keys. Redirects are never followed, every wait has
a limit.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from greenroom.errors import UpstreamDisconnected, UpstreamError, UpstreamProtocol, UpstreamTimeout
from greenroom.models.origin import Origin
from greenroom.models.response import Limits, Response
from greenroom.running import Signal
from greenroom.wire.decompress import Decompressor
from greenroom.wire.source import Taker

if TYPE_CHECKING:
    from greenroom.models.pool import Pool

HEADER_LIMIT_BYTES = 65_536
HEADER_LIMIT_COUNT = 200
BODY_LIMIT_BYTES = 64 * 1024 * 1024
STREAM_HIGH_WATER_BYTES = 256 * 1024
LARGE_BYTES = 32 * 1024
"""A request above this may be answered before it was sent whole."""
LEAST_BYTES = 1024
"""What a body must bring within `Limits.idle_s`, if no line of it ends in that time: whoever sends less, byte
by byte, is taken for silent."""


class Connection(asyncio.Protocol):
    """One socket to one origin, one request at a time."""

    def __init__(self, pool: "Pool", origin: Origin) -> None:
        self.pool = pool
        self.origin = origin
        self.kept: list[Connection] = []
        """Where it waits for the next request: the idle ones of its origin."""
        self.transport: asyncio.Transport | None = None
        self.deadline = 0.0
        self.idle_since = 0.0
        self.used = False
        self._limits = Limits()
        self._total_deadline = 0.0
        self._parser: httptools.HttpResponseParser | None = None
        """None while nothing is asked."""
        self._kept_parser: httptools.HttpResponseParser | None = None
        """For the next answer on this connection."""
        self._head: Signal[Response] | None = None
        """Waited for: the head, or the whole answer."""
        self._wake: asyncio.Future[None] | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._status = 0
        self._is_whole = False
        self._is_large = False
        """Whether the request may not fit into the socket's buffer at once."""
        self._has_head = False
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._size = 0
        self._complete = False
        self._error: UpstreamError | None = None
        self._keep = False
        self._paused = False
        self._got_bytes = False
        self._decompressor: Decompressor | None = None
        self._until_close = False
        self._is_fresh = False
        """Whether a line ended, or enough came, since the clock was last looked at."""
        self._unended = 0
        """Bytes of the body since the last line's end, or since enough came."""
        self._taker: Taker | None = None
        self._take_chunk: Callable[[bytes], bool] | None = None
        """The taker's, while the next byte begins a chunk."""
        self._is_between = False
        """Whether the last chunk that was begun is complete."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry

    def data_received(self, data: bytes) -> None:
        take_chunk = self._take_chunk
        if take_chunk is not None:
            if take_chunk(data):
                self._is_fresh = True
                self._size += len(data)
                if self._size > BODY_LIMIT_BYTES:
                    self._fail(UpstreamProtocol(_TOO_LARGE))
                return
            self._take_chunk = None
        parser = self._parser
        if parser is None or self._complete:
            self.abort()  # bytes nobody asked for
            return
        self._got_bytes = True
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep = False
            if not self._complete:
                cause = error.__context__
                self._fail(cause if isinstance(cause, UpstreamError) else UpstreamProtocol(_NOT_HTTP))
        if self._head is not None:
            self._deliver(len(data))
        if self._taker is not None and self._is_between and data.endswith(b"\r\n"):
            # No further chunk has begun: its size would have to end with this line, and be known.
            self._take_chunk = self._taker.take_chunk

    def eof_received(self) -> bool:
        if self._parser is not None and self._until_close and not self._complete and self._has_head:
            self.on_message_complete()
            self._deliver()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.pool.forget(self)
        if self._parser is not None and not self._complete:
            if self._has_head and (self._status >= 400 or (self._until_close and exc is None)):
                # Who refuses a body while it is still being sent often cuts the line behind the refusal.
                self._keep = False
                self.on_message_complete()
                self._deliver()
            else:
                self._fail(UpstreamDisconnected("The connection was closed before the answer was complete."))

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False  # the beginning of an answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # what stands behind a body is not looked at
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        if self._complete:
            raise UpstreamProtocol("An answer came that nobody asked for.")
        status = self._status = parser.get_status_code()
        fields = self._fields
        if len(fields) > 32 or self._header_bytes > 0:
            _check_size(fields)
        self._fields = []
        if status < 200:
            return
        headers = self._headers = dict(fields)
        self._has_head = self._is_fresh = True
        self._keep = parser.should_keep_alive()
        length = headers.get(b"content-length")
        if length is None:
            self._until_close = b"transfer-encoding" not in headers and status not in {204, 304}
        elif int(length) > BODY_LIMIT_BYTES:
            raise UpstreamProtocol(_TOO_LARGE)
        if b"content-encoding" in headers:
            encoding = headers[b"content-encoding"]
            if encoding and encoding != b"identity":
                self._decompressor = Decompressor(encoding.decode("latin-1"), BODY_LIMIT_BYTES)

    def on_chunk_header(self) -> None:
        self._is_between = False

    def on_chunk_complete(self) -> None:
        self._is_between = self._decompressor is None

    def on_body(self, data: bytes) -> None:
        if self._decompressor is not None:
            data = self._decompressor.feed(data)
        size = len(data)
        self._size += size
        if self._size > BODY_LIMIT_BYTES:
            raise UpstreamProtocol(_TOO_LARGE)
        self._unended += size
        if self._unended >= LEAST_BYTES or data.find(b"\n") >= 0:
            self._unended = 0
            self._is_fresh = True
        if self._taker is not None:
            self._taker.take(data)
        elif data:
            self._pieces.append(data)
            self._held += size
            if self._is_whole:
                return
            if self._held > STREAM_HIGH_WATER_BYTES and not self._paused and self.transport is not None:
                self._paused = True
                self.transport.pause_reading()
            self._notify()

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser is None or self._status < 200:
            return
        if self._decompressor is not None:
            try:
                rest = self._decompressor.flush()
            except UpstreamError as error:
                self._fail(error)
                return
            if rest and self._taker is not None:
                self._taker.take(rest)
            elif rest:
                self._pieces.append(rest)
        self._complete = True
        if self._until_close:
            self._keep = False
        if not self._is_whole:
            self._notify()

    def _deliver(self, size_bytes: int = 0) -> None:
        """Hand over the head or the whole answer, once it is there. The one who waits goes on in here."""
        head = self._head
        if head is None:
            return
        if not self._has_head:
            self._header_bytes += size_bytes
            if self._header_bytes > HEADER_LIMIT_BYTES:
                self._fail(UpstreamProtocol(_TOO_MANY_HEADERS))
        elif not self._is_whole:
            self._head = None
            head.set(Response(self, self._status, self._headers))
        elif self._complete:
            self._head = None
            pieces = self._pieces
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self.finish()
            head.set(Response(self, self._status, self._headers, body))

    # one request

    def send(self, data: bytes, limits: Limits, whole: bool) -> Signal[Response]:
        """Write a request. The signal brings the head of its answer, or all of it.

        Raises: UpstreamDisconnected when the connection is gone already.
        """
        transport = self.transport
        # It may have been closed, or have spoken, between its opening and this request.
        if transport is None or transport.is_closing():
            self.pool.forget(self)
            raise UpstreamDisconnected("The connection was closed before the request was sent.")
        if self.used:
            self._got_bytes = self._has_head = self._complete = self._paused = self._is_between = False
            self._header_bytes = self._held = self._size = self._unended = 0
            self._pieces.clear()
            self._decompressor = None
        self._is_whole = whole
        self._is_large = len(data) > LARGE_BYTES
        self._limits = limits
        now = self.pool.now()
        self._total_deadline = now + limits.total_s
        self.deadline = now + min(limits.first_byte_s, limits.total_s)
        self._parser = self._kept_parser or httptools.HttpResponseParser(self)
        self._kept_parser = None
        head: Signal[Response] = Signal(self.pool.loop)
        self._head = head
        transport.write(data)
        return head

    async def next_piece(self) -> bytes | None:
        """The next piece of the body; None at its proper end."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._complete:
                self.finish()
                return None
            self._wake = self.pool.loop.create_future()
            try:
                await self._wake
            except asyncio.CancelledError:
                self.abort()
                raise
            finally:
                self._wake = None
        if len(self._pieces) == 1:
            data = self._pieces.popleft()
        else:
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._held = 0
        self.resume()
        return data

    def push_to(self, taker: Taker) -> None:
        """From now on give each piece of the body to `taker` as it is read, and tell it the end."""
        if self._pieces:
            held = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
            taker.take(held)
        self._taker = taker
        if self._error is not None or self._complete:
            self._notify()
        else:
            self.resume()

    def pause(self) -> None:
        """Stop reading: who takes the body is slower."""
        if not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading; the wait for the next byte begins now."""
        if self._paused and self.transport is not None:
            self._paused = False
            self._is_fresh = True
            self.transport.resume_reading()

    def finish(self) -> None:
        """The caller is done: keep the socket if the answer was whole, else close it."""
        self._taker = self._take_chunk = None
        parser, self._parser = self._parser, None
        if parser is None:
            return
        transport = self.transport
        if not (self._complete and self._keep) or transport is None or transport.is_closing():
            self.abort()
        elif self._is_large and transport.get_write_buffer_size():
            self.abort()  # answered before the request was sent whole: the rest would be taken for a new one
        else:
            self._kept_parser = parser
            self.resume()  # who took the body may have stopped it behind its last byte
            self.pool.give_back(self)

    def check_time(self, now: float) -> None:
        """Fail when the wait is over; called ten times a second, so that no byte has to set a clock."""
        if self._is_fresh:
            self._is_fresh = False
            if self._has_head and not self._complete:
                self.deadline = min(now + self._limits.idle_s, self._total_deadline)
        if self.deadline and self.deadline < now:
            self.expire()

    def expire(self) -> None:
        """The deadline has passed. What a slow client holds back is not the provider's fault."""
        if self._paused or self._complete:
            return
        if not self._has_head:
            self._fail(UpstreamTimeout("The provider did not begin to answer in time."))
        elif self.deadline >= self._total_deadline:
            self._fail(UpstreamTimeout("The provider's answer took longer than the whole call may."))
        else:
            self._fail(
                UpstreamTimeout("The provider fell silent, or nearly so, in the middle of its answer.")
            )

    @property
    def is_stale(self) -> bool:
        """Whether a reused socket was dead before it answered anything: the request may be sent once more."""
        return self.used and not self._got_bytes

    def _fail(self, error: UpstreamError) -> None:
        self._error = error
        head, self._head = self._head, None
        self.abort()
        if head is not None:
            head.fail(error)
        self._notify()

    def _notify(self) -> None:
        taker, wake = self._taker, self._wake
        if taker is not None and (self._complete or self._error is not None):
            self._taker = self._take_chunk = None
            taker.end(self._error)
        if wake is not None and not wake.done():
            wake.set_result(None)

    def abort(self) -> None:
        """Close the socket at once; nobody waits for its answer any more."""
        self._parser = None
        self.pool.forget(self)
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


_TOO_LARGE = "The answer is larger than 64 MiB."
_NOT_HTTP = "The provider's answer is not HTTP."
_TOO_MANY_HEADERS = "The answer's headers are larger than any real ones."


def _check_size(fields: list[tuple[bytes, bytes]]) -> None:
    size = sum(len(name) + len(value) for name, value in fields)
    if size > HEADER_LIMIT_BYTES or len(fields) > HEADER_LIMIT_COUNT:
        raise UpstreamProtocol(_TOO_MANY_HEADERS)
