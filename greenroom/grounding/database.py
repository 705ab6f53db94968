"""The file `documents.db`: its tables as a list of migrations, its connections, its rows as listed.

Knows SQL; nothing of words or passages.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from msgspec import Struct

from greenroom.errors import StoreError

_BUSY_MS = 5_000

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL) STRICT;
    INSERT INTO state (id, generation) VALUES (1, 0);

    CREATE TABLE collections (
        id INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (project, name)
    ) STRICT;

    CREATE TABLE documents (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
        title TEXT NOT NULL,
        filename TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        language TEXT NOT NULL,
        passages INTEGER NOT NULL,
        stems INTEGER NOT NULL,
        UNIQUE (collection, filename)
    ) STRICT;

    -- heading and body hold stems.
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY,
        document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        start INTEGER NOT NULL,
        title TEXT NOT NULL,
        text TEXT NOT NULL,
        heading TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX passages_by_document ON passages (document, position);

    -- Which passages hold a word, nothing else: see `index.marks`.
    CREATE VIRTUAL TABLE words USING fts5 (
        marks, content = '', detail = none, columnsize = 0,
        tokenize = "unicode61 remove_diacritics 0 tokenchars '-_.@~'"
    );
    PRAGMA user_version = 1;
    """,
    """
    -- Counts the changes of vectors, as `generation` those of documents.
    ALTER TABLE state ADD COLUMN vectors INTEGER NOT NULL DEFAULT 0;

    -- Unit vectors of passages, 16-bit floats, little endian.
    CREATE TABLE vectors (
        passage INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,
        encoder TEXT NOT NULL,
        vector BLOB NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
    """,
    """
    -- What was uploaded. Its bytes lie in the folder `files`, under its id.
    CREATE TABLE files (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        filename TEXT NOT NULL,
        purpose TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        stays INTEGER NOT NULL  -- 0: goes when the last collection lets go of it
    ) STRICT;
    CREATE INDEX files_by_project ON files (project, number);

    -- A collection is a vector store: names need not differ, ids do.
    CREATE TABLE newer_collections (
        id INTEGER PRIMARY KEY,
        store TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT NOT NULL DEFAULT '',
        metadata TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL,
        active_at INTEGER NOT NULL,
        days INTEGER,
        expires_at INTEGER
    ) STRICT;
    INSERT INTO newer_collections (id, store, project, name, created_at, active_at)
        SELECT id, 'vs_' || lower(hex(randomblob(12))), project, name, created_at, unixepoch()
        FROM collections;
    DROP TABLE collections;
    ALTER TABLE newer_collections RENAME TO collections;
    CREATE INDEX collections_by_name ON collections (project, name);

    -- A document is a file in a collection: its id is the file's. What is not completed has no passages.
    CREATE TABLE newer_documents (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        project TEXT NOT NULL,
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
        title TEXT NOT NULL,
        filename TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        language TEXT NOT NULL,
        passages INTEGER NOT NULL,
        stems INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'completed',
        error_code TEXT,
        error TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        attributes TEXT NOT NULL DEFAULT '{}',
        chunk_tokens INTEGER,
        overlap_tokens INTEGER,
        UNIQUE (collection, id)
    ) STRICT;
    INSERT INTO newer_documents (number, id, project, collection, title, filename, media_type, sha256, bytes,
                                 created_at, language, passages, stems)
        SELECT number, id, project, collection, title, filename, media_type, sha256, bytes, created_at,
               language, passages, stems FROM documents;
    DROP TABLE documents;
    ALTER TABLE newer_documents RENAME TO documents;
    CREATE INDEX documents_by_file ON documents (project, id);
    CREATE INDEX documents_by_name ON documents (collection, filename);
    CREATE INDEX documents_to_read ON documents (number) WHERE status = 'in_progress';

    CREATE TABLE batches (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
        created_at INTEGER NOT NULL,
        is_cancelled INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE batch_documents (
        batch INTEGER NOT NULL REFERENCES batches (number) ON DELETE CASCADE,
        document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
        PRIMARY KEY (batch, document)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX batches_by_document ON batch_documents (document);
    PRAGMA user_version = 3;
    """,
    """
    -- Files that come in parts. A part's bytes lie in the folder `uploads`, under its id.
    CREATE TABLE uploads (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        filename TEXT NOT NULL,
        purpose TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        file_expires_s INTEGER,
        status TEXT NOT NULL,
        file TEXT
    ) STRICT;
    CREATE INDEX uploads_pending ON uploads (project, expires_at) WHERE status = 'pending';
    CREATE TABLE upload_parts (
        id TEXT PRIMARY KEY,
        upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
        bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX parts_by_upload ON upload_parts (upload);
    PRAGMA user_version = 4;
    """,
)


Status = Literal["in_progress", "completed", "failed", "cancelled"]


class DocumentRow(Struct, kw_only=True, frozen=True):
    """A document as it is listed."""

    id: str
    """The file's."""
    project: str
    collection: str
    title: str
    filename: str
    media_type: str
    sha256: str
    bytes: int
    created_at: str
    """ISO 8601, UTC."""
    language: str
    passages: int
    status: Status = "completed"
    error_code: str | None = None
    error: str | None = None
    collection_id: str = ""


class Database:
    """Connections to one file, one for each thread that asks. Opening it brings its tables up to date.

    Raises: StoreError when the file can't be opened or is from a newer Greenroom.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._guard = threading.Lock()
        """Protects `_opened`."""
        self._opened: list[sqlite3.Connection] = []
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"The documents in {path.name} can't be opened: {error}. `greenroom db check` says what is "
                f"wrong; to go on, put back a copy made by `greenroom db backup`, or move the file away."
            ) from error

    def connection(self) -> sqlite3.Connection:
        """The calling thread's own."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._open()
        return found

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")
        with self._guard:
            self._opened.append(db)
        return db

    @contextmanager
    def writing(
        self, what: Literal["generation", "vectors", "files"] = "generation"
    ) -> Iterator[sqlite3.Connection]:
        """A transaction that changes documents, their vectors, or what no search sees: all or nothing.

        The first two are counted.
        """
        db = self.connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            if what != "files":
                db.execute(f"UPDATE state SET {what} = {what} + 1 WHERE id = 1")  # noqa: S608 - our own words
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def state(self) -> tuple[int, int]:
        """How often documents changed, and how often vectors, whichever process did it. Costs about 10 µs."""
        found: tuple[int, int] = (
            self.connection().execute("SELECT generation, vectors FROM state WHERE id = 1").fetchone()
        )
        return found

    def _migrate(self) -> None:
        db = self.connection()
        _begin_log(db)
        done = _version(db)
        if done > len(MIGRATIONS):
            raise StoreError(
                f"The documents in {self._path.name} were written by a newer Greenroom. Update this one, or "
                f"put back an older copy. `greenroom db check` says what the file holds."
            )
        db.execute("PRAGMA foreign_keys = OFF")  # a table that is made anew must not take its children along
        for number in range(done, len(MIGRATIONS)):
            with self.writing("files"):
                if _version(db) == number:  # or another process was quicker
                    for statement in _statements(MIGRATIONS[number]):
                        db.execute(statement)
        db.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            for connection in self._opened:
                connection.close()
            self._opened.clear()


def _begin_log(db: sqlite3.Connection) -> None:
    """Have the file written through a log. SQLite waits for nobody here, so that two try again."""
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
