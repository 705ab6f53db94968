"""The audit log of findings: what a check found, and what was done about it, line after line, hash-chained.

A line never holds what was found, only a keyed hash of it, by which equal values can be told to be equal.
Each line's hash covers all of it and the hash of the line before: who changes, removes or inserts one breaks
the chain there. Lines whose time is over are cut off at the front, and the cut keeps the hash from which the
rest goes on. Lines are appended inside the transaction that stores their exchanges.
"""

import hashlib
import hmac
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import encode

from greenroom.errors import MalformedRequest, StoreError
from greenroom.store import safety
from greenroom.store.material import stamp

_COLUMNS = (
    "at_ns, project, app, key, exchange, step, rule, category, severity, place, action, policy, shadow,"
    " would, message, start, stop, value"
)
_READ = "SELECT number, " + _COLUMNS + ", previous, hash FROM findings"  # noqa: S608  # constants
_WRITE = "INSERT INTO findings (number, " + _COLUMNS + ", previous, hash) VALUES (" + "?, " * 20 + "?)"
_STEP = 5_000
_FILTERS = ("project", "app", "key", "exchange", "step", "category", "action", "policy")

KEY_NAME = "audit.key"
_Connecting = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Line(NamedTuple):
    """One finding; `value` is its keyed hash or empty, positions are code points of message `message`."""

    at_ns: int
    project: str
    app: str
    key: str
    exchange: str
    step: str
    rule: str
    category: str
    severity: int
    place: str
    action: str
    policy: str
    shadow: str
    would: str
    message: int
    start: int
    stop: int
    value: str


class AuditFilter(Struct, kw_only=True, frozen=True):
    """Which findings are wanted; all that is set must hold. A `rule` may end with `*`."""

    project: str | None = None
    app: str | None = None
    key: str | None = None
    exchange: str | None = None
    step: str | None = None
    rule: str | None = None
    category: str | None = None
    action: str | None = None
    policy: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    limit: int = 50
    before: int | None = None
    """Only lines with a smaller number."""


class State(NamedTuple):
    """What a look at the whole chain showed. `broken` is the number of the first line that does not hold."""

    lines: int
    last: str
    """The hash of the newest line; noted elsewhere, it shows later that nothing before it was changed."""
    broken: int | None
    cut: int
    """Lines that were cut off because their time was over."""


class AuditLog:
    """Reads and cuts the log; `reading` and `changing` give a connection inside a transaction."""

    def __init__(self, reading: _Connecting, changing: _Connecting) -> None:
        self._reading = reading
        self._changing = changing
        self.sums = safety.SafetyCounts(reading)
        """How often which rule found something."""

    def list(self, wanted: AuditFilter) -> list[dict[str, Any]]:  # Any: JSON
        """Findings, newest first, up to `wanted.limit`."""
        conditions: list[str] = []
        values: list[object] = []
        for name in _FILTERS:
            value = getattr(wanted, name)
            if value is not None:
                conditions.append(name + " = ?")
                values.append(value)
        if wanted.rule is not None and wanted.rule.endswith("*"):
            conditions.append("substr(rule, 1, ?) = ?")
            values += (len(wanted.rule) - 1, wanted.rule[:-1])
        elif wanted.rule is not None:
            conditions.append("rule = ?")
            values.append(wanted.rule)
        for bound, condition in (
            (wanted.since_ns, "at_ns >= ?"),
            (wanted.until_ns, "at_ns < ?"),
            (wanted.before, "number < ?"),
        ):
            if bound is not None:
                conditions.append(condition)
                values.append(bound)
        sql = _READ + (" WHERE " + " AND ".join(conditions) if conditions else "")
        with self._reading() as connection:
            rows = connection.execute(sql + " ORDER BY number DESC LIMIT ?", (*values, wanted.limit))
            return [_shown(row) for row in rows]

    def find(self, number: int) -> dict[str, Any] | None:  # Any: JSON
        """One finding."""
        with self._reading() as connection:
            row = connection.execute(_READ + " WHERE number = ?", (number,)).fetchone()
            return None if row is None else _shown(row)

    def verify(self, noted: str | None = None) -> State:
        """Look at every line. `noted` is a hash that an earlier look gave: it must still be in the chain.

        Raises: MalformedRequest when it is not there.
        """
        with self._reading() as connection:
            number, last, cut = _start(connection)
            found = connection.execute("SELECT value FROM counters WHERE name = 'found'").fetchone()[0]
            is_there = noted is None or noted == last
            lines = 0
            for row in connection.execute(_READ + " ORDER BY number"):
                number += 1
                if row[0] != number or row[-2] != last or row[-1] != _hash(last, row[:-2]):
                    return State(lines, last, number, cut)
                last = row[-1]
                lines += 1
                is_there = is_there or last == noted
        if number != found:
            return State(lines, last, number + 1, cut)
        if not is_there:
            raise MalformedRequest(
                f"The hash '{noted}' is not in the log: it was written anew, or cut.", "noted"
            )
        return State(lines, last, None, cut)

    def cut(self, before_ns: int) -> int:
        """Let go of the lines from before a moment; how many. The rest of the chain stays verifiable."""
        gone = 0
        while True:
            with self._changing() as connection:
                step = _cut_some(connection, before_ns)
                if step < _STEP:
                    safety.forget(connection)
            gone += step
            if step < _STEP:
                return gone


