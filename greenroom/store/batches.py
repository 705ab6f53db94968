# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""Batches that clients keep by `/v1/batches`, and what came of their lines until that is written into files.

A line's result is written once: a second one under the same number is not taken. Methods block; any thread
may call them. Raises: StoreError from every method.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from greenroom.errors import MalformedRequest
from greenroom.store.claimed import ClaimedStore

Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
Ending = Literal["completed", "failed", "expired", "cancelled"]
UNFINISHED: Final = ("validating", "in_progress", "finalizing", "cancelling")
_WORTH_IT = 1_000
"""Free pages of 4 KB."""
_OPEN = "status IN ('validating', 'in_progress', 'finalizing', 'cancelling')"

MIGRATIONS = (
    """
-- Times are Unix seconds. process: who works on it, as `Presence` numbers processes; 0 for nobody.
-- ending, left_code, left_message: what it is to become, and what is said of lines nobody asked.
CREATE TABLE batches (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, key TEXT NOT NULL,
    endpoint TEXT NOT NULL, input_file TEXT NOT NULL, metadata BLOB NOT NULL, output_expires_s INTEGER,
    budget_nano INTEGER, status TEXT NOT NULL, ending TEXT NOT NULL, left_code TEXT NOT NULL,
    left_message TEXT NOT NULL, errors BLOB NOT NULL, model TEXT, output_file TEXT, error_file TEXT,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, in_progress_at INTEGER, finalizing_at INTEGER,
    completed_at INTEGER, failed_at INTEGER, expired_at INTEGER, cancelling_at INTEGER, cancelled_at INTEGER,
    total INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    process INTEGER NOT NULL
);
CREATE INDEX batches_by_project ON batches (project, number);
CREATE INDEX batches_at_work ON batches (process)
    WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');

CREATE TABLE results (
    batch INTEGER NOT NULL REFERENCES batches (number) ON DELETE CASCADE, line INTEGER NOT NULL,
    is_fine INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (batch, line)
);
""",
)
"""Of `batches.db`, oldest first."""


class BatchRow(Struct, kw_only=True, frozen=True):
    """A batch."""

    number: int = 0
    id: str
    project: str
    key: str
    """Of the key that made it, and that its lines are asked as."""
    endpoint: str
    input_file: str
    metadata: bytes = b"null"
    output_expires_s: int | None = None
    budget_nano: int | None = None
    status: Status = "validating"
    ending: str = ""
    """What it becomes once its files are written; empty while lines are asked."""
    left_code: str = ""
    left_message: str = ""
    errors: bytes = b"[]"
    """JSON: a list of `{code, line, message, param}`."""
    model: str | None = None
    """Where all lines name the same."""
    output_file: str | None = None
    error_file: str | None = None
    created_at: int = 0
    expires_at: int = 0
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    unpriced: int = 0
    """Answers whose price is not known."""
    process: int = 0


