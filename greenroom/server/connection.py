"""One connection as it lives: its requests answered one after the other, and how it refuses, ends and waits.

Knows when, not how: what is read comes from `protocol.py`, what is written goes out by `outgoing.py`.
"""

import asyncio
import errno
import logging
from abc import abstractmethod
from collections import deque
from typing import Any, cast

from greenroom.errors import BodyTimeout, MalformedRequest, TooLarge
from greenroom.running import Run
from greenroom.server.asgi import AsgiCycle
from greenroom.server.head import Refusal, Request
from greenroom.server.incoming import Incoming
from greenroom.server.outgoing import Outgoing
from greenroom.server.shared import Shared

log = logging.getLogger("greenroom.server")

PIPELINE_LIMIT = 16
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
LINGER_S = 30.0
"""How long a client that is still sending may take to see that it was refused; nginx's lingering_time."""
LINGER_QUIET_S = 5.0
"""How long it may pause meanwhile; nginx's lingering_timeout."""
LINGER_SPARE_S = 2.0
"""How long in all on a connection too many: there are few of those, and they tell of the server's health."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Outgoing):
    """One request at a time, in order."""

    def __init__(
        self,
        shared: Shared,
        app: Any,  # an ASGI application
        server_state: Any,  # uvicorn's ServerState
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(shared, loop)
        self.app = app
        self.app_state = app_state
        self.server_state = server_state
        self.client: tuple[str, int] | None = None
        self.secure = False
        self._begun = False
        """Whether a head is being read."""
        self._request: Request | None = None
        """What is being read, once its head is whole."""
        self._pieces: list[bytes] = []
        """What has come of its body."""
        self._held = 0
        """What has come of a body that is not whole yet, and is counted by `Shared.room`."""
        self._path = b""
        """Of the last head that was looked at."""
        self._queue: deque[Request] = deque()
        self._run: Run | asyncio.Task[None] | None = None
        """The answer at work."""
        self._since = 0.0
        """When the present wait began: for a head, for body bytes, or idle."""
        self._has_served = False
        self._closing = False
        self._refusal: Refusal | None = None
        """What is said, as the last thing, when the requests before were answered."""
        self._parts_at = 0.0
        """When the connection ends at the latest, once it is closing."""
        self._lingers = False
        """Whether its client may still be sending: what comes is dropped until it pauses."""
        self._awaits_go = False
        """Whether the client of what is being read waits to be told to send the body."""
        self._in_turn = False
        """Whether `_answer_waiting` is at work."""
        self._is_spare = False
        """Whether there were too many connections when it came: it may ask for the server's health only."""

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
        self._let_go()
        self._closing = True
        if self._source is not None:
            self._source.pause()
        self._resume()
        self._queue.clear()
        if self._run is not None:
            self._run.cancel()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._queue and self._run is None:
            self._ended(None)

    # requests, one after the other

    def _dispatch(self, request: Request) -> None:
        """Start answering, or wait for the answers before, and until the client reads them."""
        if self._run is None and self._writable is None:
            if not self._closing:
                self._start(request)
            return
        self._queue.append(request)
        if len(self._queue) >= PIPELINE_LIMIT and self.transport is not None:
            self.transport.pause_reading()

    def _start(self, request: Request) -> None:
        self._started = False
        self._is_head = request.method == b"HEAD"
        if request.is_last:
            self._keep_alive = False
        if not request.is_fast:
            self._tell_to_go()
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
        if self._request is not None and self._half_read() is not None:
            self._keep_alive = False  # what is left of the body is nobody's
        self._run = None
        if error is not None:
            self._end_badly(error)
        self._has_served = True
        if self._in_turn:
            return
        if self._queue:
            self._answer_waiting()
            if self._queue and self._keep_alive:
                return
        transport = self.transport
        if self._run is not None or transport is None or transport.is_closing():
            return
        if not self._keep_alive:
            self._close(lingers=self._begun or bool(self._queue) or self._refusal is not None)
        elif self._refusal is not None:
            self._end_with(self._refusal)
        else:
            self._since = self.loop.time()
            if self._awaits_go:
                self._tell_to_go()

    def _answer_waiting(self) -> None:
        """Start what waits, one after the other as long as they are answered at once.

        A loop, not each out of the end of the last: thousands may have come in one read. Behind an answer
        that was said to be the last none is looked at.
        """
        queue = self._queue
        self._in_turn = True
        try:
            while queue and self._run is None and self._writable is None and self._keep_alive:
                request = queue.popleft()
                transport = self.transport
                if transport is None or transport.is_closing():
                    return
                if len(queue) == PIPELINE_LIMIT - 1:
                    transport.resume_reading()
                self._start(request)
        finally:
            self._in_turn = False

    def _end_badly(self, error: BaseException) -> None:
        """The edge: nothing that an answer raises may end the server."""
        fast = self.shared.fast
        if isinstance(error, asyncio.CancelledError):
            if not self.is_cut:
                self.abort()
            elif not self._started:
                self.respond(*fast.refusal(503, "The server is shutting down. Try again.", self._path))
            self._close()
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

    def _tell_to_go(self) -> None:
        if self._awaits_go and self.transport is not None:
            self._awaits_go = False
            if self._request is not None and not self._pieces:
                self.transport.write(CONTINUE)

    # an upload that is read while it comes

    def _half_read(self) -> Incoming | None:
        """The upload that the running answer reads, as long as it is not whole."""
        request = self._request
        return None if request is None or self._queue or self._run is None else request.incoming

    def close_after(self) -> bytes:
        """The header line that says whether this connection goes on."""
        if self._half_read() is not None:
            return self._last()
        return b"" if self._keep_alive and not self.shared.draining else self._last()

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
        self._let_go()
        self._pieces = []
        if self._run is None:
            self._end_with(refusal)
            return
        self._refusal = refusal
        if self._queue and self._queue[-1] is self._request:
            self._queue.pop()  # it is what is refused
        self._request = None

    @abstractmethod
    def _asks_head(self) -> bool:
        """Whether what is being read is a HEAD, whose answer has no body."""

    def _let_go(self) -> None:
        self.shared.room += self._held
        self._held = 0

    def _end_with(self, refusal: Refusal) -> None:
        self._keep_alive = False
        self._is_head = self._asks_head()
        self.respond(*refusal)
        self._close(lingers=refusal.status != 408)  # who was too slow gets no more time

    def _close(self, *, lingers: bool = False) -> None:
        """Close once what was written has left.

        `lingers`: the client may still be sending, and a reset would cost it the answer. Our side ends first,
        where TLS does not forbid it; what still comes is read and dropped for a while.
        """
        self._closing = True
        self._queue.clear()
        transport = self.transport
        if transport is None:
            return
        now = self._since = self.loop.time()
        self._lingers = lingers and not transport.is_closing()
        if not self._lingers:
            self._parts_at = now + self.shared.limits.write_s
            transport.close()
            return
        self._parts_at = now + (LINGER_SPARE_S if self._is_spare else LINGER_S)
        if not self.secure:
            transport.write_eof()
        transport.resume_reading()

    def check_time(self, now: float) -> None:
        """Close what has taken too long; called twice a second."""
        limits = self.shared.limits
        if self._parts_at:
            if self._lingers and (now > self._parts_at or now - self._since > LINGER_QUIET_S):
                self._close()
            elif now > self._parts_at:
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
        elif waited > (limits.idle_s if self._has_served else limits.header_s):
            self._close()

    def shutdown(self) -> None:
        """Uvicorn asks every connection to end: now if idle, else after the running answer."""
        self._keep_alive = False
        if self._run is None:
            self._close()

    def cut(self) -> None:
        """The drain limit has passed: end the running answer."""
        self.is_cut = True
        self._keep_alive = False
        self._queue.clear()
        if self._run is not None:
            self._run.cancel()
        else:
            self._close()
