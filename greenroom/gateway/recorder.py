"""The recorder: takes finished exchanges without waiting, stores them from a thread of its own.

An exchange is on disk within 50 ms of `put` while the store keeps up, and then survives the process. When
the queue is full the row stays and its texts go; both losses are counted and stored, so that a restart shows
them. Errors of the store stay here: counted, tried again, never in the way of a request.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, sleep, thread_time_ns
from typing import Literal, NamedTuple, Protocol

from greenroom.errors import StoreError
from greenroom.exchange import Exchange
from greenroom.gateway.audit import lines_of
from greenroom.gateway.record import body_of, row_of, tags_of, version_of, without_shared
from greenroom.gateway.redact import redact_parts, redact_tags
from greenroom.store.audit import Line
from greenroom.store.cells import Told
from greenroom.store.coverage import Span
from greenroom.store.material import LOST_BODY, REDACTED, TRACE_TAG, Body, Row, encode_body
from greenroom.store.traces import Entry
from greenroom.wire.tracecontext import trace_of

log = logging.getLogger("greenroom.recorder")
_new = tuple.__new__  # a NamedTuple's class costs eight times as much

Capture = Literal["off", "redacted", "full"]

PERIOD_S = 0.035
"""From one batch to the next: with the time to write it, within the promise. Few batches cost less."""
BATCH = 256
IDLE_S = 0.2
"""So long without an exchange, and the full-text index is worked on."""
INDEX_BATCH = 128
LIGHT_BATCH = 4
"""A batch this small means there is time to index while requests come."""
YIELD_EVERY = 32
ROWS_PER_BODY = 4
"""Narrow rows that are kept waiting when texts no longer are, as a multiple of the queue's limit."""
PIECE_BYTES = 80
"""What a waiting string costs beside its letters."""
BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class TraceWriter(Protocol):
    """Where batches go; `TraceStore` is one. A StoreError means "later", any other error "never"."""

    @property
    def tally_cells(self) -> memoryview: ...
    def begin(self) -> int: ...
    def end(self) -> None: ...
    def write(self, entries: Sequence[Entry], *, lost_rows: int = 0, lost_bodies: int = 0) -> Span | None: ...
    def index(self, limit: int = ...) -> int: ...


class Counting(Protocol):
    """What sums up everything that was stored; `Rollups` is one."""

    @property
    def due_s(self) -> float | None: ...
    def add(self, batch: Iterable[tuple[Row, Told | None]], stored: Span | None = None) -> None: ...
    def flush(self) -> None: ...


class RecorderCounts(NamedTuple):
    """Since the start; `queued` is now."""

    accepted: int
    stored: int
    lost_rows: int
    lost_bodies: int
    errors: int
    queued: int


