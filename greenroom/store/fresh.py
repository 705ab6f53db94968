"""What came into `traces.db` since somebody looked last: exchanges to be scored, and scores from anybody.

Read beside whoever writes. Knows nothing of rules.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from greenroom.exchange import SURFACES
from greenroom.store.database import explained, open_reader
from greenroom.store.material import OUTCOMES, SURFACE_BIT, Body
from greenroom.store.sampled import OVER_LIMIT, Blocks, name_of

T = TypeVar("T")
_CHATS = {SURFACES.index(one) for one in ("chat", "messages", "responses", "completions")}


class Fresh(NamedTuple):
    """One exchange that was answered or refused."""

    seq: int
    id: str
    project: str
    app: str


class Scored(NamedTuple):
    """One new score, and what it is of."""

    number: int
    created_ns: int
    """When its exchange came."""
    project: str
    app: str
    model: str
    prompt: str
    """`name@version`, "" without one."""
    name: str
    source: str
    value: float
    before: float | None
    """The value that it takes the place of: of the same name and source."""


def newest(path: Path) -> tuple[int, int]:
    """The numbers of the newest exchange and the newest score. Raises: StoreError."""

    def read(connection: sqlite3.Connection) -> tuple[int, int]:
        row = connection.execute(
            "SELECT (SELECT ifnull(max(seq), 0) FROM traces), (SELECT ifnull(max(rowid), 0) FROM scores)"
        ).fetchone()
        return int(row[0]), int(row[1])

    return _reading(path, read)


def exchanges(path: Path, after: int, limit: int) -> tuple[list[Fresh], int]:
    """Those after a number, and the number that was come to.

    Left out are tests of ours, and what a budget or a limit refused. Raises: StoreError.
    """

    def read(connection: sqlite3.Connection) -> tuple[list[Fresh], int]:
        rows = connection.execute(
            "SELECT t.seq, t.id, p.name, a.name, t.outcome, t.status, t.flags, EXISTS (SELECT 1 FROM tags g"
            " WHERE g.seq = t.seq AND g.tag LIKE 'eval=%') FROM traces t JOIN names p ON p.number = t.project"
            " JOIN names a ON a.number = t.app WHERE t.seq > ? ORDER BY t.seq LIMIT ?",
            (after, limit),
        ).fetchall()
        found = [
            Fresh(seq, id, project, app)
            for seq, id, project, app, outcome, status, flags, is_test in rows
            if not is_test
            and status != OVER_LIMIT
            and OUTCOMES[outcome] in ("answered", "cached", "refused")
            and flags >> SURFACE_BIT in _CHATS
        ]
        return found, rows[-1][0] if rows else after

    return _reading(path, read)


def scores(path: Path, after: int, limit: int) -> tuple[list[Scored], int]:
    """Scores after a number, and the number that was come to. Raises: StoreError."""

    def read(connection: sqlite3.Connection) -> tuple[list[Scored], int]:
        rows = connection.execute(
            "SELECT s.rowid, t.created_ns, t.project, t.app, t.used, t.block, t.place, s.name, s.source,"
            " s.value, (SELECT o.value FROM scores o WHERE o.seq = s.seq AND o.name = s.name"
            " AND o.source = s.source AND o.rowid < s.rowid ORDER BY o.rowid DESC LIMIT 1)"
            " FROM scores s JOIN traces t ON t.seq = s.seq WHERE s.rowid > ? ORDER BY s.rowid LIMIT ?",
            (after, limit),
        ).fetchall()
        blocks = Blocks(connection)
        found = [
            Scored(
                number, created_ns, name_of(connection, project), name_of(connection, app),
                "" if used is None else name_of(connection, used), _prompt(blocks, block, place),
                name, source, value, before,
            )
            for number, created_ns, project, app, used, block, place, name, source, value, before in rows
        ]  # fmt: skip
        return found, rows[-1][0] if rows else after

    return _reading(path, read)


def prompt_of(body: Body | None) -> str:
    """Which version of which stored prompt was filled: `name@version`, "" for none."""
    for step in () if body is None else body.steps:
        prompt = step.notes.get("prompt") if step.step == "template" else None
        if isinstance(prompt, dict):
            return f"{prompt.get('name')}@{prompt.get('version')}"
    return ""


def _prompt(blocks: Blocks, block: int | None, place: int | None) -> str:
    if block is None or place is None:
        return ""
    try:
        return prompt_of(blocks.body(block, place))
    except (msgspec.DecodeError, zstandard.ZstdError, IndexError):
        return ""


def _reading(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    try:
        connection = open_reader(path)
        try:
            return read(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise explained(path, error) from error
