"""Conversations: what was said in each session, per project and user.

A session of two users is two conversations: neither sees the other's.

Recent ones are in memory; what is appended is written by a thread of its own within 20 ms, like traces. Texts
come here with masks in them, never with what the masks stand for. What is to be remembered of its user is
made findable in the same transaction (`memory.py`).
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from greenroom.errors import StoreError
from greenroom.store import memory
from greenroom.store.database import explained, open_database, open_reader, transaction
from greenroom.store.memory import Hear
from greenroom.store.said import Line, Talk, Turn, numbered, seconds
from greenroom.store.schema import TURNS
from greenroom.store.shared import SharedThings

log = logging.getLogger("greenroom.turns")

REMEMBERED_TURNS = 64
"""Newest turns of a session that memory holds; older ones are read from the file."""
DRAIN_S = 0.02
RETRY_S = 0.5
NOTICE_S = 1.0
"""Within this time it is noticed that another process changed the file."""
_BATCH = 200
"""Turns written in one transaction."""
MOST_FORGOTTEN = 10_000


Key = tuple[str, str]


class StoredTurns:
    """Conversations in one SQLite file. Raises: StoreError when it cannot be opened or read.

    `hear` tells what a turn holds that is to be remembered; without it nothing is. Where several processes
    serve the same conversations they share `forgotten`: then nothing is answered from memory, and what is
    appended is written at once, numbered by what the file holds.
    """

    def __init__(
        self,
        path: Path,
        *,
        hear: Hear | None = None,
        sessions_in_memory: int = 2_000,
        queue_limit: int = 100_000,
        forgotten: SharedThings | None = None,
    ) -> None:
        self._path = path
        self._hear = hear
        self._limit = sessions_in_memory
        self._queue_limit = queue_limit
        self._sessions: OrderedDict[Talk, list[Turn]] = OrderedDict()
        self._queue: deque[Line] = deque()
        self._writing: list[Line] = []
        self._forgotten: OrderedDict[Key, float] = OrderedDict()
        """When each user of a project was forgotten: what was asked before is not kept after."""
        self._shared = forgotten
        self._known: OrderedDict[Key, bool] = OrderedDict()
        """Whether anything is remembered of a user of a project."""
        self._lock = threading.Lock()
        """Protects sessions, queue and reading connection: pages and the event loop read and append."""
        self._file_lock = threading.Lock()
        """Protects the writing connection; taken before the other lock, never after it."""
        self._writer = open_database(path, TURNS)
        self._reader = open_reader(path)
        self._searcher = open_reader(path)
        """Reads for searches and lists, which take longer than the event loop may wait."""
        self._search_lock = threading.Lock()
        """Protects it."""
        if forgotten is not None:
            self._writer.execute("PRAGMA busy_timeout = 500")  # ms: requests wait behind this
        self._version = self._data_version()
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
        self._searcher.close()

    def recent(self, project: str, session: str, user: str | None, limit: int) -> list[Turn]:
        """A user's newest `limit` turns in a session, oldest first. From memory (1 µs) or file (50 µs)."""
        if limit <= 0:
            return []
        talk = (project, session, user or "")
        with self._lock:
            turns = self._load(talk)
            if limit > len(turns) >= REMEMBERED_TURNS:
                turns = self._read(talk, limit)
            return turns[-limit:]

    def whole(self, project: str, session: str, limit: int) -> list[Turn]:
        """The newest `limit` turns of everyone who spoke in a session, oldest first. Raises: StoreError."""
        with self._lock:
            users = {
                line.user for line in self._waiting() if (line.project, line.session) == (project, session)
            }
            rows = self._query(
                "SELECT DISTINCT user FROM turns WHERE project = ? AND session = ?", (project, session)
            )
            found = [
                turn
                for user in {*users, *(row[0] for row in rows)}
                for turn in self._read((project, session, user), limit)
            ]
        found.sort(key=lambda turn: (turn.at, turn.user or "", turn.turn))
        return found[-limit:]

    def append(
        self,
        project: str,
        session: str,
        user: str | None,
        turns: Sequence[Turn],
        *,
        remember: bool = False,
        since: float | None = None,
    ) -> None:
        """Add turns at a session's end; they are numbered on from the last one, whatever `turn` says.

        `remember` makes them findable for their user. Nothing is added where the user was forgotten after
        `since`, seconds since 1970.
        """
        is_remembered = remember and user is not None and self._hear is not None
        with self._lock:
            if user is not None and since is not None and since < self._forgotten_at(project, user):
                return
            if user is not None and is_remembered:
                self._note((project, user), True)
            known = self._load((project, session, user or ""))
            number = known[-1].turn if known else 0
            for one in turns:
                number += 1
                turn = replace(one, session=session, turn=number, user=user)
                known.append(turn)
                if len(self._queue) >= self._queue_limit:
                    self.lost += 1
                else:
                    self._queue.append(
                        Line(
                            project, session, user or "", number, turn.role, turn.text, turn.at, is_remembered
                        )
                    )
            if len(known) > 2 * REMEMBERED_TURNS:
                del known[:-REMEMBERED_TURNS]
        if self._shared is not None:
            with contextlib.suppress(StoreError):  # the thread tries again, and complains
                self.flush()
                return
        self._wake.set()

    def sessions(self, project: str, user: str) -> list[str]:
        """The sessions in which this user spoke."""
        with self._lock:
            waiting = [
                line.session for line in self._waiting() if line.project == project and line.user == user
            ]
            rows = self._query(
                "SELECT DISTINCT session FROM turns WHERE project = ? AND user = ?", (project, user)
            )
        return sorted({*waiting, *(row[0] for row in rows)})

    def knows(self, project: str, user: str) -> bool:
        """Whether anything is remembered of a user. From memory (0.5 µs) or file (20 µs)."""
        key = (project, user)
        with self._lock:
            found = self._known.get(key) if self._shared is None else None
            if found is None:
                row = self._query("SELECT 1 FROM owners WHERE project = ? AND user = ?", key)
                found = self._note(key, bool(row))
        return found

    def forget(self, project: str, *, user: str | None = None, session: str | None = None) -> int:
        """Erase all that a user said and what is remembered of them, or one session, whole.

        How many turns went. Raises: StoreError.
        """
        if user is not None:
            with self._lock:
                self._forgotten[project, user] = time.time()
                if len(self._forgotten) > MOST_FORGOTTEN:
                    self._forgotten.popitem(last=False)
            if self._shared is not None:
                self._shared.put(self._shared.name(project, user), str(time.time()), time.time())

        def goes(line: Line) -> bool:
            return line.project == project and (line.session == session or line.user == user)

        with self._lock:
            kept = [line for line in self._queue if not goes(line)]
            erased = len(self._queue) - len(kept)
            self._queue = deque(kept)
        with self.changing() as connection:
            if session is not None:
                memory.drop_session(connection, project, session)
                erased += connection.execute(
                    "DELETE FROM turns WHERE project = ? AND session = ?", (project, session)
                ).rowcount
            if user is not None:
                owner = memory.owner_of(connection, project, user)
                if owner is not None:
                    memory.drop_owner(connection, owner)
                erased += connection.execute(
                    "DELETE FROM turns WHERE project = ? AND user = ?", (project, user)
                ).rowcount
        self.wipe()
        return erased

    def drop_cached(self) -> None:
        """Read sessions and users from the file again."""
        with self._lock:
            self._sessions.clear()
            self._known.clear()

    def wipe(self) -> None:
        """Write over what was erased. Raises: StoreError."""
        self.drop_cached()
        try:
            with self._file_lock:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection within a transaction. Raises: StoreError."""
        with self._file_lock:
            try:
                with transaction(self._writer) as connection:
                    yield connection
            except sqlite3.Error as error:
                raise explained(self._path, error) from error

    @contextmanager
    def reading(self, *, project: str | None = None, user: str | None = None) -> Iterator[sqlite3.Connection]:
        """A reading connection; what waits of a user is written first. Raises: StoreError."""
        with self._lock:
            waits = any(line.project == project and line.user == user for line in self._waiting())
        if waits:
            self.flush()
        with self._search_lock:
            try:
                yield self._searcher
            except sqlite3.Error as error:
                raise explained(self._path, error) from error

    def flush(self) -> None:
        """Write what waits, now. Raises: StoreError."""
        with self._file_lock:
            while self._write_some():
                pass

    def _write_some(self) -> bool:
        with self._lock:
            lines = self._writing = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        if not lines:
            return False
        try:
            heard = [
                self._hear(line.role, line.text) if line.is_remembered and self._hear else None
                for line in lines
            ]
            with transaction(self._writer) as connection:
                if self._shared is not None:
                    lines = numbered(connection, lines)
                connection.executemany(
                    "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)", [line[:7] for line in lines]
                )
                for line, found in zip(lines, heard, strict=True):
                    if found is not None:
                        owner = memory.add_owner(connection, line.project, line.user)
                        place = memory.place_of(connection, owner, line.session, line.turn)
                        memory.take(connection, owner, place, seconds(line.at), found)
        except sqlite3.Error as error:
            with self._lock:
                self._queue.extendleft(reversed(lines))
            raise explained(self._path, error) from error
        finally:
            self._writing = []
        return True

    def _forgotten_at(self, project: str, user: str) -> float:
        if self._shared is None:
            return self._forgotten.get((project, user), 0.0)
        return float(self._shared.get(self._shared.name(project, user)) or 0.0)

    def _waiting(self) -> list[Line]:
        """What is not in the file yet, oldest first. Look here before the file: lines move only that way."""
        return [*self._writing, *self._queue]

    def _load(self, talk: Talk) -> list[Turn]:
        turns = self._sessions.get(talk)
        if self._shared is not None:
            return self._read(talk, REMEMBERED_TURNS)
        if turns is not None:
            self._sessions.move_to_end(talk)
            return turns
        turns = self._sessions[talk] = self._read(talk, REMEMBERED_TURNS)
        if len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)
        return turns

    def _read(self, talk: Talk, limit: int) -> list[Turn]:
        _, session, user = talk
        waiting = [line for line in self._waiting() if line[:3] == talk]
        found = {
            turn: Turn(session=session, turn=turn, role=role, text=text, at=at, user=user or None)
            for turn, role, text, at in self._query(
                "SELECT turn, role, text, at FROM turns WHERE project = ? AND session = ? AND user = ?"
                " ORDER BY turn DESC LIMIT ?",
                (*talk, limit),
            )
        }
        for line in waiting:
            found[line.turn] = Turn(
                session=session, turn=line.turn, role=line.role, text=line.text, at=line.at, user=user or None
            )
        return [found[turn] for turn in sorted(found)][-limit:]

    def _query(self, sql: str, values: tuple[object, ...]) -> list[Any]:  # Any: the columns asked for
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    def _note(self, key: Key, value: bool) -> bool:
        self._known[key] = value
        if len(self._known) > MOST_FORGOTTEN:
            self._known.popitem(last=False)
        return value

    def _data_version(self) -> int:
        """Changes when another process has written to the file."""
        return int(self._writer.execute("PRAGMA data_version").fetchone()[0])

    def _notice_others(self) -> None:
        with self._file_lock:
            version = self._data_version()
        if version != self._version:
            self._version = version
            self.drop_cached()

    def _run(self) -> None:
        while not self._stopping:
            is_awake = self._wake.wait(NOTICE_S)
            if is_awake:
                time.sleep(DRAIN_S)
                self._wake.clear()
            try:
                self._notice_others()
                self.flush()
            except StoreError as error:
                log.error("turns are not stored", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted
                self._wake.set()
                time.sleep(RETRY_S)
        try:
            self.flush()
        except StoreError:
            self.lost += len(self._queue)
