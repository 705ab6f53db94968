"""Requests for people who look: a page of them with their first words, and what the newest that fit are.

A page takes about the same time however many traces there are: see `walking`.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from greenroom.store.excerpts import excerpts
from greenroom.store.listing import COLUMNS, TraceFilter, row_of
from greenroom.store.material import OUTCOMES, Record, stamp, summary_of
from greenroom.store.names import Names
from greenroom.store.search import Query
from greenroom.store.walking import Bodies, Found, Walk

_WHOLE = "SELECT " + COLUMNS + " FROM traces t WHERE t.seq = ?"  # noqa: S608  # constants
BUDGET_S = 0.035
MOST_COUNTED = 2_000
"""Facets are counted among so many of the newest that fit."""
_FACETS = ("outcome", "app", "model", "language")
_LIGHT = "t.seq, t.block, t.place, t.outcome, t.app, ifnull(t.used, t.asked), t.language"
_MOST_VALUES = 12


class Facets(NamedTuple):
    """What the newest that fit are, the most frequent first: field → [(value, count)]."""

    counted: int
    is_all: bool
    """Whether these are all that fit."""
    values: dict[str, list[tuple[str, int]]]


class Sight(NamedTuple):
    """A page of requests: rows with `preview` and, where words are searched, `snippet`."""

    rows: list[Record]
    next: str | None
    """The cursor of what follows; None at the end."""
    reached: str | None
    """The moment down to which was searched, where time was over before the page was full."""
    facets: Facets | None
    """Of a first page."""


def browse(connection: sqlite3.Connection, names: Names, wanted: TraceFilter) -> Sight:
    """One page, newest first, `wanted.limit` rows at most. Raises: MalformedRequest.

    Cost at a million traces: 5 to 20 ms where an index leads or most fit, else up to the budget.
    """
    walk = Walk(connection, names, wanted)
    limit = wanted.limit
    is_first = wanted.cursor is None
    light, reached = walk.rows(_LIGHT, max(MOST_COUNTED, limit + 1) if is_first else limit + 1, BUDGET_S)
    rows = _rows(connection, names, light[:limit], walk.query)
    counted = None
    if is_first:
        counted = Facets(
            len(light), reached <= walk.low,
            {name: _counted(connection, names, light, place) for place, name in enumerate(_FACETS, 3)},
        )  # fmt: skip
    if len(light) > limit:
        return Sight(rows, str(light[limit - 1][0]), None, counted)
    if reached <= walk.low:
        return Sight(rows, None, None, counted)
    return Sight(rows, str(reached), _moment(connection, reached), counted)


def _rows(
    connection: sqlite3.Connection, names: Names, light: Sequence[Found], query: Query | None
) -> list[Record]:
    said = excerpts(Bodies(connection), light, query)
    whole = [connection.execute(_WHOLE, (row[0],)).fetchone() for row in light]
    return [
        {**summary_of(row_of(connection, names, row)), **words}
        for row, words in zip(whole, said, strict=True)
    ]


def _counted(
    connection: sqlite3.Connection, names: Names, found: Sequence[Found], place: int
) -> list[tuple[str, int]]:
    counts = Counter(row[place] for row in found if row[place] is not None).most_common(_MOST_VALUES)
    if place == 3:
        return [(OUTCOMES[value], count) for value, count in counts]
    return [
        (value if isinstance(value, str) else names.name(connection, value), count) for value, count in counts
    ]


def newest_after(connection: sqlite3.Connection, names: Names, wanted: TraceFilter, after: int) -> Sight:
    """What fits and came after a number, the newest `wanted.limit`; `next` is the newest number there is."""
    walk = Walk(connection, names, wanted)
    top = walk.high - 1
    walk.low = max(walk.low, after + 1)
    light, _ = walk.rows(_LIGHT, wanted.limit, BUDGET_S)
    return Sight(_rows(connection, names, light, walk.query), str(top), None, None)


def _moment(connection: sqlite3.Connection, seq: int) -> str | None:
    found = connection.execute(
        "SELECT created_ns FROM traces WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    return stamp(found[0]) if found else None
