"""Sessions for people who look: the latest of them with their sums, and one of them turn by turn.

A list takes bounded time: it walks back through the traces and says how far it got, as `walking` does.
"""

import sqlite3
import time
from typing import Any, NamedTuple

from msgspec import Struct, msgpack

from greenroom.store import scores
from greenroom.store.listing import COLUMNS, TraceFilter, read_cursor, row_of
from greenroom.store.material import OUTCOMES, Record, dollars, messages_of, stamp, summary_of, texts_of
from greenroom.store.names import Names
from greenroom.store.walking import Bodies, Walk

_BUDGET_S = 0.03
_STEP = 4_000
MOST_SUMMED = 1_000
"""Turns of one session that sums are made of, the newest."""
_LONGEST = 4_000
"""Characters of a turn that are shown."""
_TURN_BUDGET_S = 0.06
_PLACES = "t.seq, t.block, t.place, "
_NEWEST = (
    "SELECT seq FROM traces INDEXED BY traces_by_session WHERE project = ? AND session = ?"
    " ORDER BY seq DESC LIMIT 1"
)
_SUMS = (
    "SELECT count(*), sum(cost_nano), sum(cost_nano IS NULL), min(created_ns), max(created_ns),"
    " sum(outcome = ?), sum(outcome = ?), sum(ifnull(input_tokens, 0) + ifnull(output_tokens, 0)), max(user)"
    " FROM (SELECT * FROM traces INDEXED BY traces_by_session WHERE project = ? AND session = ?"
    " ORDER BY seq DESC LIMIT ?)"
)
_REFUSED, _FAILED = OUTCOMES.index("refused"), OUTCOMES.index("failed")


class Threads(NamedTuple):
    """Sessions, those first in which something happened last."""

    rows: list[Record]
    next: str | None
    reached: str | None


class Thread(NamedTuple):
    """The turns of one session in their order, and its sums."""

    summary: Record
    turns: list[Record]
    earlier: str | None
    """The cursor of what came before."""


class _Texts(Struct, array_like=True):
    """The beginning of a body."""

    request: bytes
    sent: bytes
    reply_raw: str
    reply_text: str | None


_texts = msgpack.Decoder(_Texts)


def latest(
    connection: sqlite3.Connection, names: Names, project: str | None, cursor: str | None, limit: int
) -> Threads:
    """The sessions in which something happened last. Raises: MalformedRequest."""
    below = read_cursor(cursor)
    low, high = connection.execute(
        "SELECT (SELECT ifnull(min(seq), 1) FROM traces), (SELECT ifnull(max(seq), 0) + 1 FROM traces)"
    ).fetchone()
    high = high if below is None else min(high, below)
    only = None if project is None else names.find(connection, project) or -1
    until = time.monotonic() + _BUDGET_S
    seen: set[tuple[int, str]] = set()
    rows: list[Record] = []
    while high > low:
        start = max(low, high - _STEP)
        for seq, number, session, created_ns in connection.execute(
            "SELECT seq, project, session, created_ns FROM traces NOT INDEXED WHERE session IS NOT NULL"
            " AND seq >= ? AND seq < ? ORDER BY seq DESC", (start, high),
        ):  # fmt: skip
            if (number, session) in seen or (only is not None and number != only):
                continue
            seen.add((number, session))
            if below is not None and connection.execute(_NEWEST, (number, session)).fetchone()[0] != seq:
                continue  # it stood on a newer page
            rows.append({"cursor": seq, **_summary(connection, names, number, session)})
            if len(rows) > limit or time.monotonic() > until:
                return Threads(rows[:limit], str(rows[:limit][-1]["cursor"]), stamp(created_ns))
        high = start
        if time.monotonic() > until and high > low:
            return Threads(rows, str(high), _moment(connection, high))
    return Threads(rows, None, None)


def _summary(connection: sqlite3.Connection, names: Names, project: int, session: str) -> Record:
    turns, cost, unpriced, first, last, refused, failed, tokens, user = connection.execute(
        _SUMS, (_REFUSED, _FAILED, project, session, MOST_SUMMED)
    ).fetchone()
    return {
        "session": session, "project": names.name(connection, project), "user": user, "turns": turns,
        "is_whole": turns < MOST_SUMMED, "cost_usd": dollars(cost or 0), "unpriced": unpriced or 0,
        "refused": refused or 0, "failed": failed or 0, "tokens": tokens or 0,
        "began": None if first is None else stamp(first), "last": None if last is None else stamp(last),
    }  # fmt: skip


def read(
    connection: sqlite3.Connection, names: Names, project: str, session: str, cursor: str | None, limit: int
) -> Thread | None:
    """One session, its newest `limit` turns (those before the cursor); None when nothing is kept of it."""
    number = names.find(connection, project)
    if number is None:
        return None
    wanted = TraceFilter(project=project, session=session, limit=limit, cursor=cursor)
    walk = Walk(connection, names, wanted)
    found, reached = walk.rows(_PLACES + COLUMNS, limit + 1, _TURN_BUDGET_S)
    if not found and cursor is None and reached <= walk.low:
        return None
    is_more = len(found) > limit
    found = found[:limit]
    bodies = Bodies(connection)
    turns = [
        {
            **summary_of(row_of(connection, names, row[3:])),
            **_said(bodies.at(row[1], row[2])),
            "scores": scores.of(connection, row[0]),
        }
        for row in reversed(found)
    ]
    kept = str(found[0][3 + 10]) if found else session
    earlier = str(found[-1][0]) if is_more else str(reached) if reached > walk.low else None
    return Thread(_summary(connection, names, number, kept), turns, earlier)


def _said(encoded: bytes | None) -> dict[str, Any]:  # Any: JSON
    if encoded is None:
        return {"asked": "", "said": ""}
    body = _texts.decode(encoded)
    texts = texts_of(messages_of(body.request))
    asked = next((one.text for one in reversed(texts) if one.role == "user"), "")
    reply = body.reply_raw if body.reply_text is None else body.reply_text
    return {"asked": asked[:_LONGEST], "said": reply[:_LONGEST]}


def _moment(connection: sqlite3.Connection, seq: int) -> str | None:
    found = connection.execute(
        "SELECT created_ns FROM traces WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    return stamp(found[0]) if found else None
