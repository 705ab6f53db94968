"""Prompts: numbered versions that never change, labels that move, and who moved them.

Knows bodies as JSON text and no more of them. Several processes may write: numbers are given under SQLite's
write lock, and every change raises a number that readers look at.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from greenroom.errors import Conflict, PromptNotFound
from greenroom.store.counted import CountedStore
from greenroom.store.material import stamp

_MIGRATIONS = (
    """
CREATE TABLE versions (
    name TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, note TEXT NOT NULL,
    created_at TEXT NOT NULL, created_by TEXT NOT NULL, PRIMARY KEY (name, number)
) WITHOUT ROWID;
CREATE TRIGGER versions_stay BEFORE UPDATE ON versions
BEGIN SELECT raise(ABORT, 'versions never change'); END;
CREATE TRIGGER versions_are_kept BEFORE DELETE ON versions
BEGIN SELECT raise(ABORT, 'versions are kept'); END;
CREATE TABLE labels (
    name TEXT NOT NULL, label TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, label),
    FOREIGN KEY (name, number) REFERENCES versions (name, number)
) WITHOUT ROWID;
CREATE TABLE moves (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, label TEXT NOT NULL, before INTEGER, after INTEGER,
    at_ns INTEGER NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL
);
CREATE INDEX moves_by_label ON moves (name, label, id);
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)
_NEWEST = "SELECT number, body FROM versions WHERE name = ? ORDER BY number DESC LIMIT 1"


class VersionRow(Struct, kw_only=True, frozen=True):
    """One stored version; `body` is JSON without name, number, note and who made it."""

    name: str
    number: int
    body: str
    note: str
    created_at: str
    created_by: str


class NewVersion(Struct, kw_only=True, frozen=True):
    """A version to be stored. Without a number it gets the next; without `created_at`, now."""

    name: str
    body: str
    number: int = 0
    note: str = ""
    created_at: str = ""
    created_by: str = ""


class Added(Struct, frozen=True):
    """Which version a body has; not new where it was there already."""

    name: str
    number: int
    is_new: bool


class Move(Struct, kw_only=True, frozen=True):
    """One move of a label: None before is a new label, None after one that was taken away."""

    label: str
    before: int | None
    after: int | None
    at: str
    who: str
    note: str


