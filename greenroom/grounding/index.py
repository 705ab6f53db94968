"""The index of an operator's documents: one SQLite file, searched by words and by meaning.

Complete by words as soon as a document is in; vectors are put in behind (`embedding`). A search never leaves
the project and the collections it was given: each collection's words are words of their own in the index.
"""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.json import Encoder

from greenroom.exchange import Passage
from greenroom.grounding.attachments import Attachments, Chunking
from greenroom.grounding.cutting import Cut, cut_document
from greenroom.grounding.database import Database, DocumentRow
from greenroom.grounding.files import ORPHAN_S, Files, plain_name
from greenroom.grounding.retrieval import Retrieval, passage_of
from greenroom.grounding.stores import Stores, insert_collection
from greenroom.grounding.uploads import Uploads
from greenroom.grounding.vectors import Asked
from greenroom.grounding.words import forget, marks, merge

_encode = Encoder().encode
_Documents = list[DocumentRow]
_Passages = list[Passage]
_Numbered = list[tuple[int, str]]
_Ids = list[str]

_ROW = """
    SELECT d.id, d.project, c.name, d.title, d.filename, d.media_type, d.sha256, d.bytes, d.created_at,
           d.language, d.passages, d.status, d.error_code, d.error,
           c.store
    FROM documents d JOIN collections c ON c.id = d.collection
"""


_NEXT = """
    SELECT number, id, project, filename, attempts, chunk_tokens, overlap_tokens FROM documents
    WHERE status = 'in_progress' AND number NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT 1
"""
_STILL = """
    WHERE number = ? AND id = ? AND status = 'in_progress' AND chunk_tokens IS ? AND overlap_tokens IS ?
"""
_UNHELD = """
    DELETE FROM files WHERE NOT stays AND created_at < ? AND id NOT IN (SELECT id FROM documents) RETURNING id
"""
_BY_ID = "SELECT id FROM collections WHERE project = ? AND store = ?"
_BY_NAME = "SELECT id FROM collections WHERE project = ? AND name = ?"


class Unread(NamedTuple):
    """A document that waits to be read."""

    number: int
    id: str
    project: str
    filename: str
    attempts: int
    """How often it was tried before."""
    chunking: Chunking | None

    def still(self) -> tuple[object, ...]:
        """What must still hold of it, for `_STILL`: a number is given again when its document is gone."""
        size, overlap = self.chunking or (None, None)
        return self.number, self.id, size, overlap


