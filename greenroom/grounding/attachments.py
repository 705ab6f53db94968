"""Files in collections: attached, waiting to be read, read or failed; alone or in batches.

A file in a collection is a document of that collection: its id is the file's. Attaching one that is there
already changes nothing but what is said of it anew. Reading them: `ingestion`. Knows SQL; no HTTP.
"""

import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Encoder, decode

from greenroom.errors import MalformedRequest, NotFound
from greenroom.grounding.attributes import Filter, Value
from greenroom.grounding.database import Database, Status
from greenroom.grounding.paging import Cursor, page
from greenroom.grounding.stores import Counts, unix
from greenroom.grounding.words import forget

_encode = Encoder().encode
_COLUMNS = """
    d.id, c.store, c.project, d.filename, d.title, d.language, d.created_at, d.bytes, d.passages, d.status,
    d.error_code, d.error, d.attributes, d.chunk_tokens, d.overlap_tokens
    FROM documents d JOIN collections c ON c.id = d.collection
"""
_ONE = f"SELECT {_COLUMNS} WHERE c.project = :project AND c.store = :store AND d.id = :id"
_IN = f"""
    SELECT {_COLUMNS}
    WHERE c.project = :project AND c.store = :store AND (:status IS NULL OR d.status = :status)
"""
_PAGE = _IN + page("d.number")
_OF_BATCH = """
    AND d.number IN (SELECT o.document FROM batch_documents o JOIN batches b ON b.number = o.batch
                     WHERE b.id = :batch)
"""
_UNREAD = f"""
    SELECT {_COLUMNS} WHERE d.status = 'failed' AND (:project IS NULL OR c.project = :project)
    ORDER BY d.number DESC LIMIT :limit
"""
_BATCH_PAGE = _IN + _OF_BATCH + page("d.number")


class Chunking(NamedTuple):
    """How a document is to be cut: passages of `size` tokens, `overlap` of them from the one before."""

    size: int
    overlap: int


class Wanted(Struct, kw_only=True, frozen=True):
    """A file to attach, and what is said of it. None leaves it as it is."""

    file_id: str
    attributes: dict[str, Value] | None = None
    chunking: Chunking | None = None


class AttachedRow(Struct, kw_only=True, frozen=True):
    """A file of a collection. Times are Unix seconds."""

    id: str
    store: str
    project: str
    filename: str
    title: str
    language: str
    created_at: int
    bytes: int
    passages: int
    status: Status
    error_code: str | None
    error: str | None
    attributes: dict[str, Value]
    chunking: Chunking | None


class BatchRow(Struct, kw_only=True, frozen=True):
    """Files attached together."""

    id: str
    store: str
    created_at: int
    is_cancelled: bool
    counts: Counts


_Attached = list[AttachedRow]
_Ids = list[str]


