"""HTTP/1.1 on one socket: our protocol class under uvicorn's server.

Parses with httptools, refuses what is ambiguous and closes, keeps limits on headers, bodies and time, and
hands the fast routes to what answers them; all else goes to the ASGI app. Knows bytes; nothing of JSON.
"""

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools

from greenroom.errors import BodyTimeout, MalformedRequest, TooLarge
from greenroom.running import Run
from greenroom.server.asgi import AsgiCycle
from greenroom.server.head import (
    HEADER_LIMIT_BYTES,
    URL_LIMIT_BYTES,
    FastRoutes,
    Limits,
    Refusal,
    Refused,
    Request,
    check_fields,
)
from greenroom.server.incoming import Incoming
from greenroom.wire.source import Source

log = logging.getLogger("greenroom.server")

PIPELINE_LIMIT = 16
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
LINGER_S = 2.0
"""How long a client that is still sending may take to see that it was refused."""
HEALTH = frozenset({b"/healthz", b"/readyz"})

_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 408: b"Request Timeout", 409: b"Conflict", 413: b"Content Too Large",
    414: b"URI Too Long", 421: b"Misdirected Request", 422: b"Unprocessable Content",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error",
    502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout",
}  # fmt: skip

_FINE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "


class Shared:
    """What all connections of one server share. Made once, in assembly."""

    def __init__(self, fast: FastRoutes, limits: Limits, hosts: frozenset[bytes]) -> None:
        self.fast = fast
        self.limits = limits
        self.hosts = hosts
        """Host names that are answered; anything else may be a rebound name."""
        self.connections: set[HttpProtocol] = set()
        self.draining = False
        self.room = limits.bodies_bytes
        """Bytes that bodies which are being read may still take."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start looking for connections that take too long, if not started yet."""
        if self._timer is None:
            self._timer = loop.call_later(0.5, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self.connections):
            connection.check_time(now)
        self._timer = loop.call_later(0.5, self._sweep, loop) if self.connections else None

    def protocol(
        self,
        config: Any,  # uvicorn's Config
        server_state: Any,  # uvicorn's ServerState
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "HttpProtocol":
        """What uvicorn calls for each new connection (its `http=` seam)."""
        return HttpProtocol(self, config.loaded_app, server_state, app_state, _loop)


class HttpProtocol(asyncio.Protocol):
    """One connection, one request at a time, in order."""

    def __init__(
        self,
        shared: Shared,
        app: Any,  # an ASGI application
        server_state: Any,  # uvicorn's ServerState
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.shared = shared
        self.app = app
        self.app_state = app_state
        self.server_state = server_state
        self.loop = loop or asyncio.get_event_loop()
        self.transport: asyncio.Transport | None = None
        self.client: tuple[str, int] | None = None
        self.secure = False
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._begun = False
        """Whether a head is being read."""
        self._request: Request | None = None
        """What is being read, once its head is whole."""
        self._has_served = False
        self._url = b""
        self._known_url = b""
        self._path = b""
        self._query = b""
        """Of the last target that was looked at: a client asks for the same again and again."""
        self._known_host: bytes | None = None
        self._is_chunked = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._body_size = 0
        self._limit = 0
        """What the body that is being read may take, in bytes."""
        self._held = 0
        """What has come of a body that is not whole yet, and is counted by `Shared.room`."""
        self._run: Run | asyncio.Task[None] | None = None
        """The answer at work."""
        self._writable: asyncio.Future[None] | None = None
        self._source: Source | None = None
        self._blocked_since = 0.0
        self._since = 0.0
        """When the present wait began: for a head, for body bytes, or idle."""
        self._closing = False
        self._refusal: Refusal | None = None
        """What is said, as the last thing, when the requests before were answered."""
        self._parts_at = 0.0
        """When the connection ends whose client is still sending what is not read."""
        self._keep_alive = True
        self._started = False
        self._is_head = False
        self._is_spare = False
        """Whether there were too many connections when it came: it may ask for the server's health only."""
        self.is_cut = False
        """Set when the drain limit has passed: the running answer ends with an error."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry
        shared = self.shared
        left = shared.limits.connections - len(shared.connections)
        if left <= 0:
            self._is_spare = True
            if left <= -shared.limits.spare:
                self.transport.abort()
                return
        shared.connections.add(self)
        self.server_state.connections.add(self)
        self.client = transport.get_extra_info("peername")
        self.secure = transport.get_extra_info("sslcontext") is not None
        self._since = self.loop.time()
        shared.watch(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.connections.discard(self)
        self.server_state.connections.discard(self)
        self.transport = None
        self._closing = True
        self._let_go()
        if self._source is not None:
            self._source.pause()
        self._resume()
        self._queue.clear()
        if self._run is not None:
            self._run.cancel()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._request is None:
            self._head_bytes += len(data)
            if not self._begun:
                self._since = self.loop.time()
        else:
            self._since = self.loop.time()
        try:
            self._parser.feed_data(data)
            if self._pieces:
                self._hold(len(data))
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrading the connection is not supported.")
        except Refused as refused:
            self._refuse(refused.status, refused.message)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, Refused):
                self._refuse(cause.status, cause.message)
            else:
                log.exception("request parser failed")
                self._refuse(400, "The request is not valid HTTP.")
        except httptools.HttpParserError:
            if not self._closing:
                self._refuse(400, "The request is not valid HTTP/1.1.")
        if self._head_bytes > HEADER_LIMIT_BYTES and self._request is None:
            self._refuse(431, "The request's head is too large.")

    def eof_received(self) -> bool:
        return False

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

    # httptools callbacks

    def on_url(self, url: bytes) -> None:
        if self._begun:
            url = self._url + url
        self._url = url
        self._begun = True
        if len(url) > URL_LIMIT_BYTES:
            raise Refused(414, "The URL is longer than 8 KB.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        fields = self._fields
        headers = dict(fields)
        if len(headers) < len(fields) or len(fields) > 32 or self._head_bytes > HEADER_LIMIT_BYTES:
            check_fields(fields)
        method = self._parser.get_method()
        if self._url != self._known_url:
            self._check_target(method)
        if headers.get(b"host") != self._known_host or self._known_host is None:
            self._check_host(headers.get(b"host"))
        length = headers.get(b"content-length")
        if b"transfer-encoding" in headers:
            self._check_framing(headers)
        elif length is not None and not length.isdigit():
            raise Refused(400, "The Content-Length is not a number.")
        request = Request(method, self._path, self._query, headers, fields)
        refusal = self._spared() if self._is_spare else self.shared.fast.admit(request)
        limits = self.shared.limits
        self._limit = limits.body_bytes if request.incoming is None else limits.file_bytes
        if refusal is None:
            if length is not None:
                size = int(length[:20])
                if size > self._limit:
                    raise self._too_large()
                if size > self.shared.room and request.incoming is None:
                    raise self._no_room()
            if b"expect" in headers and self._run is None:
                self._expect(headers[b"expect"])
        else:
            if self._is_spare or self._is_chunked or (length is not None and length != b"0"):
                self._refuse_with(refusal)
                raise Refused(0, "")
            request.context = refusal
        self._request = request
        if request.incoming is not None:
            request.incoming.attach(self._pause_reading, self._resume_reading)
            self._dispatch(request)

    def _spared(self) -> Refusal | None:
        """What a connection too many is told, unless it asks how the server is."""
        self._keep_alive = False
        if self._path in HEALTH:
            return None
        return self._overloaded("Too many connections are open here. Try again in a second.")

    def on_body(self, body: bytes) -> None:
        if self._is_chunked:
            self._body_size += len(body)
            if self._body_size > self._limit:
                raise self._too_large()
        request = self._request
        if request is not None and request.incoming is not None:
            request.incoming.feed(body)
        else:
            self._pieces.append(body)

    def _hold(self, size: int) -> None:
        """Count what has come of a body that is not whole yet."""
        shared = self.shared
        self._held += size
        shared.room -= size
        if shared.room < 0:
            self._let_go()
            self._pieces = []
            raise self._no_room()

    def _let_go(self) -> None:
        self.shared.room += self._held
        self._held = 0

    def _no_room(self) -> Refused:
        return Refused(503, "Too many bodies are being read here at once. Try again in a second.")

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._limit // 1048576} MB.")

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None, "a head comes before its end"
        pieces = self._pieces
        if pieces:
            request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._pieces = []
            if self._held:
                self._let_go()
        self._request = None
        self._fields = []
        self._head_bytes = 0
        self._begun = False
        if self._is_chunked:
            self._is_chunked = False
            self._body_size = 0
        if not self._parser.should_keep_alive():
            self._keep_alive = False
        if request.incoming is not None:
            request.incoming.end()
        else:
            self._dispatch(request)

    def _dispatch(self, request: Request) -> None:
        """Start answering, or wait for the answers before."""
        if self._run is None:
            if not self._closing:
                self._start(request)
            return
        self._queue.append(request)
        if len(self._queue) >= PIPELINE_LIMIT and self.transport is not None:
            self.transport.pause_reading()

    def _check_target(self, method: bytes) -> None:
        url = self._url
        if not url.startswith(b"/") and (method != b"OPTIONS" or url != b"*"):
            raise Refused(400, "The request target must begin with a slash.")
        if b"#" in url or b"\x00" in url:
            raise Refused(400, "The request target is not valid.")
        self._path, _, self._query = url.partition(b"?")
        self._known_url = url if url != b"*" else b""

    def _check_host(self, host: bytes | None) -> None:
        if host is None:
            raise Refused(400, "The request has no Host header.")
        if host not in self.shared.hosts and not self._is_own_host(host):
            raise Refused(421, "This host name is not served here. Add it to [server] hosts.")
        self._known_host = host

    def _check_framing(self, headers: dict[bytes, bytes]) -> None:
        is_chunked = headers[b"transfer-encoding"].lower() == b"chunked"
        if not is_chunked or b"content-length" in headers or self._parser.get_http_version() != "1.1":
            raise Refused(400, "The request's framing is ambiguous.")
        self._is_chunked = True

    def _expect(self, what: bytes) -> None:
        if what.lower() == b"100-continue" and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _is_own_host(self, host: bytes) -> bool:
        name = host.rpartition(b":")[0] if b":" in host and not host.endswith(b"]") else host
        return name.lower() in self.shared.hosts

    # requests, one after the other

    def _start(self, request: Request) -> None:
        self._started = False
        self._is_head = request.method == b"HEAD"
        if not request.is_fast:
            # The one place where a task outlives its maker: it ends with its connection, see connection_lost.
            task = self._run = self.loop.create_task(AsgiCycle(self, request).run())
            task.add_done_callback(self._task_ended)
        elif type(request.context) is Refusal:
            self.respond(*request.context)
            self._ended(None)
        else:
            run = self._run = Run(self.shared.fast.answer(request, self), self.loop, self._ended)
            run.step()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._ended(asyncio.CancelledError() if task.cancelled() else task.exception())

    def _ended(self, error: BaseException | None) -> None:
        is_half_read = self._request is not None and self._half_read() is not None
        if is_half_read:
            self._keep_alive = False  # what is left of the body is nobody's
        self._run = None
        if error is not None:
            self._end_badly(error)
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._has_served = True
        queue = self._queue
        if queue:
            request = queue.popleft()
            if len(queue) == PIPELINE_LIMIT - 1:
                transport.resume_reading()
            self._start(request)
        elif self._refusal is not None:
            self._end_with(self._refusal)
        elif self._keep_alive:
            self._since = self.loop.time()
        else:
            self._closing = True
            if is_half_read:
                self._part()
            else:
                transport.close()

    def _end_badly(self, error: BaseException) -> None:
        """The edge: nothing that an answer raises may end the server."""
        fast = self.shared.fast
        if isinstance(error, asyncio.CancelledError):
            if not self.is_cut:
                self.abort()
            elif not self._started:
                self.respond(*fast.refusal(503, "The server is shutting down. Try again.", self._path))
            self.shutdown_after_cut()
            return
        log.error("request failed", exc_info=error)
        if self._started:
            self.abort()
        elif isinstance(error, OSError) and error.errno in NO_DESCRIPTORS:
            message = "No more files or connections can be opened here. Try again in a second."
            self.respond(*self._overloaded(message))
        else:
            self.respond(*fast.refusal(500, "Something went wrong here. Try again.", self._path))

    def _overloaded(self, message: str) -> Refusal:
        refusal = self.shared.fast.refusal(503, message, self._path, "overloaded")
        return refusal._replace(headers=b"retry-after: 1\r\n" + refusal.headers)

    # answering

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

    def end(self) -> None:
        """Send the end of a stream."""
        if self.transport is not None:
            self.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Close at once, so that a cut answer is seen as cut."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def started(self) -> bool:
        """Whether the head of an answer has been sent."""
        return self._started

    def _last(self) -> bytes:
        self._keep_alive = False
        return b"connection: close\r\n"

    def raw(self, data: bytes) -> None:
        """Send bytes that the ASGI cycle has framed itself."""
        self._started = True
        if self.transport is not None:
            self.transport.write(data)

    def close_after(self) -> bytes:
        """The header line that says whether this connection goes on."""
        if self._half_read() is not None:
            return self._last()
        return b"" if self._keep_alive and not self.shared.draining else self._last()

    def _half_read(self) -> Incoming | None:
        """The upload that the running answer reads, as long as it is not whole."""
        request = self._request
        return None if request is None or self._queue or self._run is None else request.incoming

    def _pause_reading(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._since = self.loop.time()
            self.transport.resume_reading()

    # refusing and ending

    def _refuse(self, status: int, message: str) -> None:
        half = self._half_read()
        if half is not None and status:
            # Who reads it answers; what follows on this connection is not looked at.
            self._closing = True
            half.fail((TooLarge if status == 413 else MalformedRequest)(message))
        elif status == 503:
            self._refuse_with(self._overloaded(message))
        elif status:
            self._refuse_with(self.shared.fast.refusal(status, message, self._path))

    def _refuse_with(self, refusal: Refusal) -> None:
        """Answer and close: what follows on this connection can't be trusted or is not wanted."""
        if self._closing or self.transport is None:
            return
        self._closing = True
        if self._run is None:
            self._end_with(refusal)
            return
        self._refusal = refusal
        if self._queue and self._queue[-1] is self._request:
            self._queue.pop()  # it is what is refused

    def _end_with(self, refusal: Refusal) -> None:
        self._keep_alive = self._is_head = False
        self.respond(*refusal)
        if refusal.status in {413, 503}:
            self._part()
        elif self.transport is not None:
            self.transport.close()

    def _part(self) -> None:
        """Close behind an answer to a client that is still sending, whom a reset would cost the answer.

        Our side ends first; what still comes is read and dropped for a short while.
        """
        transport = self.transport
        if transport is None or self.secure:
            self.shutdown_after_cut()
            return
        self._parts_at = self.loop.time() + LINGER_S
        transport.write_eof()
        transport.resume_reading()

    def check_time(self, now: float) -> None:
        """Close what has taken too long; called twice a second."""
        limits = self.shared.limits
        if self._parts_at:
            if now > self._parts_at:
                self.abort()
            return
        if self._writable is not None and now - self._blocked_since > limits.write_s:
            self.abort()
            return
        if self._run is not None:
            half = self._half_read()
            if half is not None and not half.is_paused and now - self._since > limits.body_s:
                half.fail(BodyTimeout("The request's body did not come in time."))
            return
        waited = now - self._since
        if self._request is not None:
            if waited > limits.body_s:
                self._refuse(408, "The request's body did not come in time.")
        elif self._begun:
            if waited > limits.header_s:
                self._refuse(408, "The request's head did not come in time.")
        elif waited > (limits.idle_s if self._has_served else limits.header_s) and self.transport is not None:
            self.transport.close()

    def shutdown(self) -> None:
        """Uvicorn asks every connection to end: now if idle, else after the running answer."""
        self._keep_alive = False
        if self._run is None and self.transport is not None:
            self.transport.close()

    def cut(self) -> None:
        """The drain limit has passed: end the running answer."""
        self.is_cut = True
        self._keep_alive = False
        self._queue.clear()
        if self._run is not None:
            self._run.cancel()

    def shutdown_after_cut(self) -> None:
        """Close once what was written has left."""
        if self.transport is not None:
            self._closing = True
            self.transport.close()
