"""Evaluation runs in one SQLite file: what was asked, what came back, how it was scored.

A call is written down before it is made and its answer before anything is counted, each in a transaction of
its own that is on the disk when the method returns: a process killed at any point knows afterwards what it
has paid for. Outputs and scores are bytes here; `offline/evals` knows what they say. Methods block; any
thread may call them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.errors import Conflict, NotFound
from greenroom.store.claimed import ClaimedStore
from greenroom.store.eval_schema import EVALS

Status = Literal["running", "finished", "stopped"]
_RUN = (
    "id, project, name, subject, fingerprint, data, total, settings, status, reason, started_ns, ended_ns,"
    " process"
)


class RunRow(Struct, kw_only=True, frozen=True):
    """One subject over one data set."""

    id: str
    project: str
    name: str
    """What people call it; not unique."""
    subject: str
    fingerprint: str
    """Changes with everything that may change the subject's answers."""
    data: str
    """Digest of the samples."""
    total: int
    """Items there will be: samples × repeats."""
    settings: bytes
    """JSON: what else a report says of the run."""
    status: Status = "running"
    reason: str = ""
    """Why it was stopped."""
    started_ns: int = 0
    ended_ns: int | None = None
    process: int = 0
    """Who works on it, as `Presence` numbers processes; 0 for nobody."""


class Kept(NamedTuple):
    """An answer that is paid for."""

    call: int
    output: bytes


class ItemRow(NamedTuple):
    """One scored answer."""

    place: int
    """Of the sample in its data set."""
    repeat: int
    sample: str
    output: bytes
    scores: bytes
    is_cached: bool
    """Whether another run had paid for the answer."""


class Spent(NamedTuple):
    """What a run has paid, in nano-USD, and for what."""

    calls: int
    nano_usd: int
    unpriced: int
    """Calls whose price is not known."""
    lost: int
    """Calls that were made, and whose answers never came to be written: the process died meanwhile."""
    dearest_nano: int
    """What the dearest call cost: a lost one may have cost as much."""


