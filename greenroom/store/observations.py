# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""What the traces say of one arm of an experiment: outcomes, costs, times, tokens and scores.

An arm's exchanges are known by their tag. Their unit (who or what was drawn) is the trace's own user, session
or id; names that are personal data stand there by what stands for them.
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from greenroom.store.erasure import all_projects
from greenroom.store.material import OUTCOMES, pseudonym
from greenroom.store.names import Names
from greenroom.store.scores import SOURCES

TAG = "experiment"
"""The tag that says experiment and arm of an exchange, as `NAME/ARM`; no client may set it."""
Unit = Literal["user", "session", "request"]
_COLUMN: dict[Unit, str] = {"user": "t.user", "session": "t.session", "request": "t.id"}
_RANK = {source: rank for rank, source in enumerate(SOURCES)}


class Wanted(NamedTuple):
    """Which exchanges: of an app, with a tag, since a moment; by which unit, and with which scores."""

    app: str
    tag: str
    since_ns: int
    unit: Unit
    scores: Sequence[str] = ()


class Seen(NamedTuple):
    """One exchange of an arm."""

    seq: int
    unit: str
    outcome: str
    cost_nano: int | None
    total_us: int
    tokens: int | None
    scores: dict[str, tuple[int, float]]
    """By name: when it was scored first (a rising number), and the value that counts: a person's before that
    of a program, and that before a judge's."""


def newest(connection: sqlite3.Connection) -> tuple[int, int]:
    """The numbers of the newest trace and the newest score."""
    found = connection.execute(
        "SELECT (SELECT ifnull(max(seq), 0) FROM traces), (SELECT ifnull(max(rowid), 0) FROM scores)"
    ).fetchone()
    return int(found[0]), int(found[1])


def read(connection: sqlite3.Connection, names: Names, wanted: Wanted) -> list[Seen]:
    """All of them, in the order in which they ended."""
    app = names.find(connection, wanted.app)
    if app is None:
        return []
    found: list[Seen] = []
    for project in all_projects(connection):
        scores = _scores(connection, project, wanted)
        rows = connection.execute(
            f"SELECT t.seq, {_COLUMN[wanted.unit]}, t.outcome, t.cost_nano, t.total_us,"
            " t.input_tokens + t.output_tokens FROM tags g CROSS JOIN traces t ON t.seq = g.seq"
            " WHERE g.project = ? AND g.tag = ? AND t.app = ? AND t.created_ns >= ? ORDER BY g.seq",
            (project, f"{TAG}={wanted.tag}", app, wanted.since_ns),
        )
        for seq, unit, outcome, cost_nano, total_us, tokens in rows:
            if unit is not None:
                named = unit if unit.startswith("#") else pseudonym(unit)
                own = scores.get(seq, {})
                found.append(
                    Seen(seq, f"{project}{named}", OUTCOMES[outcome], cost_nano, total_us, tokens, own)
                )
    found.sort()
    return found


def _scores(
    connection: sqlite3.Connection, project: int, wanted: Wanted
) -> dict[int, dict[str, tuple[int, float]]]:
    """By trace and name: when it was scored first, and the value that counts."""
    found: dict[int, dict[str, tuple[int, float]]] = {}
    for name in wanted.scores:
        ranks: dict[int, int] = {}
        rows = connection.execute(
            "SELECT s.rowid, s.seq, s.source, s.value FROM scores s"
            " JOIN tags g ON g.project = ? AND g.tag = ? AND g.seq = s.seq WHERE s.name = ? ORDER BY s.rowid",
            (project, f"{TAG}={wanted.tag}", name),
        )
        for number, seq, source, value in rows:
            rank = _RANK.get(source, len(_RANK))
            own = found.setdefault(seq, {})
            if name not in own:
                own[name] = number, value
                ranks[seq] = rank
            elif rank <= ranks[seq]:
                own[name] = own[name][0], value
                ranks[seq] = rank
    return found
