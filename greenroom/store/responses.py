"""Responses and their items: what was asked, what was answered, and what that built on.

Texts come here with masks in them, never with what the masks stand for. What is kept is written by a thread
within 20 ms; whoever reads writes what waits first, so that nobody misses what was kept before.

`keep` excepted, methods block; any thread may call them.
"""

import sqlite3
import time
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from greenroom.store.database import empty_log
from greenroom.store.material import pseudonym
from greenroom.store.response_file import ResponseFile

Item = dict[str, Any]  # Any: JSON of the dialect
MOST_BEFORE = 1_000
"""Responses that one may build on, one after the other."""
MOST_CONTEXT_BYTES = 20 * 1024 * 1024
"""Items that one response may build on."""
_encode = Encoder().encode
_decode: Callable[[bytes], Any] = Decoder().decode  # Any: what was encoded here


class Kept(Struct, kw_only=True, frozen=True):
    """One response as it is stored."""

    id: str
    project: str
    key: str
    session: str
    status: str
    created_at: int
    body: Item
    """The answer object; its output is in `output`."""
    output: list[Item] = []
    input: list[Item] = []
    user: str | None = None
    conversation: str | None = None
    previous: str | None = None
    queued: bool = False
    """Whether it waited before it was worked on: its stream tells of that."""
    cuts: Sequence[int] = ()
    is_update: bool = False
    """Whether it is there already: one that was deleted meanwhile does not come back."""


class Row(NamedTuple):
    """A stored response without its items."""

    id: str
    project: str
    key: str
    session: str
    conversation: str | None
    previous: str | None
    status: str
    queued: bool
    body: Item
    cuts: Sequence[int]


_COLUMNS = "id, project, key, session, conversation, previous, status, queued, body, cuts"
_CHAIN = """
WITH RECURSIVE chain (id, previous, depth) AS (
    SELECT id, previous, 0 FROM responses WHERE project = ?1 AND id = ?2
    UNION ALL
    SELECT before.id, before.previous, depth + 1
    FROM responses before JOIN chain ON before.id = chain.previous
    WHERE before.project = ?1 AND depth < ?3
)
"""
"""A response and those it builds on; what follows is joined to it."""
_CHAIN_SIZE = f"{_CHAIN} SELECT coalesce(sum(size), 0) FROM items JOIN chain ON owner = chain.id"  # noqa: S608  # constants
_CHAIN_ITEMS = f"""
{_CHAIN} SELECT body FROM items JOIN chain ON owner = chain.id ORDER BY depth DESC, place
"""  # noqa: S608  # as above
_CHAIN_PLACES = f"""
{_CHAIN} SELECT items.id, owner, place FROM items JOIN chain ON owner = chain.id
WHERE depth > 0 OR NOT is_output ORDER BY depth DESC, place
"""  # noqa: S608  # as above


