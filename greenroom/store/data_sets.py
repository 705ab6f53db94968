"""Data sets kept in the evaluations' file: named, in versions that never change. Rows are bytes here."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from greenroom.errors import Conflict, NotFound
from greenroom.store.evals import EvalStore

_COLUMNS = "number, name, version, digest, rows, source, created_ns"


class Kept(NamedTuple):
    """One version of a data set."""

    number: int
    name: str
    version: int
    digest: str
    rows: int
    source: str
    created_ns: int


class DataSets:
    """Those of one file. Raises: StoreError from every method."""

    def __init__(self, store: EvalStore) -> None:
        self._store = store

    def add(
        self, project: str, name: str, digest: str, rows: Iterable[bytes], source: str,
        after: int | None = None,
    ) -> Kept:  # fmt: skip
        """Keep rows as the next version of a name; the newest itself where nothing has changed.

        `after` is the version that they go on from, 0 for none. Raises: Conflict where there is a newer one.
        """
        with self._store.changing() as db:
            newest = db.execute(
                f"SELECT {_COLUMNS} FROM data_sets WHERE project = ? AND name = ?"  # noqa: S608  # constants
                " ORDER BY version DESC LIMIT 1",
                (project, name),
            ).fetchone()
            if newest is not None and newest[3] == digest:
                return Kept._make(newest)
            if after not in {None, 0 if newest is None else newest[2]}:
                raise Conflict(f"Somebody added to the data set '{name}' meanwhile.")
            version = 1 if newest is None else newest[2] + 1
            bodies = list(rows)
            now = time.time_ns()
            number = db.execute(
                "INSERT INTO data_sets (project, name, version, digest, rows, source, created_ns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (project, name, version, digest, len(bodies), source, now),
            ).lastrowid
            assert number is not None
            db.executemany(
                "INSERT INTO data_rows VALUES (?, ?, ?)",
                ((number, place, body) for place, body in enumerate(bodies)),
            )
        return Kept(number, name, version, digest, len(bodies), source, now)

    def find(self, project: str, named: str) -> Kept:
        """`name` (the newest version), `name@3`, or the digest of a version. Raises: NotFound."""
        name, _, version = named.partition("@")
        with self._store.reading() as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM data_sets WHERE project = ?1 AND ("  # noqa: S608  # constants
                " (name = ?2 AND (?3 = '' OR version = ?3)) OR digest = ?4)"
                " ORDER BY version DESC LIMIT 1",
                (project, name, _number(version), named),
            ).fetchone()
        if found is None:
            raise NotFound(f"There is no data set '{named}'. 'greenroom eval data list' shows what there is.")
        return Kept._make(found)

    def rows(self, kept: Kept) -> list[bytes]:
        """All rows of a version, in their order."""
        with self._store.reading() as db:
            found = db.execute(
                "SELECT body FROM data_rows WHERE data_set = ? ORDER BY place", (kept.number,)
            ).fetchall()
        return [row[0] for row in found]

    def page(self, kept: Kept, start: int, limit: int) -> list[bytes]:
        """Some rows of a version, in their order."""
        with self._store.reading() as db:
            found = db.execute(
                "SELECT body FROM data_rows WHERE data_set = ? AND place >= ? ORDER BY place LIMIT ?",
                (kept.number, start, limit),
            ).fetchall()
        return [row[0] for row in found]

    def list(self, project: str | None = None) -> list[Kept]:
        """All versions, by name, newest first."""
        with self._store.reading() as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM data_sets WHERE ?1 IS NULL OR project = ?1"  # noqa: S608  # constants
                " ORDER BY name, version DESC",
                (project,),
            ).fetchall()
        return [Kept._make(row) for row in found]

    def of_projects(self, project: str | None = None) -> Iterator[tuple[str, Kept]]:
        """All versions with their projects, by project and name, newest first."""
        with self._store.reading() as db:
            found = db.execute(
                f"SELECT project, {_COLUMNS} FROM data_sets WHERE ?1 IS NULL OR project = ?1"  # noqa: S608  # constants
                " ORDER BY project, name, version DESC",
                (project,),
            ).fetchall()
        return ((row[0], Kept._make(row[1:])) for row in found)

    def remove(self, project: str, name: str) -> int:
        """Erase all versions of a name; how many."""
        with self._store.changing() as db:
            gone = db.execute("DELETE FROM data_sets WHERE project = ? AND name = ?", (project, name))
        return gone.rowcount


def _number(version: str) -> int | str:
    """The number of a version as the file compares it; what is none finds nothing."""
    return int(version) if version.isascii() and version.isdecimal() and len(version) < 19 else version
