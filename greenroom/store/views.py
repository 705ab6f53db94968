"""Saved views of the requests: a filter under a name, for whoever holds the key it was saved with."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from greenroom.errors import MalformedRequest
from greenroom.store.counted import CountedStore
from greenroom.store.database import empty_log

FILE = "views.db"
LONGEST_NAME = 60
MOST_OF_A_KEY = 50
_MIGRATIONS = (
    """
CREATE TABLE views (
    key TEXT NOT NULL, name TEXT NOT NULL, filter TEXT NOT NULL, saved_ns INTEGER NOT NULL,
    PRIMARY KEY (key, name)
) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
""",
)


class View(NamedTuple):
    """One saved view."""

    name: str
    filter: str


class ViewStore(CountedStore):
    """Views in one SQLite file. Raises: StoreError from every method when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    def of(self, key: str) -> list[View]:
        """The views of a key, by name."""
        with self._reading() as connection:
            found = connection.execute("SELECT name, filter FROM views WHERE key = ? ORDER BY name", (key,))
            return [View(*row) for row in found]

    def save(self, key: str, name: str, filter: str) -> View:
        """Keep a view, in the place of one of the same name. Raises: MalformedRequest."""
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise MalformedRequest(f"A view's name has 1 to {LONGEST_NAME} characters.", "name")
        with self._changing() as connection:
            (held,) = connection.execute(
                "SELECT count(*) FROM views WHERE key = ? AND name <> ?", (key, name)
            ).fetchone()
            if held >= MOST_OF_A_KEY:
                raise MalformedRequest(f"There are {held} saved views. Delete one first.", "name")
            connection.execute(
                "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)", (key, name, filter, time.time_ns())
            )
        return View(name, filter)

    def remove(self, key: str, name: str) -> bool:
        """Delete a view; whether there was one."""
        with self._changing() as connection:
            gone = connection.execute("DELETE FROM views WHERE key = ? AND name = ?", (key, name))
            return gone.rowcount > 0

    def all(self) -> list[tuple[str, View]]:
        """All views, each with the key that holds it."""
        with self._reading() as connection:
            found = connection.execute("SELECT key, name, filter FROM views").fetchall()
        return [(key, View(name, filter)) for key, name, filter in found]

    def erase(self, places: Sequence[tuple[str, str]]) -> None:
        """Delete views by key and name, so that nothing of them stays in the file or its log."""
        with self._changing() as connection:
            connection.executemany("DELETE FROM views WHERE key = ? AND name = ?", places)
        with self._reading() as connection:
            empty_log(connection)
