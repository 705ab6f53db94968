"""Collections as vector stores: made, described, listed, expiring. What is in them: `attachments`.

A collection goes by its id and by its name, in one space of names for each project. Knows SQL; no HTTP.
"""

import secrets
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder, decode

from greenroom.errors import MalformedRequest
from greenroom.grounding.database import Database
from greenroom.grounding.paging import Cursor, page

DAY_S = 86_400
_TOUCH_S = 60.0
"""How exact the time of the last use of a collection is."""
_encode = Encoder().encode
_SELECT = """
    SELECT c.store, c.project, c.name, c.description, c.metadata, c.created_at, c.active_at, c.days,
           c.expires_at, coalesce(sum(iif(d.status = 'completed', d.bytes, 0)), 0), count(d.number),
           coalesce(sum(d.status = 'in_progress'), 0), coalesce(sum(d.status = 'completed'), 0),
           coalesce(sum(d.status = 'failed'), 0), coalesce(sum(d.status = 'cancelled'), 0),
           coalesce(sum(d.passages), 0)
    FROM collections c LEFT JOIN documents d ON d.collection = c.id
"""
_ONE = _SELECT + "WHERE (:project IS NULL OR c.project = :project) AND c.store = :id GROUP BY c.id"
_PAGE = _SELECT + f"WHERE c.project = :project {page('c.id')}".replace("ORDER BY", "GROUP BY c.id ORDER BY")
_ALL = (
    _SELECT + "WHERE :project IS NULL OR c.project = :project GROUP BY c.id ORDER BY c.project, c.name, c.id"
)


_IN_USE = """
    FROM collections WHERE project = :project AND expires_at > :now AND active_at < :now - 59
    AND ('*' IN (SELECT value FROM json_each(:names)) OR name IN (SELECT value FROM json_each(:names))
         OR store IN (SELECT value FROM json_each(:names)))
"""
_ANY_IN_USE = f"SELECT EXISTS (SELECT 1 {_IN_USE})"
_USED = f"""
    UPDATE collections SET active_at = :now, expires_at = :now + days * 86400
    WHERE id IN (SELECT id {_IN_USE})
"""  # noqa: S608 - our own words
_Stores = list["StoreRow"]


