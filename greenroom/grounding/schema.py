"""The tables of `documents.db` as a list of migrations, and their rows as they are listed.

Each script sets `user_version` to its number.
"""

from msgspec import Struct

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
)


class DocumentRow(Struct, kw_only=True, frozen=True):
    """A document as it is listed."""

    id: str
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


class CollectionRow(Struct, kw_only=True, frozen=True):
    """A collection as it is listed."""

    name: str
    documents: int
    passages: int
    bytes: int
    created_at: str
