# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""What the traces say of the two sides of a deployment, row by row as they come.

Sides are known by the tag that experiments use (no client may set it), as `deploy:ID/canary`; what an answer
was found wanting in by a tag of its own. Only what is new since the last look is read.
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from greenroom.store.erasure import all_projects
from greenroom.store.material import OUTCOMES, pseudonym
from greenroom.store.observations import TAG

Side = Literal["canary", "current"]
FLAW = "deploy.flaw"
"""The tag that says what is wrong with an answer, as `ID/empty`."""
FLAWS = ("empty", "cut", "loop", "language", "json", "unsupported")
CHUNK = 20_000
"""Traces that one look goes through at most."""


class Row(NamedTuple):
    """One exchange of a side."""

    seq: int
    is_canary: bool
    unit: str
    """The user, else the session, else the exchange itself."""
    is_named: bool
    """Whether the unit may come again: a user or a session."""
    outcome: str
    cost_nano: int | None
    total_us: int
    output_tokens: int | None
    flaw: str | None


class Scored(NamedTuple):
    """One score of an exchange of a side."""

    is_canary: bool
    unit: str
    is_named: bool
    name: str
    value: float


class Batch(NamedTuple):
    """What is new, and up to which trace and which score it reaches."""

    rows: list[Row]
    scores: list[Scored]
    seq: int
    score: int
    is_last: bool
    """Whether there is nothing more now."""


def tag_of(id: int, side: Side | str) -> str:
    """The tag's value of a side."""
    return f"deploy:{id}/{side}"


def read(
    connection: sqlite3.Connection, id: int, after: tuple[int, int], scores: Sequence[str], canary: str,
    since_ns: int = 0,
) -> Batch:  # fmt: skip
    """The next rows and scores behind (trace, score), in the order in which they were stored.

    `canary`: what the other side's tag is called, "canary" or "shadow". `since_ns`: no exchange of before.
    """
    newest = connection.execute(
        "SELECT (SELECT ifnull(max(seq), 0) FROM traces), (SELECT ifnull(max(rowid), 0) FROM scores)"
    ).fetchone()
    to = min(int(newest[0]), after[0] + CHUNK)
    to_score = min(int(newest[1]), after[1] + CHUNK)
    found: list[Row] = []
    for project in all_projects(connection):
        flaws = _flaws(connection, project, id, after[0], to)
        for side in ("current", canary):
            rows = connection.execute(
                "SELECT t.seq, t.user, t.session, t.id, t.outcome, t.cost_nano, t.total_us, t.output_tokens"
                " FROM tags g CROSS JOIN traces t ON t.seq = g.seq"
                " WHERE g.project = ? AND g.tag = ? AND g.seq > ? AND g.seq <= ? AND t.created_ns >= ?",
                (project, f"{TAG}={tag_of(id, side)}", after[0], to, since_ns),
            )
            for seq, user, session, trace, outcome, cost, total_us, tokens in rows:
                unit, is_named = _unit(project, user, session, trace)
                found.append(
                    Row(seq, side != "current", unit, is_named, OUTCOMES[outcome], cost, total_us, tokens,
                        flaws.get(seq))
                )  # fmt: skip
    found.sort()
    scored = _scores(connection, id, after[1], to_score, scores, canary, since_ns) if scores else []
    return Batch(found, scored, to, to_score, is_last=to == newest[0] and to_score == newest[1])


def _flaws(connection: sqlite3.Connection, project: int, id: int, after: int, to: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for flaw in FLAWS:
        for (seq,) in connection.execute(
            "SELECT seq FROM tags WHERE project = ? AND tag = ? AND seq > ? AND seq <= ?",
            (project, f"{FLAW}={id}/{flaw}", after, to),
        ):
            found[seq] = flaw
    return found


def _scores(
    connection: sqlite3.Connection, id: int, after: int, to: int, names: Sequence[str], canary: str,
    since_ns: int,
) -> list[Scored]:  # fmt: skip
    """Each exchange's first score of a name; the side is that of the exchange, whenever the score comes."""
    tags = {f"{TAG}={tag_of(id, 'current')}": False, f"{TAG}={tag_of(id, canary)}": True}
    places = ", ".join("?" * len(names))
    rows = connection.execute(
        "SELECT g.tag, t.project, t.user, t.session, t.id, s.name, s.value FROM scores s"
        " JOIN tags g ON g.seq = s.seq JOIN traces t ON t.seq = s.seq"
        f" WHERE s.rowid > ? AND s.rowid <= ? AND s.name IN ({places}) AND g.tag IN (?, ?)"
        " AND t.created_ns >= ? AND s.value IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM scores o WHERE o.seq = s.seq"
        " AND o.name = s.name AND o.rowid < s.rowid) ORDER BY s.rowid",
        (after, to, *names, *tags, since_ns),
    )
    return [
        Scored(tags[tag], *_unit(project, user, session, trace), name, value)
        for tag, project, user, session, trace, name, value in rows
    ]


def _unit(project: int, user: str | None, session: str | None, trace: str) -> tuple[str, bool]:
    named = user if user is not None else session
    if named is None:
        return trace, False
    return f"{project}\0{named if named.startswith('#') else pseudonym(named)}", True
