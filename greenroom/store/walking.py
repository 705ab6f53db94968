# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""A walk back through the traces that fit a filter, in bounded time.

What an index leads to (a user, a session, a tag, a score, words) is found at once. All else is looked through
range by range, each twice as wide as the one before, until there is enough or the time is over. A walk tells
how far it got, so nothing that fits is ever passed over.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

from greenroom.errors import MalformedRequest
from greenroom.store import order, scores, search
from greenroom.store.blocks import places
from greenroom.store.conditions import Condition, Where, looks_into, where
from greenroom.store.erasure import all_projects
from greenroom.store.listing import TraceFilter, read_cursor
from greenroom.store.material import pseudonym
from greenroom.store.names import Names

_FIRST_RANGE = 4_000
_FIRST_BODIES = 500
"""The same where every body is looked into, for some 15 µs each."""
_GROWTH = 2
_CHECK_EVERY = 2_000
"""Steps of SQLite's machine between two looks at the clock."""
Found = tuple[Any, ...]  # Any: columns, as SQLite gives them
_TAGGED = "EXISTS (SELECT 1 FROM tags g WHERE g.project = t.project AND g.tag = ? AND g.seq = t.seq)"


class _Lead(NamedTuple):
    """What leads to traces in their order, and the same as a condition where words lead."""

    table: str
    seq: str
    by: Where
    otherwise: Where
    project: int | None = None
    user: str | None = None
    session: str | None = None


class Walk:
    """Back through what fits. Raises: MalformedRequest."""

    def __init__(self, connection: sqlite3.Connection, names: Names, wanted: TraceFilter) -> None:
        self._connection = connection
        self.query = _query(wanted.q)
        self._looks = looks_into(wanted.conditions)
        self._mark = search.watermark(connection) if self.query is not None else 0
        low, high = connection.execute(
            "SELECT (SELECT ifnull(min(seq), 1) FROM traces), (SELECT ifnull(max(seq), 0) + 1 FROM traces)"
        ).fetchone()
        rest: list[Where] = []
        if wanted.since_ns is not None:
            low = max(low, order.first_since(connection, wanted.since_ns))
            rest.append(("t.created_ns >= ?", (wanted.since_ns,)))
        if wanted.until_ns is not None:
            high = min(high, order.first_after(connection, wanted.until_ns))
            rest.append(("t.created_ns < ?", (wanted.until_ns,)))
        below = read_cursor(wanted.cursor)
        self.low, self.high = int(low), int(high if below is None else min(high, below))
        conditions = _conditions(wanted)
        self._rest = _joined(
            [*rest, *(where(connection, names, one) for one in conditions if not one.needs_body)]
        )
        self._leads = _leads(connection, names, wanted, conditions)

    def rows(self, columns: str, limit: int, budget_s: float) -> tuple[list[Found], int]:
        """The newest that fit, and the number from which on all were looked at: `low` when that is all.

        `columns` begin with seq, block and place of `t`. Cost: `budget_s` and one range.
        """
        until = time.monotonic() + budget_s
        found: list[Found] = []
        high, size = self.high, _FIRST_RANGE if self._looks is None else _FIRST_BODIES
        while high > self.low and len(found) < limit:
            low = max(self.low, high - size)
            # The first range is always looked through, so that every page gets on.
            part = self._range(columns, low, high, limit - len(found), None if high == self.high else until)
            if part is None:
                return found, high
            found += part
            high, size = low, size * _GROWTH
            if time.monotonic() > until:
                break
        if len(found) >= limit:
            return found[:limit], int(found[limit - 1][0])
        return found, max(high, self.low)

    def _range(
        self, columns: str, low: int, high: int, limit: int, until: float | None
    ) -> list[Found] | None:
        """What fits from `low` on and below `high`, newest first; None when time was over before its end."""

        def is_over() -> bool:
            return until is not None and time.monotonic() > until

        self._connection.set_progress_handler(None if until is None else is_over, _CHECK_EVERY)
        try:
            found: list[Found] = []
            for lead in self._leads:
                found += self._read(lead, columns, (low, high), limit, is_over)
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            return None
        except TimeoutError:
            return None
        finally:
            self._connection.set_progress_handler(None, 0)
        found.sort(key=lambda row: -int(row[0]))
        return found[:limit]

    def _read(
        self, lead: _Lead, columns: str, span: tuple[int, int], limit: int, is_over: Callable[[], bool]
    ) -> list[Found]:
        low, high = span
        if self.query is None:
            return self._picked(self._run(lead, columns, low, high), self._looks, limit, is_over)
        found: list[Found] = []
        if high > self._mark + 1:
            tail = self._run(lead, columns, max(low, self._mark + 1), high)
            scan = search.TailScan(self._connection, self.query)
            hits = [row for row in _timed(tail, is_over) if scan.matches(row[1], row[2])]
            found = self._picked(hits, self._looks, limit, is_over)
        if low <= self._mark and len(found) < limit:
            words = self.query.expression(lead.project, lead.user, lead.session)
            by = _joined([("words MATCH ?", (words,)), lead.otherwise])
            match = lead._replace(
                table="words CROSS JOIN traces t ON t.seq = words.rowid", seq="words.rowid", by=by
            )
            rows = self._run(match, columns, low, min(high, self._mark + 1))
            found += self._picked(rows, self._looks, limit - len(found), is_over)
        return found

    def _run(self, lead: _Lead, columns: str, low: int, high: int) -> sqlite3.Cursor:
        text, values = _joined([lead.by, self._rest, (f"{lead.seq} >= ? AND {lead.seq} < ?", (low, high))])
        sql = f"SELECT {columns} FROM {lead.table} WHERE {text} ORDER BY {lead.seq} DESC"
        return self._connection.execute(sql, values)

    def _picked(
        self, rows: Sequence[Found] | sqlite3.Cursor, looks: Callable[[bytes], bool] | None, limit: int,
        is_over: Callable[[], bool],
    ) -> list[Found]:  # fmt: skip
        if looks is None and isinstance(rows, sqlite3.Cursor):
            return rows.fetchmany(limit)
        bodies = Bodies(self._connection)
        found: list[Found] = []
        for row in _timed(rows, is_over):
            if looks is not None:
                encoded = bodies.at(row[1], row[2])
                if encoded is None or not looks(encoded):
                    continue
            found.append(row)
            if len(found) == limit:
                break
        return found


