"""Conversations that clients make and fill by name: `/v1/conversations`, and what responses add to them.

Methods block; any thread may call them. Raises: StoreError when the file can't be read or written.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.json import decode, encode

from greenroom.store.response_file import ResponseFile
from greenroom.store.responses import MOST_CONTEXT_BYTES, Item, TooLong, add_items

MOST_ITEMS = 20_000
"""Items of one conversation."""


class Conversation(NamedTuple):
    """A conversation without its items."""

    id: str
    key: str
    created_at: int
    metadata: dict[str, str]


class ConversationFull(ValueError):
    """A conversation has `MOST_ITEMS` items already."""


class StoredConversations:
    """Conversations in the file of the responses. Another project's is never found."""

    def __init__(self, file: ResponseFile) -> None:
        self._file = file

    def create(
        self, id: str, project: str, key: str, metadata: dict[str, str], items: Sequence[Item]
    ) -> Conversation:
        """Make one, with its first items."""
        now = int(time.time())
        shown = encode(metadata)
        with self._file.changing() as db:
            db.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id, project, key, now, now, shown, len(shown)),
            )
            add_items(db, id, project, None, items)
        return Conversation(id, key, now, metadata)

    def get(self, project: str, id: str) -> Conversation | None:
        """One by its id."""
        with self._file.open() as db:
            found = db.execute(
                "SELECT id, key, created_at, metadata FROM conversations WHERE project = ? AND id = ?",
                (project, id),
            ).fetchone()
        if found is None:
            return None
        return Conversation._make((*found[:3], decode(found[3], type=dict[str, str])))

    def update(self, project: str, id: str, metadata: dict[str, str]) -> None:
        """Set its metadata."""
        shown = encode(metadata)
        with self._file.changing() as db:
            db.execute(
                "UPDATE conversations SET metadata = ?, size = ? WHERE project = ? AND id = ?",
                (shown, len(shown), project, id),
            )

    def delete(self, project: str, id: str) -> None:
        """Erase it and its items. Responses that were made in it stay."""
        with self._file.changing() as db:
            db.execute("DELETE FROM conversations WHERE project = ? AND id = ?", (project, id))

    def add(self, project: str, id: str, items: Sequence[Item]) -> bool:
        """Put items at its end; False where it is not there. Raises: ConversationFull."""
        with self._file.changing() as db:
            known = db.execute(
                "UPDATE conversations SET touched_at = ? WHERE project = ? AND id = ?",
                (int(time.time()), project, id),
            )
            if not known.rowcount:
                return False
            (count,) = db.execute("SELECT count(*) FROM items WHERE owner = ?", (id,)).fetchone()
            if count + len(items) > MOST_ITEMS:
                raise ConversationFull
            add_items(db, id, project, None, items)
        return True

    def context(self, project: str, id: str) -> list[Item]:
        """All its items, oldest first. Raises: TooLong."""
        with self._file.open() as db:
            (size,) = db.execute(
                "SELECT coalesce(sum(size), 0) FROM items WHERE owner = ? AND project = ?", (id, project)
            ).fetchone()
            if size > MOST_CONTEXT_BYTES:
                raise TooLong(size)
            rows = db.execute(
                "SELECT body FROM items WHERE owner = ? AND project = ? ORDER BY place", (id, project)
            ).fetchall()
        return [decode(row[0]) for row in rows]

    def items(
        self, project: str, id: str, *, limit: int, newest_first: bool, after: str | None
    ) -> tuple[list[Item], bool] | None:
        """A page of its items, and whether more follow; None where `after` is none of them."""
        with self._file.open() as db:
            bound = (1 << 62) if newest_first else -1
            if after is not None:
                found = db.execute(
                    "SELECT place FROM items WHERE project = ? AND id = ? AND owner = ?", (project, after, id)
                ).fetchone()
                if found is None:
                    return None
                (bound,) = found
            side = "place < ? ORDER BY place DESC" if newest_first else "place > ? ORDER BY place"
            rows = db.execute(
                f"SELECT body FROM items WHERE owner = ? AND project = ? AND {side} LIMIT ?",  # noqa: S608  # constants
                (id, project, bound, limit + 1),
            ).fetchall()
        return [decode(row[0]) for row in rows[:limit]], len(rows) > limit

    def item(self, project: str, id: str, item: str) -> Item | None:
        """One item."""
        with self._file.open() as db:
            found = db.execute(
                "SELECT body FROM items WHERE project = ? AND id = ? AND owner = ?", (project, item, id)
            ).fetchone()
        return None if found is None else decode(found[0], type=dict)

    def remove(self, project: str, id: str, item: str) -> bool:
        """Take one item out; whether it was there."""
        with self._file.changing() as db:
            gone = db.execute(
                "DELETE FROM items WHERE project = ? AND id = ? AND owner = ?", (project, item, id)
            )
        return gone.rowcount > 0
