"""Moving the write-ahead log into the file, beside the writer.

A checkpoint waits for the disk; done by the writer it would hold up the traces behind it, by 10 ms on a fast
disk. A thread with a connection of its own does it; the writer's `wal_autocheckpoint` still bounds the log.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path

from greenroom.store.database import open_reader

EVERY_BYTES = 4 * 1024 * 1024
TRIES = 3
"""A checkpoint that the writer overtook leaves a rest; the next one usually finds a gap between batches."""


class Checkpointer:
    """A thread that checkpoints when told how much was written."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader(path, query_only=False)
        self._written = 0
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="greenroom-checkpoint", daemon=True)
        self._thread.start()

    def wrote(self, size_bytes: int) -> None:
        """Say that so much was committed; called by the writer only."""
        self._written += size_bytes
        if self._written >= EVERY_BYTES:
            self._written = 0
            self._wake.set()

    def stop(self) -> None:
        """End the thread. May be called twice."""
        self._stopping = True
        self._wake.set()
        self._thread.join(10.0)
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            with contextlib.suppress(sqlite3.Error):  # the writer meets the same trouble, and reports it
                for _ in range(TRIES):
                    _, pages, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    if moved >= pages:
                        break
