"""Rollups: what happened, summed up by time, project, app and model, so that no chart reads a trace.

The recorder's thread adds every exchange it stored to cells of memory, which go to the file together every
few seconds. Several processes add to the same file. Each cell stands there by minute, by ten minutes, by hour
and by day, so that a year is as quick to read as an hour; and once more for everything together. Minutes are
kept 30 days, hours and days 400 (`MINUTE_DAYS`, `DAYS`).
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

from greenroom.errors import StoreError
from greenroom.store import coverage
from greenroom.store.bucket import COUNTS, Bucket
from greenroom.store.cells import OTHER, Cell, Gathered, Kind, Told
from greenroom.store.coverage import Span
from greenroom.store.database import explained, open_database, open_reader, transaction
from greenroom.store.histogram import Histogram
from greenroom.store.material import Row
from greenroom.store.names import Names
from greenroom.store.presence import Presence
from greenroom.store.rollup_file import DAYS, KEPT_DAYS, MIGRATIONS, MINUTE_DAYS, SPANS, span_of

Dimension = Literal["project", "app", "model"]
FLUSH_S: Final = 5.0
"""Cells of memory go to the file as often as this, while there are any."""
MOST_CELLS: Final = 4_000
"""In memory; some 3 KB each."""
MOST_KINDS: Final = 2_000
"""Of what is counted since the start."""
MOST_NAMES: Final = 5_000
"""Clients can choose names of models: what comes after so many is counted as `other`."""
_ALL: Final = 0
"""Stands for all projects, apps and models together."""
_DIMENSIONS: tuple[Dimension, ...] = ("project", "app", "model")
_Place = tuple[int, int, int, int, int]

_PLAIN = ", ".join(COUNTS)
_SUMS = ", ".join(f"sum({name})" for name in COUNTS)
_READ_ONE = (
    f"SELECT {_PLAIN}, detail FROM cells"  # noqa: S608  # names of our own
    " WHERE span = ? AND start = ? AND project = ? AND app = ? AND model = ?"
)
_WRITE = f"INSERT OR REPLACE INTO cells VALUES ({', '.join('?' * (len(COUNTS) + 6))})"  # noqa: S608  # marks alone


class Rollups:
    """Sums in one SQLite file. Raises: StoreError from every method when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        open_database(path, MIGRATIONS).close()
        self._held: sqlite3.Connection | None = None
        """The writing connection, while many changes come one after the other."""
        self._names = Names()
        self._gathered = Gathered()
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

    def close(self) -> None:
        """Write what waits, and add no more. May be called twice."""
        self.flush()
        if self._number is not None:
            with self._changing() as connection:
                connection.execute("DELETE FROM writers WHERE number = ?", (self._number,))
            self._number = None
            self._presence.end()

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
                self._gathered = gathered
            raise
        with self._lock:
            self._keep_counting(gathered)

    def since_start(self, *, is_fresh: bool = True) -> Mapping[Kind, Cell]:
        """What this process added since it began, without minutes, projects and languages: for metrics.

        Unless `is_fresh`, as it was when cells last went to the file, which costs nothing until then.
        """
        with self._lock:
            if self._shown is None:
                copy = self._since_start.copy()
                self._shown = {Kind(*key): cell for key, cell in copy.cells.items()}
            if not is_fresh or not self._gathered.cells:
                return self._shown
            whole = self._since_start.copy()
            whole.take(self._gathered.since_start(), MOST_KINDS)
        return {Kind(*key): cell for key, cell in whole.cells.items()}

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
        gathered.add(batch)
        with self._changing() as connection:
            self._write(connection, gathered)
            coverage.cover(connection, span)

    def _write(self, connection: sqlite3.Connection, gathered: Gathered) -> None:
        changes: dict[_Place, Bucket] = {}
        for key, cell in gathered.cells.items():
            kind = Kind(*key)
            project, app, model = (self._name(connection, name) for name in kind[1:4])
            at = kind.minute * 60
            for span in SPANS:
                start = at - at % span
                for place in ((span, start, project, app, model), (span, start, _ALL, _ALL, _ALL)):
                    bucket = changes.get(place)
                    if bucket is None:
                        bucket = changes[place] = Bucket(since_s=start, step_s=span)
                    bucket.put(kind, cell)
        for place, bucket in changes.items():
            found = connection.execute(_READ_ONE, place).fetchone()
            if found is not None:
                _add_row(bucket, found)
            row = [getattr(bucket, name) for name in COUNTS]
            connection.execute(_WRITE, (*place, *row, bucket.detail()))

    def _name(self, connection: sqlite3.Connection, name: str) -> int:
        number = self._names.find(connection, name)
        if number is not None:
            return number
        known = connection.execute("SELECT count(*) FROM names").fetchone()[0]
        return self._names.add(connection, name if known < MOST_NAMES else OTHER)

    def let_go(self, now_s: float | None = None) -> int:
        """Remove cells past their time; how many."""
        now_s = time.time() if now_s is None else now_s
        gone = 0
        for span, days in KEPT_DAYS.items():
            with self._changing() as connection:
                before = int(now_s) - days * 86_400
                gone += connection.execute(
                    "DELETE FROM cells WHERE span = ? AND start < ?", (span, before)
                ).rowcount
        return gone

    # -- reading

    def read(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        project: str | None = None,
        app: str | None = None,
        model: str | None = None,
        by: Dimension | Sequence[Dimension] | None = None,
        detail: bool = True,
    ) -> list[Bucket]:
        """Sums per step of time and group, in the order of time; steps without requests are left out.

        Steps are whole minutes and begin at multiples of themselves; the first holds `since_s`, the last ends
        at or after `until_s` (which is excluded). Conditions are joined by "and". Without `detail` a bucket
        has its plain numbers alone, which is quicker by far. What this process has in memory is in it.

        Raises: ValueError for a step that is no whole number of minutes; StoreError.
        """
        wanted = _Wanted(since_s, until_s, step_s, (project, app, model), _checked(step_s, by), detail)
        return self._read(wanted, is_whole=False)

    def totals(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        project: str | None = None,
        app: str | None = None,
        model: str | None = None,
        by: Dimension | Sequence[Dimension] | None = None,
        detail: bool = False,
    ) -> list[Bucket]:
        """As `read`, with one bucket for each group over all the time; `step_s` is what its ends lie on."""
        wanted = _Wanted(since_s, until_s, step_s, (project, app, model), _checked(step_s, by), detail)
        return self._read(wanted, is_whole=True)

    def _read(self, wanted: "_Wanted", *, is_whole: bool) -> list[Bucket]:
        with suppress(StoreError):  # what a full disk does not take is no reason not to show the rest
            self.flush()
        step_s, first = wanted.step_s, wanted.first
        until = int(-(-wanted.until_s // 1))
        is_all = not wanted.groups and all(one is None for one in wanted.names)
        span = span_of(step_s, first, time.time())
        conditions, values = ["span = ?", "start >= ?", "start < ?"], [span, first, until]
        step = str(first) if is_whole else f"start - start % {step_s}"
        width_s = until - first if is_whole else step_s
        with self._explaining(), self._reading() as connection:
            for dimension, name in zip(_DIMENSIONS, wanted.names, strict=True):
                if name is not None:
                    conditions.append(f"{dimension} = ?")
                    values.append(self._names.find(connection, name) or -1)
            conditions.append("project = 0" if is_all else "project > 0")
            keys = ", ".join((f"{step} AS step", *wanted.groups))
            shown = f"{_PLAIN}, detail" if wanted.detail else _SUMS
            grouped = "" if wanted.detail else f" GROUP BY {', '.join(('step', *wanted.groups))}"
            statement = (
                f"SELECT {keys}, {shown} FROM cells"  # noqa: S608  # names of our own
                f" WHERE {' AND '.join(conditions)}{grouped} ORDER BY step"
            )
            found: dict[tuple[int, ...], Bucket] = {}
            width = 1 + len(wanted.groups)
            for row in connection.execute(statement, values):
                key = row[:width]
                bucket = found.get(key)
                if bucket is None:
                    bucket = found[key] = Bucket(since_s=key[0], step_s=width_s)
                    for name, number in zip(wanted.groups, key[1:], strict=True):
                        setattr(bucket, name, self._names.name(connection, number))
                _add_row(bucket, row[width:])
            return list(found.values())

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

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = open_reader(self._path)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self._path, error) from error


class _Wanted(NamedTuple):
    """What is to be read; `names` are of project, app and model."""

    since_s: float
    until_s: float
    step_s: int
    names: tuple[str | None, str | None, str | None]
    groups: tuple[Dimension, ...]
    detail: bool

    @property
    def first(self) -> int:
        """When the first step begins."""
        return int(self.since_s) - int(self.since_s) % self.step_s


def _checked(step_s: int, by: Dimension | Sequence[Dimension] | None) -> tuple[Dimension, ...]:
    if step_s < 60 or step_s % 60:
        raise ValueError(f"A step is a whole number of minutes, not {step_s} seconds.")
    groups: tuple[Dimension, ...] = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for one in groups:
        if one not in _DIMENSIONS:
            raise ValueError(f"Sums are by project, app or model, not by '{one}'.")
    return groups


def _add_row(bucket: Bucket, row: Sequence[int | bytes]) -> None:
    for name, value in zip(COUNTS, row, strict=False):
        setattr(bucket, name, getattr(bucket, name) + value)
    if len(row) > len(COUNTS):
        detail = row[len(COUNTS)]
        assert isinstance(detail, bytes)
        bucket.add_detail(detail)


__all__ = ["DAYS", "FLUSH_S", "MINUTE_DAYS", "SPANS", "Bucket", "Dimension", "Histogram", "Rollups"]
