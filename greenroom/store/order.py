"""The order of traces: numbers that rise as exchanges end, and their relation to time."""

import sqlite3

LONGEST_NS = 3_600_000_000_000
"""No exchange takes longer than an hour: by so much, at most, may a later number have come earlier."""


_LAST = (
    "SELECT max((SELECT ifnull(max(seq), 0) FROM traces),"
    " (SELECT max(value) FROM counters WHERE name IN ('indexed', 'given')))"
)


def last(connection: sqlite3.Connection) -> int:
    """The highest number ever given: of what is there, and of what was erased since."""
    return int(connection.execute(_LAST).fetchone()[0])


def keep_last(connection: sqlite3.Connection) -> None:
    """Before any is erased: no other gets its number, which readers of new ones would take for seen."""
    connection.execute(f"INSERT OR REPLACE INTO counters SELECT 'given', ({_LAST})")


def first_since(connection: sqlite3.Connection, since_ns: int) -> int:
    """A number below which nothing came at or after `since_ns`."""
    return _border(connection, since_ns - LONGEST_NS)


def first_after(connection: sqlite3.Connection, until_ns: int) -> int:
    """A number from which on nothing came before `until_ns`."""
    return _border(connection, until_ns + LONGEST_NS)


def _border(connection: sqlite3.Connection, created_ns: int) -> int:
    """Halving: a number with only earlier moments (give or take an hour) below it. Some 20 look-ups."""
    # Two selects: one with both would read the whole table.
    low, high = connection.execute(
        "SELECT (SELECT ifnull(min(seq), 1) FROM traces), (SELECT ifnull(max(seq), 0) + 1 FROM traces)"
    ).fetchone()
    while low < high:
        middle = (low + high) // 2
        seq, found = connection.execute(
            "SELECT seq, created_ns FROM traces WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if found < created_ns:
            low = seq + 1
        else:
            high = middle
    return int(low)
