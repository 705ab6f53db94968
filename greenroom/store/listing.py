# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""Lists of traces: filters, pages, search. Reads only.

Every list is made of ordered pieces (one per project and per form of a name) that an index delivers in order;
the pieces are merged. No value of a caller ever becomes part of a statement.
"""

import sqlite3
from itertools import product
from typing import Any, NamedTuple

from msgspec import Struct

from greenroom.errors import MalformedRequest
from greenroom.store import order, scores, search
from greenroom.store.conditions import Condition
from greenroom.store.conditions import where as where_of
from greenroom.store.erasure import all_projects
from greenroom.store.material import OUTCOMES, Record, Row, pseudonym, summary_of
from greenroom.store.names import Names

MAX_LIMIT = 500

COLUMNS = (
    "t.seq, t.id, t.created_ns, t.project, t.key, t.app, t.asked, t.used, t.outcome, t.status, t.session,"
    " t.user, t.language, t.input_tokens, t.output_tokens, t.cost_nano, t.total_us, t.overhead_us,"
    " t.first_token_us, t.flags, t.block, t.place"
)
_FIND = (
    "SELECT " + COLUMNS + ", b.body FROM traces t LEFT JOIN blocks b ON b.number = t.block"
    " WHERE t.id = ? ORDER BY t.seq DESC"
)
Found = tuple[Any, ...]  # Any: the columns above, as SQLite gives them


class TraceFilter(Struct, kw_only=True, frozen=True):
    """What to list; None leaves a condition out. Times in nanoseconds, `until_ns` excluded.

    `model` is the name asked for or the target that answered; `tag` is `key=value`; `q` are words; `score` is
    a name with or without a bound, as `helpful:<0.5`.
    """

    project: str | None = None
    q: str | None = None
    app: str | None = None
    model: str | None = None
    outcome: str | None = None
    session: str | None = None
    user: str | None = None
    tag: str | None = None
    score: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    limit: int = 50
    cursor: str | None = None
    conditions: tuple[Condition, ...] = ()
    """More of them; `list_page` leaves out what only a body can tell, `browsing` does not."""


class Page(NamedTuple):
    """Summaries, newest first, and the cursor of what follows."""

    rows: list[Record]
    next: str | None


def find(connection: sqlite3.Connection, names: Names, project: str | None, id: str) -> Found | None:
    """The newest row of this id that the project may see: the columns, then the block's bytes."""
    number = None if project is None else names.find(connection, project)
    if project is not None and number is None:
        return None
    for found in connection.execute(_FIND, (id,)):
        if number is None or found[3] == number:
            return tuple(found)
    return None


def row_of(connection: sqlite3.Connection, names: Names, found: Found) -> Row:
    """Stored columns as a `Row`, numbers turned back to names."""
    project, key, app, asked, used = found[3:8]
    name = names.name
    return Row(
        found[1], found[2], name(connection, project), name(connection, key), name(connection, app),
        name(connection, asked), None if used is None else name(connection, used), OUTCOMES[found[8]],
        *found[9:20],
    )  # fmt: skip


def list_page(connection: sqlite3.Connection, names: Names, wanted: TraceFilter) -> Page:
    """One page. Raises: MalformedRequest."""
    limit = min(max(wanted.limit, 1), MAX_LIMIT)
    below = read_cursor(wanted.cursor)
    query = None
    if wanted.q is not None and wanted.q.strip():
        query = search.read_query(wanted.q)
        if query is None:
            raise MalformedRequest("The search 'q' holds no word: letters or digits are needed.", "q")
    found: list[Found] = []
    for piece in _pieces(connection, names, wanted):
        found += _read(connection, piece, query, below, limit + 1)
    found.sort(key=lambda row: -int(row[0]))
    rows = [summary_of(row_of(connection, names, row)) for row in found[:limit]]
    return Page(rows, str(found[limit - 1][0]) if len(found) > limit else None)


