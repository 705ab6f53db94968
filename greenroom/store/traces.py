"""The trace store: exchanges in, records out.

One writer (the recorder's thread) and any number of readers in other threads. Lists are ordered by the moment
an exchange ended, newest first. Every reading call takes the project it may see; None is the administrator.
"""

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

from greenroom.errors import StoreError
from greenroom.store import (
    compaction,
    compared,
    counters,
    erasure,
    listing,
    observations,
    order,
    scores,
    search,
    writers,
)
from greenroom.store.audit import AuditLog, Line, append
from greenroom.store.blocks import Packer, body_at
from greenroom.store.by_model import ByModel
from greenroom.store.by_model import read as read_by_model
from greenroom.store.cells import Told
from greenroom.store.checkpoint import Checkpointer
from greenroom.store.coverage import Span
from greenroom.store.database import explained, open_database, open_reader, transaction
from greenroom.store.listing import Page, TraceFilter
from greenroom.store.material import OUTCOMES, Detect, Record, Row, record_of
from greenroom.store.names import Names
from greenroom.store.schema import TRACES
from greenroom.store.scores import Score
from greenroom.store.tally import Tally

_COLUMNS = (
    "seq", "id", "created_ns", "project", "key", "app", "asked", "used", "outcome", "status", "session",
    "user", "language", "input_tokens", "output_tokens", "cost_nano", "total_us", "overhead_us",
    "first_token_us", "flags", "block", "place",
)  # fmt: skip
ROW_BYTES = 400
"""About what a row and its index entries add to the log."""
_PAUSE_S = 0.002
"""Between steps of long work, so that the recorder gets the lock."""
_OUTCOME = {name: number for number, name in enumerate(OUTCOMES)}
_MAY_LACK = (
    ("used",), ("session",), ("user",), ("language",), ("input_tokens",), ("output_tokens",), ("cost_nano",),
    ("block", "place"),
)  # fmt: skip
T = TypeVar("T")
_Run = tuple[str, list[tuple[object, ...]]]


@cache
def _insert(absent: tuple[bool, ...]) -> tuple[str, Callable[[tuple[object, ...]], tuple[object, ...]]]:
    """The statement for rows without these of `_MAY_LACK`, and what picks the other columns.

    To bind None costs `sqlite3` ten times what a number does.
    """
    gone = {name for names, is_gone in zip(_MAY_LACK, absent, strict=True) if is_gone for name in names}
    places = [place for place, name in enumerate(_COLUMNS) if name not in gone]
    names = ", ".join(_COLUMNS[place] for place in places)
    marks = ", ".join("?" * len(places))
    return f"INSERT INTO traces ({names}) VALUES ({marks})", itemgetter(*places)  # noqa: S608  # constants


class Entry(NamedTuple):
    """One exchange to store: row, encoded body (None: not kept), tags as `key=value`, lines for the audit.

    `told` is what the rollups count of it beside its row.
    """

    row: Row
    body: bytes | None
    tags: tuple[str, ...] = ()
    findings: tuple[Line, ...] = ()
    told: Told | None = None