class PromptStore(CountedStore):
    """Versions and labels in one SQLite file. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    def versions(self) -> list[VersionRow]:
        """All versions, by name and number."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, number, body, note, created_at, created_by FROM versions ORDER BY name, number"
            ).fetchall()
        return [
            VersionRow(name=name, number=number, body=body, note=note, created_at=at, created_by=by)
            for name, number, body, note, at, by in rows
        ]

    def labels(self) -> dict[str, dict[str, int]]:
        """Prompt → label → number."""
        found: dict[str, dict[str, int]] = {}
        with self._reading() as connection:
            for name, label, number in connection.execute(
                "SELECT name, label, number FROM labels ORDER BY name, label"
            ):
                found.setdefault(name, {})[label] = number
        return found

    def add(self, wanted: Sequence[NewVersion], *, who: str, after: int | None = None) -> list[Added]:
        """Store versions, all of them or none. What equals the newest of its name is not stored again.

        With `after` the newest version must still be this one. Raises: Conflict where it is not, or where a
        number is taken by another body.
        """
        with self._changing() as connection:
            return [self._add(connection, one, who, after) for one in wanted]

    def move(
        self, name: str, label: str, number: int | None, *, who: str, note: str = ""
    ) -> tuple[int | None, int | None]:
        """Let a label stand for another version, or take it away; which it stood for before, and now.

        Raises: PromptNotFound.
        """
        with self._changing() as connection:
            return self._move(connection, name, label, number, who, note)

    def rollback(self, name: str, label: str, *, who: str, note: str = "") -> tuple[int, int]:
        """Move a label to the version it stood for before its last move; from which, to which.

        Rolling back twice goes two steps back: what a rollback undid is not come back to.
        Raises: PromptNotFound; Conflict where there is nothing to go back to.
        """
        with self._changing() as connection:
            self._known(connection, name)
            stack: list[int] = []
            for after, said in connection.execute(
                "SELECT after, note FROM moves WHERE name = ? AND label = ? ORDER BY id", (name, label)
            ):
                if said.startswith(ROLLED_BACK) and len(stack) > 1:
                    stack.pop()
                elif after is not None:
                    stack.append(after)
            current = self._labelled(connection, name, label)
            if current is None:
                raise PromptNotFound(f"The prompt '{name}' has no label '{label}'.", "label")
            if len(stack) < 2:
                raise Conflict(
                    f"There is nothing to go back to: before version {current} the label '{label}' of "
                    f"'{name}' stood for none."
                )
            said = f"{ROLLED_BACK}{f': {note}' if note else ''}"
            self._move(connection, name, label, stack[-2], who, said)
            return current, stack[-2]

    def import_all(
        self, wanted: Sequence[NewVersion], labels: dict[str, dict[str, int]], *, who: str
    ) -> list[Added]:
        """Store versions and set labels, all of it or nothing. Raises: Conflict, PromptNotFound."""
        with self._changing() as connection:
            added = [self._add(connection, one, who, None) for one in wanted]
            for name, known in labels.items():
                for label, number in known.items():
                    self._move(connection, name, label, number, who, "import")
            return added

    def moves(self, name: str, limit: int = 200) -> list[Move]:
        """The moves of a prompt's labels, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT label, before, after, at_ns, who, note FROM moves WHERE name = ?"
                " ORDER BY id DESC LIMIT ?",
                (name, limit),
            ).fetchall()
        return [
            Move(label=label, before=before, after=after, at=stamp(at_ns), who=who, note=note)
            for label, before, after, at_ns, who, note in rows
        ]

    def _add(self, connection: sqlite3.Connection, wanted: NewVersion, who: str, after: int | None) -> Added:
        name = wanted.name
        newest = connection.execute(_NEWEST, (name,)).fetchone()
        last = 0 if newest is None else int(newest[0])
        if after is not None and after != last:
            raise Conflict(
                f"The newest version of '{name}' is {last or 'not there'}, not {after}. Look at it first."
            )
        number = wanted.number
        if number:
            found = connection.execute(
                "SELECT body FROM versions WHERE name = ? AND number = ?", (name, number)
            ).fetchone()
            if found is not None:
                if found[0] != wanted.body:
                    raise Conflict(
                        f"'{name}@{number}' is stored with another content, and a version never changes. "
                        "Leave its number out to make a new version."
                    )
                return Added(name, number, is_new=False)
        elif newest is not None and newest[1] == wanted.body:
            return Added(name, last, is_new=False)
        else:
            number = last + 1
        connection.execute(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)",
            (
                name, number, wanted.body, wanted.note, wanted.created_at or stamp(time.time_ns()),
                wanted.created_by or who,
            ),
        )  # fmt: skip
        return Added(name, number, is_new=True)

    def _move(
        self, connection: sqlite3.Connection, name: str, label: str, number: int | None, who: str, note: str
    ) -> tuple[int | None, int | None]:
        self._known(connection, name)
        before = self._labelled(connection, name, label)
        if number is None:
            if before is None:
                raise PromptNotFound(f"The prompt '{name}' has no label '{label}'.", "label")
            connection.execute("DELETE FROM labels WHERE name = ? AND label = ?", (name, label))
        else:
            found = connection.execute(
                "SELECT 1 FROM versions WHERE name = ? AND number = ?", (name, number)
            ).fetchone()
            if found is None:
                raise PromptNotFound(f"The prompt '{name}' has no version {number}.", "version")
            if before == number:
                return before, number
            connection.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (name, label, number))
        connection.execute(
            "INSERT INTO moves (name, label, before, after, at_ns, who, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, label, before, number, time.time_ns(), who, note),
        )
        return before, number

    def _known(self, connection: sqlite3.Connection, name: str) -> None:
        if connection.execute("SELECT 1 FROM versions WHERE name = ?", (name,)).fetchone() is None:
            raise PromptNotFound(f"There is no prompt '{name}'.", "name")

    def _labelled(self, connection: sqlite3.Connection, name: str, label: str) -> int | None:
        found = connection.execute(
            "SELECT number FROM labels WHERE name = ? AND label = ?", (name, label)
        ).fetchone()
        return None if found is None else int(found[0])


ROLLED_BACK = "rollback"
"""How the note of a move begins that undid the one before."""