def append(connection: sqlite3.Connection, lines: Sequence[Line]) -> None:
    """Add lines at the end. Inside a transaction that holds the write lock."""
    found = connection.execute("SELECT number, hash FROM findings ORDER BY number DESC LIMIT 1").fetchone()
    number, last = found if found is not None else _start(connection)[:2]
    rows = []
    for line in lines:
        number += 1
        hash = _hash(last, (number, *line))
        rows.append((number, *line, last, hash))
        last = hash
    connection.executemany(_WRITE, rows)
    safety.count(connection, lines)


def _start(connection: sqlite3.Connection) -> tuple[int, str, int]:
    """Number and hash from which the first line that is left goes on, and how many were cut."""
    found = connection.execute(
        "SELECT number, hash, (SELECT sum(lines) FROM cuts) FROM cuts ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return (0, "", 0) if found is None else found


def _cut_some(connection: sqlite3.Connection, before_ns: int) -> int:
    """Up to `_STEP` lines, all of them older than the first that stays."""
    first = connection.execute("SELECT min(number) FROM findings").fetchone()[0]
    if first is None:
        return 0
    stays = connection.execute(
        "SELECT number FROM findings WHERE at_ns >= ? ORDER BY number LIMIT 1", (before_ns,)
    ).fetchone()
    newest = connection.execute("SELECT max(number) FROM findings").fetchone()[0]
    last = min(stays[0] - 1 if stays is not None else newest, first + _STEP - 1)
    if last < first:
        return 0
    hash = connection.execute("SELECT hash FROM findings WHERE number = ?", (last,)).fetchone()[0]
    lines = last - first + 1
    connection.execute("INSERT INTO cuts VALUES (?, ?, ?, ?)", (last, time.time_ns(), hash, lines))
    connection.execute("DELETE FROM findings WHERE number <= ?", (last,))
    return int(lines)


def _hash(last: str, line: tuple[object, ...]) -> str:
    return hashlib.sha256(last.encode() + encode(line)).hexdigest()


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:  # Any: the columns of `_READ`
    number, *columns, previous, hash = row
    line = Line(*columns)
    return {
        "kind": "finding", "number": number, "at": stamp(line.at_ns), "project": line.project,
        "app": line.app, "key": line.key, "exchange": line.exchange, "step": line.step, "rule": line.rule,
        "category": line.category, "severity": line.severity, "where": line.place, "action": line.action,
        "policy": line.policy, "shadow": line.shadow, "would": line.would, "message": line.message,
        "start": line.start, "end": line.stop, "value": line.value, "previous": previous, "hash": hash,
    }  # fmt: skip


def keyed_hash(key: bytes, project: str, value: str) -> str:
    """What stands for a value in the log: 128 bits, equal for equal values of one project.

    HMAC-SHA-256, so that numbers, of which there are few, can't be tried out without the key.
    """
    said = f"{project}\0{value}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256")[:16].hex()


def audit_key(folder: Path) -> bytes:
    """The store's own key, beside the databases and not in them; made on first need. Raises: StoreError."""
    path = folder / KEY_NAME
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
        else:
            key = os.urandom(32)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
    except OSError as error:
        raise StoreError(
            f"The file '{KEY_NAME}' of the data folder can't be used: {error.strerror}."
        ) from error
    if len(key) < 32:
        raise StoreError(
            f"The file '{KEY_NAME}' of the data folder is damaged. Put it back from a copy, or remove it: "
            "values found from then on can't be told to equal those before."
        )
    return key
