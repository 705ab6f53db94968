# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""How often which rule found what, and what was done: sums beside the log, so that no page reads it all.

Counted in the transaction that appends the findings, by hour and by day of the exchange; days and hours stay
400 days, longer than the findings. And the marks that people gave findings that were none: scores, by rule.
"""

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from greenroom.store.audit import Line

HOUR_S, DAY_S = 3_600, 86_400
SPANS = (HOUR_S, DAY_S)
KEPT_DAYS = 400
FALSE_ALARM = "false_alarm."
"""How the names of scores begin that say: this rule found what is none, in this exchange."""
_KEY = "project, app, category, rule, action, policy, shadow, would"
_MOST = 64
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.\-]")
_NS = 1_000_000_000
_ADD = (
    f"INSERT INTO finding_counts (span, start, {_KEY}, found) VALUES ({', '.join('?' * 11)})"
    f" ON CONFLICT (span, start, {_KEY}) DO UPDATE SET found = found + excluded.found"
)
MIGRATION = f"""
-- How often each rule found something, by hour and by day. start: Unix seconds.
CREATE TABLE finding_counts (
    span INTEGER NOT NULL, start INTEGER NOT NULL, project TEXT NOT NULL, app TEXT NOT NULL,
    category TEXT NOT NULL, rule TEXT NOT NULL, action TEXT NOT NULL, policy TEXT NOT NULL,
    shadow TEXT NOT NULL, would TEXT NOT NULL, found INTEGER NOT NULL,
    PRIMARY KEY (span, start, {_KEY})
) WITHOUT ROWID;
INSERT INTO finding_counts SELECT 3600, at_ns / 3600000000000 * 3600 AS hour, {_KEY}, count(*) FROM findings
    GROUP BY hour, {_KEY};
INSERT INTO finding_counts SELECT 86400, start / 86400 * 86400 AS day, {_KEY}, sum(found) FROM finding_counts
    GROUP BY day, {_KEY};
CREATE INDEX findings_by_rule ON findings (rule, number);
CREATE INDEX findings_by_category ON findings (category, number);
"""
"""Of `traces.db`."""
_Connecting = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Scope(NamedTuple):
    """What is summed up: from when on, in steps of which span, of which project and app."""

    span: int
    since_s: int
    project: str | None = None
    app: str | None = None


class Step(NamedTuple):
    """Findings of one category that were treated alike, in one step of time."""

    start: int
    category: str
    action: str
    found: int


class Sum(NamedTuple):
    """Findings of one rule that were treated alike, over the whole time."""

    category: str
    rule: str
    action: str
    policy: str
    shadow: str
    would: str
    found: int


class SafetyCounts:
    """Reads the sums. Raises: StoreError."""

    def __init__(self, reading: _Connecting) -> None:
        self._reading = reading

    def over_time(self, scope: Scope) -> list[Step]:
        """By category and action, step by step; steps without findings are left out."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT start, category, action, sum(found) FROM finding_counts {_WHERE}"
                " GROUP BY start, category, action ORDER BY start",
                scope,
            )
            return [Step(*row) for row in rows]

    def sums(self, scope: Scope) -> list[Sum]:
        """By rule and what was done, the most frequent first."""
        columns = "category, rule, action, policy, shadow, would"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {columns}, sum(found) AS found FROM finding_counts {_WHERE}"
                f" GROUP BY {columns} ORDER BY found DESC, rule",
                scope,
            )
            return [Sum(*row) for row in rows]

    def false_alarms(self, scope: Scope) -> dict[str, int]:
        """Exchanges whose finding was marked as none, by the name of the score."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT s.name, count(*) FROM scores s JOIN traces t ON t.seq = s.seq"
                " JOIN names p ON p.number = t.project JOIN names a ON a.number = t.app"
                " WHERE s.name >= ?1 AND s.name < ?2 AND s.value > 0 AND s.source = 'person'"
                " AND t.created_ns >= ?3 AND (?4 IS NULL OR p.name = ?4) AND (?5 IS NULL OR a.name = ?5)"
                " AND s.rowid = (SELECT max(n.rowid) FROM scores n WHERE n.seq = s.seq AND n.name = s.name"
                " AND n.source = s.source) GROUP BY s.name",
                (FALSE_ALARM, _AFTER, scope.since_s * _NS, scope.project, scope.app),
            )
            return dict(rows.fetchall())

    def marked(self, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these exchanges and names of scores are marked."""
        found = set()
        with self._reading() as connection:
            for exchange, name in dict.fromkeys(pairs):
                row = connection.execute(
                    "SELECT s.value FROM scores s JOIN traces t ON t.seq = s.seq"
                    " WHERE t.id = ? AND s.name = ? AND s.source = 'person' ORDER BY s.rowid DESC LIMIT 1",
                    (exchange, name),
                ).fetchone()
                if row is not None and row[0] > 0:
                    found.add((exchange, name))
        return found


_AFTER = FALSE_ALARM[:-1] + chr(ord(".") + 1)
_WHERE = (
    "WHERE span = ?1 AND start >= ?2 / ?1 * ?1 AND (?3 IS NULL OR project = ?3) AND (?4 IS NULL OR app = ?4)"
)


def score_name(rule: str) -> str:
    """The score by which a finding of a rule is marked as none; names that no score can have are shortened.

    Two rules never share one: what was changed ends with a digest of the rule.
    """
    clean = FALSE_ALARM + _NOT_IN_NAMES.sub("_", rule)
    if clean == FALSE_ALARM + rule and len(clean) <= _MOST:
        return clean
    return f"{clean[: _MOST - 9]}-{sha256(rule.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def count(connection: sqlite3.Connection, lines: "Sequence[Line]") -> None:
    """Add findings to the sums; inside the transaction that appends them."""
    counted: Counter[tuple[int | str, ...]] = Counter()
    for one in lines:
        at_s = one.at_ns // _NS
        key = (one.project, one.app, one.category, one.rule, one.action, one.policy, one.shadow, one.would)
        for span in SPANS:
            counted[(span, at_s // span * span, *key)] += 1
    connection.executemany(_ADD, [(*key, found) for key, found in counted.items()])


def forget(connection: sqlite3.Connection) -> None:
    """Let go of sums that are older than `KEPT_DAYS`."""
    for span in SPANS:
        before = int(time.time()) - KEPT_DAYS * DAY_S
        connection.execute("DELETE FROM finding_counts WHERE span = ? AND start < ?", (span, before))