class StoredResponses:
    """Responses in one `ResponseFile`. Raises: StoreError when it can't be read or written."""

    def __init__(self, file: ResponseFile) -> None:
        self._file = file

    def keep(self, kept: Kept) -> None:
        """Keep a response. Never waits: it is in the file soon, and for whoever reads at once."""
        self._file.later(lambda db: self._write(db, kept))

    def _write(self, db: sqlite3.Connection, kept: Kept) -> None:
        if kept.user is not None and _is_forgotten(db, kept.project, kept.user, kept.created_at):
            return
        body = _encode({name: value for name, value in kept.body.items() if name != "output"})
        cuts = _packed(kept.cuts)
        size = len(body) + len(cuts)
        if kept.is_update:
            done = db.execute(
                "UPDATE responses SET status = ?, body = ?, cuts = ?, size = ? WHERE id = ?",
                (kept.status, body, cuts, size, kept.id),
            )
            if not done.rowcount:
                return
            db.execute("DELETE FROM items WHERE owner = ?", (kept.id,))
        else:
            db.execute(
                "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    kept.id, kept.project, kept.key, kept.user, kept.session, kept.conversation,
                    kept.previous, kept.status, kept.created_at, kept.queued, body, cuts, size,
                    self._file.process,
                ),
            )  # fmt: skip
        add_items(db, kept.id, kept.project, kept.user, kept.input, kept.output)
        if kept.conversation is not None and kept.status in {"completed", "incomplete"}:
            known = db.execute(
                "UPDATE conversations SET touched_at = ? WHERE id = ? AND project = ?",
                (int(time.time()), kept.conversation, kept.project),
            )
            if known.rowcount:
                add_items(db, kept.conversation, kept.project, kept.user, kept.input, kept.output)

    def get(self, project: str, id: str) -> Row | None:
        """A response without its items."""
        with self._file.open() as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM responses WHERE project = ? AND id = ?",  # noqa: S608  # a constant
                (project, id),
            ).fetchone()
        return None if found is None else _row(found)

    def output(self, id: str) -> list[Item]:
        """What the model said in a response."""
        with self._file.open() as db:
            rows = db.execute(
                "SELECT body FROM items WHERE owner = ? AND is_output ORDER BY place", (id,)
            ).fetchall()
        return [_decode(row[0]) for row in rows]

    def delete(self, project: str, id: str) -> bool:
        """Erase a response and its items; whether it was there."""
        with self._file.changing() as db:
            gone = db.execute("DELETE FROM responses WHERE project = ? AND id = ?", (project, id))
        return gone.rowcount > 0

    def context(self, project: str, id: str) -> list[Item]:
        """All that was said up to a response's end, oldest first. Raises: TooLong, a ValueError.

        What was deleted of it is missing.
        """
        with self._file.open() as db:
            (size,) = db.execute(
                _CHAIN_SIZE,
                (project, id, MOST_BEFORE),
            ).fetchone()
            if size > MOST_CONTEXT_BYTES:
                raise TooLong(size)
            rows = db.execute(
                _CHAIN_ITEMS,
                (project, id, MOST_BEFORE),
            ).fetchall()
        return [_decode(row[0]) for row in rows]

    def input_items(
        self, project: str, id: str, *, limit: int, newest_first: bool, after: str | None
    ) -> tuple[list[Item], bool] | None:
        """A page of what a response was made of, and whether more follows; None where `after` is not in it.

        That is what was said before it, the answers included, and what it was asked.
        """
        with self._file.open() as db:
            places: list[tuple[str, str, int]] = db.execute(
                _CHAIN_PLACES,
                (project, id, MOST_BEFORE),
            ).fetchall()
            if newest_first:
                places.reverse()
            begin = 0
            if after is not None:
                found = [at for at, place in enumerate(places) if place[0] == after]
                if not found:
                    return None
                begin = found[-1] + 1
            taken = places[begin : begin + limit]
            items = [
                _decode(
                    db.execute("SELECT body FROM items WHERE owner = ? AND place = ?", one[1:]).fetchone()[0]
                )
                for one in taken
            ]
        return items, len(places) > begin + limit

    def item(self, project: str, id: str) -> tuple[Item, str, str] | None:
        """Any stored item of a project by its id, what holds it, and the key that made that."""
        with self._file.open() as db:
            found = db.execute(
                "SELECT items.body, owner, coalesce(responses.key, conversations.key, '') FROM items"
                " LEFT JOIN responses ON responses.id = owner LEFT JOIN conversations"
                " ON conversations.id = owner WHERE items.project = ? AND items.id = ?",
                (project, id),
            ).fetchone()
        return None if found is None else (_decode(found[0]), found[1], found[2])

    def begin(self, id: str) -> None:
        """Note that one that waited is being worked on. Never waits."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE responses SET status = 'in_progress' WHERE id = ? AND status = 'queued'", (id,)
            )

        self._file.later(write)

    def end(self, id: str) -> None:
        """Ask whichever process makes a response to end it."""
        with self._file.changing() as db:
            db.execute("UPDATE responses SET is_unwanted = 1 WHERE id = ?", (id,))

    def unwanted(self, ids: Sequence[str]) -> list[str]:
        """Those of the responses made here whose end was asked for, or that were deleted."""
        with self._file.open() as db:
            rows = db.execute(
                "SELECT id FROM responses WHERE is_unwanted = 0 AND id IN (SELECT value FROM json_each(?))",
                (_encode(ids).decode(),),
            ).fetchall()
        wanted = {row[0] for row in rows}
        return [id for id in ids if id not in wanted]

    def fail_unfinished(self, error: Item) -> int:
        """Mark what was at work in processes that have died as failed; how many."""
        with self._file.open() as db:
            rows = db.execute(
                "SELECT id, process, body FROM responses WHERE status IN ('queued', 'in_progress')"
            ).fetchall()
        others = {process for _, process, _ in rows} - {self._file.process}
        dead = {process for process in others if self._file.presence.is_dead(process)}
        left = [(id, body) for id, process, body in rows if process in dead]
        if not left:
            return 0
        with self._file.changing() as db:
            for id, body in left:
                failed = _encode({**_decode(body), "status": "failed", "error": error})
                db.execute(
                    "UPDATE responses SET status = 'failed', body = ?"
                    " WHERE id = ? AND status IN ('queued', 'in_progress')",
                    (failed, id),
                )
        return len(left)

    def forget(self, project: str, user: str) -> int:
        """Erase all responses of a user, and their items in conversations; how many responses."""
        self._file.flush()  # what waits is counted, too
        names = (user, pseudonym(user))
        with self._file.changing() as db:
            at = time.time() + 1  # `created_at` has whole seconds
            # What stands for the name is enough to know it again.
            db.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?)", (project, names[1], at))
            gone = db.execute("DELETE FROM responses WHERE project = ? AND user IN (?, ?)", (project, *names))
            db.execute("DELETE FROM items WHERE project = ? AND user IN (?, ?)", (project, *names))
        with self._file.open() as db:
            empty_log(db)
        return gone.rowcount

    def purge(self, days: int, of_projects: Mapping[str, int] | None = None) -> int:
        """Erase responses made, and conversations last added to, more than `days` ago; how many.

        `of_projects`: projects that have days of their own.
        """
        own, now, gone = of_projects or {}, int(time.time()), 0
        others = ", ".join("?" * len(own))
        rounds: list[tuple[str, tuple[object, ...]]] = [
            (f" < ? AND project NOT IN ({others})", (now - days * 86_400, *own)),
            *((" < ? AND project = ?", (now - one * 86_400, name)) for name, one in own.items()),
        ]
        with self._file.changing() as db:
            for which, values in rounds:
                gone += db.execute("DELETE FROM responses WHERE created_at" + which, values).rowcount  # noqa: S608  # marks alone
                gone += db.execute("DELETE FROM conversations WHERE touched_at" + which, values).rowcount  # noqa: S608  # as above
            db.execute("DELETE FROM forgotten WHERE at < ?", (now - max(days, *own.values(), 0) * 86_400,))
        return gone


def _is_forgotten(db: sqlite3.Connection, project: str, user: str, since: float) -> bool:
    """Whether a user was forgotten after this was asked."""
    found = db.execute(
        "SELECT 1 FROM forgotten WHERE project = ? AND user IN (?, ?) AND at > ?",
        (project, user, pseudonym(user), since),
    )
    return found.fetchone() is not None


class TooLong(ValueError):
    """What a response would build on is larger than `MOST_CONTEXT_BYTES`."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes")
        self.size_bytes = size_bytes


def add_items(
    db: sqlite3.Connection,
    owner: str,
    project: str,
    user: str | None,
    asked: Sequence[Item],
    answered: Sequence[Item] = (),
) -> None:
    """Put items at the end of a response's or conversation's own, inside a transaction."""
    (last,) = db.execute("SELECT coalesce(max(place), -1) FROM items WHERE owner = ?", (owner,)).fetchone()
    said = [*((one, False) for one in asked), *((one, True) for one in answered)]
    rows = []
    for place, (item, is_output) in enumerate(said, last + 1):
        body = _encode(item)
        rows.append((owner, place, item["id"], project, user, is_output, body, len(body)))
    db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _packed(cuts: Sequence[int]) -> bytes:
    return zlib.compress(array("i", cuts).tobytes()) if cuts else b""


def _row(found: Sequence[Any]) -> Row:  # Any: the columns in order
    *columns, queued, body, cuts = found
    lengths = array("i")
    if cuts:
        lengths.frombytes(zlib.decompress(cuts))
    return Row._make((*columns, bool(queued), {**_decode(body), "status": columns[-1]}, lengths))
