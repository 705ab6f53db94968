"""What optimisations and comparisons keep beside the answers: their candidates, scores and results.

Answers lie in `store/evals.py`, by what was asked of whom, so that none is paid for twice whichever command
asks. Bytes here are JSON or msgpack that `offline` understands. Methods block; any thread may call them.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from greenroom.errors import Conflict
from greenroom.store.database import empty_log, explained, open_database, transaction
from greenroom.store.presence import Presence

MIGRATIONS = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, began_ns INTEGER NOT NULL, settings BLOB NOT NULL,
        result BLOB
    ) WITHOUT ROWID;
    CREATE TABLE candidates (
        run TEXT NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE scores (
        call TEXT NOT NULL, scorer TEXT NOT NULL, run TEXT NOT NULL, cost_nano INTEGER NOT NULL,
        value BLOB NOT NULL, PRIMARY KEY (call, scorer)
    ) WITHOUT ROWID;
    CREATE INDEX scores_by_run ON scores (run);
    """,
)
FILE = "trials.db"


class RunRow(NamedTuple):
    """A run as it is listed."""

    id: str
    began_ns: int
    settings: bytes
    result: bytes | None
    """None while it is not at its end."""


class Trials:
    """The file of trials in a data folder. Raises: StoreError from every method."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        """Protects the connection."""
        # Scores may have cost money: they are on the disk before the next call is made.
        self._connection = open_database(self._path, MIGRATIONS, synchronous="FULL")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def working_on(self, run: str) -> Iterator[None]:
        """Hold a run for this process, so that no other spends its money too. Raises: Conflict."""
        presence = Presence(self._path)
        try:
            presence.show(_number(run))
        except BlockingIOError:
            presence.hide()
            raise Conflict(
                f"Another process is at work on the run '{run}'. Wait for it, or end it."
            ) from None
        except OSError as error:
            raise explained(self._path, error) from error
        try:
            yield
        finally:
            presence.end()

    def is_at_work(self, run: str) -> bool:
        """Whether a process holds a run."""
        return not Presence(self._path).is_dead(_number(run))

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise explained(self._path, error) from error

    def begin(self, run: str, kind: str, settings: bytes) -> None:
        """Note that a run begins; nothing changes where it began before."""
        with self._using() as db:
            db.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, NULL)", (run, kind, time.time_ns(), settings)
            )

    def result(self, run: str) -> bytes | None:
        """What a run came to; None while it is not at its end."""
        with self._using() as db:
            row = db.execute("SELECT result FROM runs WHERE id = ?", (run,)).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])

    def runs(self, kind: str, limit: int = 100) -> list[RunRow]:
        """Runs of a kind, those that began last first."""
        with self._using() as db:
            rows = db.execute(
                "SELECT id, began_ns, settings, result FROM runs WHERE kind = ?"
                " ORDER BY began_ns DESC LIMIT ?",
                (kind, limit),
            ).fetchall()
        return [RunRow(*row) for row in rows]

    def run(self, id: str, kind: str) -> RunRow | None:
        """One run of a kind."""
        with self._using() as db:
            row = db.execute(
                "SELECT id, began_ns, settings, result FROM runs WHERE id = ? AND kind = ?", (id, kind)
            ).fetchone()
        return None if row is None else RunRow(*row)

    def end(self, run: str, result: bytes) -> None:
        """Keep what a run came to."""
        with self._using() as db:
            db.execute("UPDATE runs SET result = ? WHERE id = ?", (result, run))

    def judged(self, run: str) -> tuple[int, int]:
        """What a run has paid for scores, in nano-USD, and how many."""
        with self._using() as db:
            nano, count = db.execute(
                "SELECT coalesce(sum(cost_nano), 0), count(*) FROM scores WHERE run = ?", (run,)
            ).fetchone()
        return int(nano), int(count)

    def score(self, call: str, scorer: str) -> bytes | None:
        """What a scorer said of the answer to a call, or None."""
        with self._using() as db:
            row = db.execute(
                "SELECT value FROM scores WHERE call = ? AND scorer = ?", (call, scorer)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def keep_score(self, run: str, call: str, scorer: str, cost_nano: int, value: bytes) -> None:
        """Keep what a scorer said."""
        with self._using() as db:
            db.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?)", (call, scorer, run, cost_nano, value)
            )

    def erase_scores(self, calls: Sequence[str]) -> None:
        """Erase what scorers said of the answers to these calls; that it was paid for stays."""
        with self._using() as db:
            with transaction(db):
                db.executemany(
                    "UPDATE scores SET value = x'', scorer = hex(randomblob(16)) WHERE call = ?",
                    [(one,) for one in calls],
                )
            empty_log(db)

    def keep_candidate(self, run: str, number: int, value: bytes) -> None:
        """Keep what a run knows of its candidate of this number."""
        with self._using() as db:
            db.execute("INSERT OR REPLACE INTO candidates VALUES (?, ?, ?)", (run, number, value))

    def candidates(self, run: str) -> list[bytes]:
        """All candidates of a run, by number."""
        with self._using() as db:
            rows = db.execute("SELECT value FROM candidates WHERE run = ? ORDER BY number", (run,)).fetchall()
        return [bytes(row[0]) for row in rows]


def _number(run: str) -> int:
    """What a run is called among those that are at work."""
    return int.from_bytes(sha256(run.encode()).digest()[:8])