class TraceStore:
    """Traces in one SQLite file. Raises: StoreError from every method when the file cannot be used."""

    def __init__(self, path: Path, *, detect: Detect | None = None, worker: int | None = None) -> None:
        self._path = path
        self._worker = worker
        """Which of several processes that write this is; None when it is alone."""
        self._detect = detect
        self._names = Names()
        self._packer = Packer()
        self._lock = threading.Lock()
        """Protects the writing connection and the packer: recorder, erasure and scores share them."""
        self._writer = open_database(path, TRACES)
        self._writer.execute("PRAGMA wal_autocheckpoint = 16000")  # pages: 64 MB, a bound, seldom met
        self._checkpointer = Checkpointer(path)
        self._readers: deque[sqlite3.Connection] = deque()
        self.audit = AuditLog(self._reading, self._changing)
        """What checks found; its lines are written together with the traces that they are of."""
        self.tally = Tally(writers.tally_path(path, worker))

    @property
    def tally_cells(self) -> memoryview:
        """Where the recorder counts what it accepted, in cell 0."""
        return self.tally.cells

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log: grows while a long read pins it, or while it cannot be moved."""
        try:
            return self._path.with_name(self._path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Close all connections."""
        self._checkpointer.stop()
        with self._lock:
            self._writer.close()
        while self._readers:
            self._readers.pop().close()
        self.tally.close()

    # -- writing

    def begin(self) -> int:
        """Mark the store as written to. Returns how many exchanges an earlier run accepted and then lost.

        They are counted from the tally, which outlives the process, and noted in `losses`.
        """
        with self._changing() as connection:
            if self._worker is None:
                of_workers = writers.settle_all(connection, self._path)
                lost, self.tally.value = writers.begin_alone(connection, self.tally.value)
                return lost + of_workers
            lost, self.tally.value = writers.begin_worker(connection, self._worker, self.tally.value)
            return lost

    def end(self) -> None:
        """Mark the store as left in order, everything in its file and nothing in the log beside it."""
        with self._changing() as connection:
            writers.end(connection, self._worker)
        self._empty_log()

    def write(self, entries: Sequence[Entry], *, lost_rows: int = 0, lost_bodies: int = 0) -> Span:
        """Store a batch, all or nothing, with what was lost since the last one; the numbers it got."""
        kept = [entry.body for entry in entries if entry.body is not None]
        with self._changing() as connection:
            block = self._store_block(connection, kept) if kept else None
            seq = order.last(connection)
            runs, tags = self._rows(connection, entries, block, seq)
            for statement, rows in runs:
                connection.executemany(statement, rows)
            if tags:
                connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", tags)
            found = [line for entry in entries for line in entry.findings]
            if found:
                append(connection, found)
                _count(connection, "found", len(found))
            _count(connection, "stored", len(entries))
            if self._worker is not None:
                _count(connection, writers.counter_of(self._worker), len(entries) + lost_rows)
            if lost_rows or lost_bodies:
                connection.execute(
                    "INSERT INTO losses VALUES (?, 'queue_full', ?, ?)",
                    (time.time_ns(), lost_rows, lost_bodies),
                )
                _count(connection, "lost_rows", lost_rows)
                _count(connection, "lost_bodies", lost_bodies)
        self._checkpointer.wrote(sum(map(len, kept)) + ROW_BYTES * len(entries))
        return Span(seq + 1, seq + len(entries))

    def _store_block(self, connection: sqlite3.Connection, bodies: Sequence[bytes]) -> int:
        block = self._packer.pack(bodies, is_tight=False)
        number = connection.execute("INSERT INTO blocks (body) VALUES (?)", (block,)).lastrowid
        assert number is not None
        return number

    def _rows(
        self, connection: sqlite3.Connection, entries: Sequence[Entry], block: int | None, seq: int
    ) -> tuple[list[_Run], list[tuple[int, str, int]]]:
        """What to insert: rows without their empty columns, in runs that have the same ones."""
        numbers = self._names.add_all
        runs: list[_Run] = []
        tags: list[tuple[int, str, int]] = []
        absent: tuple[bool, ...] | None = None
        place = 0
        for row, body, own_tags, *_ in entries:
            (
                id, created, project, key, app, asked, used, outcome, status, session, user, language,
                asked_tokens, said_tokens, cost, total, overhead, first, flags,
            ) = row  # fmt: skip
            seq += 1
            known = numbers(connection, (project, key, app, asked, used))
            values = (
                seq, id, created, *known, _OUTCOME[outcome], status, session, user, language,
                asked_tokens, said_tokens, cost, total, overhead, first, flags, block, place,
            )  # fmt: skip
            own = (
                used is None, session is None, user is None, language is None, asked_tokens is None,
                said_tokens is None, cost is None, body is None,
            )  # fmt: skip
            if own != absent:
                absent = own
                statement, pick = _insert(own)
                rows: list[tuple[object, ...]] = []
                runs.append((statement, rows))
            rows.append(pick(values))
            place += body is not None
            for tag in own_tags:
                assert known[0] is not None
                tags.append((known[0], tag, seq))
        return runs, tags

    def index(self, limit: int = 64) -> int:
        """Put up to `limit` more traces into the full-text index; how many. For when there is time.

        Small blocks among them, which quiet hours make, are joined into one that compresses better.
        """
        with self._changing() as connection:
            rows = search.index_some(connection, limit)
            if rows:
                compaction.join_blocks(connection, self._packer, rows)
            return len(rows)

    def score(self, project: str | None, id: str, score: Score) -> Record | None:
        """Add a score to a trace; it as it is shown, None when there is no such trace in this project.

        Raises: MalformedRequest.
        """
        with self._changing() as connection:
            found = listing.find(connection, self._names, project, id)
            return None if found is None else scores.add(connection, found[0], scores.checked(score))

    def delete(self, project: str | None, *, user: str | None = None, before_ns: int | None = None) -> int:
        """Erase a user's traces, or those that came before a moment, or both joined by "and"; how many.

        Their texts leave the shared blocks and the full-text index too, and the file's free space is wiped.
        Copies made earlier by `backup` are not touched. The writer goes on in between.
        """
        if user is None and before_ns is None:
            raise StoreError("Nothing was erased: name a user or a moment.")
        with self._reading() as connection:
            scope = erasure.scope_of(connection, self._names, project, user, before_ns)
        erased = 0
        for one in scope:
            while True:
                with self._changing() as connection:
                    step = erasure.erase_some(connection, self._packer, one)
                    _count(connection, "erased", step)
                erased += step
                if step == 0:
                    break
                time.sleep(_PAUSE_S)
        if erased:
            self._wipe()
        return erased

    def purge(self, older_than_days: float, *, now_ns: int | None = None) -> int:
        """Erase what is older than this; how many."""
        now_ns = time.time_ns() if now_ns is None else now_ns
        return self.delete(None, before_ns=now_ns - int(older_than_days * 86_400_000_000_000))

    def _wipe(self) -> None:
        first = True
        while True:
            with self._lock, self._explaining():
                if search.merge_step(self._writer, first=first):
                    break
            first = False
            time.sleep(_PAUSE_S)
        self._empty_log()

    def _empty_log(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.OperationalError):  # a reader may hold the log a while
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- reading

    def get(self, project: str | None, id: str) -> Record | None:
        """The whole record of one exchange, None when this project has none of that id."""
        with self._reading() as connection:
            found = listing.find(connection, self._names, project, id)
            if found is None:
                return None
            row = listing.row_of(connection, self._names, found)
            body = body_at(found[-1], found[-2]) if found[-1] is not None else None
            record = record_of(row, body, self._detect)
            record["scores"] = scores.of(connection, found[0])
            return record

    def newest(self) -> tuple[int, int]:
        """The numbers of the newest trace and the newest score: rise with every one that is added."""
        with self._reading() as connection:
            return observations.newest(connection)

    def observed(self, wanted: observations.Wanted) -> Sequence[observations.Seen]:
        """What the traces say of one arm of an experiment, in the order in which they ended."""
        with self._reading() as connection:
            return observations.read(connection, self._names, wanted)

    def compared(
        self, id: int, after: tuple[int, int], scores: Sequence[str], canary: str, since_ns: int = 0
    ) -> compared.Batch:
        """What is new of both sides of a deployment: `compared.read`."""
        with self._reading() as connection:
            return compared.read(connection, id, after, scores, canary, since_ns)

    def list(self, wanted: TraceFilter) -> Page:
        """A page of summaries, newest first, and the cursor of the next page (None at the end).

        Raises: MalformedRequest for a cursor that is not ours or a search without a word.
        """
        with self._reading() as connection:
            return listing.list_page(connection, self._names, wanted)

    def by_model(self, project: str | None) -> ByModel:
        """What is known of each model that answered: its scores; times and sizes of the latest answers."""
        with self._reading() as connection:
            return read_by_model(connection, project)

    def look(self, question: Callable[[sqlite3.Connection, Names], T]) -> T:
        """What another file of this package answers, over one reading connection."""
        with self._reading() as connection:
            return question(connection, self._names)

    def counts(self) -> dict[str, int]:
        """Since the file was made: stored, erased, lost_rows, lost_bodies; now: rows, unclean_shutdowns."""
        with self._reading() as connection:
            return counters.read(connection)

    def spent(self) -> dict[str, int]:
        """What each key has spent, in nano-dollars, as far as its traces are kept."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT n.name, SUM(t.cost_nano) FROM traces t JOIN names n ON n.number = t.key"
                " WHERE t.cost_nano > 0 GROUP BY t.key"
            ).fetchall()
        return {str(name): int(cost) for name, cost in rows}

    def losses(self) -> tuple[Record, ...]:
        """What was ever lost and when, newest first, at most a hundred entries."""
        with self._reading() as connection:
            return writers.losses(connection)

    # -- connections

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explaining():
            try:
                with transaction(self._writer) as connection:
                    yield connection
            except BaseException:
                self._names.forget()
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._explaining():
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = open_reader(self._path)
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.execute("ROLLBACK")
                self._readers.append(connection)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError):
            raise  # a value no file would take: no trouble of this one
        except sqlite3.Error as error:
            raise explained(self._path, error) from error


def _count(connection: sqlite3.Connection, name: str, by: int) -> None:
    if by:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (by, name))