class Result(NamedTuple):
    """What came of a line."""

    line: int
    is_fine: bool
    body: bytes
    """As it stands in the file of results."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    is_unpriced: bool = False


_COLUMNS = ", ".join(BatchRow.__struct_fields__)
_KEPT = BatchRow.__struct_fields__[1:]
_INSERT = f"INSERT INTO batches ({', '.join(_KEPT)}) VALUES ({', '.join(f':{name}' for name in _KEPT)})"
_TIMES: Final = {
    "in_progress": "UPDATE batches SET status = ?2, in_progress_at = ?3"
    " WHERE id = ?1 AND status = 'validating'",
    "cancelling": "UPDATE batches SET status = ?2, cancelling_at = ?3"
    " WHERE id = ?1 AND status IN ('validating', 'in_progress')",
}
_ENDED: Final = {
    "completed": "completed_at = ?2",
    "failed": "failed_at = ?2",
    "expired": "expired_at = ?2",
    "cancelled": "cancelled_at = ?2",
}


class BatchStore(ClaimedStore):
    """Opened from a path; migrated, and made where it is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MIGRATIONS)

    # batches

    def add(self, row: BatchRow, *, is_mine: bool = True) -> None:
        """Keep a new batch; `is_mine` says whether this process works on it."""
        values = {name: getattr(row, name) for name in _KEPT}
        values["process"] = self._process if is_mine else 0
        with self.changing() as db:
            db.execute(_INSERT, values)

    def get(self, id: str, project: str | None = None) -> BatchRow | None:
        """A batch, of a project or of whichever."""
        with self.reading() as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE id = ?1 AND (?2 IS NULL OR project = ?2)",
                (id, project),
            ).fetchone()
        return None if found is None else _row(found)

    def page(self, project: str | None, limit: int, after: str | None) -> tuple[list[BatchRow], bool]:
        """The newest, and whether there are more. Raises: MalformedRequest where there is no `after`."""
        with self.reading() as db:
            at = None
            if after is not None:
                found = db.execute(
                    "SELECT number FROM batches WHERE id = ?1 AND (?2 IS NULL OR project = ?2)",
                    (after, project),
                ).fetchone()
                if found is None:
                    raise MalformedRequest(f"There is no batch '{after[:64]}' to list from.", "after")
                (at,) = found
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE (?1 IS NULL OR project = ?1)"
                " AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
                (project, at, limit + 1),
            ).fetchall()
        return [_row(row) for row in rows[:limit]], len(rows) > limit

    def count_open(self, project: str) -> int:
        """How many of a project wait or are at work."""
        with self.reading() as db:
            found = db.execute(f"SELECT count(*) FROM batches WHERE project = ? AND {_OPEN}", (project,))
            return int(found.fetchone()[0])

    def open_ids(self) -> list[str]:
        """Of all that wait or are at work, oldest first."""
        return self._open_ids(None)

    def own_ids(self) -> list[str]:
        """Of those that this process holds."""
        return self._open_ids(self._process)

    def _open_ids(self, process: int | None) -> list[str]:
        with self.reading() as db:
            rows = db.execute(
                f"SELECT id FROM batches WHERE {_OPEN} AND (?1 IS NULL OR process = ?1) ORDER BY number",
                (process,),
            )
            return [id for (id,) in rows]

    def take_up(self) -> list[str]:
        """Take what nobody works on; the ids, oldest first."""
        with self.reading() as db:
            found = db.execute(
                f"SELECT id, process FROM batches WHERE {_OPEN} AND process <> ? ORDER BY number",
                (self._process,),
            ).fetchall()
        dead = {one: one == 0 or self._presence.is_dead(one) for _, one in set(found)}
        taken = []
        for id, process in found:
            if not dead[process]:
                continue
            with self.changing() as db:
                made = db.execute(
                    "UPDATE batches SET process = ? WHERE id = ? AND process = ?",
                    (self._process, id, process),
                )
            if made.rowcount:
                taken.append(id)
        return taken

    def cancelling(self, ids: Sequence[str]) -> list[str]:
        """Those of these that somebody cancelled."""
        return [id for id in ids if (row := self.get(id)) is None or row.status == "cancelling"]

    def move(self, id: str, status: Literal["in_progress", "cancelling"]) -> bool:
        """Say that it is checked, or that it is to end; whether that changed anything."""
        with self.changing() as db:
            return db.execute(_TIMES[status], (id, status, int(time.time()))).rowcount > 0

    def checked(self, id: str, total: int, model: str | None) -> None:
        """Keep what the look through its file found."""
        with self.changing() as db:
            db.execute("UPDATE batches SET total = ?, model = ? WHERE id = ?", (total, model, id))

    def complain(self, id: str, errors: bytes) -> None:
        """Keep what is wrong with it."""
        with self.changing() as db:
            db.execute("UPDATE batches SET errors = ? WHERE id = ?", (errors, id))

    def begin_ending(self, id: str, ending: Ending, code: str, message: str) -> None:
        """Say what it becomes when its files are written, and what of lines that nobody asked.

        What was cancelled meanwhile is cancelled, and what ends already ends as it began to.
        """
        with self.changing() as db:
            db.execute(
                "UPDATE batches SET finalizing_at = CASE ?3 WHEN 'failed' THEN NULL ELSE ?2 END,"
                " ending = CASE status WHEN 'cancelling' THEN 'cancelled' ELSE ?3 END,"
                " left_code = CASE status WHEN 'cancelling' THEN 'batch_cancelled' ELSE ?4 END,"
                " left_message = CASE status WHEN 'cancelling' THEN 'The batch was cancelled.' ELSE ?5 END,"
                " status = CASE status WHEN 'cancelling' THEN 'cancelling' ELSE 'finalizing' END"
                " WHERE id = ?1 AND ending = ''",
                (id, int(time.time()), ending, code, message),
            )

    def end(self, row: BatchRow, output_file: str | None, error_file: str | None) -> None:
        """It is over: what came of its lines lies in files now."""
        now = int(time.time())
        with self.changing() as db:
            db.execute(
                f"UPDATE batches SET status = ending, {_ENDED[row.ending]}, output_file = ?3,"
                " error_file = ?4, process = 0 WHERE id = ?1",
                (row.id, now, output_file, error_file),
            )
            db.execute("DELETE FROM results WHERE batch = ?", (row.number,))

    def purge(self, before: int) -> int:
        """Forget what was over before a moment in Unix seconds; how many those were. Files stay."""
        with self.changing() as db:
            return db.execute(
                f"DELETE FROM batches WHERE NOT {_OPEN}"
                " AND coalesce(completed_at, failed_at, expired_at, cancelled_at) < ?",
                (before,),
            ).rowcount

    def shrink(self) -> None:
        """Give back to the disk what results took, where nothing is at work."""
        with self.reading() as db:
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free > _WORTH_IT and not db.execute(f"SELECT 1 FROM batches WHERE {_OPEN} LIMIT 1").fetchone():
                db.execute("VACUUM")

    # lines

    def keep(self, batch: int, results: Sequence[Result]) -> int:
        """Write down what came of lines; how many were not known yet."""
        count = 0
        with self.changing() as db:
            for one in results:
                made = db.execute(
                    "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)",
                    (batch, one.line, one.is_fine, one.body),
                )
                if not made.rowcount:
                    continue
                count += 1
                db.execute(
                    "UPDATE batches SET completed = completed + ?2, failed = failed + ?3,"
                    " input_tokens = input_tokens + ?4, cached_tokens = cached_tokens + ?5,"
                    " output_tokens = output_tokens + ?6, reasoning_tokens = reasoning_tokens + ?7,"
                    " cost_nano = cost_nano + ?8, unpriced = unpriced + ?9 WHERE number = ?1",
                    (batch, one.is_fine, not one.is_fine, *one[3:]),
                )
        return count

    def known(self, batch: int) -> set[int]:
        """The numbers of lines that came to something."""
        with self.reading() as db:
            return {line for (line,) in db.execute("SELECT line FROM results WHERE batch = ?", (batch,))}

    def results(self, batch: int, *, is_fine: bool) -> Iterator[bytes]:
        """The lines of one of its files, in order; read one by one, so that memory holds one."""
        after = -1
        while True:
            with self.reading() as db:
                found = db.execute(
                    "SELECT line, body FROM results WHERE batch = ? AND is_fine = ? AND line > ?"
                    " ORDER BY line LIMIT 1",
                    (batch, is_fine, after),
                ).fetchone()
            if found is None:
                return
            after, body = found
            yield body


def new_id() -> str:
    """Of a batch."""
    return f"batch_{secrets.token_hex(16)}"


def _row(found: Sequence[object]) -> BatchRow:
    return BatchRow(**dict(zip(BatchRow.__struct_fields__, found, strict=True)))  # type: ignore[arg-type]  # columns in order