def read_cursor(text: str | None) -> int | None:
    """The number below which a page begins. Raises: MalformedRequest."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise MalformedRequest("The cursor is not one that a list gave.", "cursor")
    return int(text)


class _Piece(NamedTuple):
    """One ordered part of a list: conditions on one project, with bound values."""

    project: int
    tag: str | None
    user: str | None
    session: str | None
    where: tuple[str, ...]
    values: tuple[object, ...]


def _pieces(connection: sqlite3.Connection, names: Names, wanted: TraceFilter) -> list[_Piece]:
    where: list[str] = []
    values: list[object] = []
    if wanted.app is not None:
        where.append("t.app = ?")
        values.append(names.find(connection, wanted.app) or -1)
    if wanted.model is not None:
        number = names.find(connection, wanted.model) or -1
        where.append("(t.asked = ? OR t.used = ?)")
        values += (number, number)
    if wanted.outcome is not None:
        where.append("t.outcome = ?")
        values.append(OUTCOMES.index(wanted.outcome) if wanted.outcome in OUTCOMES else -1)
    for one in wanted.conditions:
        if not one.needs_body:
            text, own = where_of(connection, names, one)
            where.append(text)
            values += own
    if wanted.score is not None:
        scored, bound = scores.condition(scores.read_filter(wanted.score))
        where.append(scored)
        values += bound
    if wanted.since_ns is not None:
        where.append("t.seq >= ? AND t.created_ns >= ?")
        values += (order.first_since(connection, wanted.since_ns), wanted.since_ns)
    if wanted.until_ns is not None:
        where.append("t.seq < ? AND t.created_ns < ?")
        values += (order.first_after(connection, wanted.until_ns), wanted.until_ns)
    pieces: list[_Piece] = []
    for project, user, session in product(
        _projects(connection, names, wanted.project), _forms(wanted.user), _forms(wanted.session)
    ):
        own_where, own_values = list(where), list(values)
        if user is not None:
            own_where.append("t.user = ?")
            own_values.append(user)
        if session is not None:
            own_where.append("t.session = ?")
            own_values.append(session)
        pieces.append(_Piece(project, wanted.tag, user, session, tuple(own_where), tuple(own_values)))
    return pieces


def _projects(connection: sqlite3.Connection, names: Names, project: str | None) -> list[int]:
    if project is None:
        return all_projects(connection)
    number = names.find(connection, project)
    return [] if number is None else [number]


def _forms(name: str | None) -> list[str | None]:
    """How a user or session may be stored: as named, or by the name that stands for personal data."""
    return [None] if name is None else [name, pseudonym(name)]


def _read(
    connection: sqlite3.Connection, piece: _Piece, query: search.Query | None, below: int | None, limit: int
) -> list[Found]:
    if query is None:
        return list(_rows(connection, piece, below, None, limit))
    mark = search.watermark(connection)
    scan = search.TailScan(connection, query)
    found: list[Found] = []
    for row in _rows(connection, piece, below, mark, -1):
        if scan.matches(row[20], row[21]):
            found.append(row)
            if len(found) == limit:
                return found
    return found + _indexed(connection, piece, query, below, limit - len(found))


def _rows(
    connection: sqlite3.Connection, piece: _Piece, below: int | None, above: int | None, limit: int
) -> sqlite3.Cursor:
    if piece.tag is None:
        sql = "SELECT " + COLUMNS + " FROM traces t WHERE t.project = ?"
        values: list[object] = [piece.project]
        seq = "t.seq"
    else:
        sql = (
            "SELECT " + COLUMNS + " FROM tags g CROSS JOIN traces t ON t.seq = g.seq"
            " WHERE g.project = ? AND g.tag = ?"
        )
        values = [piece.project, piece.tag]
        seq = "g.seq"
    return _run(connection, sql, values, piece, seq, below, above, limit)


def _indexed(
    connection: sqlite3.Connection, piece: _Piece, query: search.Query, below: int | None, limit: int
) -> list[Found]:
    sql = (
        "SELECT " + COLUMNS + " FROM words CROSS JOIN traces t ON t.seq = words.rowid"
        " WHERE words MATCH ? AND t.project = ?"
    )
    values: list[object] = [query.expression(piece.project, piece.user, piece.session), piece.project]
    if piece.tag is not None:
        sql += " AND EXISTS (SELECT 1 FROM tags g WHERE g.project = ? AND g.tag = ? AND g.seq = t.seq)"
        values += (piece.project, piece.tag)
    return _run(connection, sql, values, piece, "words.rowid", below, None, limit).fetchall()


def _run(
    connection: sqlite3.Connection, sql: str, values: list[object], piece: _Piece,
    seq: str, below: int | None, above: int | None, limit: int,
) -> sqlite3.Cursor:  # fmt: skip
    for condition in piece.where:
        sql += " AND " + condition
    values += piece.values
    if below is not None:
        sql += " AND " + seq + " < ?"
        values.append(below)
    if above is not None:
        sql += " AND " + seq + " > ?"
        values.append(above)
    sql += " ORDER BY " + seq + " DESC LIMIT ?"
    return connection.execute(sql, (*values, limit))