class EvalStore(ClaimedStore):
    """Opened from a path; migrated, and made where it is not there. Raises: StoreError from every method."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, EVALS, synchronous="FULL")

    # calls

    def ask(self, run: str, key: str) -> int:
        """Note that a call is about to be made; its number."""
        with self.changing() as db:
            made = db.execute(
                "INSERT INTO calls (key, run, asked_ns) VALUES (?, ?, ?)", (key, run, time.time_ns())
            )
        assert made.lastrowid is not None
        return made.lastrowid

    def answered(self, call: int, outcome: str, cost_nano: int | None, output: bytes) -> None:
        """Write down what came of a call. Outcome "failed" is no answer: the next run asks again."""
        with self.changing() as db:
            db.execute(
                "UPDATE calls SET answered_ns = ?, outcome = ?, cost_nano = ?, output = ? WHERE number = ?",
                (time.time_ns(), outcome, cost_nano, output, call),
            )

    def newest(self, key: str, run: str | None = None) -> Kept | None:
        """The newest answer under a key that some run, or this one, has paid for."""
        with self.reading() as db:
            found = db.execute(
                "SELECT number, output FROM calls WHERE key = ?1 AND outcome IN ('answered', 'refused')"
                " AND (?2 IS NULL OR run = ?2) ORDER BY number DESC LIMIT 1",
                (key, run),
            ).fetchone()
        return None if found is None else Kept(*found)

    # runs

    def begin(self, row: RunRow) -> None:
        """Keep a new run, worked on by this process."""
        values = (
            row.id, row.project, row.name, row.subject, row.fingerprint, row.data, row.total, row.settings,
            "running", "", time.time_ns(), self._process,
        )  # fmt: skip
        with self.changing() as db:
            db.execute(
                "INSERT INTO runs (id, project, name, subject, fingerprint, data, total, settings, status,"
                " reason, started_ns, process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def resume(self, id: str) -> None:
        """Take up a run that was stopped or whose process died. Raises: NotFound; Conflict if it lives."""
        with self.changing() as db:
            found = db.execute("SELECT process FROM runs WHERE id = ?", (id,)).fetchone()
            if found is None:
                raise NotFound(f"There is no run '{id}'.")
            (process,) = found
            if process not in {0, self._process} and not self._presence.is_dead(process):
                raise Conflict(f"Another process is at work on the run '{id}'. Wait for it, or end it.")
            db.execute(
                "UPDATE runs SET status = 'running', reason = '', ended_ns = NULL, process = ? WHERE id = ?",
                (self._process, id),
            )

    def add_item(
        self, run: str, place: int, repeat: int, sample: str, call: int, scores: bytes, judged_nano: int
    ) -> None:
        """Keep one scored answer; again under the same place and repeat replaces it."""
        with self.changing() as db:
            db.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run, place, repeat, sample, call, scores, judged_nano),
            )

    def end(self, run: str, status: Status, reason: str = "") -> None:
        """Say that nobody works on a run any more."""
        with self.changing() as db:
            db.execute(
                "UPDATE runs SET status = ?, reason = ?, ended_ns = ?, process = 0 WHERE id = ?",
                (status, reason, time.time_ns(), run),
            )

    def items(self, run: str) -> list[ItemRow]:
        """What a run has scored, in the order of its samples."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT place, repeat, sample, output, scores, calls.run <> items.run FROM items"
                " JOIN calls ON calls.number = items.call WHERE items.run = ? ORDER BY place, repeat",
                (run,),
            ).fetchall()
        return [ItemRow._make((*row[:-1], bool(row[-1]))) for row in rows]

    def spent(self, run: str) -> Spent:
        """What a run has paid for so far, judges included."""
        with self.reading() as db:
            calls, nano, unpriced, lost, dearest = db.execute(
                "SELECT count(*), coalesce(sum(cost_nano), 0), sum(outcome IS NOT NULL AND cost_nano IS NULL"
                " AND outcome <> 'failed'), sum(outcome IS NULL), coalesce(max(cost_nano), 0)"
                " FROM calls WHERE run = ?",
                (run,),
            ).fetchone()
            (judged,) = db.execute(
                "SELECT coalesce(sum(judged_nano), 0) FROM items WHERE run = ?", (run,)
            ).fetchone()
        return Spent(calls, nano + judged, unpriced or 0, lost or 0, dearest)

    def find(self, named: str, project: str | None = None) -> RunRow:
        """A run by its id, by how it begins, or the newest finished one of a name. Raises: NotFound."""
        with self.reading() as db:
            found = db.execute(
                f"SELECT {_RUN} FROM runs WHERE (?2 IS NULL OR project = ?2) AND ("  # noqa: S608  # constants
                " id = ?1 OR (name = ?1 AND status = 'finished') OR (length(?1) > 5 AND instr(id, ?1) = 1))"
                " ORDER BY id = ?1 DESC, name = ?1 DESC, started_ns DESC LIMIT 2",
                (named, project),
            ).fetchall()
        rows = [_row(one) for one in found]
        if not rows:
            raise NotFound(f"There is no run '{named}'. 'greenroom eval list' shows what there is.")
        if len(rows) > 1 and named not in {rows[0].id, rows[0].name}:
            raise NotFound(f"Several runs begin with '{named}'. Give more of the id.")
        return rows[0]

    def runs(self, project: str | None = None, limit: int = 50) -> list[RunRow]:
        """The newest runs. One whose process has died is stopped, and is said to be."""
        self._end_dead()
        with self.reading() as db:
            rows = db.execute(
                f"SELECT {_RUN} FROM runs WHERE ?1 IS NULL OR project = ?1"  # noqa: S608  # constants
                " ORDER BY started_ns DESC LIMIT ?2",
                (project, limit),
            ).fetchall()
        return [_row(row) for row in rows]

    def _end_dead(self) -> None:
        with self.reading() as db:
            found = db.execute("SELECT id, process FROM runs WHERE status = 'running'").fetchall()
        for id, process in found:
            if process != self._process and self._presence.is_dead(process):
                self.end(id, "stopped", "Its process died.")

    def remove(self, id: str) -> bool:
        """Erase a run, its items, and the answers that no other run uses; whether it was there."""
        with self.changing() as db:
            gone = db.execute("DELETE FROM runs WHERE id = ?", (id,))
            db.execute("DELETE FROM items WHERE run = ?", (id,))
            db.execute(
                "DELETE FROM calls WHERE run NOT IN (SELECT id FROM runs)"
                " AND number NOT IN (SELECT call FROM items)"
            )
        return gone.rowcount > 0

    def unfinished(self, fingerprint: str, data: str, settings: bytes) -> RunRow | None:
        """The newest run of the same subject, samples and settings that did not come to its end."""
        with self.reading() as db:
            found = db.execute(
                f"SELECT {_RUN} FROM runs WHERE fingerprint = ? AND data = ? AND settings = ?"  # noqa: S608  # constants
                " AND status <> 'finished' ORDER BY started_ns DESC LIMIT 1",
                (fingerprint, data, settings),
            ).fetchone()
        return None if found is None else _row(found)


def _row(found: Sequence[object]) -> RunRow:
    return RunRow(**dict(zip(RunRow.__struct_fields__, found, strict=True)))  # type: ignore[arg-type]  # columns in order
