# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""Scores of traces: what a person, a program or a judging model says of an exchange, after it ended.

Scores are added and never changed. Of one name and one source the newest counts; the older ones stay in the
file until the trace goes, with which they are erased.
"""

import re
import sqlite3
import time
from collections.abc import Iterable
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from greenroom.errors import MalformedRequest
from greenroom.store.material import Record, stamp

Source = Literal["person", "code", "judge"]
SOURCES: tuple[Source, ...] = ("person", "code", "judge")
"""Who says it, the one whose word counts most first."""
MEASURED = ("refused", "failed", "cost", "latency", "tokens")
"""What every exchange is measured by anyway; no score may have such a name."""
MOST_PER_TRACE = 1_000
"""Scores that one exchange may have, the old ones counted."""
LONGEST_COMMENT = 4_000
LONGEST_CORRECTION = 100_000
NAME = r"^[a-z][a-z0-9_.\-]{0,63}$"

_NAME = re.compile(NAME)
_FILTER = re.compile(r"^([a-z][a-z0-9_.\-]{0,63})(?::(<=|>=|<|>|=)?(-?[0-9]{1,12}(?:\.[0-9]{1,12})?))?$")
COUNTING = (
    "s.rowid = (SELECT max(n.rowid) FROM scores n WHERE n.seq = s.seq AND n.name = s.name"
    " AND n.source = s.source)"
)

_LAST = (
    "SELECT max((SELECT ifnull(max(rowid), 0) FROM scores),"
    " ifnull((SELECT value FROM counters WHERE name = 'scored'), 0))"
)
"""The highest number that a score was ever given: whoever reads new ones goes on behind it."""

FIRST_OF_ITS_NAME = (
    "l.name = ? AND l.rowid = (SELECT min(n.rowid) FROM scores n WHERE n.seq = l.seq AND n.name = l.name)"
)
"""Of the scores `l` that a trace has under a name, one."""


class Score(Struct, kw_only=True, frozen=True):
    """One score: a number under a name. What it means, and its range, is the caller's to say."""

    name: Annotated[str, Meta(pattern=NAME)]
    value: float
    comment: Annotated[str, Meta(max_length=LONGEST_COMMENT)] = ""
    source: Source = "person"
    correction: Annotated[str, Meta(max_length=LONGEST_CORRECTION)] = ""
    """What the answer should have said; training data can be made of it."""


class ScoreFilter(NamedTuple):
    """Traces that have such a score, from any source."""

    name: str
    sign: str = ""
    """`<`, `<=`, `>`, `>=` or `=`; empty: whatever its value."""
    value: float = 0.0


def checked(score: Score) -> Score:
    """The same score. Raises: MalformedRequest for a name that is none or is taken, a value that is none."""
    if _NAME.fullmatch(score.name) is None:
        raise MalformedRequest(
            "A score's name has up to 64 small letters, digits, '_', '.' and '-', a letter first.", "name"
        )
    if score.name in MEASURED:
        raise MalformedRequest(
            f"'{score.name}' is measured by Greenroom itself. Give the score another name.", "name"
        )
    if not isfinite(score.value):
        raise MalformedRequest("A score's value must be a finite number.", "value")
    if len(score.comment) > LONGEST_COMMENT:
        raise MalformedRequest(f"A comment has at most {LONGEST_COMMENT} characters.", "comment")
    if len(score.correction) > LONGEST_CORRECTION:
        raise MalformedRequest(f"A correction has at most {LONGEST_CORRECTION:,} characters.", "correction")
    return score


def read_filter(text: str) -> ScoreFilter:
    """Read `helpful`, `helpful:1` or `helpful:<0.5`. Raises: MalformedRequest."""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise MalformedRequest(
            "'score' must be a name alone or with a bound, like helpful, helpful:1 or helpful:<0.5.", "score"
        )
    name, sign, value = found.groups()
    return ScoreFilter(name) if value is None else ScoreFilter(name, sign or "=", float(value))


def condition(wanted: ScoreFilter) -> tuple[str, tuple[object, ...]]:
    """The filter as a condition on `t.seq`, and the values to bind."""
    inner = f"SELECT s.seq FROM scores s WHERE s.name = ? AND {COUNTING}"
    if not wanted.sign:
        return f"t.seq IN ({inner})", (wanted.name,)
    assert wanted.sign in ("<", "<=", ">", ">=", "=")
    return f"t.seq IN ({inner} AND s.value {wanted.sign} ?)", (wanted.name, wanted.value)


def condition_at(name: str, sign: str, value: str | float) -> tuple[str, tuple[object, ...]]:
    """The same for one trace at a time, any value where `value` is a text: for walks that look at few."""
    inner = (
        "EXISTS (SELECT 1 FROM scores s INDEXED BY scores_by_seq"
        f" WHERE s.seq = t.seq AND s.name = ? AND {COUNTING}"
    )
    if isinstance(value, str):
        return f"{inner})", (name,)
    assert sign in ("<", "<=", ">", ">=", "=", "!=")
    return f"{inner} AND s.value {sign} ?)", (name, value)


def add(connection: sqlite3.Connection, seq: int, score: Score, at_ns: int | None = None) -> Record:
    """Add a score to the trace `seq`; it as it is shown. Raises: MalformedRequest when it has too many."""
    (held,) = connection.execute("SELECT count(*) FROM scores WHERE seq = ?", (seq,)).fetchone()
    if held >= MOST_PER_TRACE:
        raise MalformedRequest(f"This exchange has {held} scores, more than may be. No more are taken.")
    at_ns = time.time_ns() if at_ns is None else at_ns
    row = (at_ns, score.name, score.value, score.comment, score.source, score.correction or None)
    connection.execute(
        "INSERT INTO scores (rowid, seq, at_ns, name, value, comment, source, correction)"
        f" VALUES (({_LAST}) + 1, ?, ?, ?, ?, ?, ?, ?)",
        (seq, *row),
    )
    return _shown(row)


def of(connection: sqlite3.Connection, seq: int) -> list[Record]:
    """The scores of a trace that count, in the order in which they came."""
    rows = connection.execute(
        "SELECT s.at_ns, s.name, s.value, s.comment, s.source, s.correction FROM scores s"
        " WHERE s.seq = ? AND " + COUNTING + " ORDER BY s.rowid",
        (seq,),
    )
    return [_shown(row) for row in rows]


def erase(connection: sqlite3.Connection, seqs: Iterable[tuple[int]]) -> None:
    """Erase all scores of traces. Their numbers are given to no others, which would pass as seen."""
    connection.execute(f"INSERT OR REPLACE INTO counters SELECT 'scored', ({_LAST})")
    connection.executemany("DELETE FROM scores WHERE seq = ?", seqs)


def _shown(row: tuple[Any, ...]) -> Record:  # Any: columns, as SQLite gives them
    at_ns, name, value, comment, source, correction = row
    shown = {"name": name, "value": value, "comment": comment, "source": source, "at": stamp(at_ns)}
    return {**shown, "correction": correction} if correction else shown