class Bodies:
    """Encoded bodies by their places; remembers the last block it unpacked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._block: int | None = None
        self._bodies: list[bytes | None] = []

    def at(self, block: int | None, place: int | None) -> bytes | None:
        """The body, None where there is none."""
        if block is None or place is None:
            return None
        if block != self._block:
            found = self._connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
            self._block, self._bodies = block, places(found[0]) if found else []
        return self._bodies[place] if place < len(self._bodies) else None


def _timed(rows: Sequence[Found] | sqlite3.Cursor, is_over: Callable[[], bool]) -> Sequence[Found]:
    """The rows one by one. Raises: TimeoutError."""

    def one_by_one() -> Any:  # Any: a generator of rows
        for row in rows:
            if is_over():
                raise TimeoutError
            yield row

    return one_by_one()  # type: ignore[no-any-return]  # it is only looped over


def _conditions(wanted: TraceFilter) -> list[Condition]:
    plain = [("app", wanted.app), ("model", wanted.model), ("outcome", wanted.outcome), ("tag", wanted.tag)]
    found = [Condition(field, "=", value) for field, value in plain if value is not None]
    if wanted.score is not None:
        score = scores.read_filter(wanted.score)
        value = score.value if score.sign else ""
        found.append(Condition(f"score.{score.name}", score.sign or "=", value))  # type: ignore[arg-type]  # signs
    return found + list(wanted.conditions)


def _leads(
    connection: sqlite3.Connection, names: Names, wanted: TraceFilter, conditions: Sequence[Condition]
) -> list[_Lead]:
    """What leads most directly to what is wanted, one for each project and form of a name."""
    tag = next((one for one in conditions if one.field == "tag" and one.sign == "="), None)
    score = next((one for one in conditions if one.field.startswith("score.")), None)
    number = None if wanted.project is None else names.find(connection, wanted.project) or -1
    within: Where = ("1", ()) if number is None else ("t.project = ?", (number,))
    if wanted.user is None and wanted.session is None:
        if tag is not None:
            return [
                _Lead(
                    "tags g CROSS JOIN traces t ON t.seq = g.seq", "g.seq",
                    ("g.project = ? AND g.tag = ?", (one, tag.value)), (_TAGGED, (tag.value,)), one,
                )
                for one in _projects(connection, number)
            ]  # fmt: skip
        if score is not None:
            return [
                _Lead(
                    "scores l CROSS JOIN traces t ON t.seq = l.seq", "l.seq",
                    _joined([(scores.FIRST_OF_ITS_NAME, (score.field[6:],)), within]), within, number,
                )
            ]  # fmt: skip
        if number is not None:
            return [_Lead("traces t INDEXED BY traces_by_project", "t.seq", within, within, number)]
        return [_Lead("traces t NOT INDEXED", "t.seq", within, within)]
    return [
        _person(project, user, session)
        for project, user, session in product(
            _projects(connection, number), _forms(wanted.user), _forms(wanted.session)
        )
    ]


def _person(project: int, user: str | None, session: str | None) -> _Lead:
    parts: list[Where] = [("t.project = ?", (project,))]
    if user is not None:
        parts.append(("t.user = ?", (user,)))
    if session is not None:
        parts.append(("t.session = ?", (session,)))
    by = _joined(parts)
    index = "traces_by_user" if session is None else "traces_by_session"
    return _Lead(f"traces t INDEXED BY {index}", "t.seq", by, by, project, user, session)


def _projects(connection: sqlite3.Connection, number: int | None) -> list[int]:
    return all_projects(connection) if number is None else [number]


def _joined(parts: Sequence[Where]) -> Where:
    texts = [text for text, _ in parts if text]
    return " AND ".join(texts) or "1", tuple(value for _, values in parts for value in values)


def _query(text: str | None) -> search.Query | None:
    if text is None or not text.strip():
        return None
    query = search.read_query(text)
    if query is None:
        raise MalformedRequest("The search holds no word: letters or digits are needed.", "q")
    return query


def _forms(name: str | None) -> list[str | None]:
    """How a user or session may be stored: as named, or by the name that stands for personal data."""
    return [None] if name is None else [name, pseudonym(name)]