class Attachments:
    """What is in the vector stores of all projects. Methods block; any thread may call them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def attach(
        self, project: str, store: str, wanted: Sequence[Wanted], *, as_batch: bool = False
    ) -> str | None:
        """Put files into a vector store, all or none; the id of the batch where one was asked for.

        Raises: NotFound where the project lacks the store or one of the files.
        """
        now = int(time.time())
        batch = f"vsfb_{secrets.token_hex(12)}" if as_batch else None
        with self._db.writing() as db:
            home = _home(db, project, store)
            numbers = [_attach(db, project, home, one, now) for one in wanted]
            if batch is not None:
                number = db.execute(
                    "INSERT INTO batches (id, collection, created_at) VALUES (?, ?, ?) RETURNING number",
                    (batch, home, now),
                ).fetchone()[0]
                db.executemany(
                    "INSERT OR IGNORE INTO batch_documents (batch, document) VALUES (?, ?)",
                    ((number, document) for document in numbers),
                )
            db.execute("UPDATE collections SET active_at = ? WHERE id = ?", (now, home))
            db.execute(
                "UPDATE collections SET expires_at = active_at + days * 86400"
                " WHERE id = ? AND expires_at > ?",
                (home, now),
            )
        return batch

    def get(self, project: str, store: str, id: str) -> AttachedRow | None:
        """A file of a vector store."""
        values = {"project": project, "store": store, "id": id}
        row = self._db.connection().execute(_ONE, values).fetchone()
        return None if row is None else _row(row)

    def list(
        self, project: str, store: str, cursor: Cursor, *, status: str | None = None, batch: str | None = None
    ) -> tuple[_Attached, bool]:
        """A page of a vector store's files, or of one batch's, and whether there are more."""
        values = cursor.values(self._number(store, cursor.after), self._number(store, cursor.before))
        values |= {"project": project, "store": store, "status": status, "batch": batch}
        query = _PAGE if batch is None else _BATCH_PAGE
        return cursor.cut([_row(row) for row in self._db.connection().execute(query, values)])

    def describe(
        self, project: str, store: str, id: str, attributes: Mapping[str, Value]
    ) -> AttachedRow | None:
        """Replace a file's attributes; None when the store has no such file."""
        with self._db.writing("files") as db:
            db.execute(
                """
                UPDATE documents SET attributes = ? WHERE id = ?
                AND collection = (SELECT id FROM collections WHERE project = ? AND store = ?)
                """,
                (_encode(attributes).decode(), id, project, store),
            )
        return self.get(project, store, id)

    def batch(self, project: str, store: str, id: str) -> BatchRow | None:
        """A batch, counted now."""
        row = (
            self._db.connection()
            .execute(
                """
            SELECT b.id, c.store, b.created_at, b.is_cancelled, count(d.number),
                   coalesce(sum(d.status = 'in_progress'), 0), coalesce(sum(d.status = 'completed'), 0),
                   coalesce(sum(d.status = 'failed'), 0), coalesce(sum(d.status = 'cancelled'), 0)
            FROM batches b JOIN collections c ON c.id = b.collection
            LEFT JOIN batch_documents o ON o.batch = b.number LEFT JOIN documents d ON d.number = o.document
            WHERE c.project = ? AND c.store = ? AND b.id = ? GROUP BY b.number
            """,
                (project, store, id),
            )
            .fetchone()
        )
        if row is None:
            return None
        total, in_progress, completed, failed, cancelled = row[4:]
        counts = Counts(
            in_progress=in_progress, completed=completed, failed=failed, cancelled=cancelled, total=total
        )
        return BatchRow(id=row[0], store=row[1], created_at=row[2], is_cancelled=bool(row[3]), counts=counts)

    def cancel(self, project: str, store: str, id: str) -> BatchRow | None:
        """Read no more of a batch's files; those read already stay."""
        with self._db.writing("files") as db:
            found = db.execute(
                """
                SELECT b.number FROM batches b JOIN collections c ON c.id = b.collection
                WHERE c.project = ? AND c.store = ? AND b.id = ?
                """,
                (project, store, id),
            ).fetchone()
            if found is not None:
                stopped = db.execute(
                    """
                    UPDATE documents SET status = 'cancelled' WHERE status = 'in_progress'
                    AND number IN (SELECT document FROM batch_documents WHERE batch = ?)
                    """,
                    found,
                ).rowcount
                if stopped:
                    db.execute("UPDATE batches SET is_cancelled = 1 WHERE number = ?", found)
        return self.batch(project, store, id)

    def read_again(self, project: str, store: str, id: str | None = None) -> int:
        """Have a file of a vector store, or all of them, read and indexed anew; how many those are.

        Nothing of them is found until that is done. What waits to be read anyway is left alone, and so is
        what can't be read again, since its file is gone.
        """
        with self._db.writing() as db:
            rows = db.execute(
                "SELECT number FROM documents WHERE collection = ?1 AND (?2 IS NULL OR id = ?2)"
                " AND status <> 'in_progress' AND id IN (SELECT f.id FROM files f)",
                (_home(db, project, store), id),
            ).fetchall()
            for (number,) in rows:
                _read_anew(db, number)
        return len(rows)

    def home_of(self, project: str, id: str) -> str | None:
        """The first vector store that has a file."""
        row = self._db.connection().execute(
            "SELECT c.store FROM documents d JOIN collections c ON c.id = d.collection"
            " WHERE d.project = ? AND d.id = ? ORDER BY d.number LIMIT 1",
            (project, id),
        ).fetchone()  # fmt: skip
        return None if row is None else str(row[0])

    def unread(self, limit: int, project: str | None = None) -> _Attached:
        """What could not be read, of a project or of all, the newest first."""
        rows = self._db.connection().execute(_UNREAD, {"project": project, "limit": limit})
        return [_row(row) for row in rows]

    def chosen(self, project: str, store: str, wanted: Filter) -> _Ids:
        """The files of a vector store that fit a filter."""
        rows = self._db.connection().execute(
            """
            SELECT d.id, d.attributes FROM documents d JOIN collections c ON c.id = d.collection
            WHERE c.project = ? AND c.store = ? AND d.status = 'completed'
            """,
            (project, store),
        )
        return [id for id, attributes in rows if wanted.fits(decode(attributes))]

    def attributes(self, project: str, store: str, ids: Sequence[str]) -> dict[str, dict[str, Value]]:
        """File → its attributes."""
        rows = self._db.connection().execute(
            """
            SELECT d.id, d.attributes FROM documents d JOIN collections c ON c.id = d.collection
            WHERE c.project = ? AND c.store = ? AND d.id IN (SELECT value FROM json_each(?))
            """,
            (project, store, _encode(ids).decode()),
        )
        return {id: decode(attributes) for id, attributes in rows}

    def _number(self, store: str, id: str | None) -> int | None:
        if id is None:
            return None
        row = self._db.connection().execute(
            "SELECT d.number FROM documents d JOIN collections c ON c.id = d.collection"
            " WHERE c.store = ? AND d.id = ?",
            (store, id),
        ).fetchone()  # fmt: skip
        if row is None:
            raise MalformedRequest(f"There is no file '{id[:64]}' to list from.", "after")
        number: int = row[0]
        return number


