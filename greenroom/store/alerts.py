"""Alerts: what somebody should know, from the moment it is found to the moment it has passed.

Whoever finds something tells a `Notice`; of each rule, project and subject there is one open alert at most.
Knows nothing of how rules are computed or who is written to. Several processes tell, clear and read. A power
cut may take the last changes along: what still fires is told again at the next look.
"""

import math
import time
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal

import msgspec
from msgspec import Struct

from greenroom.errors import Conflict, NotFound
from greenroom.store.counted import CountedStore

FILE = "alerts.db"

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From what can wait to what cannot."""

What = Literal["opened", "worsened", "acknowledged", "ended"]

MOST_OPEN = 200
"""Open alerts of one rule; what is told of further subjects only counts at the newest of them."""
MOST_TEXT = 500
"""Characters of a summary; of a subject or a path 200."""
_MOST_FIGURES = 32

MIGRATIONS = (
    """
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, kind TEXT NOT NULL, project TEXT NOT NULL,
    subject TEXT NOT NULL, severity TEXT NOT NULL, summary TEXT NOT NULL, figures TEXT NOT NULL,
    path TEXT NOT NULL, opened_ns INTEGER NOT NULL, told_ns INTEGER NOT NULL, times INTEGER NOT NULL,
    ended_ns INTEGER, acknowledged_ns INTEGER, acknowledged_by TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX one_open ON alerts (rule, project, subject) WHERE ended_ns IS NULL;
CREATE INDEX by_end ON alerts (ended_ns, id);
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    at_ns INTEGER NOT NULL, what TEXT NOT NULL, severity TEXT NOT NULL, summary TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL
);
CREATE INDEX history_of ON history (alert, id);
-- Empty stands for every rule, project or subject.
CREATE TABLE silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, project TEXT NOT NULL, subject TEXT NOT NULL,
    from_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL
);
-- One row a channel and entry of the history.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL,
    event INTEGER NOT NULL REFERENCES history (id) ON DELETE CASCADE, state TEXT NOT NULL,
    tries INTEGER NOT NULL, times INTEGER NOT NULL, next_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
    error TEXT NOT NULL,
    UNIQUE (channel, event)
);
CREATE INDEX waiting ON deliveries (state, next_ns);
-- Up to which entry of the history deliveries were made.
CREATE TABLE dispatched (event INTEGER NOT NULL);
INSERT INTO dispatched VALUES (0);
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)
COLUMNS = (
    "id, rule, kind, project, subject, severity, summary, figures, path, opened_ns, told_ns, times, ended_ns,"
    " acknowledged_ns, acknowledged_by"
)


class Notice(Struct, frozen=True):
    """Something found, as its finder says it. Must hold no text of a prompt and no secret."""

    rule: str
    """What found it: a configured rule's name, or a fixed one such as `drift.language`."""
    kind: str
    """The sort of rule: `threshold`, `burn_rate`, `absence`, `anomaly`, `drift`, `quality`, `canary`."""
    project: str
    """Whose it is; empty for what concerns all."""
    subject: str
    """What it is about: an app, a model; empty where the rule says it all."""
    severity: Severity
    summary: str
    """One sentence with the figures that matter."""
    figures: dict[str, float] = {}
    path: str = ""
    """The page that shows it, as `/drift?app=support`."""


class Alert(Struct, frozen=True):
    """One alert as it stands. Moments are nanoseconds since 1970."""

    id: int
    rule: str
    kind: str
    project: str
    subject: str
    severity: Severity
    summary: str
    figures: dict[str, float]
    path: str
    opened_ns: int
    told_ns: int
    """When it was told of last, and how often."""
    times: int
    ended_ns: int | None
    acknowledged_ns: int | None
    acknowledged_by: str


class Event(Struct, frozen=True):
    """One thing that became of an alert."""

    id: int
    alert: int
    at_ns: int
    what: What
    severity: Severity
    summary: str
    who: str
    why: str


class Silence(Struct, frozen=True):
    """Alerts that fit are not delivered for a while. Empty fits everything."""

    id: int
    rule: str
    project: str
    subject: str
    from_ns: int
    until_ns: int
    who: str
    why: str

    def fits(self, alert: Alert) -> bool:
        """Whether it is about this alert."""
        return (
            self.rule in ("", alert.rule)
            and self.project in ("", alert.project)
            and self.subject in ("", alert.subject)
        )