class Recorder:
    """A sink that stores. `put` belongs to one thread (the event loop's); all else may be called from any."""

    def __init__(
        self,
        sink_writer: TraceWriter,
        *,
        capture: Capture = "redacted",
        audit_key: bytes | None = None,
        rollups: Counting | None = None,
        queue_limit: int = 10_000,
        memory_limit_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._writer = sink_writer
        self._capture = capture
        self._audit_key = audit_key
        """Findings go into the audit log by it; without, there is none."""
        self._rollups = rollups
        self._keeps_bodies = capture != "off"
        self._queue_limit = queue_limit
        self._row_limit = queue_limit * ROWS_PER_BODY
        self._memory_limit = memory_limit_bytes
        self._queue: deque[Exchange | Entry] = deque()
        self._cells = sink_writer.tally_cells
        self._tallied = self._tallied_before = int(self._cells[0])
        """What was ever accepted, and what of it when the thread last ended."""
        self._accepted = 0
        """Until then."""
        self._bytes_in = 0
        """Of everything ever queued; written by `put` only, as `_bytes_out` by the thread only: no lock."""
        self._bytes_out = 0
        self._lost_rows = 0
        self._lost_bodies = 0
        self._failed_rows = 0
        self._failed_bodies = 0
        """What could not be encoded or stored; the thread's own counters."""
        self._stored = 0
        self._errors = 0
        self._told = (0, 0)
        """Losses the store knows of."""
        self._pending: list[Entry] = []
        self._unindexed = INDEX_BATCH
        self._is_asleep = False
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.index_cpu_ns = 0
        """CPU time spent on the full-text index."""
        self.last_error: str | None = None
        """What the store last complained of, None while it works."""

    def start(self) -> int:
        """Begin to store. Returns how many exchanges an earlier, killed run lost. Raises: StoreError."""
        waiting = self._tallied - self._tallied_before
        self._cells[0] = self._tallied - waiting  # what came before the start is no loss of an earlier run
        lost = self._writer.begin()
        self._tallied_before = int(self._cells[0])
        self._cells[0] = self._tallied = self._tallied_before + waiting
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="greenroom-recorder", daemon=True)
        self._thread.start()
        return lost

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what waits, then end. What the store does not take within the time is counted as lost."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._wake.set()
        thread.join(timeout_s)
        self._accepted += self._tallied - self._tallied_before
        self._tallied_before = self._tallied

    def put(self, exchange: Exchange) -> None:
        """Take a finished exchange; about a microsecond, never waits, never raises."""
        queue = self._queue
        self._cells[0] = self._tallied = self._tallied + 1
        if len(queue) >= self._queue_limit or self._bytes_in - self._bytes_out > self._memory_limit:
            self._put_row(exchange)
        else:
            self._bytes_in += _size(exchange)
            queue.append(exchange)
        if self._is_asleep:
            self._wake.set()

    def settle(self, timeout_s: float) -> bool:
        """Wait until all that was put so far is stored, or lost; whether it is. Blocks."""
        wanted, deadline = self.counts().accepted, monotonic() + timeout_s
        while self._thread is not None:
            found = self.counts()
            if found.stored + found.lost_rows >= wanted:
                break
            if monotonic() > deadline:
                return False
            sleep(0.01)
        return True

    def _put_row(self, exchange: Exchange) -> None:
        if self._keeps_bodies:
            self._lost_bodies += 1
        if len(self._queue) >= self._row_limit:
            self._lost_rows += 1
        else:
            self._queue.append(self._entry(exchange, LOST_BODY, with_body=False))

    @property
    def unindexed(self) -> int:
        """Stored exchanges that the full-text index may not hold yet."""
        return self._unindexed

    def counts(self) -> RecorderCounts:
        """What happened so far."""
        return RecorderCounts(
            accepted=self._accepted + self._tallied - self._tallied_before,
            stored=self._stored,
            lost_rows=self._lost_rows + self._failed_rows,
            lost_bodies=self._lost_bodies + self._failed_bodies,
            errors=self._errors,
            queued=len(self._queue) + len(self._pending),
        )

    # -- the thread

    def _run(self) -> None:
        last_work = monotonic()
        failures = 0
        while self._queue or self._pending or not self._stopping:
            due_s = self._flush_rollups()
            if not self._queue and not self._pending:
                if monotonic() - last_work < IDLE_S or not self._index():
                    self._rest(last_work, due_s)
                continue
            last_work = began = monotonic()
            size = len(self._queue)
            if self._drain():
                failures = 0
                self._unindexed += size
                if size <= LIGHT_BATCH and self._unindexed >= INDEX_BATCH:
                    self._index()
                if len(self._queue) < BATCH:
                    self._pause(began + PERIOD_S - monotonic())
            elif self._stopping:
                break
            else:
                self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        self._finish()

    def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if seconds > 0 and not self._stopping:
            self._wake.wait(seconds)

    def _flush_rollups(self) -> float | None:
        """Have sums written when it is time; in how many seconds that is, None while there are none."""
        rollups = self._rollups
        due_s = None if rollups is None else rollups.due_s
        if rollups is None or due_s is None or due_s > 0:
            return due_s
        try:
            rollups.flush()
        except Exception as error:  # noqa: BLE001  # the edge that must not die
            self._complain(error)
        return rollups.due_s

    def _rest(self, last_work: float, due_s: float | None) -> None:
        """Sleep until there is work, or time to index or to write sums."""
        self._wake.clear()
        self._is_asleep = True
        if not self._queue and not self._stopping:  # looked at after the flag: no `put` is slept through
            idle_s = monotonic() - last_work
            self._wake.wait(IDLE_S - idle_s if idle_s < IDLE_S else due_s)
        self._is_asleep = False
        if self._queue:
            self._pause(PERIOD_S)  # others come with the first: one batch for all

    def _drain(self) -> bool:
        """Store one batch; False when the store did not take it, which then waits in `_pending`."""
        queue, batch = self._queue, self._pending
        while queue and len(batch) < BATCH:
            item = queue.popleft()
            if isinstance(item, Exchange):
                self._bytes_out += _size(item)
                item = self._entry(item)
            batch.append(item)
            if len(batch) % YIELD_EVERY == 0:
                sleep(0)  # lets the event loop have the interpreter
        try:
            self._write(batch)
        except StoreError as error:  # disk full, locked, damaged: the batch waits
            self._complain(error)
            return False
        except Exception as error:  # noqa: BLE001  # one entry no file would take: find it, keep the others
            self._complain(error)
            return self._write_singly(batch)
        self._pending = []
        self.last_error = None
        return True

    def _write(self, batch: Sequence[Entry]) -> None:
        lost = (self._lost_rows + self._failed_rows, self._lost_bodies + self._failed_bodies)
        stored = self._writer.write(
            batch, lost_rows=lost[0] - self._told[0], lost_bodies=lost[1] - self._told[1]
        )
        self._told = lost
        self._stored += len(batch)
        if self._rollups is not None and batch:
            self._rollups.add([(one.row, one.told) for one in batch], stored)

    def _write_singly(self, batch: list[Entry]) -> bool:
        while batch:
            try:
                self._write(batch[:1])
            except StoreError as error:
                self._complain(error)
                return False
            except Exception as error:  # noqa: BLE001  # what cannot be stored is counted
                self._complain(error)
                self._failed_rows += 1
            del batch[0]
        return True

    def _entry(self, exchange: Exchange, flags: int = 0, *, with_body: bool = True) -> Entry:
        findings: tuple[Line, ...] = ()
        hidden = exchange.redactions if self._capture != "full" else None
        row = row_of(exchange, flags | REDACTED if hidden else flags)
        try:
            if self._audit_key is not None:
                findings = lines_of(exchange, self._audit_key)
            body = body_of(exchange) if with_body and self._keeps_bodies else None
            tags: Mapping[str, str] = exchange.tags
            if exchange.trace:  # kept where no texts are, and found by
                tags = {**tags, TRACE_TAG: trace_of(exchange.id, exchange.trace)}
                body = body or Body(trace=exchange.trace)
            if hidden:
                row, body = redact_parts(row, body, hidden, exchange.request.texts)
                tags = redact_tags(tags, hidden)
            elif body is not None and body.sent:
                without_shared(body)
            encoded = None if body is None else encode_body(body)
            told = exchange if self._rollups is not None and with_body else None
            listed = tags_of(tags) if tags else ()
            if exchange.steps and (version := version_of(exchange)):
                listed += (version,)
            return _new(Entry, (row, encoded, listed, findings, told))
        except Exception as error:  # noqa: BLE001  # one odd exchange must not hold up the others
            self._failed_bodies += 1
            self._complain(error)
            return Entry(row._replace(asked="", session=None, user=None), None, (), findings)

    def _index(self) -> bool:
        began = thread_time_ns()
        try:
            indexed = self._writer.index(INDEX_BATCH)
            self.index_cpu_ns += thread_time_ns() - began
            if indexed > 0:
                return True
        except Exception as error:  # noqa: BLE001  # the edge that must not die
            self._complain(error)
        self._unindexed = 0
        return False

    def _finish(self) -> None:
        left = len(self._pending) + len(self._queue)
        self._failed_rows += left
        self._failed_bodies += left
        self._queue.clear()
        self._pending = []
        try:
            if self._rollups is not None:
                self._rollups.flush()
            if left == 0:
                self._write(())
                self._writer.end()
        except Exception as error:  # noqa: BLE001  # the edge that must not die
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        self._errors += 1
        if self.last_error is None:
            log.error("traces are not stored", extra={"error": type(error).__name__})
        self.last_error = str(error)


def _size(exchange: Exchange) -> int:
    """About what a waiting exchange holds in memory, in bytes."""
    pieces = exchange.reply_raw
    letters = len(exchange.request.raw) + (len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces)))
    return letters * 2 + len(pieces) * PIECE_BYTES
