"""How many lines are asked at once: fewer the more live requests are at work, none where they take half.

Where lines are answered at once they would fill the event loop: the next waits until a round of it is short.

One event loop. Knows counts; no batch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil
from time import perf_counter

_LOOK_S = 0.05
_BUSY_S = 0.002
"""A round of the event loop that takes longer keeps live requests waiting."""
_REST_S = 0.002


class Pace:
    """Places for lines, first come, first served."""

    def __init__(
        self, at_work: Callable[[], int], most_at_work: Callable[[], int], concurrency: Callable[[], int]
    ) -> None:
        self._all_at_work = at_work
        """Requests of this process, lines among them."""
        self._most_at_work = most_at_work
        self.concurrency = concurrency
        """Lines that are asked at once where nobody else asks."""
        self._at_work = 0
        self._gate = asyncio.Lock()
        """Protects the order of those who wait."""
        self._left = asyncio.Event()

    @property
    def places(self) -> int:
        """How many lines may be at work now."""
        live = max(0, self._all_at_work() - self._at_work)
        free = 1 - 2 * live / self._most_at_work()
        return max(0, ceil(self.concurrency() * free))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        async with self._gate:
            while self._at_work and await _is_busy():  # noqa: ASYNC110  # nobody tells when it is not
                await asyncio.sleep(_REST_S)
            while self._at_work >= self.places:
                self._left.clear()
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._left.wait()
                except TimeoutError:
                    pass  # live requests come and go without a word
            self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            self._left.set()


async def _is_busy() -> bool:
    """Whether what else is ready in the event loop takes long."""
    began = perf_counter()
    await asyncio.sleep(0)
    return perf_counter() - began > _BUSY_S