class Alerts(CountedStore):
    """Alerts, their history and silences, in one SQLite file. Raises: StoreError from every method."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MIGRATIONS, synchronous="NORMAL")

    def tell(self, notice: Notice) -> Alert:
        """Open an alert, or refresh the open one of the same rule, project and subject.

        Texts past their bounds are cut, figures that are not finite left out. A severity that rose is an
        entry of the history, and is delivered.
        """
        now = time.time_ns()
        rule, project, subject, path = map(_line, (notice.rule, notice.project, notice.subject, notice.path))
        summary, figures = _line(notice.summary, MOST_TEXT), _json(notice.figures)
        path = path if path.startswith("/") and not path.startswith("//") else ""  # of this server alone
        with self._changing() as connection:
            found = _open(connection, rule, project, subject) or _last_if_many(connection, rule)
            if found is None:
                row = connection.execute(
                    "INSERT INTO alerts (rule, kind, project, subject, severity, summary, figures, path,"
                    " opened_ns, told_ns, times) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) RETURNING id",
                    (rule, _line(notice.kind), project, subject, notice.severity, summary, figures, path,
                     now, now),
                ).fetchone()  # fmt: skip
                _note(connection, row[0], now, "opened", notice.severity, summary)
                return _one(connection, row[0])
            if (found.project, found.subject) != (project, subject):
                summary, figures, path = found.summary, _json(found.figures), found.path
            connection.execute(
                "UPDATE alerts SET severity = ?, summary = ?, figures = ?, path = ?, told_ns = ?,"
                " times = times + 1 WHERE id = ?",
                (notice.severity, summary, figures, path, now, found.id),
            )
            if SEVERITIES.index(notice.severity) > SEVERITIES.index(found.severity):
                _note(connection, found.id, now, "worsened", notice.severity, summary)
            return _one(connection, found.id)

    def clear(self, rule: str, project: str, subject: str, *, why: str = "it has passed") -> bool:
        """End the open alert of a rule, project and subject; whether there was one. Without, no write."""
        rule, project, subject = map(_line, (rule, project, subject))
        with self._reading() as connection:
            if _open(connection, rule, project, subject) is None:
                return False
        with self._changing() as connection:
            found = _open(connection, rule, project, subject)
            if found is None:  # another process was quicker
                return False
            now = time.time_ns()
            connection.execute("UPDATE alerts SET ended_ns = ? WHERE id = ?", (now, found.id))
            _note(connection, found.id, now, "ended", found.severity, found.summary, why=why)
            return True

    def acknowledge(self, id: int, who: str, why: str = "") -> Alert:
        """Say that somebody looks after it: no more reminders. Raises: NotFound; Conflict where it ended."""
        with self._changing() as connection:
            found = _one(connection, id)
            if found.ended_ns is not None:
                raise Conflict(f"Alert {id} has ended already.")
            now = time.time_ns()
            connection.execute(
                "UPDATE alerts SET acknowledged_ns = ?, acknowledged_by = ? WHERE id = ?", (now, who, id)
            )
            _note(
                connection, id, now, "acknowledged", found.severity, found.summary, who, _line(why, MOST_TEXT)
            )
            return _one(connection, id)

    def opened(self) -> list[Alert]:
        """Alerts that stand, the gravest first, then the newest."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM alerts WHERE ended_ns IS NULL"  # noqa: S608  # constants
                " ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, id DESC"
            ).fetchall()
        return [read_alert(row) for row in rows]

    def past(self, *, before: int | None = None, limit: int = 50, project: str | None = None) -> list[Alert]:
        """Alerts that ended, newest first; `before` is the id that the page before ended with."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM alerts WHERE ended_ns IS NOT NULL AND (? IS NULL OR id < ?)"  # noqa: S608  # constants
                " AND (? IS NULL OR project = ?) ORDER BY id DESC LIMIT ?",
                (before, before, project, project, limit),
            ).fetchall()
        return [read_alert(row) for row in rows]

    def alert(self, id: int) -> tuple[Alert, list[Event]]:
        """One alert and what became of it, oldest first. Raises: NotFound."""
        with self._reading() as connection:
            found = _one(connection, id)
            rows = connection.execute(
                "SELECT id, alert, at_ns, what, severity, summary, who, why FROM history WHERE alert = ?"
                " ORDER BY id",
                (id,),
            ).fetchall()
        return found, [Event(*row) for row in rows]

    def silence(
        self, until_ns: int, who: str, why: str, *, rule: str = "", project: str = "", subject: str = ""
    ) -> Silence:
        """Deliver nothing of the alerts that fit until a moment."""
        with self._changing() as connection:
            row = connection.execute(
                "INSERT INTO silences (rule, project, subject, from_ns, until_ns, who, why)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " RETURNING id, rule, project, subject, from_ns, until_ns, who, why",
                (rule, project, subject, time.time_ns(), until_ns, who, _line(why, MOST_TEXT)),
            ).fetchone()
        return Silence(*row)

    def unsilence(self, id: int) -> None:
        """End a silence now. Raises: NotFound where none with this id is in force."""
        now = time.time_ns()
        with self._changing() as connection:
            ended = connection.execute(
                "UPDATE silences SET until_ns = ? WHERE id = ? AND until_ns > ?", (now, id, now)
            ).rowcount
        if not ended:
            raise NotFound(f"There is no silence {id} in force.")

    def silences(self) -> list[Silence]:
        """Silences in force, the one that ends first before the others."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, rule, project, subject, from_ns, until_ns, who, why FROM silences"
                " WHERE until_ns > ? ORDER BY until_ns",
                (time.time_ns(),),
            ).fetchall()
        return [Silence(*row) for row in rows]

    def purge(self, days: int) -> int:
        """Let go of alerts and silences that ended so many days ago, with their history; how many."""
        before = time.time_ns() - days * 86_400_000_000_000
        with self._changing() as connection:
            connection.execute("DELETE FROM silences WHERE until_ns < ?", (before,))
            return connection.execute("DELETE FROM alerts WHERE ended_ns < ?", (before,)).rowcount


