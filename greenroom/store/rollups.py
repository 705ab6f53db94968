"""Rollups: what happened, summed up by time, project, app and model, so that no chart reads a trace.

The recorder's thread adds every exchange it stored to cells of memory, which go to the file together every
few seconds. Several processes add to the same file. Each cell stands there by minute, by ten minutes, by
hour, by six hours and by day, so that a year is as quick to read as an hour; and once more for everything,
from hours on for its project and its app too. All of it is kept 400 days (`DAYS`).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from greenroom.store import coverage
from greenroom.store.bucket import COUNTS, Bucket
from greenroom.store.cells import OTHER, Cell, Gathered, Kind, Told
from greenroom.store.coverage import Span
from greenroom.store.database import open_database, transaction
from greenroom.store.material import Row
from greenroom.store.presence import Presence
from greenroom.store.rollup_file import (
    BY_APP,
    BY_PROJECT,
    COARSE,
    DAYS,
    EVERYTHING,
    MIGRATIONS,
    OLD_S,
    SINGLE,
    SPANS,
)
from greenroom.store.rollup_reading import PLAIN, WITH_DETAILS, RollupReader, add_row, minutes_since

FLUSH_S: Final = 5.0
"""Cells of memory go to the file as often as this, while there are any."""
MOST_CELLS: Final = 4_000
"""In memory; some 3 KB each."""
MOST_KINDS: Final = 2_000
"""Of what is counted since the start."""
MOST_NAMES: Final = 5_000
"""Clients can choose names of models: what comes after so many is counted as `other`."""
SLICE: Final = 500
"""Cells removed in one transaction: some milliseconds."""
_Key = tuple[int, int, int, int]
"""Start, and numbers of project, app and model."""
_NO_STEPS = b"\x90"
"""An empty list."""
_Any = TypeVar("_Any")

_READ_ONE = (
    f"SELECT {PLAIN}, d.detail, d.steps FROM {WITH_DETAILS}"  # noqa: S608  # names of our own
    " WHERE c.span = ? AND c.level = ? AND c.start = ? AND c.project = ? AND c.app = ? AND c.model = ?"
)
_WRITE = f"INSERT OR REPLACE INTO cells VALUES ({', '.join('?' * (len(COUNTS) + 6))})"  # noqa: S608  # marks
_WRITE_DETAIL = "INSERT OR REPLACE INTO details VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Rollups(RollupReader):
    """Sums in one SQLite file. Raises: StoreError from every method when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        open_database(path, MIGRATIONS).close()
        self._held: sqlite3.Connection | None = None
        """The writing connection, while many changes come one after the other."""
        self._gathered = Gathered()
        self._leaving: Gathered | None = None
        """What is on its way to the file."""
        self._lock = threading.Lock()
        """Protects the cells of memory."""
        self._writing = threading.Lock()
        """Held by whoever writes to the file."""
        self._flushing = threading.Lock()
        self._flushed_at = time.monotonic()
        self._presence = Presence(path)
        self._number: int | None = None
        """This process's among those that add, once it began to."""
        self._since_start = Gathered()
        self._shown: Mapping[Kind, Cell] | None = None
        """A copy of it."""

    def begin(self, newest: int, *, looks_for_gaps: bool = True) -> None:
        """Say that this process adds from now on, when the newest trace has this number.

        The one that `looks_for_gaps` need not show the others that it lives.
        """
        with self._changing() as connection:
            if self._number is None:
                number = connection.execute("INSERT INTO writers (seen) VALUES (?)", (newest,)).lastrowid
                assert number is not None
                if not looks_for_gaps:
                    self._presence.show(number)
                self._number = number
            if connection.execute("SELECT count(*) FROM marks").fetchone()[0] == 0:
                since = int(time.time()) - OLD_S if newest else 0
                connection.execute("INSERT INTO marks VALUES (?)", (since - since % COARSE,))

    def close(self) -> None:
        """Write what waits, and add no more. May be called twice."""
        self.flush()
        if self._number is not None:
            with self._changing() as connection:
                connection.execute("DELETE FROM writers WHERE number = ?", (self._number,))
            self._number = None
            self._presence.end()
        self.close_readers()

    # -- writing

    def add(self, batch: Iterable[tuple[Row, Told | None]], stored: Span | None = None) -> None:
        """Count exchanges that were stored under these numbers: their rows, and what else is known of each.

        Some microseconds an exchange, all in memory: `flush` when `due_s` is 0. A file that takes nothing for
        long costs the cells of memory, and these exchanges are counted from their traces later.
        """
        with self._lock:
            gathered = self._gathered
            if len(gathered.cells) >= MOST_CELLS:
                self._keep_counting(gathered)
                gathered = self._gathered = Gathered()
            gathered.add(batch)
            if stored is not None:
                coverage.joined(gathered.spans, stored)

    @property
    def due_s(self) -> float | None:
        """In how many seconds the cells of memory are to go to the file; None while there are none."""
        if not self._gathered.cells:
            return None
        return max(0.0, self._flushed_at + FLUSH_S - time.monotonic())

    def flush(self) -> None:
        """Write the cells of memory to the file. What it does not take stays in memory."""
        with self._flushing:  # one after the other: what is seen as written has nothing older in memory
            if self._gathered.cells:
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            gathered, self._gathered = self._gathered, Gathered()
            self._leaving = gathered
            self._flushed_at = time.monotonic()
        try:
            with self._changing() as connection:
                self._write(connection, gathered)
                for span in gathered.spans:
                    coverage.cover(connection, span)
                if gathered.spans and self._number is not None:
                    seen = (gathered.spans[-1].last, self._number)
                    connection.execute("UPDATE writers SET seen = max(seen, ?) WHERE number = ?", seen)
        except BaseException:
            with self._lock:
                gathered.take(self._gathered)
                self._gathered, self._leaving = gathered, None
            raise
        with self._lock:
            self._leaving = None
            self._keep_counting(gathered)

    def since_start(self, *, is_fresh: bool = True) -> Mapping[Kind, Cell]:
        """What this process added since it began, without minutes, projects and languages: for metrics.

        Unless `is_fresh`, as it was when cells last went to the file or when it was asked for last, which
        costs nothing until then. No number ever falls.
        """
        with self._lock:
            parts = [one for one in (self._leaving, self._gathered) if one is not None and one.cells]
            if self._shown is None or (is_fresh and parts):
                whole = self._since_start.copy()
                for one in parts if is_fresh else ():
                    whole.take(one.since_start(), MOST_KINDS)
                self._shown = {Kind(*key): cell for key, cell in whole.cells.items()}
            return self._shown

    def _keep_counting(self, gathered: Gathered) -> None:
        """Add to what there is since the start. Under the lock."""
        self._since_start.take(gathered.since_start(), MOST_KINDS)
        self._shown = None

    def gap(self) -> Span | None:
        """The newest traces that are missing here, and that no living process has in memory."""
        with self._changing() as connection:
            border = None
            for number, seen in connection.execute("SELECT number, seen FROM writers").fetchall():
                if number != self._number and self._presence.is_dead(number):
                    connection.execute("DELETE FROM writers WHERE number = ?", (number,))
                else:
                    border = seen if border is None else min(border, seen)
            return None if border is None else coverage.newest_gap(connection, border)

    def add_span(self, batch: Iterable[tuple[Row, Told | None]], span: Span) -> None:
        """Count traces of before that were missing, straight into the file."""
        gathered = Gathered()
        with self._changing() as connection:
            border_ns = minutes_since(connection) * 10**9
            gathered.add((_by_hour(row) if row.created_ns < border_ns else row, told) for row, told in batch)
            self._write(connection, gathered)
            coverage.cover(connection, span)

    def _write(self, connection: sqlite3.Connection, gathered: Gathered) -> None:
        minutes: dict[_Key, Bucket] = {}
        for key, cell in gathered.cells.items():
            kind = Kind(*key)
            project, app, model = (self._name(connection, name) for name in kind[1:4])
            _bucket(minutes, (kind.minute * 60, project, app, model)).put(kind, cell)
        finer, since = minutes, minutes_since(connection)
        for span in SPANS:
            singles: dict[_Key, Bucket] = {}
            wider: dict[tuple[int, _Key], Bucket] = {}
            for (at, *names), bucket in finer.items():
                project, app, model = names
                start = at - at % span
                _bucket(singles, (start, project, app, model)).add(bucket)
                _bucket(wider, (EVERYTHING, (start, 0, 0, 0))).add(bucket, steps=span >= COARSE)
                if span >= COARSE:
                    _bucket(wider, (BY_PROJECT, (start, project, 0, 0))).add(bucket)
                    _bucket(wider, (BY_APP, (start, 0, app, 0))).add(bucket)
            wider.update(((SINGLE, key), bucket) for key, bucket in singles.items())
            if span < COARSE:
                wider = {key: one for key, one in wider.items() if key[1][0] >= since}
            self._add_cells(connection, span, wider)
            finer = singles

    def _add_cells(
        self, connection: sqlite3.Connection, span: int, cells: Mapping[tuple[int, "_Key"], Bucket]
    ) -> None:
        number, named = partial(self._name, connection), partial(self._names.name, connection)
        for written, ((level, key), bucket) in enumerate(cells.items()):
            place = (span, level, *key)
            found = connection.execute(_READ_ONE, place).fetchone()
            if found is not None:
                whole = Bucket(since_s=key[0], step_s=span)
                whole.add(bucket)
                add_row(whole, found, named)
                bucket = whole  # noqa: PLW2901  # a coarser span is made of it as it was
            steps = bucket.timings(number) if span >= COARSE else _NO_STEPS
            connection.execute(_WRITE, (*place, *[getattr(bucket, name) for name in COUNTS]))
            connection.execute(_WRITE_DETAIL, (*place, bucket.detail(), steps))
            if written % 8 == 7:
                time.sleep(0)  # lets the event loop have the interpreter

    def _name(self, connection: sqlite3.Connection, name: str) -> int:
        number = self._names.find(connection, name)
        if number is not None:
            return number
        known = connection.execute("SELECT count(*) FROM names").fetchone()[0]
        return self._names.add(connection, name if known < MOST_NAMES else OTHER)

    def let_go(
        self,
        now_s: float | None = None,
        *,
        pause_s: float = 0.0,
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> int:
        """Remove cells past their time; how many.

        A slice after the other, each a transaction of milliseconds; between them it waits `pause_s`, so that
        whoever adds comes to the file, and asks whether to end.
        """
        before = int(time.time() if now_s is None else now_s) - DAYS * 86_400
        gone = 0
        for span in SPANS:
            for level in range(SINGLE + 1):
                while not is_unwanted() and (some := self._let_go(span, level, before)):
                    gone += some
                    if some < SLICE:
                        break
                    time.sleep(pause_s)
        return gone

    def _let_go(self, span: int, level: int, before_s: int) -> int:
        """Remove the oldest cells, `SLICE` or what begins with the last of them."""
        old = "span = ? AND level = ? AND start < ?"
        with self._changing() as connection:
            found = connection.execute(
                f"SELECT start FROM cells WHERE {old} ORDER BY start LIMIT 1 OFFSET ?",  # noqa: S608  # our own
                (span, level, before_s, SLICE - 1),
            ).fetchone()
            places = (span, level, before_s if found is None else found[0] + 1)
            connection.execute(f"DELETE FROM details WHERE {old}", places)  # noqa: S608  # our own
            return connection.execute(f"DELETE FROM cells WHERE {old}", places).rowcount  # noqa: S608  # our own

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open from change to change: else it is opened for each, and takes no descriptors."""
        with closing(open_database(self._path, MIGRATIONS)) as connection:
            self._held = connection
            try:
                yield
            finally:
                with self._writing:
                    self._held = None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._explaining(), ExitStack() as stack:
            connection = self._held
            if connection is None:
                connection = stack.enter_context(closing(open_database(self._path, MIGRATIONS)))
            try:
                with transaction(connection):
                    yield connection
            except BaseException:
                self._names.forget()
                raise


def _by_hour(row: Row) -> Row:
    """The same as if it had come when its hour began: cheap to count where minutes are not kept."""
    return row._replace(created_ns=row.created_ns - row.created_ns % (COARSE * 10**9))


def _bucket(buckets: dict[_Any, Bucket], key: _Any) -> Bucket:
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = Bucket(since_s=0, step_s=60)
    return bucket