class DocumentIndex:
    """`documents.db`. Methods block; any thread may call them, each has a connection of its own.

    Raises: StoreError when the file can't be opened or is from a newer Greenroom.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path)
        self._retrieval = Retrieval(self._db)
        self.files = Files(self._db, path.with_name("files"))
        self.uploads = Uploads(self._db, path.with_name("uploads"), self.files)
        self.stores, self.attachments = Stores(self._db), Attachments(self._db)
        self._guard = threading.Lock()
        """Protects `_claimed`."""
        self._claimed: set[int] = set()

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

        The collection of that name is made where there is none. The same bytes under the same name again
        cost no work.
        Raises: TooLarge and MalformedRequest, as `text.read` does; StorageFull; StoreError.
        """
        filename = plain_name(filename)
        known = self._named(project, collection, filename)
        if known is not None and known.sha256 == hashlib.sha256(data).hexdigest():
            return known
        cut = cut_document(filename, data)
        upload = self.files.begin(len(data))
        try:
            upload.write(data)
            file = self.files.keep(
                upload, project=project, filename=filename, purpose="user_data", stays=False
            )
        finally:
            upload.discard()
        with self._db.writing() as db:
            found = _oldest(db, project, collection)
            home = insert_collection(db, project, collection) if found is None else found
            same = "SELECT number, collection FROM documents WHERE collection = ? AND filename = ?"
            replaced = forget(db, same, (home, filename))
            number = db.execute(
                """
                INSERT INTO documents (id, project, collection, title, filename, media_type, sha256, bytes,
                                       created_at, language, passages, stems)
                VALUES (?, ?, ?, '', ?, '', ?, ?, ?, '', 0, 0) RETURNING number
                """,
                (file.id, project, home, filename, file.sha256, file.bytes, _now()),
            ).fetchone()[0]
            _fill(db, number, home, cut)
            gone = drop_files(db, project, replaced)
        self.files.erase(gone)
        added = self._named(project, collection, filename)
        assert added is not None
        return added

    def remove(self, project: str, document: str, store: str | None = None) -> bool:
        """Take a document out of one collection, or of all; False when the project has none of that id.

        A file that was uploaded for itself stays; one that came with its collection goes with the last.
        """
        return self._remove(
            project,
            "SELECT d.number, d.collection FROM documents d JOIN collections c ON c.id = d.collection"
            " WHERE d.project = ?1 AND d.id = ?2 AND (?3 IS NULL OR c.store = ?3)",
            (project, document, store),
        )

    def remove_file(self, project: str, id: str) -> bool:
        """Delete a file, in every collection as well; False when the project has none of that id."""
        with self._db.writing() as db:
            forget(db, "SELECT number, collection FROM documents WHERE project = ? AND id = ?", (project, id))
            gone = db.execute("DELETE FROM files WHERE project = ? AND id = ?", (project, id)).rowcount
        if gone:
            self.files.erase([id])
        return bool(gone)

    def remove_collection(self, project: str, collection: str) -> bool:
        """Take out the collection with this id, or all of this name, with their documents; False if none."""
        with self._db.writing() as db:
            values = (project, collection)
            homes = db.execute(_BY_ID, values).fetchall() or db.execute(_BY_NAME, values).fetchall()
            ids: _Ids = []
            for (home,) in homes:
                ids += forget(db, "SELECT number, collection FROM documents WHERE collection = ?", (home,))
                db.execute("DELETE FROM collections WHERE id = ?", (home,))
            gone = drop_files(db, project, ids)
        self.files.erase(gone)
        return bool(homes)

    def _remove(self, project: str, which: str, values: tuple[object, ...]) -> bool:
        with self._db.writing() as db:
            ids = forget(db, which, values)
            gone = drop_files(db, project, ids)
        self.files.erase(gone)
        return bool(ids)

    # reading what was attached

    def claim(self) -> Unread | None:
        """The next document that waits to be read; whoever gets it reads it. None when none waits.

        A document is claimed by counting an attempt, so that one that ends the process is not tried for ever.
        """
        with self._guard:
            row = self._db.connection().execute(_NEXT, (_encode(list(self._claimed)).decode(),)).fetchone()
            if row is None:
                return None
            self._claimed.add(row[0])
        with self._db.writing("files") as db:
            db.execute("UPDATE documents SET attempts = attempts + 1 WHERE number = ?", (row[0],))
        number, id, project, filename, attempts, size, overlap = row
        chunking = None if size is None else Chunking(size, overlap)
        return Unread(number, id, project, filename, attempts, chunking)

    def release(self, unread: Unread) -> None:
        """Let a claimed document go, read or not."""
        with self._guard:
            self._claimed.discard(unread.number)

    def fill(self, unread: Unread, cut: Cut) -> None:
        """Put the passages of a document in, unless it was cancelled, removed or changed meanwhile."""
        with self._db.writing() as db:
            row = db.execute(f"SELECT collection FROM documents {_STILL}", unread.still()).fetchone()  # noqa: S608 - our own words
            if row is not None:
                _fill(db, unread.number, row[0], cut)

    def fail(self, unread: Unread, code: str, message: str) -> None:
        """Say why a document can't be read, unless something became of it meanwhile."""
        with self._db.writing("files") as db:
            db.execute(
                f"UPDATE documents SET status = 'failed', error_code = ?, error = ? {_STILL}",  # noqa: S608 - as above
                (code, message, *unread.still()),
            )

    def tidy(self) -> None:
        """Take away expired files, and what a crash left: bytes without a row, files that nothing holds."""
        for project, id in self.files.expired():
            self.remove_file(project, id)
        with self._db.writing("files") as db:
            unheld = db.execute(_UNHELD, (int(time.time()) - ORPHAN_S,)).fetchall()
            merge(db)
        self.files.erase(id for (id,) in unheld)
        self.files.sweep()
        self.uploads.tidy()

    # listing

    def list(self, project: str, collection: str | None = None) -> _Documents:
        """The documents of a project, or of its collections of this name or id, by collection and name."""
        rows = self._db.connection().execute(
            _ROW
            + "WHERE d.project = ?1 AND (?2 IS NULL OR c.name = ?2 OR c.store = ?2)"
            + " ORDER BY c.name, c.id, d.filename, d.number",
            (project, collection),
        )
        return [_row(row) for row in rows]

    def passages(self, project: str, document: str, store: str | None = None) -> _Passages:
        """All passages of one document in order, for showing it; empty when it isn't the project's.

        In the vector store `store`, or in the first collection that has it.
        """
        rows = self._db.connection().execute(
            """
            SELECT d.id, p.position, d.filename, p.title, p.text, p.start
            FROM documents d JOIN passages p ON p.document = d.number
            WHERE d.number = (SELECT min(d.number) FROM documents d JOIN collections c ON c.id = d.collection
                              WHERE d.project = ?1 AND d.id = ?2 AND (?3 IS NULL OR c.store = ?3))
            ORDER BY p.position
            """,
            (project, document, store),
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
        self.stores.touch(project, tuple(collections))
        return self._retrieval.search(
            query, project=project, collections=collections, limit=limit, wordings=wordings, names=names,
            vector=vector, documents=documents,
        )  # fmt: skip

    # vectors

    def has_word(self, project: str, word: str) -> bool:
        """Whether a passage of the project's has a word, spelt just so. Costs about 30 µs."""
        return self._retrieval.has_word(project, word)

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

    def _named(self, project: str, collection: str, filename: str) -> DocumentRow | None:
        db = self._db.connection()
        row = db.execute(
            _ROW + "WHERE c.id = ? AND d.filename = ? AND d.status = 'completed'",
            (_oldest(db, project, collection), filename),
        ).fetchone()
        return None if row is None else _row(row)


def _oldest(db: sqlite3.Connection, project: str, name: str) -> int | None:
    """The oldest collection that goes by this name or id."""
    row = db.execute(
        "SELECT id FROM collections WHERE project = ?1 AND (name = ?2 OR store = ?2) ORDER BY id LIMIT 1",
        (project, name),
    ).fetchone()
    return None if row is None else int(row[0])


def _fill(db: sqlite3.Connection, number: int, home: int, cut: Cut) -> None:
    """Write a document's passages and words."""
    db.execute(
        """
        UPDATE documents SET title = ?, media_type = ?, language = ?, passages = ?, stems = ?,
                             status = 'completed', error_code = NULL, error = NULL WHERE number = ?
        """,
        (
            cut.title, cut.media_type, cut.language, len(cut.pieces), sum(len(body) for _, body in cut.stems),
            number,
        ),
    )  # fmt: skip
    first: int = db.execute("SELECT coalesce(max(id), 0) + 1 FROM passages").fetchone()[0]
    db.executemany(
        "INSERT INTO passages (id, document, position, start, title, text, heading, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (first + at, number, at, one.start, one.title, one.text, " ".join(heading), " ".join(body))
            for at, (one, (heading, body)) in enumerate(zip(cut.pieces, cut.stems, strict=True))
        ),
    )
    db.executemany(
        "INSERT INTO words (rowid, marks) VALUES (?, ?)",
        ((first + at, marks(home, *both)) for at, both in enumerate(cut.stems)),
    )


def drop_files(db: sqlite3.Connection, project: str, ids: Sequence[str]) -> _Ids:
    """Delete the rows of those files that came with collections and are in none any more; their ids."""
    rows = db.execute(
        """
        DELETE FROM files WHERE project = ?1 AND NOT stays AND id IN (SELECT value FROM json_each(?2))
        AND id NOT IN (SELECT id FROM documents WHERE project = ?1) RETURNING id
        """,
        (project, _encode(ids).decode()),
    )
    return [id for (id,) in rows.fetchall()]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _row(row: tuple[str, str, str, str, str, str, str, int, str, str, int]) -> DocumentRow:
    names = DocumentRow.__struct_fields__
    return DocumentRow(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # columns in field order
