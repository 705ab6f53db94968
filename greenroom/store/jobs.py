# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""Fine-tuning jobs in one SQLite file: what was asked for, how they go, what they told, what they left.

What a job trains and what comes out of it lies in the job's folder (`offline/finetune/plan.py`). JSON is
bytes here. Methods block; any thread may call them. Raises: StoreError from every method.
"""

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Literal, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.json import decode

from greenroom.errors import MalformedRequest
from greenroom.store.counted import CountedStore
from greenroom.store.job_schema import JOBS

T = TypeVar("T", bound=Struct)
Status = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
UNFINISHED: tuple[Status, ...] = ("validating_files", "queued", "running", "paused")
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
_JOB = (
    "number, id, project, key, request, metadata, name, status, error, plan, report, estimate, result,"
    " card, read_bytes, starts, failures, best_step, created_ns, started_ns, ended_ns, finish_ns"
)
_EVENT = "number, id, job, at_ns, level, type, message, data"
_CHECKPOINT = "number, id, job, step, at_ns, model, metrics"
_NO_METADATA = " AND metadata = 'null'"


class JobRow(Struct, kw_only=True, frozen=True):
    """One job."""

    number: int = 0
    id: str
    project: str
    key: str
    """Of the key that asked for it."""
    request: bytes
    """What was asked for, as `wire/finetune.py` reads it."""
    metadata: str = "null"
    """JSON."""
    name: str = ""
    """What the model will be called."""
    status: Status = "validating_files"
    error: bytes = b""
    """JSON: code, message, param."""
    plan: bytes = b""
    report: bytes = b""
    """JSON: what the data gate found."""
    estimate: bytes = b""
    result: bytes = b""
    card: bytes = b""
    read_bytes: int = 0
    starts: int = 0
    failures: int = 0
    best_step: int = 0
    created_ns: int = 0
    started_ns: int = 0
    ended_ns: int = 0
    finish_ns: int = 0
    """When it should be done, while it trains."""


class EventRow(Struct, kw_only=True, frozen=True):
    """Something that a job told."""

    number: int = 0
    id: str = ""
    job: int = 0
    at_ns: int
    level: str = "info"
    type: str = "message"
    message: str
    data: bytes = b"{}"


class CheckpointRow(Struct, kw_only=True, frozen=True):
    """A state that training can go on from, and that may be a model of its own."""

    number: int = 0
    id: str = ""
    job: int
    step: int
    at_ns: int
    model: str
    metrics: bytes


class Page(NamedTuple):
    """Which rows of a list: at most `limit`, those after `after`."""

    limit: int = 20
    after: str | None = None


FIRST = Page()


class JobStore(CountedStore):
    """The jobs of all projects."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, JOBS)

    # jobs

    def add(self, row: JobRow) -> JobRow:
        """Keep a new job."""
        with self._changing() as db:
            db.execute(
                "INSERT INTO jobs (id, project, key, request, metadata, name, status, created_ns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.id, row.project, row.key, row.request, row.metadata, row.name, row.status,
                    row.created_ns or time.time_ns(),
                ),
            )  # fmt: skip
        return self.job(row.id) or row

    def job(self, id: str, project: str | None = None) -> JobRow | None:
        """A job, of a project where one is named."""
        with self._reading() as db:
            found = db.execute(
                f"SELECT {_JOB} FROM jobs WHERE id = ?1 AND (?2 IS NULL OR project = ?2)", (id, project)
            ).fetchone()
        return None if found is None else _as(JobRow, found)

    def jobs(
        self,
        project: str | None,
        wanted: Page = FIRST,
        metadata: Mapping[str, str] | None = None,
        *,
        without_metadata: bool = False,
    ) -> tuple[list[JobRow], bool]:
        """A page of jobs, newest first, and whether there are more. Raises: MalformedRequest."""
        pairs = list((metadata or {}).items())
        has_pair = " AND EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = ? AND value = ?)"
        with self._reading() as db:
            before = _place(db, "SELECT number FROM jobs WHERE id = ?", (wanted.after,), wanted)
            found = db.execute(
                f"SELECT {_JOB} FROM jobs WHERE (? IS NULL OR project = ?) AND (? IS NULL OR number < ?)"
                f"{_NO_METADATA if without_metadata else ''}{has_pair * len(pairs)}"
                " ORDER BY number DESC LIMIT ?",
                (project, project, before, before, *chain.from_iterable(pairs), wanted.limit + 1),
            ).fetchall()
        return [_as(JobRow, row) for row in found[: wanted.limit]], len(found) > wanted.limit

    def unfinished(self) -> list[JobRow]:
        """Jobs that have not ended, the oldest first."""
        marks = ", ".join("?" * len(UNFINISHED))
        with self._reading() as db:
            found = db.execute(
                f"SELECT {_JOB} FROM jobs WHERE status IN ({marks}) ORDER BY number", UNFINISHED
            ).fetchall()
        return [_as(JobRow, row) for row in found]

    def ids(self, of: Sequence[Status], project: str | None = None) -> list[str]:
        """The jobs in some states, by their ids alone, the oldest first."""
        marks = ", ".join("?" * len(of))
        with self._reading() as db:
            found = db.execute(
                f"SELECT id FROM jobs WHERE status IN ({marks}) AND (? IS NULL OR project = ?)"
                " ORDER BY number",
                (*of, project, project),
            ).fetchall()
        return [id for (id,) in found]

    def move(self, id: str, to: Status, *, of: Sequence[Status] = UNFINISHED, **fields: object) -> bool:
        """Bring a job on, with other columns; False where it is in none of the states `of`."""
        marks = ", ".join("?" * len(of))
        columns = {"status": to, **fields}
        if to not in UNFINISHED:
            columns.setdefault("ended_ns", time.time_ns())
        return self._set(id, columns, f"status IN ({marks})", of)

    def note(self, id: str, **columns: object) -> bool:
        """Write columns of a job that has not ended."""
        marks = ", ".join("?" * len(UNFINISHED))
        return self._set(id, columns, f"status IN ({marks})", UNFINISHED)

    def _set(self, id: str, columns: Mapping[str, object], where: str, values: Sequence[object]) -> bool:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._changing() as db:
            done = db.execute(
                f"UPDATE jobs SET {assignments} WHERE id = ? AND {where}", (*columns.values(), id, *values)
            )
        return done.rowcount > 0

    # events

    def tell(
        self,
        job: JobRow,
        events: Iterable[EventRow],
        read_bytes: int | None = None,
        read_before: int | None = None,
    ) -> bool:
        """Keep events, and up to where the job's file of them is read, together.

        False, with nothing kept, where the file was read on from `read_before` already.
        """
        rows = [
            (f"ftevent-{token_hex(12)}", job.number, one.at_ns, one.level, one.type, one.message, one.data)
            for one in events
        ]
        with self._changing() as db:
            if read_bytes is not None:
                moved = db.execute(
                    "UPDATE jobs SET read_bytes = ? WHERE number = ? AND read_bytes = ?",
                    (read_bytes, job.number, read_before),
                )
                if not moved.rowcount:
                    return False
            db.executemany(
                "INSERT INTO events (id, job, at_ns, level, type, message, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        return True

    def events(self, job: JobRow, wanted: Page) -> tuple[list[EventRow], bool]:
        """A page of a job's events, newest first. Raises: MalformedRequest."""
        with self._reading() as db:
            before = _place(
                db, "SELECT number FROM events WHERE job = ? AND id = ?", (job.number, wanted.after), wanted
            )
            found = db.execute(
                f"SELECT {_EVENT} FROM events WHERE job = ?1 AND (?2 IS NULL OR number < ?2)"
                " ORDER BY number DESC LIMIT ?3",
                (job.number, before, wanted.limit + 1),
            ).fetchall()
        return [_as(EventRow, row) for row in found[: wanted.limit]], len(found) > wanted.limit

    def metrics(self, job: JobRow, most: int | None = None) -> list[EventRow]:
        """The events with numbers, oldest first; about `most`, spread evenly, and all of validation."""
        where = "FROM events WHERE job = ?1 AND type = 'metrics'"
        with self._reading() as db:
            (count,) = db.execute(f"SELECT count(*) {where}", (job.number,)).fetchone()
            every = 1 if most is None else max(1, count // most)
            # counted within the job: numbers are those of all jobs, which may take turns
            found = db.execute(
                f"SELECT {_EVENT} FROM (SELECT *, row_number() OVER (ORDER BY number) AS place {where})"
                " WHERE place % ?2 = 0 OR message LIKE '%validation%' ORDER BY number",
                (job.number, every),
            ).fetchall()
        return [_as(EventRow, row) for row in found]

    def newest_metrics(self, job: JobRow) -> dict[str, float]:
        """The last that was said of each number."""
        with self._reading() as db:
            found = db.execute(
                f"SELECT {_EVENT} FROM events WHERE job = ? AND type = 'metrics'"
                " ORDER BY number DESC LIMIT 50",
                (job.number,),
            ).fetchall()
        told: dict[str, float] = {}
        for row in reversed(found):
            told |= {
                name: value
                for name, value in decode(_as(EventRow, row).data).items()
                if isinstance(value, int | float)
            }
        return told

    # checkpoints

    def add_checkpoints(self, rows: Iterable[CheckpointRow]) -> None:
        """Keep checkpoints that are not known yet."""
        with self._changing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO checkpoints (id, job, step, at_ns, model, metrics)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (f"ftckpt_{token_hex(12)}", one.job, one.step, one.at_ns, one.model, one.metrics)
                    for one in rows
                ],
            )

    def checkpoints(self, job: JobRow, wanted: Page) -> tuple[list[CheckpointRow], bool]:
        """A page of a job's checkpoints, the newest first. Raises: MalformedRequest."""
        with self._reading() as db:
            before = _place(
                db,
                "SELECT step FROM checkpoints WHERE job = ? AND id = ?",
                (job.number, wanted.after),
                wanted,
            )
            found = db.execute(
                f"SELECT {_CHECKPOINT} FROM checkpoints WHERE job = ?1 AND (?2 IS NULL OR step < ?2)"
                " ORDER BY step DESC LIMIT ?3",
                (job.number, before, wanted.limit + 1),
            ).fetchall()
        return [_as(CheckpointRow, row) for row in found[: wanted.limit]], len(found) > wanted.limit


def new_id() -> str:
    """`ftjob-…`, sorting by time."""
    return f"ftjob-{time.time_ns() // 1_000_000:012x}{token_hex(6)}"


def _place(db: sqlite3.Connection, query: str, values: Sequence[object], wanted: Page) -> int | None:
    if wanted.after is None:
        return None
    found = db.execute(query, tuple(values)).fetchone()
    if found is None:
        raise MalformedRequest(f"There is no '{wanted.after[:64]}' to list from.", "after")
    return int(found[0])


def _as(kind: type[T], found: Sequence[object]) -> T:
    return kind(**dict(zip(kind.__struct_fields__, found, strict=True)))
