"""The SQLite file of responses and conversations: one connection, and what waits to be written.

Knows when and how something is written, not what. `later` excepted, methods block; any thread may call them.
"""

import logging
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from greenroom.errors import StorageFull, StoreError
from greenroom.store.database import explained, open_database, transaction
from greenroom.store.presence import Presence
from greenroom.store.schema import RESPONSES

log = logging.getLogger("greenroom.responses")

DRAIN_S = 0.02
RETRY_S = 0.5
SHARED_WAIT_S = 0.05
"""How long what is said waits for its turn at a file that several processes share."""
ROOMY_S = 1.0
"""For so long a project that had room is believed to have it."""
_MOST_ROOMY = 10_000
_Write = Callable[[sqlite3.Connection], None]
_QUEUE = 10_000
_BATCH = 64


class ResponseFile:
    """Opened from a path; migrated, and made where it is not there. Raises: StoreError."""

    def __init__(self, path: Path, quota_bytes: int | None = None, *, is_shared: bool = False) -> None:
        self.quota_bytes = quota_bytes
        """What one project may take; None means no limit."""
        self._is_shared = is_shared
        """Whether the next to ask for what is written may be another process."""
        self._path = path
        self._queue: deque[_Write] = deque()
        self._lock = threading.Lock()
        """Protects the connection."""
        self._connection = open_database(path, RESPONSES)
        self.process = secrets.randbits(62)
        """The number of this process, as rows name it."""
        self.presence = Presence(path)
        try:
            self.presence.show(self.process)
        except OSError as error:
            raise explained(path, error) from error
        self._roomy_until: dict[str, float] = {}
        self._wake = threading.Event()
        self._stopping = False
        self.lost = 0
        """Responses that were not written because the file took none for too long."""
        self._thread = threading.Thread(target=self._run, name="greenroom-responses", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then close the file."""
        self._stopping = True
        self._wake.set()
        self._thread.join(10.0)
        self._connection.close()
        self.presence.end()

    def later(self, write: _Write) -> None:
        """Have something written soon. Never waits; where several processes share the file, a moment."""
        if len(self._queue) >= _QUEUE:
            self.lost += 1
            return
        self._queue.append(write)
        if not (self._is_shared and self._is_drained_now()):
            self._wake.set()

    def _is_drained_now(self) -> bool:
        if not self._lock.acquire(timeout=SHARED_WAIT_S):
            return False
        try:
            self._drain()
        except StoreError:  # the thread tries again, and complains
            return False
        finally:
            self._lock.release()
        return True

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """The connection, with all that waited written. Raises: StoreError."""
        with self._lock:
            self._drain()
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise explained(self._path, error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The same in a transaction."""
        with self.open() as connection, transaction(connection):
            yield connection

    def flush(self) -> None:
        """Write what waits, now. Raises: StoreError."""
        with self._lock:
            self._drain()

    def is_roomy(self, project: str) -> bool:
        """Whether a project was found to have room within the last second. Never waits."""
        return self._roomy_until.get(project, 0.0) > time.monotonic()

    def check_room(self, project: str) -> None:
        """Raise StorageFull where a project has taken its share."""
        if self.quota_bytes is None or self.used(project) < self.quota_bytes:
            if len(self._roomy_until) > _MOST_ROOMY:
                self._roomy_until.clear()
            self._roomy_until[project] = time.monotonic() + ROOMY_S
        else:
            raise StorageFull(
                f"The responses and conversations of this project take all of their "
                f"{self.quota_bytes // 1048576} MB. Delete some, or send 'store': false.",
                "store",
            )

    def used(self, project: str) -> int:
        """Bytes that a project takes, without what waits. Raises: StoreError."""
        with self._lock:
            try:
                found = self._connection.execute("SELECT bytes FROM sizes WHERE project = ?", (project,))
                row = found.fetchone()
            except sqlite3.Error as error:
                raise explained(self._path, error) from error
        return int(row[0]) if row is not None else 0

    def _drain(self) -> None:
        """Write what waits. What fails stays, and all behind it; what can never be written is dropped."""
        while self._queue:
            batch = [self._queue[place] for place in range(min(_BATCH, len(self._queue)))]
            try:
                self._write(batch)
            except sqlite3.IntegrityError:
                for write in batch:
                    self._write_alone(write)
            except sqlite3.Error as error:
                raise explained(self._path, error) from error
            for _ in batch:
                self._queue.popleft()

    def _write(self, batch: Sequence[_Write]) -> None:
        with transaction(self._connection) as db:
            for write in batch:
                write(db)

    def _write_alone(self, write: _Write) -> None:
        try:
            self._write([write])
        except sqlite3.IntegrityError:
            self.lost += 1
            log.exception("response can't be stored")
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            if not self._stopping:
                time.sleep(DRAIN_S)
            try:
                self.flush()
            except StoreError as error:
                log.error("responses are not stored", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted
                if not self._stopping:
                    time.sleep(RETRY_S)
                    self._wake.set()
        if self._queue:
            self.lost += len(self._queue)
