"""Responses that go on without their client: a bounded number at work, the others wait their turn.

They live in this process: when it ends, what is at work ends as failed, and a start finds what a crash left.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from greenroom.errors import Overloaded, StoreError
from greenroom.gateway.relay import Outlet
from greenroom.server.fronts import COMMENT

log = logging.getLogger("greenroom.background")

AT_WORK = 32
WAITING = 256
KEEP_ALIVE_S = 10.0
WATCH_S = 0.5
"""How often it is asked what other processes want ended."""
MOST_EVENT_BYTES = 32 * 1024 * 1024
"""Events of one response that are held for who comes back for them."""


class Live:
    """One response at work: its events so far, for any number of readers."""

    def __init__(
        self,
        work: Callable[["Live"], Awaitable[None]],
        cut_off: Callable[[], bytes],
        snapshot: Callable[[], dict[str, Any]],  # Any: JSON
    ) -> None:
        self.snapshot = snapshot
        """The response as it stands."""
        self.events: list[bytes] = []
        """Each in its frame; the place in the list is its `sequence_number`."""
        self.has_ended = False
        self.is_cancelled = False
        """Whether somebody asked for its end."""
        self._work = work
        self._cut_off = cut_off
        self._size = 0
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, places: asyncio.Semaphore) -> asyncio.Task[None]:
        """Begin when there is a place."""
        self._task = asyncio.get_running_loop().create_task(self._run(places))
        return self._task

    async def _run(self, places: asyncio.Semaphore) -> None:
        try:
            async with places:
                await self._work(self)
        except asyncio.CancelledError:
            self.add(self._cut_off())  # who cancels waits for the end by `ended`, not for this task
        except Exception:  # the edge that must not die: whoever asked finds it failed
            log.exception("background response failed")
            self.add(self._cut_off())
        finally:
            self.has_ended = True
            self._tell()

    def add(self, data: bytes) -> None:
        """Events, framed. Past the limit the response is cut off."""
        self.events += [event + b"\n\n" for event in data.split(b"\n\n") if event]
        self._size += len(data)
        if self._size > MOST_EVENT_BYTES:
            self._size = 0
            self.stop()
        self._tell()

    def _tell(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()

    async def cancel(self) -> None:
        """End it where it stands, and wait for that."""
        self.is_cancelled = True
        self.stop()
        await self.ended()

    def stop(self) -> None:
        """End it: first what is told of it, so that how its work ends is not told instead."""
        if self._task is not None and not self.has_ended:
            self.add(self._cut_off())
            self._task.cancel()

    async def ended(self) -> None:
        """Wait for its end."""
        while not self.has_ended:
            await self._more.wait()

    async def follow(self, after: int = -1) -> AsyncIterator[bytes]:
        """Its events behind number `after`, as they come; comments while none does."""
        at = after + 1
        while True:
            if at < len(self.events):
                batch = self.events[at:]
                at = len(self.events)
                yield b"".join(batch)
            elif self.has_ended:
                return
            else:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await self._more.wait()
                except TimeoutError:
                    yield COMMENT


class Followed:
    """Sends the events of a live response to a client, who may leave."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def run(self, out: Outlet) -> None:
        """All of them. Raises CancelledError when the client is gone."""
        async for data in self._live.follow():
            out.send(data)
            await out.drained()


class Background:
    """All that are at work or wait. `stop` ends them.

    `unwanted` tells, of their ids, which another process wants ended; it blocks.
    """

    def __init__(
        self,
        unwanted: Callable[[Sequence[str]], Sequence[str]],
        at_work: int = AT_WORK,
        waiting: int = WAITING,
    ) -> None:
        self._unwanted = unwanted
        self._watcher: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(at_work)
        self._most = at_work + waiting
        self._live: dict[str, Live] = {}

    def check_room(self) -> None:
        """Raise Overloaded where as many wait as may."""
        if len(self._live) >= self._most:
            raise Overloaded("Too many responses wait in the background here. Try again in a second.")

    def start(self, id: str, live: Live) -> None:
        """Have one done."""
        self._live[id] = live
        live.start(self._places).add_done_callback(lambda _: self._live.pop(id, None))
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """As long as any is at work: end those that another process wants ended."""
        while self._live:
            await asyncio.sleep(WATCH_S)
            try:
                for id in await asyncio.to_thread(self._unwanted, list(self._live)):
                    live = self._live.get(id)
                    if live is not None:
                        live.is_cancelled = True
                        live.stop()
            except StoreError as error:
                log.error("background not watched", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted

    def find(self, id: str) -> Live | None:
        """One that is at work or waits."""
        return self._live.get(id)

    async def stop(self) -> None:
        """End all of them as failed."""
        if self._watcher is not None:
            self._watcher.cancel()
        for live in list(self._live.values()):
            live.stop()
        for live in list(self._live.values()):
            await live.ended()
