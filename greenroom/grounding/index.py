"""The index of an operator's documents: one SQLite file, searched by words and by meaning.

Complete by words as soon as a document is in; vectors are put in behind (`embedding`). A search never leaves
the project and the collections it was given: each collection's words are words of their own in the index.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.json import Encoder

from greenroom.exchange import Passage
from greenroom.grounding import passages as cutting
from greenroom.grounding.database import CollectionRow, Database, DocumentRow
from greenroom.grounding.retrieval import Retrieval, passage_of
from greenroom.grounding.stems import language_of, tokens
from greenroom.grounding.text import MAX_TITLE, read
from greenroom.grounding.vectors import Asked
from greenroom.grounding.words import ALL, marks

_encode = Encoder().encode
_Documents = list[DocumentRow]
_Collections = list[CollectionRow]
_Passages = list[Passage]
_Numbered = list[tuple[int, str]]

_ROW = """
    SELECT d.id, d.project, c.name, d.title, d.filename, d.media_type, d.sha256, d.bytes, d.created_at,
           d.language, d.passages
    FROM documents d JOIN collections c ON c.id = d.collection
"""


class DocumentIndex:
    """`documents.db`. Methods block; any thread may call them, each has a connection of its own.

    Raises: StoreError when the file can't be opened or is from a newer Greenroom.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path)
        self._retrieval = Retrieval(self._db)

    @property
    def version(self) -> int:
        """The number of the newest migration in the file."""
        found: int = self._db.connection().execute("PRAGMA user_version").fetchone()[0]
        return found

    def generation(self) -> int:
        """A number that grows with every change, whichever process made it. Costs about 10 µs."""
        return self._db.state()[0]

    def add(self, project: str, collection: str, filename: str, data: bytes) -> DocumentRow:
        """Read, cut and index a document; one of the same name in the collection is replaced.

        The same bytes under the same name again cost no work.
        Raises: TooLarge and MalformedRequest, as `text.read` does.
        """
        filename = _plain_name(filename)
        digest = hashlib.sha256(data).hexdigest()
        known = self._named(project, collection, filename)
        if known is not None and known.sha256 == digest:
            return known
        document = read(filename, data)
        language = language_of(document.text)
        pieces = cutting.split(document.text, document.title, headings=document.media_type != "text/plain")
        stemmed = [(tokens(one.title, language), tokens(one.text, language)) for one in pieces]
        with self._db.writing() as db:
            home = self._collection(db, project, collection)
            if known is not None:
                _forget(db, "SELECT number, collection FROM documents WHERE id = ?", (known.id,))
            number = db.execute(
                """
                INSERT INTO documents (id, project, collection, title, filename, media_type, sha256, bytes,
                                       created_at, language, passages, stems)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number
                """,
                (
                    f"file-{secrets.token_hex(12)}", project, home, document.title, filename,
                    document.media_type, digest, len(data), _now(), language, len(pieces),
                    sum(len(body) for _, body in stemmed),
                ),
            ).fetchone()[0]  # fmt: skip
            first: int = db.execute("SELECT coalesce(max(id), 0) + 1 FROM passages").fetchone()[0]
            db.executemany(
                "INSERT INTO passages (id, document, position, start, title, text, heading, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        first + place,
                        number,
                        place,
                        one.start,
                        one.title,
                        one.text,
                        " ".join(heading),
                        " ".join(body),
                    )
                    for place, (one, (heading, body)) in enumerate(zip(pieces, stemmed, strict=True))
                ),
            )
            db.executemany(
                "INSERT INTO words (rowid, marks) VALUES (?, ?)",
                ((first + place, marks(home, *both)) for place, both in enumerate(stemmed)),
            )
        added = self._named(project, collection, filename)
        assert added is not None
        return added

    def remove(self, project: str, document: str) -> bool:
        """Take a document out of the index; False when the project has none of that id."""
        with self._db.writing() as db:
            found = _forget(
                db,
                "SELECT number, collection FROM documents WHERE project = ? AND id = ?",
                (project, document),
            )
            db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection FROM documents)")
        return found

    def remove_collection(self, project: str, collection: str) -> bool:
        """Take a collection and its documents out; False when the project has none of that name."""
        with self._db.writing() as db:
            found = _forget(
                db,
                "SELECT number, collection FROM documents WHERE collection ="
                " (SELECT id FROM collections WHERE project = ? AND name = ?)",
                (project, collection),
            )
            db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection FROM documents)")
        return found

    def list(self, project: str, collection: str | None = None) -> _Documents:
        """The project's documents, by collection and name."""
        rows = self._db.connection().execute(
            _ROW + "WHERE d.project = ? AND (? IS NULL OR c.name = ?) ORDER BY c.name, d.filename",
            (project, collection, collection),
        )
        return [_row(row) for row in rows]

    def collections(self, project: str) -> _Collections:
        """The project's collections, by name."""
        rows = self._db.connection().execute(
            """
            SELECT c.name, count(d.number), coalesce(sum(d.passages), 0), coalesce(sum(d.bytes), 0),
                   c.created_at
            FROM collections c LEFT JOIN documents d ON d.collection = c.id
            WHERE c.project = ? GROUP BY c.id ORDER BY c.name
            """,
            (project,),
        )
        return [
            CollectionRow(
                name=name, documents=documents, passages=passages, bytes=size, created_at=created_at
            )
            for name, documents, passages, size, created_at in rows
        ]

    def passages(self, project: str, document: str) -> _Passages:
        """All passages of one document in order, for showing it; empty when it isn't the project's."""
        rows = self._db.connection().execute(
            """
            SELECT d.id, p.position, d.filename, p.title, p.text, p.start
            FROM documents d JOIN passages p ON p.document = d.number
            WHERE d.project = ? AND d.id = ? ORDER BY p.position
            """,
            (project, document),
        )
        return [passage_of(row, 0.0) for row in rows]

    def has_passages(self, project: str) -> bool:
        """Whether a search in this project could find anything."""
        return self._retrieval.has_passages(project)

    def search(
        self,
        query: str,
        *,
        project: str,
        collections: Sequence[str],
        limit: int,
        wordings: Sequence[str] = (),
        names: Sequence[str] = (),
        vector: Asked | None = None,
        documents: Sequence[str] | None = None,
    ) -> _Passages:
        """Up to `limit` passages, best first, as `Retrieval.search` does."""
        return self._retrieval.search(
            query, project=project, collections=collections, limit=limit, wordings=wordings, names=names,
            vector=vector, documents=documents,
        )  # fmt: skip

    # vectors

    def has_vectors(self, project: str, collections: Sequence[str]) -> bool:
        """Whether a search in these collections could use a vector."""
        return self._retrieval.has_vectors(project, tuple(collections))

    def without_vector(
        self,
        encoder: str,
        languages: Sequence[str],
        *,
        spared: Sequence[str] = (),
        after: int = 0,
        limit: int,
    ) -> _Numbered:
        """Passages in these languages without a vector of this encoder: (number, text to encode), by number.

        Collections named in `spared` are left out. Documents with headings give them to their passages.
        """
        rows = self._db.connection().execute(
            """
            SELECT p.id, iif(d.media_type = 'text/plain', p.text, p.title || char(10) || p.text)
            FROM passages p JOIN documents d ON d.number = p.document
            JOIN collections c ON c.id = d.collection
            LEFT JOIN vectors v ON v.passage = p.id AND v.encoder = ?
            WHERE p.id > ? AND v.passage IS NULL AND d.language IN (SELECT value FROM json_each(?))
              AND c.name NOT IN (SELECT value FROM json_each(?))
            ORDER BY p.id LIMIT ?
            """,
            (encoder, after, _encode(languages).decode(), _encode(spared).decode(), limit),
        )
        return rows.fetchall()

    def put_vectors(self, encoder: str, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        """Keep vectors: (number, text encoded, 16-bit floats). Passages gone meanwhile are passed over."""
        with self._db.writing("vectors") as db:
            db.executemany(
                """
                INSERT OR REPLACE INTO vectors (passage, encoder, vector)
                SELECT id, ?, ? FROM passages WHERE id = ? AND substr(?, -length(text)) = text
                """,
                ((encoder, vector, number, text) for number, text, vector in vectors),
            )

    def close(self) -> None:
        """Close every connection. Nothing may be called afterwards."""
        self._db.close()

    def _collection(self, db: sqlite3.Connection, project: str, name: str) -> int:
        db.execute(
            "INSERT INTO collections (project, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (project, name, _now()),
        )
        found: int = db.execute(
            "SELECT id FROM collections WHERE project = ? AND name = ?", (project, name)
        ).fetchone()[0]
        return found

    def _named(self, project: str, collection: str, filename: str) -> DocumentRow | None:
        db = self._db.connection()
        where = "WHERE d.project = ? AND c.name = ? AND d.filename = ?"
        row = db.execute(_ROW + where, (project, collection, filename)).fetchone()
        return None if row is None else _row(row)


def _forget(db: sqlite3.Connection, which: str, values: tuple[str, ...]) -> bool:
    """Delete the documents that the query `which` (number, collection) finds, and their words."""
    found = db.execute(which, values).fetchall()
    for number, home in found:
        rows = db.execute("SELECT id, heading, body FROM passages WHERE document = ?", (number,)).fetchall()
        db.executemany(
            "INSERT INTO words (words, rowid, marks) VALUES ('delete', ?, ?)",
            ((row, marks(home, heading.split(), body.split())) for row, heading, body in rows),
        )
        db.execute("DELETE FROM documents WHERE number = ?", (number,))
    return bool(found)


def _plain_name(filename: str) -> str:
    """The last part of a name, printable and short: it is shown, and never used as a path."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(one for one in last if one.isprintable()).strip()[-MAX_TITLE:] or "document"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _row(row: tuple[str, str, str, str, str, str, str, int, str, str, int]) -> DocumentRow:
    names = DocumentRow.__struct_fields__
    return DocumentRow(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # columns in field order


__all__ = ["ALL", "DocumentIndex"]