def _home(db: sqlite3.Connection, project: str, store: str) -> int:
    found = db.execute(
        "SELECT id FROM collections WHERE project = ? AND store = ?", (project, store)
    ).fetchone()
    if found is None:
        raise NotFound(f"There is no vector store '{store[:64]}'.")
    home: int = found[0]
    return home


def _attach(db: sqlite3.Connection, project: str, home: int, wanted: Wanted, now: int) -> int:
    known = db.execute(
        "SELECT number, status, chunk_tokens, overlap_tokens FROM documents WHERE collection = ? AND id = ?",
        (home, wanted.file_id),
    ).fetchone()
    size, overlap = wanted.chunking or (None, None)
    if known is None:
        return _insert(db, project, home, wanted, now)
    number: int = known[0]
    if wanted.attributes is not None:
        db.execute(
            "UPDATE documents SET attributes = ? WHERE number = ?",
            (_encode(wanted.attributes).decode(), number),
        )
    is_cut_anew = wanted.chunking is not None and (size, overlap) != known[2:]
    if is_cut_anew:
        db.execute(
            "UPDATE documents SET chunk_tokens = ?, overlap_tokens = ? WHERE number = ?",
            (size, overlap, number),
        )
    if is_cut_anew or known[1] in {"failed", "cancelled"}:
        _read_anew(db, number)
    return number


def _read_anew(db: sqlite3.Connection, number: int) -> None:
    forget(db, "SELECT number, collection FROM documents WHERE number = ?", (number,), keep_row=True)
    db.execute(
        """
        UPDATE documents SET status = 'in_progress', attempts = 0, error_code = NULL, error = NULL,
                             passages = 0, stems = 0 WHERE number = ?
        """,
        (number,),
    )


def _insert(db: sqlite3.Connection, project: str, home: int, wanted: Wanted, now: int) -> int:
    file = db.execute(
        """
        SELECT filename, sha256, bytes FROM files
        WHERE project = ? AND id = ? AND (expires_at IS NULL OR expires_at > ?)
        """,
        (project, wanted.file_id, now),
    ).fetchone()
    if file is None:
        raise NotFound(f"There is no file '{wanted.file_id[:64]}'.", "file_id")
    size, overlap = wanted.chunking or (None, None)
    number: int = db.execute(
        """
        INSERT INTO documents (id, project, collection, title, filename, media_type, sha256, bytes,
                               created_at, language, passages, stems, status, attributes, chunk_tokens,
                               overlap_tokens)
        VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, '', 0, 0, 'in_progress', ?, ?, ?) RETURNING number
        """,
        (
            wanted.file_id, project, home, file[0], file[0], file[1], file[2],
            datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            _encode(wanted.attributes or {}).decode(), size, overlap,
        ),
    ).fetchone()[0]  # fmt: skip
    return number


def _row(row: tuple[Any, ...]) -> AttachedRow:  # Any: SQLite's columns
    fields = dict(zip(AttachedRow.__struct_fields__, row[:13], strict=False))
    fields["created_at"] = unix(row[6])
    fields["attributes"] = decode(row[12])
    return AttachedRow(**fields, chunking=None if row[13] is None else Chunking(row[13], row[14]))