_TURNS = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Ends of lines and of paragraphs, and what turns the direction of writing."""


def _line(text: str, most: int = 200) -> str:
    """A text as one line that any file, page, log or message can hold."""
    plain = "".join(
        " " if one < " " or "\x7f" <= one <= "\x9f" or one in _TURNS else one for one in text[:most]
    )
    return plain.encode("utf-8", "replace").decode()


def _json(figures: dict[str, float]) -> str:
    """What is no number does not count as a figure."""
    kept = {_line(name): value for name, value in figures.items() if math.isfinite(value)}
    return msgspec.json.encode(dict(list(kept.items())[:_MOST_FIGURES])).decode()


def _open(connection: Connection, rule: str, project: str, subject: str) -> Alert | None:
    row = connection.execute(
        f"SELECT {COLUMNS} FROM alerts"  # noqa: S608  # constants
        " WHERE rule = ? AND project = ? AND subject = ? AND ended_ns IS NULL",
        (rule, project, subject),
    ).fetchone()
    return None if row is None else read_alert(row)


def _last_if_many(connection: Connection, rule: str) -> Alert | None:
    """The newest open alert of a rule that has as many as it may; else None."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM alerts WHERE rule = ? AND ended_ns IS NULL ORDER BY id DESC LIMIT ?",  # noqa: S608  # constants
        (rule, MOST_OPEN),
    ).fetchall()
    return read_alert(rows[0]) if len(rows) == MOST_OPEN else None


def _one(connection: Connection, id: int) -> Alert:
    row = connection.execute(f"SELECT {COLUMNS} FROM alerts WHERE id = ?", (id,)).fetchone()  # noqa: S608  # constants
    if row is None:
        raise NotFound(f"There is no alert {id}.")
    return read_alert(row)


def _note(
    connection: Connection, alert: int, at_ns: int, what: What, severity: Severity, summary: str,
    who: str = "", why: str = "",
) -> None:  # fmt: skip
    connection.execute(
        "INSERT INTO history (alert, at_ns, what, severity, summary, who, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (alert, at_ns, what, severity, summary, who, why),
    )


def read_alert(row: tuple[Any, ...]) -> Alert:  # Any: columns, as SQLite gives them
    """An alert from the values of `COLUMNS`."""
    return Alert(*(*row[:7], msgspec.json.decode(row[7], type=dict[str, float]), *row[8:]))
