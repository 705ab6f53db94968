"""A store whose rows living processes claim: one SQLite file, and a lock beside it that says who lives."""

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from greenroom.store.database import explained, open_database, transaction
from greenroom.store.presence import Presence


class ClaimedStore:
    """Opened from a path; migrated, and made where it is not there. Raises: StoreError."""

    def __init__(
        self, path: Path, migrations: Sequence[str], *, synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        """Protects the connection."""
        self._connection = open_database(path, migrations, synchronous=synchronous)
        self._process = secrets.randbits(62)
        self._presence = Presence(path)
        try:
            self._presence.show(self._process)
        except OSError as error:
            raise explained(path, error) from error

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._connection.close()
        self._presence.end()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone. Raises: StoreError."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise explained(self._path, error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The same in a transaction."""
        with self.reading() as connection, transaction(connection):
            yield connection
