"""Which traces the rollups hold: ranges of their numbers, kept in the transactions that add them up.

What a killed process had in memory alone is a gap between ranges: it is found, and counted from the traces.
"""

import sqlite3
from typing import NamedTuple

TABLES = """
-- Numbers of traces that are in the cells, both ends included; ranges that touch are one.
CREATE TABLE covered (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
-- Processes that add. seen: up to this trace each has written all of its own.
CREATE TABLE writers (number INTEGER PRIMARY KEY AUTOINCREMENT, seen INTEGER NOT NULL);
"""


class Span(NamedTuple):
    """Numbers of traces that follow each other, both ends included."""

    first: int
    last: int


def cover(connection: sqlite3.Connection, span: Span) -> None:
    """Note that these are held. Inside the transaction that adds them."""
    first, last = span
    before = connection.execute(
        "SELECT first, last FROM covered WHERE first <= ? ORDER BY first DESC LIMIT 1", (first,)
    ).fetchone()
    if before is not None and before[1] >= first - 1:
        first, last = before[0], max(last, before[1])
    after = connection.execute(
        "SELECT max(last) FROM covered WHERE first BETWEEN ? AND ?", (first, last + 1)
    ).fetchone()[0]
    last = max(last, after or last)
    connection.execute("DELETE FROM covered WHERE first BETWEEN ? AND ?", (first, last))
    connection.execute("INSERT INTO covered VALUES (?, ?)", (first, last))


def newest_gap(connection: sqlite3.Connection, up_to: int) -> Span | None:
    """The last numbers up to `up_to` that are not held; None when all are."""
    while up_to > 0:
        found = connection.execute(
            "SELECT first, last FROM covered WHERE first <= ? ORDER BY first DESC LIMIT 1", (up_to,)
        ).fetchone()
        if found is None:
            return Span(1, up_to)
        if found[1] < up_to:
            return Span(found[1] + 1, up_to)
        up_to = found[0] - 1
    return None


def joined(spans: list[Span], one: Span) -> None:
    """Add a range behind others of the same process, made one with the last where they touch."""
    if spans and spans[-1].last == one.first - 1:
        spans[-1] = Span(spans[-1].first, one.last)
    else:
        spans.append(one)
