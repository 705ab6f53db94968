"""Conversations: what was said in each session, per project.

Recent ones are in memory; what is appended is written by a thread of its own within 20 ms, like traces. Texts
come here with masks in them, never with what the masks stand for.
"""

import logging
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from greenroom.errors import StoreError
from greenroom.store.database import explained, open_database, open_reader, transaction

log = logging.getLogger("greenroom.turns")

REMEMBERED_TURNS = 64
"""Newest turns of a session that memory holds; older ones are read from the file."""
DRAIN_S = 0.02
RETRY_S = 0.5

_MIGRATIONS = (
    """
CREATE TABLE turns (
    project TEXT NOT NULL, session TEXT NOT NULL, turn INTEGER NOT NULL, user TEXT, role TEXT NOT NULL,
    text TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (project, session, turn)
) WITHOUT ROWID;
CREATE INDEX turns_by_user ON turns (project, user) WHERE user IS NOT NULL;
""",
)


class Turn(Struct, kw_only=True, frozen=True):
    """One thing said; `turn` counts from 1 in its session, `at` is ISO 8601."""

    session: str
    turn: int
    role: str
    text: str
    at: str
    user: str | None = None


_Key = tuple[str, str]
_Line = tuple[str, str, int, str | None, str, str, str]


class StoredTurns:
    """Conversations in one SQLite file. Raises: StoreError when it cannot be opened or read."""

    def __init__(self, path: Path, *, sessions_in_memory: int = 2_000, queue_limit: int = 100_000) -> None:
        self._path = path
        self._limit = sessions_in_memory
        self._queue_limit = queue_limit
        self._sessions: OrderedDict[_Key, list[Turn]] = OrderedDict()
        self._queue: deque[_Line] = deque()
        self._writing: list[_Line] = []
        self._lock = threading.Lock()
        """Protects sessions, queue and reading connection: pages and the event loop read and append."""
        self._file_lock = threading.Lock()
        """Protects the writing connection; taken before the other lock, never after it."""
        self._writer = open_database(path, _MIGRATIONS)
        self._reader = open_reader(path)
        self._wake = threading.Event()
        self._stopping = False
        self.lost = 0
        """Turns that were not written because the file took none for too long."""
        self._thread = threading.Thread(target=self._run, name="greenroom-turns", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then close the file."""
        self._stopping = True
        self._wake.set()
        self._thread.join(10.0)
        self._writer.close()
        self._reader.close()

    def recent(self, project: str, session: str, limit: int) -> list[Turn]:
        """The newest `limit` turns of a session, oldest first. From memory (1 µs) or file (50 µs)."""
        if limit <= 0:
            return []
        with self._lock:
            turns = self._load(project, session)
            if limit > len(turns) >= REMEMBERED_TURNS:
                turns = self._read(project, session, limit)
            return turns[-limit:]

    def append(self, project: str, session: str, user: str | None, turns: Sequence[Turn]) -> None:
        """Add turns at a session's end; they are numbered on from the last one, whatever `turn` says."""
        with self._lock:
            known = self._load(project, session)
            number = known[-1].turn if known else 0
            for one in turns:
                number += 1
                turn = one if one.turn == number and one.session == session else replace(
                    one, session=session, turn=number
                )  # fmt: skip
                known.append(turn)
                if len(self._queue) >= self._queue_limit:
                    self.lost += 1
                else:
                    self._queue.append((project, session, number, user, turn.role, turn.text, turn.at))
            if len(known) > 2 * REMEMBERED_TURNS:
                del known[:-REMEMBERED_TURNS]
        self._wake.set()

    def sessions(self, project: str, user: str) -> list[str]:
        """The sessions in which this user spoke."""
        with self._lock:
            waiting = [line[1] for line in self._waiting() if line[0] == project and line[3] == user]
            rows = self._query(
                "SELECT DISTINCT session FROM turns WHERE project = ? AND user = ?", (project, user)
            )
        return sorted({*waiting, *(row[0] for row in rows)})

    def forget(self, project: str, *, user: str | None = None, session: str | None = None) -> int:
        """Erase every session of a user, or one session, whole; how many turns. Raises: StoreError."""
        gone = set() if session is None else {session}
        if user is not None:
            gone.update(self.sessions(project, user))
        with self._lock:
            kept = [line for line in self._queue if line[0] != project or line[1] not in gone]
            erased = len(self._queue) - len(kept)
            self._queue = deque(kept)
            for name in gone:
                self._sessions.pop((project, name), None)
        try:
            with self._file_lock:
                with transaction(self._writer) as connection:
                    for name in gone:
                        erased += connection.execute(
                            "DELETE FROM turns WHERE project = ? AND session = ?", (project, name)
                        ).rowcount
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise explained(self._path, error) from error
        return erased

    def flush(self) -> None:
        """Write what waits, now. Raises: StoreError."""
        with self._file_lock:
            with self._lock:
                lines = self._writing = list(self._queue)
                self._queue.clear()
            if not lines:
                return
            try:
                with transaction(self._writer) as connection:
                    connection.executemany("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
            except sqlite3.Error as error:
                with self._lock:
                    self._queue.extendleft(reversed(lines))
                raise explained(self._path, error) from error
            finally:
                self._writing = []

    def _waiting(self) -> list[_Line]:
        """What is not in the file yet, oldest first. Look here before the file: lines move only that way."""
        return [*self._writing, *self._queue]

    def _load(self, project: str, session: str) -> list[Turn]:
        key = (project, session)
        turns = self._sessions.get(key)
        if turns is not None:
            self._sessions.move_to_end(key)
            return turns
        turns = self._sessions[key] = self._read(project, session, REMEMBERED_TURNS)
        if len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)
        return turns

    def _read(self, project: str, session: str, limit: int) -> list[Turn]:
        waiting = [line for line in self._waiting() if line[0] == project and line[1] == session]
        found = {
            turn: Turn(session=session, turn=turn, role=role, text=text, at=at, user=user)
            for turn, role, text, at, user in self._query(
                "SELECT turn, role, text, at, user FROM turns WHERE project = ? AND session = ?"
                " ORDER BY turn DESC LIMIT ?",
                (project, session, limit),
            )
        }
        for _, _, turn, user, role, text, at in waiting:
            found[turn] = Turn(session=session, turn=turn, role=role, text=text, at=at, user=user)
        return [found[turn] for turn in sorted(found)]

    def _query(self, sql: str, values: tuple[object, ...]) -> list[Any]:  # Any: the columns asked for
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            time.sleep(DRAIN_S)
            self._wake.clear()
            try:
                self.flush()
            except StoreError as error:
                log.error("turns are not stored", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted
                self._wake.set()
                time.sleep(RETRY_S)
        try:
            self.flush()
        except StoreError:
            self.lost += len(self._queue)
