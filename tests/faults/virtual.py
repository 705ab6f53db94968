"""Virtual time: an event loop whose clock jumps to the next timer, and connections in memory instead of sockets.

What waits for minutes passes in milliseconds, and what happens in which order is drawn by a seed: every delivery
takes its own while, joins what came and is cut anywhere. The parts of the bench (`upstream.py`, `rawclient.py`)
and Greenroom's own connections run on it as they are. Knows asyncio; nothing of HTTP.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

HORIZON_S = 3600.0
"""Virtual time after which a run is taken for stuck."""
LONGEST_WAY_S = 0.004
"""What a piece takes from one end to the other, at most."""
BUFFER_BYTES = 65_536


class Stuck(Exception):
    """Nothing would ever happen again, or an hour has passed."""


class _Jumping(selectors.SelectSelector):
    """Never waits: sets the loop's clock on instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is left to happen")
        if timeout > 0:
            self.loop.now += timeout
            if self.loop.now > HORIZON_S:
                raise Stuck("an hour has passed")
        return []


class _Address(NamedTuple):
    port: int

    def getsockname(self) -> tuple[str, int]:
        """As a listening socket has it."""
        return "127.0.0.1", self.port


class _Listener:
    """What stands for a server that listens."""

    def __init__(self, loop: "VirtualLoop", port: int) -> None:
        self._loop = loop
        self.sockets = [_Address(port)]

    def close(self) -> None:
        self._loop.listening.pop(self.sockets[0].port, None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock and connections of its own. One thread, no sockets."""

    def __init__(self, seed: int) -> None:
        selector = _Jumping()
        super().__init__(selector)
        selector.loop = self
        self.now = 1000.0
        self.random = Random(seed)  # order, not secrecy
        self.listening: dict[int, Callable[[], asyncio.Protocol]] = {}
        self.deaf: set[int] = set()
        """Ports that never answer a connect."""

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def way_s(self) -> float:
        """How long the next piece is on its way."""
        return self.random.random() * LONGEST_WAY_S

    async def create_server(  # type: ignore[override]  # no sockets, no TLS: what the bench uses
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: object
    ) -> _Listener:
        """Listen on the next free number."""
        port = port or 20_000 + len(self.listening)
        while port in self.listening:
            port += 1
        self.listening[port] = factory
        return _Listener(self, port)

    async def create_connection(  # type: ignore[override]  # as above
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: object
    ) -> tuple["MemoryTransport", asyncio.Protocol]:
        """Connect to a listener. Raises ConnectionRefusedError."""
        await asyncio.sleep(self.way_s())
        if port in self.deaf:
            await self.create_future()
        if port not in self.listening:
            raise ConnectionRefusedError
        protocol = factory()
        return self.join(protocol, self.listening[port]()), protocol

    def join(self, near: asyncio.Protocol, far: asyncio.Protocol) -> "MemoryTransport":
        """Connect two protocols; the near one's transport."""
        here, there = MemoryTransport(self, near), MemoryTransport(self, far)
        here.peer, there.peer = there, here
        near.connection_made(here)
        self.call_later(self.way_s(), there.begin)
        return here


class MemoryTransport(asyncio.Transport):
    """One end of a connection."""

    peer: "MemoryTransport"

    def __init__(self, loop: VirtualLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._loop = loop
        self._protocol = protocol
        self._inbox: deque[bytes | Exception | None] = deque()
        """What has been sent to this end: bytes, None for its end, an error for a reset."""
        self._under_way = 0
        """Bytes written here that the peer has not been given."""
        self._most = BUFFER_BYTES
        self._has_begun = False
        self._is_due = self._is_reading_paused = self._is_writing_paused = False
        self._is_closing = self._is_lost = False
        self._resets = False

    def begin(self) -> None:
        """The accepting end learns of the connection."""
        if not self._is_lost:
            self._protocol.connection_made(self)

    # what asyncio.Transport promises

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: as asyncio has it
        """Itself stands for the socket, which only takes SO_LINGER."""
        return self if name == "socket" else super().get_extra_info(name, default)

    def setsockopt(self, *_: object) -> None:
        """SO_LINGER 0: closing is a reset."""
        self._resets = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return max(0, self._under_way - BUFFER_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._most = BUFFER_BYTES if high is None else high
        self._throttle()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or not data:
            return
        if self.peer._is_lost:
            self._loop.call_later(self._loop.way_s(), self._lose, BrokenPipeError())
            return
        self._under_way += len(data)
        self.peer._arrive(bytes(data))
        self._throttle()

    def pause_reading(self) -> None:
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        self._is_reading_paused = False
        self._expect()

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(ConnectionResetError() if self._resets else None)

    # the way

    def _end(self, how: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        if how is None and any(isinstance(one, bytes) for one in self._inbox):
            how = ConnectionResetError()  # closed with something unread
        self.peer._arrive(how)
        self._loop.call_soon(self._lose, None)

    def _arrive(self, item: bytes | Exception | None) -> None:
        self._inbox.append(item)
        self._expect()

    def _expect(self) -> None:
        if self._inbox and not (self._is_due or self._is_reading_paused or self._is_lost):
            self._is_due = True
            self._loop.call_later(LONGEST_WAY_S + self._loop.way_s(), self._deliver)

    def _deliver(self) -> None:
        self._is_due = False
        if self._is_reading_paused or self._is_closing or not self._inbox:
            return
        item = self._inbox.popleft()
        random = self._loop.random
        if isinstance(item, bytes):
            while self._inbox and isinstance(self._inbox[0], bytes) and random.random() < 0.4:
                more = self._inbox.popleft()
                assert isinstance(more, bytes)
                item += more
            if len(item) > 1 and random.random() < 0.3:
                cut = random.randrange(1, len(item))
                self._inbox.appendleft(item[cut:])
                item = item[:cut]
            self.peer._taken(len(item))
            self._protocol.data_received(item)
        elif item is None:
            if not self._protocol.eof_received():
                self.close()
        else:
            self._lose(item)
        self._expect()

    def _taken(self, size: int) -> None:
        self._under_way -= size
        if self._is_writing_paused and self._under_way <= self._most // 4:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def _throttle(self) -> None:
        if self._under_way > self._most and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._inbox.clear()
        self._protocol.connection_lost(error)


def run(seed: int, work: Callable[[VirtualLoop], Coroutine[Any, None, T]]) -> T:
    """Run one coroutine on a loop of its own. Raises what it raises; Stuck.

    Asserts that it leaves no task behind, and that nothing raised where nobody listens.
    """
    loop = VirtualLoop(seed)
    unheard: list[dict[str, Any]] = []  # Any: asyncio's own contexts
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    try:
        result = loop.run_until_complete(work(loop))
        left = asyncio.all_tasks(loop)
        assert not left, f"I4: tasks are left: {left}"
        assert not unheard, f"raised where nobody listens: {unheard}"
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


__all__ = ["MemoryTransport", "Stuck", "VirtualLoop", "run"]
