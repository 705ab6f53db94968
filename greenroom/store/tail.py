"""The newest exchanges and scores of `traces.db`, in the order in which they were stored.

Reads through a connection of its own and never waits for the recorder.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import zstandard
from msgspec import DecodeError, ValidationError

from greenroom.store import listing
from greenroom.store.blocks import body_at, places
from greenroom.store.database import explained, open_reader
from greenroom.store.material import TRACE_TAG, Body, Row, decode_body, pseudonym
from greenroom.store.names import Names

_COLUMNS = (
    "seq, id, created_ns, project, key, app, asked, used, outcome, status, session, user, language,"
    " input_tokens, output_tokens, cost_nano, total_us, overhead_us, first_token_us, flags, place, block"
)
_BROKEN = (zstandard.ZstdError, DecodeError, ValidationError, IndexError)


class Stored(NamedTuple):
    """An exchange as the store holds it; without its texts the body is empty. `seq` rises with every one."""

    seq: int
    row: Row
    body: Body


class Scored(NamedTuple):
    """A score and the exchange it is of. `number` rises with every one."""

    number: int
    id: str
    project: str
    trace: str
    """The `traceparent` its exchange came with."""
    name: str
    value: float
    comment: str
    source: str
    at_ns: int


class Tail:
    """One connection, for one thread at a time. Raises: StoreError when the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = Names()
        with self._explaining():
            self._connection = open_reader(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def newest(self) -> tuple[int, int]:
        """The numbers of the newest exchange and the newest score."""
        with self._reading():
            return self._number("max(seq)", "traces"), self._number("max(rowid)", "scores")

    def exchanges(self, after: int, limit: int) -> list[Stored]:
        """Exchanges behind a number, the oldest first."""
        with self._reading():
            found = self._connection.execute(
                f"SELECT {_COLUMNS} FROM traces WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608  # constants
                (after, limit),
            ).fetchall()
            blocks = {number: self._block(number) for number in {one[-1] for one in found}}
            return [
                Stored(
                    one[0],
                    listing.row_of(self._connection, self._names, one),
                    _body(blocks[one[-1]], one[-2]),
                )
                for one in found
            ]

    def find(self, project: str | None, id: str) -> Stored | None:
        """One exchange, as far as this project may see it."""
        with self._reading():
            found = listing.find(self._connection, self._names, project, id)
            if found is None:
                return None
            row = listing.row_of(self._connection, self._names, found)
            body = None if found[-1] is None else body_at(found[-1], found[-2])
            return Stored(int(found[0]), row, body or Body())

    def scores(self, after: int, limit: int) -> list[Scored]:
        """Scores behind a number, the oldest first."""
        with self._reading():
            found = self._connection.execute(
                "SELECT s.rowid, t.id, n.name, t.block, t.place, s.name, s.value, s.comment, s.source,"
                " s.at_ns FROM scores s JOIN traces t ON t.seq = s.seq JOIN names n ON n.number = t.project"
                " WHERE s.rowid > ? ORDER BY s.rowid LIMIT ?",
                (after, limit),
            ).fetchall()
            return [
                Scored(
                    number,
                    id,
                    project,
                    _body(self._block(block), place).trace,
                    name,
                    value,
                    comment,
                    source,
                    at,
                )
                for number, id, project, block, place, name, value, comment, source, at in found
            ]

    def traces_of(self, project: str | None, user: str) -> list[str]:
        """The traces of callers that a user's exchanges came with."""
        with self._reading():
            found = self._connection.execute(
                "SELECT DISTINCT g.tag FROM names n JOIN traces t ON t.project = n.number"
                " JOIN tags g ON g.seq = t.seq WHERE t.user IN (?, ?) AND (? IS NULL OR n.name = ?)"
                " AND g.tag >= ? AND g.tag < ?",
                (user, pseudonym(user), project, project, TRACE_TAG + "=", TRACE_TAG + ">"),
            )
            return [str(one[0]).removeprefix(TRACE_TAG + "=") for one in found]

    def _block(self, number: int | None) -> list[bytes | None]:
        if number is None:
            return []
        found = self._connection.execute("SELECT body FROM blocks WHERE number = ?", (number,)).fetchone()
        try:
            return [] if found is None else places(found[0])
        except _BROKEN:  # damaged: what its rows say still counts
            return []

    def _number(self, what: str, table: str) -> int:
        found = self._connection.execute(f"SELECT ifnull({what}, 0) FROM {table}").fetchone()  # noqa: S608  # constants
        return int(found[0])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One state of the file throughout: rows move from block to block."""
        with self._explaining():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self._path, error) from error


def _body(block: list[bytes | None], place: int | None) -> Body:
    try:
        encoded = None if place is None or place >= len(block) else block[place]
        return Body() if encoded is None else decode_body(encoded)
    except _BROKEN:
        return Body()
