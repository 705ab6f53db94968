# ruff: noqa: S608  # statements are joined from the constants below; all values are bound
"""What clients keep by `/v1/evals`: evals, runs and the rows that these grade, in the file of evaluation.

What came of a row lies where every evaluation keeps it (`evals.py`), under the run's id. JSON is bytes here.
Methods block; any thread may call them. Raises: StoreError from every method.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.errors import MalformedRequest
from greenroom.store.evals import EvalStore, RunRow

RunStatus = Literal["queued", "in_progress", "completed", "canceled", "failed"]
AT_WORK = ("queued", "in_progress")
_EVAL = "number, id, project, key, name, metadata, config, criteria, created_ns, updated_ns"
_RUN = (
    "r.number, r.id, e.id, r.project, r.key, r.name, r.metadata, r.model, r.source, r.status, r.error_code,"
    " r.error, r.summary, r.created_ns"
)
_RUNS = f"SELECT {_RUN} FROM openai_runs r JOIN openai_evals e ON e.number = r.eval"
JUDGED = "#judge"
"""What follows a run's id where its graders' own calls are noted."""


class EvalRow(Struct, kw_only=True, frozen=True):
    """An eval: what its rows look like, and what grades them."""

    number: int = 0
    id: str
    project: str
    key: str
    """Of the key that made it."""
    name: str
    metadata: bytes
    config: bytes
    criteria: bytes
    created_ns: int = 0
    updated_ns: int = 0


class HostedRun(Struct, kw_only=True, frozen=True):
    """One run of an eval."""

    number: int = 0
    id: str
    eval: str
    project: str
    key: str
    name: str
    metadata: bytes
    model: str
    source: bytes
    """Where its rows come from, as the client said it."""
    status: RunStatus = "queued"
    error_code: str = ""
    error: str = ""
    summary: bytes = b""
    """JSON: counts, once it has ended."""
    created_ns: int = 0


class Listing(NamedTuple):
    """Which rows of a list: at most `limit`, from the one after `after` on."""

    limit: int = 20
    newest_first: bool = False
    after: str | None = None
    key: str | None = None
    """Only what this key made."""


class ItemRow(NamedTuple):
    """A graded row."""

    place: int
    body: bytes
    scores: bytes
    output: bytes
    answered_ns: int


class OpenAIEvals:
    """Evals and runs of all projects."""

    def __init__(self, store: EvalStore) -> None:
        self.store = store

    # evals

    def add(self, row: EvalRow) -> EvalRow:
        """Keep a new eval."""
        now = time.time_ns()
        values = (
            row.id, row.project, row.key, row.name, row.metadata, row.config, row.criteria, now, now,
        )  # fmt: skip
        with self.store.changing() as db:
            (found,) = db.execute(
                "INSERT INTO openai_evals (id, project, key, name, metadata, config, criteria, created_ns,"
                f" updated_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_EVAL}",
                values,
            ).fetchall()
        return _eval(found)

    def count(self, project: str) -> int:
        """How many evals a project has."""
        with self.store.reading() as db:
            return int(
                db.execute("SELECT count(*) FROM openai_evals WHERE project = ?", (project,)).fetchone()[0]
            )

    def get(self, project: str, id: str) -> EvalRow | None:
        """An eval of a project."""
        with self.store.reading() as db:
            found = db.execute(
                f"SELECT {_EVAL} FROM openai_evals WHERE project = ? AND id = ?",
                (project, id),
            ).fetchone()
        return None if found is None else _eval(found)

    def change(self, id: str, *, name: str | None, metadata: bytes | None) -> None:
        """Give an eval another name or other metadata; None leaves them."""
        with self.store.changing() as db:
            db.execute(
                "UPDATE openai_evals SET name = coalesce(?2, name), metadata = coalesce(?3, metadata),"
                " updated_ns = max(?4, (SELECT max(updated_ns) + 1 FROM openai_evals)) WHERE id = ?1",
                (id, name, metadata, time.time_ns()),
            )

    def evals(self, project: str, wanted: Listing, *, by_update: bool) -> tuple[list[EvalRow], bool]:
        """A page, and whether there are more. Raises: MalformedRequest where `after` is not in the list."""
        column = "updated_ns" if by_update else "number"
        with self.store.reading() as db:
            at = _place(
                db, f"SELECT {column} FROM openai_evals WHERE project = ? AND id = ?", project, wanted
            )
            rows = db.execute(
                f"SELECT {_EVAL} FROM openai_evals WHERE project = :project"
                f" AND (:key IS NULL OR key = :key) {_page(column, wanted)}",
                {"project": project, "key": wanted.key, "at": at, "limit": wanted.limit + 1},
            ).fetchall()
        return [_eval(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit

    def delete(self, id: str) -> None:
        """Delete an eval with its runs and all that came of them."""
        with self.store.changing() as db:
            runs = db.execute(
                "SELECT r.id FROM openai_runs r JOIN openai_evals e ON e.number = r.eval WHERE e.id = ?",
                (id,),
            ).fetchall()
            for (run,) in runs:
                _wipe(db, run)
            db.execute("DELETE FROM openai_evals WHERE id = ?", (id,))

    # runs

    def add_run(self, row: HostedRun, work: RunRow, rows: Sequence[bytes]) -> HostedRun:
        """Keep a new run with its rows; this process is to do it."""
        self.store.begin(work)
        values = (
            row.id, row.project, row.key, row.name, row.metadata, row.model, row.source, row.status,
            time.time_ns(), row.eval,
        )  # fmt: skip
        with self.store.changing() as db:
            made = db.execute(
                "INSERT INTO openai_runs (id, eval, project, key, name, metadata, model, source, status,"
                " error_code, error, summary, created_ns) SELECT ?1, number, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '',"
                " '', x'', ?9 FROM openai_evals WHERE id = ?10",
                values,
            )
            if made.rowcount:  # else the eval was deleted meanwhile, and there is no run
                db.executemany(
                    "INSERT INTO openai_rows VALUES (?, ?, ?)",
                    ((row.id, place, body) for place, body in enumerate(rows)),
                )
        return self.run(row.id) or row

    def run(self, id: str) -> HostedRun | None:
        """A run of whichever project."""
        with self.store.reading() as db:
            found = db.execute(f"{_RUNS} WHERE r.id = ?", (id,)).fetchone()
        return None if found is None else _run(found)

    def runs(self, eval: EvalRow, wanted: Listing, status: str | None = None) -> tuple[list[HostedRun], bool]:
        """A page of an eval's runs, and whether there are more. Raises: MalformedRequest."""
        with self.store.reading() as db:
            at = _place(db, "SELECT number FROM openai_runs WHERE eval = ? AND id = ?", eval.number, wanted)
            rows = db.execute(
                f"{_RUNS} WHERE r.eval = :eval AND (:status IS NULL OR r.status = :status)"
                f" AND (:key IS NULL OR r.key = :key) {_page('r.number', wanted)}",
                {
                    "eval": eval.number, "status": status, "key": wanted.key, "at": at,
                    "limit": wanted.limit + 1,
                },
            ).fetchall()  # fmt: skip
        return [_run(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit

    def of_project(self, project: str) -> list[HostedRun]:
        """All runs of a project, oldest first."""
        with self.store.reading() as db:
            rows = db.execute(f"{_RUNS} WHERE r.project = ? ORDER BY r.number", (project,)).fetchall()
        return [_run(row) for row in rows]

    def at_work(self, project: str) -> int:
        """How many runs of a project wait or are at work."""
        with self.store.reading() as db:
            (count,) = db.execute(
                "SELECT count(*) FROM openai_runs WHERE project = ? AND status IN ('queued', 'in_progress')",
                (project,),
            ).fetchone()
        return int(count)

    def unfinished(self) -> list[HostedRun]:
        """The runs that wait or are at work, here or in another process, oldest first."""
        with self.store.reading() as db:
            rows = db.execute(
                f"{_RUNS} WHERE r.status IN ('queued', 'in_progress') ORDER BY r.number"
            ).fetchall()
        return [_run(row) for row in rows]

    def move(
        self, id: str, status: RunStatus, *, code: str = "", error: str = "", summary: bytes = b""
    ) -> bool:
        """Bring a run on; False where it has ended already, which it stays."""
        with self.store.changing() as db:
            moved = db.execute(
                "UPDATE openai_runs SET status = ?2, error_code = ?3, error = ?4, summary = ?5 WHERE id = ?1"
                " AND status IN ('queued', 'in_progress')",
                (id, status, code, error, summary),
            )
        return moved.rowcount > 0

    def unwanted(self, ids: Iterable[str]) -> list[str]:
        """Those of these runs that were cancelled or deleted."""
        found = {id: self.run(id) for id in ids}
        return [id for id, row in found.items() if row is None or row.status not in AT_WORK]

    def delete_run(self, id: str) -> None:
        """Delete a run and all that came of it."""
        with self.store.changing() as db:
            _wipe(db, id)
            db.execute("DELETE FROM openai_runs WHERE id = ?", (id,))

    # rows

    def rows(self, run: str) -> list[bytes]:
        """What a run grades."""
        with self.store.reading() as db:
            found = db.execute("SELECT body FROM openai_rows WHERE run = ? ORDER BY place", (run,)).fetchall()
        return [body for (body,) in found]

    def scores(self, run: str) -> list[tuple[int, bytes]]:
        """Place and scores of what is graded, in order."""
        with self.store.reading() as db:
            return db.execute(
                "SELECT place, scores FROM items WHERE run = ? ORDER BY place", (run,)
            ).fetchall()

    def items(self, run: str, places: Sequence[int]) -> list[ItemRow]:
        """Graded rows by their places, in the order asked for; those that are not there are left out."""
        found: dict[int, ItemRow] = {}
        with self.store.reading() as db:
            for place in places:
                row = db.execute(
                    "SELECT o.place, o.body, i.scores, c.output, c.answered_ns FROM openai_rows o"
                    " JOIN items i ON i.run = o.run AND i.place = o.place JOIN calls c ON c.number = i.call"
                    " WHERE o.run = ? AND o.place = ?",
                    (run, place),
                ).fetchone()
                if row is not None:
                    found[place] = ItemRow(*row)
        return [found[place] for place in places if place in found]

    def calls(self, run: str) -> tuple[list[bytes], list[bytes]]:
        """What came of a run's calls that are paid for, and of its graders' own."""
        with self.store.reading() as db:
            found = [
                db.execute(
                    "SELECT output FROM calls WHERE run = ? AND length(output) > 0", (whose,)
                ).fetchall()
                for whose in (run, run + JUDGED)
            ]
        answers, judged = ([output for (output,) in rows] for rows in found)
        return answers, judged


def new_id(kind: str) -> str:
    """`eval_…` or `evalrun_…`, sorting by time."""
    return f"{kind}_{time.time_ns() // 1_000_000:012x}{token_hex(10)}"


def _place(db: sqlite3.Connection, query: str, of: object, wanted: Listing) -> int | None:
    if wanted.after is None:
        return None
    found = db.execute(query, (of, wanted.after)).fetchone()
    if found is None:
        raise MalformedRequest(f"There is no '{wanted.after[:64]}' to list from.", "after")
    return int(found[0])


def _page(column: str, wanted: Listing) -> str:
    compare, order = ("<", "DESC") if wanted.newest_first else (">", "ASC")
    return f"AND (:at IS NULL OR {column} {compare} :at) ORDER BY {column} {order} LIMIT :limit"


def _wipe(db: sqlite3.Connection, run: str) -> None:
    for statement in (
        "DELETE FROM items WHERE run = ?",
        "DELETE FROM runs WHERE id = ?",
        "DELETE FROM calls WHERE run = ?",
    ):
        db.execute(statement, (run,))
    db.execute("DELETE FROM calls WHERE run = ?", (run + JUDGED,))


def _eval(found: Sequence[object]) -> EvalRow:
    return EvalRow(**dict(zip(EvalRow.__struct_fields__, found, strict=True)))  # type: ignore[arg-type]  # columns in order


def _run(found: Sequence[object]) -> HostedRun:
    return HostedRun(**dict(zip(HostedRun.__struct_fields__, found, strict=True)))  # type: ignore[arg-type]  # columns in order
