"""The tables of `documents.db`, as a list of migrations. Each script sets `user_version` to its number."""

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

    -- heading and body hold stems; scope is 'c' and the collection's number, so that a search can stay inside.
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY,
        document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        start INTEGER NOT NULL,
        title TEXT NOT NULL,
        text TEXT NOT NULL,
        scope TEXT NOT NULL,
        heading TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX passages_by_document ON passages (document, position);

    CREATE VIRTUAL TABLE found USING fts5 (
        scope, heading, body, content = 'passages', content_rowid = 'id',
        tokenize = "unicode61 remove_diacritics 0 tokenchars '-_.@'"
    );
    CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
        INSERT INTO found (rowid, scope, heading, body) VALUES (new.id, new.scope, new.heading, new.body);
    END;
    CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
        INSERT INTO found (found, rowid, scope, heading, body)
        VALUES ('delete', old.id, old.scope, old.heading, old.body);
    END;
    PRAGMA user_version = 1;
    """,
)
