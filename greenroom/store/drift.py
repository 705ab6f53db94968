"""What drift remembers: readings of sampled exchanges, what looks found, what was accepted, canary answers.

Readings are opaque bytes here, and hold no text. Those of a user go with the user; the others after five
weeks. Several processes read; one writes, or the command line.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from greenroom.store.counted import CountedStore
from greenroom.store.database import empty_log
from greenroom.store.material import pseudonym

FILE = "drift.db"

Stream = tuple[str, str]
"""Project and app."""

_MIGRATIONS = (
    """
CREATE TABLE readings (
    hour INTEGER NOT NULL, project TEXT NOT NULL, app TEXT NOT NULL, user TEXT NOT NULL, trace TEXT NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (project, app, hour, trace)
) WITHOUT ROWID;
CREATE INDEX readings_by_hour ON readings (hour);
CREATE INDEX readings_by_user ON readings (user) WHERE user <> '';
-- Hours whose traces were sampled.
CREATE TABLE sampled (hour INTEGER PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE looks (
    project TEXT NOT NULL, app TEXT NOT NULL, metric TEXT NOT NULL, hour INTEGER NOT NULL,
    kind TEXT NOT NULL, p REAL NOT NULL, effect REAL NOT NULL, new REAL, old REAL, n INTEGER NOT NULL,
    m INTEGER NOT NULL, about TEXT NOT NULL, is_over INTEGER NOT NULL,
    PRIMARY KEY (project, app, metric, hour)
) WITHOUT ROWID;
CREATE TABLE states (
    project TEXT NOT NULL, app TEXT NOT NULL, hour INTEGER NOT NULL, missing_h INTEGER NOT NULL,
    n INTEGER NOT NULL, m INTEGER NOT NULL, whole INTEGER NOT NULL, PRIMARY KEY (project, app)
) WITHOUT ROWID;
CREATE TABLE standings (
    project TEXT NOT NULL, app TEXT NOT NULL, metric TEXT NOT NULL, streak INTEGER NOT NULL,
    calm INTEGER NOT NULL, open_since INTEGER, PRIMARY KEY (project, app, metric)
) WITHOUT ROWID;
-- Hours in which an alert was open: no reference for what comes after.
CREATE TABLE sick (
    project TEXT NOT NULL, app TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL
);
CREATE INDEX sick_of ON sick (project, app, until);
CREATE TABLE accepted (
    project TEXT NOT NULL, app TEXT NOT NULL, since INTEGER NOT NULL, who TEXT NOT NULL,
    at_ns INTEGER NOT NULL, PRIMARY KEY (project, app)
) WITHOUT ROWID;
CREATE TABLE canary_runs (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, edition TEXT NOT NULL, at_s INTEGER NOT NULL,
    is_baseline INTEGER NOT NULL, cost_nano INTEGER, state TEXT NOT NULL, report BLOB NOT NULL
);
CREATE INDEX canary_runs_of ON canary_runs (target, number);
CREATE TABLE canary_answers (
    run INTEGER NOT NULL REFERENCES canary_runs (number) ON DELETE CASCADE, place INTEGER NOT NULL,
    text TEXT NOT NULL, model TEXT NOT NULL, ms REAL NOT NULL, PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)


class Look(Struct, frozen=True):
    """What one metric of one app said in one look."""

    project: str
    app: str
    metric: str
    hour: int
    kind: str
    p: float
    effect: float
    new: float | None
    old: float | None
    n: int
    m: int
    about: str
    is_over: bool


class State(Struct, frozen=True):
    """How much is known of an app: after which hour, and how many readings stood on each side."""

    project: str
    app: str
    hour: int
    missing_h: int
    """Hours that must pass before there is a week to compare with."""
    n: int
    m: int
    whole: int


class StandingRow(Struct, frozen=True):
    """How one metric of one app stands."""

    project: str
    app: str
    metric: str
    streak: int
    calm: int
    open_since: int | None


class CanaryRun(Struct, frozen=True):
    """One day's canary answers of one model."""

    number: int
    target: str
    edition: str
    """Which prompts and settings; others can't be compared."""
    at_s: int
    is_baseline: bool
    cost_nano: int | None
    state: str
    """`baseline`, `same`, `changed` or `failed`."""
    report: bytes


class DriftStore(CountedStore):
    """All of it in one SQLite file. Raises: StoreError from every method."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    # readings

    def add(self, found: Mapping[int, Mapping[Stream, Sequence[tuple[str, str, bytes]]]]) -> None:
        """Keep the readings of hours, each with its user and trace; an hour that was read stays as it is."""
        with self._changing() as connection:
            for hour, streams in found.items():
                if connection.execute("INSERT OR IGNORE INTO sampled VALUES (?)", (hour,)).rowcount:
                    connection.executemany(
                        "INSERT OR IGNORE INTO readings VALUES (?, ?, ?, ?, ?, ?)",
                        [(hour, *stream, *one) for stream, some in streams.items() for one in some],
                    )

    def unsampled(self, hours: Iterable[int]) -> list[int]:
        """Those of these hours that were not read yet."""
        with self._reading() as connection:
            known = {row[0] for row in connection.execute("SELECT hour FROM sampled")}
        return [hour for hour in hours if hour not in known]

    def streams(self, since: int) -> list[Stream]:
        """Apps with readings since an hour."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT project, app FROM readings WHERE hour >= ? ORDER BY project, app", (since,)
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def hours(self, stream: Stream, since: int) -> list[int]:
        """Hours from one on that an app has readings of."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT hour FROM readings WHERE project = ? AND app = ? AND hour >= ?",
                (*stream, since),
            ).fetchall()
        return [row[0] for row in rows]

    def readings(self, stream: Stream, hours: Collection[int]) -> dict[int, list[bytes]]:
        """Those of an app in these hours, by hour."""
        found: dict[int, list[bytes]] = {hour: [] for hour in sorted(hours)}
        if not found:
            return found
        with self._reading() as connection:
            for hour, body in connection.execute(
                "SELECT hour, body FROM readings WHERE project = ? AND app = ? AND hour BETWEEN ? AND ?",
                (*stream, min(found), max(found)),
            ):
                if hour in found:
                    found[hour].append(body)
        return found

    def of_hour(self, hour: int) -> list[tuple[str, str, bytes]]:
        """All readings of an hour, each with its project and app."""
        with self._reading() as connection:
            return connection.execute(
                "SELECT project, app, body FROM readings WHERE hour = ?", (hour,)
            ).fetchall()

    def forget(self, project: str | None, user: str) -> int:
        """Erase the readings of a user, under the name or what stands for it; how many."""
        with self._changing() as connection:
            gone = connection.execute(
                "DELETE FROM readings WHERE user IN (?, ?) AND (? IS NULL OR project = ?)",
                (user, pseudonym(user), project, project),
            ).rowcount
        if gone:
            with self._reading() as connection:
                empty_log(connection)
        return gone

    def purge_readings(self, project: str, before: int) -> int:
        """Let go of a project's readings of before an hour, and of nothing else; how many."""
        with self._changing() as connection:
            return connection.execute(
                "DELETE FROM readings WHERE project = ? AND hour < ?", (project, before)
            ).rowcount

    def purge(self, before: int, kept: tuple[int, int] = (0, 0)) -> None:
        """Let go of readings, looks and spans of before an hour; not of readings from one up to another."""
        with self._changing() as connection:
            connection.execute(
                "DELETE FROM readings WHERE hour < ? AND NOT (hour >= ? AND hour < ?)", (before, *kept)
            )
            connection.execute("DELETE FROM sampled WHERE hour < ?", (before,))
            connection.execute("DELETE FROM looks WHERE hour < ?", (before,))
            connection.execute("DELETE FROM sick WHERE until < ?", (before,))
            connection.execute(
                "DELETE FROM canary_runs WHERE at_s < ? AND NOT is_baseline", (before * 3_600,)
            )

    # looks

    def keep_looks(
        self, looks: Sequence[Look], standings: Sequence[StandingRow], states: Sequence[State],
        sick: Sequence[tuple[Stream, int, int]],
    ) -> None:  # fmt: skip
        """Keep one round of looks, how metrics stand after it, and spans whose alerts ended."""
        with self._changing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_values(one) for one in looks],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?)",
                [_values(one) for one in standings],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?)", [_values(one) for one in states]
            )
            connection.executemany(
                "INSERT INTO sick VALUES (?, ?, ?, ?)",
                [(*stream, since, until) for stream, since, until in sick],
            )

    def looks(self, since: int, *, stream: Stream | None = None, metric: str | None = None) -> list[Look]:
        """What was found since an hour, oldest first."""
        project, app = stream or (None, None)
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM looks WHERE hour >= ?1 AND (?2 IS NULL OR (project = ?2 AND app = ?3))"
                " AND (?4 IS NULL OR metric = ?4) ORDER BY hour, project, app, metric",
                (since, project, app, metric),
            ).fetchall()
        return [Look(*(*row[:-1], bool(row[-1]))) for row in rows]

    def states(self) -> list[State]:
        """How much is known of every app."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM states ORDER BY project, app").fetchall()
        return [State(*row) for row in rows]

    def standings(self) -> list[StandingRow]:
        """How every metric stands."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM standings").fetchall()
        return [StandingRow(*row) for row in rows]

    def sick(self, stream: Stream) -> list[tuple[int, int]]:
        """Spans of hours in which an app had an alert that has ended."""
        with self._reading() as connection:
            return connection.execute(
                "SELECT since, until FROM sick WHERE project = ? AND app = ?", stream
            ).fetchall()

    def accept(self, stream: Stream, since: int, who: str) -> None:
        """What an app is like since an hour is how it is: learnt anew from there; no metric stands."""
        with self._changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?, ?)",
                (*stream, since, who, time.time_ns()),
            )
            connection.execute("DELETE FROM standings WHERE project = ? AND app = ?", stream)
            connection.execute("DELETE FROM sick WHERE project = ? AND app = ?", stream)

    def accepted(self) -> dict[Stream, int]:
        """Since which hour each app is as it is, where a person said so."""
        with self._reading() as connection:
            rows = connection.execute("SELECT project, app, since FROM accepted").fetchall()
        return {(row[0], row[1]): row[2] for row in rows}

    # canaries

    def keep_canaries(
        self, target: str, edition: str, at_s: int, cost_nano: int | None, state: str, report: bytes,
        answers: Sequence[tuple[str, str, float]], *, is_baseline: bool, number: int | None = None,
    ) -> int:  # fmt: skip
        """Keep one run: of each answer its text, the model's own name, and milliseconds. Its number.

        With a `number` in place of what was kept under it.
        """
        with self._changing() as connection:
            row = connection.execute(
                "INSERT OR REPLACE INTO canary_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                (number, target, edition, at_s, is_baseline, cost_nano, state, report),
            ).fetchone()
            connection.executemany(
                "INSERT INTO canary_answers VALUES (?, ?, ?, ?, ?)",
                [(row[0], place, *one) for place, one in enumerate(answers)],
            )
            return int(row[0])

    def canary_cost(self, number: int, nano: int) -> None:
        """What a run that goes on has cost, with the worst of what is asked just now."""
        with self._changing() as connection:
            connection.execute("UPDATE canary_runs SET cost_nano = ? WHERE number = ?", (nano, number))

    def canary_runs(self, target: str | None = None, limit: int = 60) -> list[CanaryRun]:
        """Runs, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM canary_runs WHERE ?1 IS NULL OR target = ?1 ORDER BY number DESC LIMIT ?2",
                (target, limit),
            ).fetchall()
        return [CanaryRun(*(*row[:4], bool(row[4]), *row[5:])) for row in rows]

    def baseline(self, target: str, edition: str) -> list[list[tuple[str, str, float]]]:
        """The answers of the runs that a model is held against, oldest first."""
        with self._reading() as connection:
            runs = connection.execute(
                "SELECT number FROM canary_runs WHERE target = ? AND edition = ? AND is_baseline"
                " ORDER BY number",
                (target, edition),
            ).fetchall()
            return [
                connection.execute(
                    "SELECT text, model, ms FROM canary_answers WHERE run = ? ORDER BY place", run
                ).fetchall()
                for run in runs
            ]

    def canary_answers(self, run: int) -> list[tuple[str, str, float]]:
        """The answers of one run, in the order of the prompts."""
        with self._reading() as connection:
            return connection.execute(
                "SELECT text, model, ms FROM canary_answers WHERE run = ? ORDER BY place", (run,)
            ).fetchall()

    def forget_baseline(self, target: str) -> int:
        """Have a model's next runs be what it is held against; how many stopped being so."""
        with self._changing() as connection:
            return connection.execute(
                "UPDATE canary_runs SET is_baseline = 0 WHERE target = ? AND is_baseline", (target,)
            ).rowcount

    def spent_nano(self, since_s: int) -> int:
        """What canary runs cost since a moment, as far as it is known."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT coalesce(sum(cost_nano), 0) FROM canary_runs WHERE at_s >= ?", (since_s,)
            ).fetchone()
        return int(row[0])


def _values(one: Struct) -> tuple[Any, ...]:  # Any: columns
    return tuple(getattr(one, name) for name in one.__struct_fields__)
