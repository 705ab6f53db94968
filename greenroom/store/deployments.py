"""Deployments: what was put before which app's traffic, how it stands, and every state it was in.

Knows candidates, rules and evidence as JSON and no more of them. Several processes read and write; every
change raises a number that readers look at, but for the evidence of an open canary, which changes each
second.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from greenroom.errors import Conflict, NotFound
from greenroom.store.counted import CountedStore
from greenroom.store.database import transaction

State = Literal["canary", "shadow", "promoted", "rolled_back"]
CANARY: State = "canary"
SHADOW: State = "shadow"
PROMOTED: State = "promoted"
ROLLED_BACK: State = "rolled_back"
OPEN: tuple[State, ...] = (CANARY, SHADOW)
"""States in which an app's traffic is compared; an app has one such deployment at most."""

Json = dict[str, Any]  # Any: JSON

_MIGRATIONS = (
    """
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    candidate TEXT NOT NULL, rules TEXT NOT NULL, gate TEXT NOT NULL, share REAL NOT NULL,
    state TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    created_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_open ON deployments (app) WHERE state IN ('canary', 'shadow');
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, deployment INTEGER NOT NULL REFERENCES deployments (id),
    at_ns INTEGER NOT NULL, state TEXT NOT NULL, share REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    evidence TEXT NOT NULL
);
CREATE TRIGGER history_stays BEFORE UPDATE ON history
BEGIN SELECT raise(ABORT, 'history never changes'); END;
CREATE TRIGGER history_is_kept BEFORE DELETE ON history
BEGIN SELECT raise(ABORT, 'history is kept'); END;
-- What the live comparison says of an open deployment now.
CREATE TABLE evidence (deployment INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, body TEXT NOT NULL);
-- What units are drawn by: whoever knows it could choose a side by choosing a name.
CREATE TABLE secret (value BLOB NOT NULL);
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)
_COLUMNS = "id, app, kind, name, candidate, rules, gate, share, state, who, why, created_ns, changed_ns"


class Deployment(Struct, frozen=True):
    """One deployment as it stands."""

    id: int
    app: str
    kind: str
    name: str
    candidate: Json
    rules: Json
    gate: Json
    """What the evaluation before it said, or why there was none."""
    share: float
    state: State
    who: str
    """Who brought it into this state, and why."""
    why: str
    created_ns: int
    changed_ns: int


class Event(Struct, frozen=True):
    """One state a deployment came into."""

    id: int
    deployment: int
    app: str
    kind: str
    name: str
    at_ns: int
    state: State
    share: float
    who: str
    why: str
    evidence: Json


class DeploymentStore(CountedStore):
    """Deployments in one SQLite file. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)
        with self._reading() as connection, transaction(connection):
            found = connection.execute("SELECT value FROM secret").fetchone()
            if found is None:
                found = (os.urandom(32),)
                connection.execute("INSERT INTO secret VALUES (?)", found)
        self.key = bytes(found[0])
        """What units are drawn by; the same in every process and after every start."""

    def standing(self) -> list[Deployment]:
        """All that change what an app answers: promoted ones in the order of promotion, then open ones."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM deployments WHERE state <> 'rolled_back'"  # noqa: S608  # constants
                " ORDER BY state <> 'promoted', changed_ns, id"
            ).fetchall()
        return [_read(row) for row in rows]

    def apps(self) -> list[str]:
        """All that something was ever deployed onto, by name."""
        with self._reading() as connection:
            return [app for (app,) in connection.execute("SELECT DISTINCT app FROM deployments ORDER BY app")]

    def get(self, id: int) -> Deployment:
        """One deployment. Raises: NotFound."""
        with self._reading() as connection:
            return _one(connection, id)

    def begin(
        self, app: str, kind: str, candidate: Json, *, state: State, share: float, rules: Json, gate: Json,
        who: str, why: str = "",
    ) -> Deployment:  # fmt: skip
        """Open one. Raises: Conflict where the app has one that is open."""
        now = time.time_ns()
        with self._changing() as connection:
            if connection.execute(
                "SELECT 1 FROM deployments WHERE app = ? AND state IN ('canary', 'shadow')", (app,)
            ).fetchone():
                raise Conflict(f"The app '{app}' has a canary or shadow already. End it first.")
            (id,) = connection.execute(
                "INSERT INTO deployments (app, kind, name, candidate, rules, gate, share, state, who, why,"
                " created_ns, changed_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (app, kind, candidate["name"], _json(candidate), _json(rules), _json(gate), share, state,
                 who, why, now, now),
            ).fetchone()  # fmt: skip
            _note(connection, id, now, state, share, who, why, gate)
            return _one(connection, id)

    def change(
        self, id: int, state: State, *, was: State, who: str, why: str, share: float | None = None,
        evidence: Json | None = None,
    ) -> Deployment:  # fmt: skip
        """Bring one from a state into another, or give it another share.

        Raises: NotFound; Conflict when it is in that state no more: somebody was quicker.
        """
        now = time.time_ns()
        with self._changing() as connection:
            before = _one(connection, id)
            if before.state != was:
                raise Conflict(f"Deployment {id} is {said(before.state)} by now.")
            share = before.share if share is None else share
            connection.execute(
                "UPDATE deployments SET state = ?, share = ?, who = ?, why = ?, changed_ns = ? WHERE id = ?",
                (state, share, who, why, now, id),
            )
            _note(connection, id, now, state, share, who, why, evidence or {})
            return _one(connection, id)

    def note(self, id: int, evidence: Json) -> None:
        """Keep what the live comparison says now. Raises no number: nobody's answers change by it.

        Not forced onto the disk: the next look says it again, and the event loop may wait for the connection.
        """
        with self._reading() as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            try:
                with transaction(connection):
                    connection.execute(
                        "INSERT INTO evidence VALUES (?, ?, ?) ON CONFLICT (deployment) DO UPDATE SET"
                        " at_ns = excluded.at_ns, body = excluded.body",
                        (id, time.time_ns(), _json(evidence)),
                    )
            finally:
                connection.execute("PRAGMA synchronous = FULL")

    def evidence(self, id: int) -> Json:
        """What the live comparison said last; empty where it said nothing yet."""
        with self._reading() as connection:
            row = connection.execute("SELECT body FROM evidence WHERE deployment = ?", (id,)).fetchone()
        return {} if row is None else _decoded(row[0])

    def history(self, app: str | None = None, *, limit: int = 100) -> list[Event]:
        """States that deployments came into, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT h.id, h.deployment, d.app, d.kind, d.name, h.at_ns, h.state, h.share, h.who, h.why,"
                " h.evidence FROM history h JOIN deployments d ON d.id = h.deployment"
                " WHERE ? IS NULL OR d.app = ? ORDER BY h.id DESC LIMIT ?",
                (app, app, limit),
            ).fetchall()
        return [Event(*(*row[:-1], _decoded(row[-1]))) for row in rows]


def said(state: State) -> str:
    """A state as people say it."""
    return {CANARY: "a canary", SHADOW: "a shadow", PROMOTED: "promoted", ROLLED_BACK: "rolled back"}[state]


def _note(
    connection: sqlite3.Connection, id: int, at_ns: int, state: State, share: float, who: str, why: str,
    evidence: Json,
) -> None:  # fmt: skip
    connection.execute(
        "INSERT INTO history (deployment, at_ns, state, share, who, why, evidence)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id, at_ns, state, share, who, why, _json(evidence)),
    )


def _one(connection: sqlite3.Connection, id: int) -> Deployment:
    row = connection.execute(f"SELECT {_COLUMNS} FROM deployments WHERE id = ?", (id,)).fetchone()  # noqa: S608  # constants
    if row is None:
        raise NotFound(f"There is no deployment {id}.")
    return _read(row)


def _read(row: tuple[Any, ...]) -> Deployment:  # Any: columns, as SQLite gives them
    return Deployment(*row[:4], *map(_decoded, row[4:7]), *row[7:])


def _json(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _decoded(text: str) -> Json:
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(text)
        if isinstance(found, dict):
            return found
    return {}
