"""What the processes of one server keep together while they run, in a file that only they can read.

Sealed with AES-256-GCM under a key that the parent draws at the start and writes nowhere: when the last
process has ended, what the file holds can't be read any more by anybody.
"""

import contextlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from greenroom.store.database import explained, open_database, transaction

_MIGRATIONS = (
    """
-- A conversation whose masks are remembered; born tells it from one of the same name that was forgotten.
CREATE TABLE talks (talk BLOB PRIMARY KEY, born BLOB NOT NULL, used_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE masks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, talk BLOB NOT NULL, label TEXT NOT NULL, number INTEGER NOT NULL,
    digest BLOB NOT NULL, box BLOB NOT NULL, UNIQUE (talk, label, number), UNIQUE (talk, digest)
);
CREATE INDEX masks_by_talk ON masks (talk, id);
CREATE TABLE lasts (
    talk BLOB NOT NULL, label TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (talk, label)
) WITHOUT ROWID;
CREATE TABLE things (
    kind TEXT NOT NULL, name BLOB NOT NULL, box BLOB NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE INDEX things_by_age ON things (kind, at_s);
""",
)
_NONCE_BYTES, _TAG_BYTES = 12, 16
_WAIT = "PRAGMA busy_timeout = 500"
"""Milliseconds: requests wait behind this."""


class SharedFile:
    """The file as one process uses it. Raises: StoreError when it cannot be used."""

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._secret = secret
        self._lock = threading.RLock()
        """Protects the one connection."""
        self._connection = open_database(path, _MIGRATIONS)
        self._connection.execute("PRAGMA synchronous = OFF")  # nothing here outlives the processes
        self._connection.execute(_WAIT)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def digest(self, *parts: str) -> bytes:
        """What stands for a name, so that equal ones are found again; 128 bits of HMAC-SHA-256."""
        said = b"".join(
            len(data).to_bytes(8, "big") + data
            for data in (part.encode("utf-8", "surrogatepass") for part in parts)
        )
        return hmac.digest(self._secret, said, "sha256")[:16]

    def seal(self, text: str, place: bytes) -> bytes:
        """A text that can be read at this place only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        said, tag = self._cipher(nonce, place).encrypt_and_digest(text.encode("utf-8", "surrogatepass"))
        return nonce + bytes(tag) + bytes(said)

    def unseal(self, box: bytes, place: bytes) -> str:
        """The text of a box. Raises: ValueError when it was changed, or put elsewhere."""
        nonce, rest = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
        tag, said = rest[:_TAG_BYTES], rest[_TAG_BYTES:]
        return bytes(self._cipher(nonce, place).decrypt_and_verify(said, tag)).decode(
            "utf-8", "surrogatepass"
        )

    def _cipher(
        self, nonce: bytes, place: bytes
    ) -> Any:  # Any: the library names the type in a private module
        from Crypto.Cipher import AES  # noqa: PLC0415  # 10 ms at import, and a server alone needs none

        cipher = AES.new(self._secret, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(place)
        return cipher

    @contextlib.contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The connection within a transaction that holds the right to write."""
        with self.reading() as connection, transaction(connection):
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise explained(self._path, error) from error


class SharedThings:
    """Small texts of one kind by name: what `Shelf` of the pages is among several processes."""

    def __init__(self, file: SharedFile, kind: str, most: int) -> None:
        self._file = file
        self._kind = kind
        self._most = most
        """More are not kept: the oldest goes first."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile."""
        with self._file.changing():
            yield

    def name(self, *parts: str) -> bytes:
        """A name that tells nothing."""
        return self._file.digest(self._kind, *parts)

    def get(self, name: bytes) -> str | None:
        """What is kept under a name."""
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT box FROM things WHERE kind = ? AND name = ?", (self._kind, name)
            ).fetchone()
        return None if found is None else self._file.unseal(found[0], self._place(name))

    def since(self, at_s: float) -> list[str]:
        """What was put after a moment, oldest first."""
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT name, box FROM things WHERE kind = ? AND at_s > ? ORDER BY at_s", (self._kind, at_s)
            ).fetchall()
        return [self._file.unseal(box, self._place(name)) for name, box in found]

    def put(self, name: bytes, text: str, at_s: float) -> None:
        """Keep a text; `at_s` says how old it is beside others."""
        with self._file.reading() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?)",
                (self._kind, name, self._file.seal(text, self._place(name)), at_s),
            )
            connection.execute(
                "DELETE FROM things WHERE kind = ?1 AND name IN (SELECT name FROM things WHERE kind = ?1"
                " ORDER BY at_s DESC LIMIT -1 OFFSET ?2)",
                (self._kind, self._most),
            )

    def drop(self, name: bytes) -> None:
        """Keep it no longer."""
        with self._file.reading() as connection:
            connection.execute("DELETE FROM things WHERE kind = ? AND name = ?", (self._kind, name))

    def _place(self, name: bytes) -> bytes:
        return self._kind.encode() + b"\0" + name
