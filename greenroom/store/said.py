"""What is said in a conversation: a turn as it is asked for, and as a line that is to be written."""

import sqlite3
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import Struct

Talk = tuple[str, str, str]
"""Project, session, user; "" is nobody."""


class Turn(Struct, kw_only=True, frozen=True):
    """One thing said; `turn` counts from 1 in its session, `at` is ISO 8601."""

    session: str
    turn: int
    role: str
    text: str
    at: str
    user: str | None = None


class Line(NamedTuple):
    """A turn on its way to the file."""

    project: str
    session: str
    user: str
    turn: int
    role: str
    text: str
    at: str
    is_remembered: bool


def numbered(connection: sqlite3.Connection, lines: list[Line]) -> list[Line]:
    """The lines with numbers that go on from what the file holds. Within a transaction."""
    lasts: dict[Talk, int] = {}
    found = []
    for line in lines:
        talk = line[:3]
        if talk not in lasts:
            lasts[talk] = connection.execute(
                "SELECT coalesce(max(turn), 0) FROM turns WHERE project = ? AND session = ? AND user = ?",
                talk,
            ).fetchone()[0]
        lasts[talk] += 1
        found.append(line._replace(turn=lasts[talk]))
    return found


def seconds(at: str) -> float:
    """A moment of ISO 8601 as seconds since 1970; UTC where it names no zone."""
    moment = datetime.fromisoformat(at)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
