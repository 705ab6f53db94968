"""What people say of exchanges that an evaluation asked: their scores, which judges are held to."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from greenroom.store.scores import COUNTING

_AT_ONCE = 500
"""Bound values of one statement."""


class Said(NamedTuple):
    """One person's score that counts."""

    trace: str
    name: str
    value: float


def by_people(connection: sqlite3.Connection, traces: Sequence[str]) -> list[Said]:
    """The scores that people gave these exchanges."""
    found: list[Said] = []
    for at in range(0, len(traces), _AT_ONCE):
        some = traces[at : at + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        found += [
            Said(*row)
            for row in connection.execute(
                "SELECT t.id, s.name, s.value FROM traces t JOIN scores s ON s.seq = t.seq"  # noqa: S608  # marks
                f" WHERE t.id IN ({marks}) AND s.source = 'person' AND {COUNTING}",
                some,
            )
        ]
    return found
