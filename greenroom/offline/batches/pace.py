"""How many lines are asked at once: fewer the more live requests are at work, none where they take half.

One event loop. Knows counts; no batch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil

CONCURRENCY = 8
"""Lines of a process that are asked at once, where nobody else asks."""
_LOOK_S = 0.05


class Pace:
    """Places for lines, first come, first served."""

    def __init__(
        self, at_work: Callable[[], int], most_at_work: Callable[[], int], concurrency: int = CONCURRENCY
    ) -> None:
        self._all_at_work = at_work
        """Requests of this process, lines among them."""
        self._most_at_work = most_at_work
        self._concurrency = concurrency
        self._at_work = 0
        self._gate = asyncio.Lock()
        """Protects the order of those who wait."""
        self._left = asyncio.Event()

    @property
    def places(self) -> int:
        """How many lines may be at work now."""
        live = max(0, self._all_at_work() - self._at_work)
        free = 1 - 2 * live / self._most_at_work()
        return max(0, ceil(self._concurrency * free))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        async with self._gate:
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
