"""HTTP/1.1 on one socket: our protocol class under uvicorn's server.

Parses with httptools, refuses what is ambiguous and closes, keeps limits on headers, bodies and time, and
hands the fast routes to the front; all else goes to the ASGI app. Knows bytes; nothing of JSON.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import httptools

from greenroom.server.asgi import AsgiCycle
from greenroom.wire.source import Source

log = logging.getLogger("greenroom.server")

URL_LIMIT_BYTES = 8192
HEADER_LIMIT_BYTES = 65_536
HEADER_LIMIT_COUNT = 100
PIPELINE_LIMIT = 16

_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 408: b"Request Timeout", 409: b"Conflict", 413: b"Content Too Large",
    414: b"URI Too Long", 421: b"Misdirected Request", 422: b"Unprocessable Content",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error",
    502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout",
}  # fmt: skip


class Limits(NamedTuple):
    """What a connection may take, in bytes and seconds."""

    body_bytes: int = 20 * 1024 * 1024
    header_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 60.0
    write_s: float = 30.0
    connections: int = 4096


class Request:
    """One request as it came: method, path, query, headers (names in lower case) and body."""

    __slots__ = ("body", "client", "context", "headers", "method", "path", "query", "raw_headers", "secure")

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: dict[bytes, bytes] = {}
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.client: tuple[str, int] | None = None
        self.secure = False
        self.context: object = None
        """What `Front.admit` left for `Front.answer`."""


class Refusal(NamedTuple):
    """An answer given before the body was read; the connection closes after it."""

    status: int
    body: bytes
    headers: bytes = b""


class Front(Protocol):
    """Answers the fast routes without ASGI."""

    def takes(self, path: bytes) -> bool:
        """Whether this path is ours."""
        ...

    def admit(self, request: Request) -> Refusal | None:
        """Look at the head alone (key, method, size): refuse now, before a body is read, or go on."""
        ...

    async def answer(self, request: Request, out: "HttpProtocol") -> None:
        """Answer through `out.respond` or `out.begin`, `out.write`, `out.end`."""
        ...

    def refusal(self, status: int, message: str) -> Refusal:
        """The answer to a request that could not even be parsed, or that broke."""
        ...


class Shared:
    """What all connections of one server share. Made once, in assembly."""

    def __init__(self, front: Front, limits: Limits, hosts: frozenset[bytes]) -> None:
        self.front = front
        self.limits = limits
        self.hosts = hosts
        """Host names that are answered; anything else may be a rebound name."""
        self.connections: set[HttpProtocol] = set()
        self.draining = False
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
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._request = Request()
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._source: Source | None = None
        self._blocked_since = 0.0
        self._since = 0.0
        """When the current phase began: waiting for a head, for body bytes, or idle."""
        self._phase = "idle"
        self._begun = False
        self._begin_request()
        self._closing = False
        self._keep_alive = True
        self._started = False
        self._is_head = False
        self.is_cut = False
        """Set when the drain limit has passed: the running answer ends with an error."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry
        shared = self.shared
        if len(shared.connections) >= shared.limits.connections:
            self.transport.abort()
            return
        shared.connections.add(self)
        self.server_state.connections.add(self)
        self._since = self.loop.time()
        self._phase = "head"
        shared.watch(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.connections.discard(self)
        self.server_state.connections.discard(self)
        self.transport = None
        self._closing = True
        if self._source is not None:
            self._source.pause()
        self._resume()
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._phase == "idle":
            self._phase = "head"
            self._since = self.loop.time()
        if self._phase == "head":
            self._head_bytes += len(data)
        elif self._phase == "body":
            self._since = self.loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrading the connection is not supported.")
        except _Refused as refused:
            self._refuse(refused.status, refused.message)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, _Refused):
                self._refuse(cause.status, cause.message)
            else:
                log.exception("request parser failed")
                self._refuse(400, "The request is not valid HTTP.")
        except httptools.HttpParserError:
            if not self._closing:
                self._refuse(400, "The request is not valid HTTP/1.1.")
        if self._phase == "head" and self._head_bytes > HEADER_LIMIT_BYTES:
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

    def _begin_request(self) -> None:
        self._request = Request()
        self._url = b""
        self._head_bytes = 0
        self._head_size = 0
        self._head_count = 0
        self._host_count = 0
        self._pieces: list[bytes] = []
        self._body_size = 0
        self._refused: Refusal | None = None

    def on_message_begin(self) -> None:
        self._begin_request()
        self._begun = True
        self._phase = "head"
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > URL_LIMIT_BYTES:
            raise _Refused(414, "The URL is longer than 8 KB.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        self._head_count += 1
        if self._head_size > HEADER_LIMIT_BYTES or self._head_count > HEADER_LIMIT_COUNT:
            raise _Refused(431, "The request has more than 100 headers or 64 KB of them.")
        name = name.lower()
        request = self._request
        request.raw_headers.append((name, value))
        if name in request.headers and name in _SINGLE:
            raise _Refused(400, f"The header '{name.decode('latin-1')}' stands twice.")
        request.headers[name] = value

    def on_headers_complete(self) -> None:
        request = self._request
        headers = request.headers
        parser = self._parser
        request.method = parser.get_method()
        url = self._url
        if not url.startswith(b"/") and (request.method != b"OPTIONS" or url != b"*"):
            raise _Refused(400, "The request target must begin with a slash.")
        path, _, query = url.partition(b"?")
        if b"#" in url or b"\x00" in url:
            raise _Refused(400, "The request target is not valid.")
        request.path, request.query = path, query
        host = headers.get(b"host")
        if host is None:
            raise _Refused(400, "The request has no Host header.")
        if host not in self.shared.hosts and not self._is_own_host(host):
            raise _Refused(421, "This host name is not served here. Add it to [server] hosts.")
        encoding = headers.get(b"transfer-encoding")
        length = headers.get(b"content-length")
        if encoding is not None:
            if encoding.lower() != b"chunked" or length is not None or parser.get_http_version() != "1.1":
                raise _Refused(400, "The request's framing is ambiguous.")
        elif length is not None and not length.isdigit():
            raise _Refused(400, "The Content-Length is not a number.")
        transport = self.transport
        assert transport is not None
        request.client = transport.get_extra_info("peername")
        request.secure = transport.get_extra_info("sslcontext") is not None
        has_body = encoding is not None or (length is not None and length != b"0")
        limit = self.shared.limits.body_bytes
        if length is not None and int(length[:20]) > limit:
            raise _Refused(413, f"The body is larger than {limit // 1048576} MB.")
        if self.shared.front.takes(path):
            refusal = self.shared.front.admit(request)
            if refusal is not None:
                if has_body:
                    self._refuse_with(refusal)
                    raise _Refused(0, "")
                self._refused = refusal
        if has_body and headers.get(b"expect", b"").lower() == b"100-continue" and self._task is None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._phase = "body"
        self._since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self.shared.limits.body_bytes:
            raise _Refused(413, f"The body is larger than {self.shared.limits.body_bytes // 1048576} MB.")
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        request = self._request
        pieces = self._pieces
        request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._refused is not None:
            request.context = self._refused
        self._phase = "idle"
        self._since = self.loop.time()
        self._head_bytes = 0
        self._begun = False
        if not self._parser.should_keep_alive():
            self._keep_alive = False
        self._queue.append(request)
        if self._task is None:
            self._next()
        elif len(self._queue) >= PIPELINE_LIMIT and self.transport is not None:
            self.transport.pause_reading()

    def _is_own_host(self, host: bytes) -> bool:
        name = host.rpartition(b":")[0] if b":" in host and not host.endswith(b"]") else host
        return name.lower() in self.shared.hosts

    # requests, one after the other

    def _next(self) -> None:
        if self._queue and self.transport is not None:
            request = self._queue.popleft()
            if len(self._queue) == PIPELINE_LIMIT - 1:
                self.transport.resume_reading()
            # The one place where a task outlives its maker: it ends with its connection, see connection_lost.
            self._task = self.loop.create_task(self._run(request))

    async def _run(self, request: Request) -> None:
        self._started = False
        self._is_head = request.method == b"HEAD"
        self._phase = "working"
        try:
            if isinstance(request.context, Refusal):
                self.respond(*request.context)
            elif self.shared.front.takes(request.path):
                await self.shared.front.answer(request, self)
            else:
                await AsgiCycle(self, request).run()
        except asyncio.CancelledError:
            if not self.is_cut:
                self.abort()
            elif not self._started:
                self.respond(*self.shared.front.refusal(503, "The server is shutting down. Try again."))
            self.shutdown_after_cut()
            raise
        except Exception:  # the edge: nothing may end the server
            log.exception("request failed")
            if self._started:
                self.abort()
            else:
                self.respond(*self.shared.front.refusal(500, "Something went wrong here. Try again."))
        finally:
            self._task = None
            self._after()

    def _after(self) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if not self._keep_alive and not self._queue:
            self._closing = True
            transport.close()
        elif self._queue:
            self._next()
        else:
            self._phase = "idle"
            self._since = self.loop.time()

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
        return b"" if self._keep_alive and not self.shared.draining else self._last()

    # refusing and ending

    def _refuse(self, status: int, message: str) -> None:
        if status:
            self._refuse_with(self.shared.front.refusal(status, message))

    def _refuse_with(self, refusal: Refusal) -> None:
        """Answer and close: what follows on this connection can't be trusted or is not wanted."""
        if self._closing or self.transport is None:
            return
        self._keep_alive = False
        self._closing = True
        if self._task is None:
            self.respond(*refusal)
            self.transport.close()
        else:
            self._queue.clear()

    def check_time(self, now: float) -> None:
        """Close what has taken too long; called twice a second."""
        limits = self.shared.limits
        if self._writable is not None and now - self._blocked_since > limits.write_s:
            self.abort()
        elif self._task is not None:
            return
        elif self._phase == "head" and now - self._since > limits.header_s:
            if self._begun:
                self._refuse(408, "The request's head did not come in time.")
            elif self.transport is not None:
                self.transport.close()
        elif self._phase == "body" and now - self._since > limits.body_s:
            self._refuse(408, "The request's body did not come in time.")
        elif self._phase == "idle" and now - self._since > limits.idle_s and self.transport is not None:
            self.transport.close()

    def shutdown(self) -> None:
        """Uvicorn asks every connection to end: now if idle, else after the running answer."""
        self._keep_alive = False
        if self._task is None and self.transport is not None:
            self.transport.close()

    def cut(self) -> None:
        """The drain limit has passed: end the running answer."""
        self.is_cut = True
        self._keep_alive = False
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()

    def shutdown_after_cut(self) -> None:
        """Close once what was written has left."""
        if self.transport is not None:
            self._closing = True
            self.transport.close()


_SINGLE = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"content-type"}
)


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
