"""The body of an upload on its way from the socket to who reads it: a bounded queue that stops the sender.

One reader, one writer, one loop. Knows bytes; no HTTP.
"""

import asyncio
from collections import deque
from collections.abc import Callable

HIGH_BYTES = 1024 * 1024


class Incoming:
    """Pieces that came and were not read yet. `attach` says how the sender is stopped and let go on."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._pause: Callable[[], None] = lambda: None
        self._resume: Callable[[], None] = lambda: None
        self.is_whole = False
        """Whether all of it has come."""
        self.is_paused = False

    def attach(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Take the reins of the transport."""
        self._pause, self._resume = pause, resume

    def feed(self, piece: bytes) -> None:
        """Take a piece; stops the sender when too much waits."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._news.set()
        if self._size > HIGH_BYTES and not self.is_paused:
            self.is_paused = True
            self._pause()

    def end(self) -> None:
        """All has come."""
        self.is_whole = True
        self._news.set()

    def fail(self, error: Exception) -> None:
        """Nothing more comes: the reader gets this error."""
        if not self.is_whole:
            self._error = error
            self._news.set()

    async def read(self) -> tuple[bytes, bool]:
        """What has come, and whether more is to come. Raises what `fail` was given."""
        while not self._pieces and not self.is_whole and self._error is None:
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self.is_paused:
            self.is_paused = False
            self._resume()
        return data, not self.is_whole