class Counts(Struct, kw_only=True, frozen=True):
    """Files by what became of them."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class StoreRow(Struct, kw_only=True, frozen=True):
    """A collection as a vector store. Times are Unix seconds."""

    id: str
    project: str
    name: str
    description: str
    metadata: dict[str, str]
    created_at: int
    active_at: int
    days: int | None
    """Days after the last use when it expires."""
    expires_at: int | None
    bytes: int
    counts: Counts
    passages: int

    @property
    def is_expired(self) -> bool:
        """Whether nobody finds anything in it any more."""
        return self.expires_at is not None and self.expires_at <= time.time()


class Stores:
    """The vector stores of all projects. Methods block; any thread may call them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._touched: dict[tuple[str, tuple[str, ...]], float] = {}

    def create(
        self,
        project: str,
        *,
        name: str = "",
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        days: int | None = None,
    ) -> StoreRow:
        """Make an empty collection, expiring `days` after its last use."""
        with self._db.writing("files") as db:
            number = insert_collection(
                db, project, name, description=description, metadata=metadata or {}, days=days
            )
            id: str = db.execute("SELECT store FROM collections WHERE id = ?", (number,)).fetchone()[0]
        made = self.get(project, id)
        assert made is not None
        return made

    def get(self, project: str | None, id: str) -> StoreRow | None:
        """A project's vector store (None: of any project)."""
        row = self._db.connection().execute(_ONE, {"project": project, "id": id}).fetchone()
        return None if row is None else _row(row)

    def list(self, project: str, cursor: Cursor) -> tuple[_Stores, bool]:
        """A page of a project's vector stores, and whether there are more."""
        values = cursor.values(self._number(project, cursor.after), self._number(project, cursor.before))
        rows = self._db.connection().execute(_PAGE, values | {"project": project})
        return cursor.cut([_row(row) for row in rows])

    def all(self, project: str | None) -> _Stores:
        """Every collection of a project, or of all projects, by name."""
        return [_row(row) for row in self._db.connection().execute(_ALL, {"project": project})]

    def update(
        self,
        project: str,
        id: str,
        *,
        name: str | None,
        metadata: Mapping[str, str] | None,
        days: int | None,
        sets_days: bool,
    ) -> StoreRow | None:
        """Change what is given; with `sets_days` also when it expires, counted from now."""
        with self._db.writing() as db:
            found = db.execute(
                "SELECT id FROM collections WHERE project = ? AND store = ?", (project, id)
            ).fetchone()
            if found is None:
                return None
            if name is not None:
                db.execute("UPDATE collections SET name = ? WHERE id = ?", (name, found[0]))
            if metadata is not None:
                db.execute(
                    "UPDATE collections SET metadata = ? WHERE id = ?", (_encode(metadata).decode(), found[0])
                )
            if sets_days:
                now = int(time.time())
                db.execute(
                    "UPDATE collections SET days = ?, active_at = ?, expires_at = ? WHERE id = ?",
                    (days, now, None if days is None else now + days * DAY_S, found[0]),
                )
        return self.get(project, id)

    def touch(self, project: str, collections: tuple[str, ...]) -> None:
        """Note that collections are in use, so that they do not expire; at most once a minute a set."""
        now = time.time()
        if now - self._touched.get((project, collections), 0.0) < _TOUCH_S:
            return
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[project, collections] = now
        db = self._db.connection()
        wanted = {"project": project, "names": _encode(collections).decode(), "now": int(now)}
        if not db.execute(_ANY_IN_USE, wanted).fetchone()[0]:
            return
        with suppress(sqlite3.OperationalError), self._db.writing("files") as db:  # locked: in a minute
            db.execute(_USED, wanted)

    def _number(self, project: str, id: str | None) -> int | None:
        if id is None:
            return None
        row = self._db.connection().execute(
            "SELECT id FROM collections WHERE project = ? AND store = ?", (project, id)
        ).fetchone()  # fmt: skip
        if row is None:
            raise MalformedRequest(f"There is no vector store '{id[:64]}' to list from.", "after")
        number: int = row[0]
        return number


def insert_collection(
    db: sqlite3.Connection,
    project: str,
    name: str,
    *,
    description: str = "",
    metadata: Mapping[str, str] | None = None,
    days: int | None = None,
) -> int:
    """Make a collection within a transaction; its number."""
    now = int(time.time())
    number: int = db.execute(
        """
        INSERT INTO collections (store, project, name, description, metadata, created_at, active_at, days,
                                 expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
        """,
        (
            f"vs_{secrets.token_hex(12)}", project, name, description, _encode(metadata or {}).decode(),
            datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"), now, days,
            None if days is None else now + days * DAY_S,
        ),
    ).fetchone()[0]  # fmt: skip
    return number


def unix(iso: str) -> int:
    """A time as it is stored, in Unix seconds."""
    return int(datetime.fromisoformat(iso).timestamp())


def _row(row: tuple[Any, ...]) -> StoreRow:  # Any: SQLite's columns, as selected above
    id, project, name, description, metadata, created_at, active_at, days, expires_at, size = row[:10]
    total, in_progress, completed, failed, cancelled, passages = row[10:]
    return StoreRow(
        id=id,
        project=project,
        name=name,
        description=description,
        metadata=decode(metadata, type=dict[str, str]),
        created_at=unix(created_at),
        active_at=active_at,
        days=days,
        expires_at=expires_at,
        bytes=size,
        counts=Counts(
            in_progress=in_progress, completed=completed, failed=failed, cancelled=cancelled, total=total
        ),
        passages=passages,
    )
