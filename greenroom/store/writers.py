"""Who writes traces, and what of theirs was lost: the marks by which the next start knows.

A server alone has the table `running` and the counters of the whole store. Each of several workers has two
counters of its own, changed in the transactions that store its traces, and a tally of its own; so the loss of
one that was killed is known exactly while the others go on.
"""

import os
import sqlite3
import time
from pathlib import Path

from greenroom.store.material import Record, stamp
from greenroom.store.tally import Tally

_PREFIX = "worker_"
_RUNS = "_runs"


def tally_path(store: Path, worker: int | None) -> Path:
    """Where a writer counts what it accepted."""
    return store.with_name(f"{store.name}-tally" + ("" if worker is None else f"-{worker}"))


def counter_of(worker: int) -> str:
    """The name of the counter of what a worker stored or is known to have lost."""
    return f"{_PREFIX}{worker}"


def is_own(name: str) -> bool:
    """Whether a counter is one of a worker's, and no sum of the store."""
    return name.startswith(_PREFIX)


def begin_alone(connection: sqlite3.Connection, accepted: int) -> tuple[int, int]:
    """Mark the store as written to by this process. Returns what was lost, and what is known by now."""
    unclean = connection.execute("SELECT count(*) FROM running").fetchone()[0] > 0
    known = int(
        connection.execute(
            "SELECT sum(value) FROM counters WHERE name IN ('stored', 'lost_rows')"
        ).fetchone()[0]
    )
    lost = max(0, accepted - known)
    if unclean or lost:
        _note(connection, lost)
    connection.execute("DELETE FROM running")
    connection.execute("INSERT INTO running VALUES (?, ?)", (os.getpid(), time.time_ns()))
    return lost, known + lost


def begin_worker(connection: sqlite3.Connection, worker: int, accepted: int) -> tuple[int, int]:
    """As `begin_alone`, for one worker: what the one before it lost, and what is known of this one by now."""
    own = counter_of(worker)
    connection.execute("INSERT OR IGNORE INTO counters VALUES (?, 0), (?, 0)", (own, own + _RUNS))
    lost, known = _settle(connection, worker, accepted)
    connection.execute("UPDATE counters SET value = 1 WHERE name = ?", (own + _RUNS,))
    return lost, known


def end(connection: sqlite3.Connection, worker: int | None) -> None:
    """Mark the store as left in order."""
    if worker is None:
        connection.execute("DELETE FROM running")
    else:
        connection.execute("UPDATE counters SET value = 0 WHERE name = ?", (counter_of(worker) + _RUNS,))


def settle_all(connection: sqlite3.Connection, store: Path) -> int:
    """Note what workers of an earlier run lost; how much. None of them may be at work. Raises: StoreError."""
    names = [
        row[0] for row in connection.execute("SELECT name FROM counters WHERE name GLOB 'worker_*_runs'")
    ]
    lost = 0
    for name in names:
        worker = int(name.removeprefix(_PREFIX).removesuffix(_RUNS))
        path = tally_path(store, worker)
        if not path.exists():
            continue
        tally = Tally(path)
        gone, tally.value = _settle(connection, worker, tally.value)
        tally.close()
        end(connection, worker)
        lost += gone
    return lost


def _settle(connection: sqlite3.Connection, worker: int, accepted: int) -> tuple[int, int]:
    own = counter_of(worker)
    found = dict(
        connection.execute("SELECT name, value FROM counters WHERE name IN (?, ?)", (own, own + _RUNS))
    )
    known = int(found[own])
    lost = max(0, accepted - known)
    if found[own + _RUNS] or lost:
        _note(connection, lost)
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (lost, own))
    return lost, known + lost


def _note(connection: sqlite3.Connection, lost: int) -> None:
    connection.execute("INSERT INTO losses VALUES (?, 'unclean_shutdown', ?, 0)", (time.time_ns(), lost))
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'lost_rows'", (lost,))


def losses(connection: sqlite3.Connection) -> tuple[Record, ...]:
    """What was ever lost and when, newest first, at most a hundred entries."""
    return tuple(
        {"at": stamp(at), "kind": kind, "rows": rows, "bodies": bodies}
        for at, kind, rows, bodies in connection.execute(
            "SELECT at_ns, kind, rows, bodies FROM losses ORDER BY at_ns DESC LIMIT 100"
        )
    )
