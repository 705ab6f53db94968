"""Erasing: rows, tags, scores, the texts in shared blocks, and their words in the index."""

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from greenroom.store import order, scores, search
from greenroom.store.blocks import Packer, places
from greenroom.store.database import explained, open_reader
from greenroom.store.material import pseudonym
from greenroom.store.names import Names

STEP = 256


class Scope(NamedTuple):
    """What one round of erasing looks for: None leaves a condition out."""

    project: int | None
    user: str | None
    before_ns: int | None


def scope_of(
    connection: sqlite3.Connection, names: Names, project: str | None, user: str | None, before_ns: int | None
) -> list[Scope]:
    """The rounds it takes: one per project when a user is meant, and per form of the user's name."""
    projects: list[int | None] = [None]
    if project is not None:
        number = names.find(connection, project)
        projects = [] if number is None else [number]
    elif user is not None:
        projects = [*all_projects(connection)]
    users = [None] if user is None else [user, pseudonym(user)]
    return [Scope(one, name, before_ns) for one in projects for name in users]


def all_projects(connection: sqlite3.Connection) -> list[int]:
    """Every project that has traces, by skipping through the index."""
    found: list[int] = []
    last = -1
    while True:
        row = connection.execute("SELECT min(project) FROM traces WHERE project > ?", (last,)).fetchone()
        if row[0] is None:
            return found
        last = int(row[0])
        found.append(last)


def erase_some(connection: sqlite3.Connection, packer: Packer, scope: Scope) -> int:
    """Erase up to `STEP` traces; how many. Inside a transaction."""
    rows = _select(connection, scope)
    if not rows:
        return 0
    order.keep_last(connection)
    rows.sort(key=lambda row: (row.block or 0, row.seq))
    search.unindex(connection, rows)
    _empty_places(connection, packer, rows)
    seqs = [(row.seq,) for row in rows]
    connection.executemany("DELETE FROM tags WHERE seq = ?", seqs)
    scores.erase(connection, seqs)
    connection.executemany("DELETE FROM traces WHERE seq = ?", seqs)
    return len(rows)


def _select(connection: sqlite3.Connection, scope: Scope) -> list[search.Place]:
    conditions: list[str] = []
    values: list[object] = []
    if scope.project is not None:
        conditions.append("project = ?")
        values.append(scope.project)
    if scope.user is not None:
        conditions.append("user = ?")
        values.append(scope.user)
    if scope.before_ns is not None:
        conditions.append("created_ns < ? AND seq < ?")
        values += (scope.before_ns, order.first_after(connection, scope.before_ns))
    sql = "SELECT " + search.PLACE_COLUMNS + " FROM traces WHERE " + " AND ".join(conditions)  # noqa: S608  # constants only
    found = connection.execute(sql + " ORDER BY seq LIMIT ?", (*values, STEP))
    return [search.Place(*row) for row in found]


def _empty_places(connection: sqlite3.Connection, packer: Packer, rows: list[search.Place]) -> None:
    by_block: dict[int, list[int]] = {}
    for row in rows:
        if row.block is not None and row.place is not None:
            by_block.setdefault(row.block, []).append(row.place)
    for block, gone in by_block.items():
        found = connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
        if found is None:
            continue
        bodies = places(found[0])
        for place in gone:
            bodies[place] = None
        if any(bodies):
            connection.execute("UPDATE blocks SET body = ? WHERE number = ?", (packer.pack(bodies), block))
        else:
            connection.execute("DELETE FROM blocks WHERE number = ?", (block,))


def trace_ids(path: Path, project: str | None, user: str) -> set[str]:
    """The ids of a user's traces, under either form of the name; None: of all. Raises: StoreError."""
    try:
        with contextlib.closing(open_reader(path)) as connection:
            rows = connection.execute(
                "SELECT t.id FROM names n JOIN traces t ON t.project = n.number"
                " WHERE (?1 IS NULL OR n.name = ?1) AND t.user IN (?2, ?3)",
                (project, user, pseudonym(user)),
            )
            return {str(row[0]) for row in rows}
    except sqlite3.Error as error:
        raise explained(path, error) from error


def project_names(path: Path) -> list[str]:
    """Every project that has traces. Raises: StoreError."""
    try:
        with contextlib.closing(open_reader(path)) as connection:
            return [
                connection.execute("SELECT name FROM names WHERE number = ?", (number,)).fetchone()[0]
                for number in all_projects(connection)
            ]
    except sqlite3.Error as error:
        raise explained(path, error) from error
