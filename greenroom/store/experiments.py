"""How experiments stand: running, stopped, or promoted; in a file that all processes read.

What an experiment saw is in the traces. Here is only since when it counts, and what was decided.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from greenroom.errors import Conflict, NotFound
from greenroom.store.database import explained, open_database, transaction

State = Literal["running", "stopped", "promoted"]
RUNNING: State = "running"
STOPPED: State = "stopped"
PROMOTED: State = "promoted"

_MIGRATIONS = (
    """
-- edition: a digest of what makes an experiment what it is; another one begins it anew.
CREATE TABLE standings (
    name TEXT PRIMARY KEY, edition TEXT NOT NULL, since_ns INTEGER NOT NULL, state TEXT NOT NULL,
    arm TEXT NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL, changed_ns INTEGER NOT NULL
) WITHOUT ROWID;
-- What units are drawn by: whoever knows it could choose an arm by choosing a name.
CREATE TABLE secret (value BLOB NOT NULL);
""",
)
_COLUMNS = "name, edition, since_ns, state, arm, why, who, changed_ns"


class Standing(Struct, frozen=True):
    """One experiment: since when this edition counts, and what became of it."""

    name: str
    edition: str
    since_ns: int
    state: State = RUNNING
    arm: str = ""
    """The promoted arm."""
    why: str = ""
    who: str = ""
    changed_ns: int = 0


class ExperimentStore:
    """Standings in one SQLite file. Raises: StoreError from every method when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = open_database(path, _MIGRATIONS, synchronous="FULL")
        with self._changing() as connection:
            found = connection.execute("SELECT value FROM secret").fetchone()
            if found is None:
                found = (os.urandom(32),)
                connection.execute("INSERT INTO secret VALUES (?)", found)
        self.key = bytes(found[0])
        """What units are drawn by; the same in every process and after every start."""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def all(self) -> dict[str, Standing]:
        """Every experiment that ever began, by name. Some 10 µs."""
        with self._lock, self._explaining():
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM standings ORDER BY name").fetchall()  # noqa: S608  # constants
        return {row[0]: Standing(*row) for row in rows}

    def begin(self, editions: Mapping[str, str]) -> dict[str, Standing]:
        """See to it that these run: a name with another edition than before begins anew. All standings."""
        now = time.time_ns()
        known = self.all()
        if any(name not in known or known[name].edition != one for name, one in editions.items()):
            with self._changing() as connection:
                connection.executemany(
                    f"INSERT INTO standings ({_COLUMNS}) VALUES (?, ?, ?, 'running', '', '', '', ?)"  # noqa: S608  # constants
                    " ON CONFLICT (name) DO UPDATE SET edition = excluded.edition,"
                    " since_ns = excluded.since_ns, state = 'running', arm = '', why = '', who = '',"
                    " changed_ns = excluded.changed_ns"
                    " WHERE edition <> excluded.edition",
                    [(name, edition, now, now) for name, edition in editions.items()],
                )
        return self.all()

    def decide(
        self, name: str, state: State, *, arm: str = "", why: str = "", who: str = "",
        edition: str | None = None,
    ) -> Standing:  # fmt: skip
        """Stop or promote. With an `edition` only while that one runs.

        Raises: NotFound; Conflict when it does not run any more.
        """
        with self._changing() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM standings WHERE name = ?",  # noqa: S608  # constants
                (name,),
            ).fetchone()
            if row is None:
                raise NotFound(f"There is no experiment '{name}'.")
            before = Standing(*row)
            if edition is not None and (before.edition != edition or before.state != RUNNING):
                raise Conflict(f"The experiment '{name}' does not run any more.")
            connection.execute(
                "UPDATE standings SET state = ?, arm = ?, why = ?, who = ?, changed_ns = ? WHERE name = ?",
                (state, arm, why, who, time.time_ns(), name),
            )
        return self.all()[name]

    def restart(self, name: str, who: str) -> Standing:
        """Have a stopped one run again, counting from now. Raises: NotFound; Conflict in another state."""
        now = time.time_ns()
        with self._changing() as connection:
            done = connection.execute(
                "UPDATE standings SET state = 'running', since_ns = ?, arm = '', why = '', who = ?,"
                " changed_ns = ? WHERE name = ? AND state = 'stopped'",
                (now, who, now, name),
            )
            if done.rowcount == 0:
                found = connection.execute("SELECT state FROM standings WHERE name = ?", (name,)).fetchone()
                if found is None:
                    raise NotFound(f"There is no experiment '{name}'.")
                raise Conflict(
                    f"The experiment '{name}' is {found[0]}: only a stopped one can be started again."
                )
        return self.all()[name]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explaining(), transaction(self._connection) as connection:
            yield connection

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self._path, error) from error
