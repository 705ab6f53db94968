"""A few exchanges of every app, hour by hour, read out of `traces.db` beside whoever writes it.

Which ones is settled by their ids, so a second reading of an hour finds the same. At most one of a session or
a user: what one person asks again and again would count as many. Knows nothing of what they are read for.
"""

import sqlite3
import time
from collections.abc import Mapping
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import zstandard

from greenroom.exchange import SURFACES
from greenroom.store import order
from greenroom.store.blocks import places
from greenroom.store.database import explained, open_reader
from greenroom.store.material import OUTCOMES, SURFACE_BIT, Body, decode_body

_SOUND = tuple(OUTCOMES.index(one) for one in ("answered", "cached", "refused"))
_CHATS = {SURFACES.index(one) for one in ("chat", "messages", "responses", "completions")}
OVER_LIMIT = 429
"""The status of what a budget or a limit refused: it says nothing of what was asked."""
_PAGE = 2_000
_PAUSE_S = 0.002
"""Between pages, so that who answers requests gets the interpreter."""
_SPARE = 2
"""How many more are drawn than wanted: some turn out to be no live traffic."""
_COLUMNS = (
    "id", "created_ns", "used", "outcome", "session", "user", "language", "cost_nano", "total_us", "block",
    "place",
)  # fmt: skip


class Sampled(NamedTuple):
    """One exchange: its columns by name, and its texts where they are kept."""

    seq: int
    row: Mapping[str, Any]  # Any: columns
    body: Body | None


Group = tuple[str, str]
"""Project and app."""


def sample(path: Path, since_ns: int, until_ns: int, most: int) -> dict[Group, list[Sampled]]:
    """Up to `most` exchanges of each app among those that came in a span of time.

    Left out are evaluations, and what a budget or a limit refused.

    Raises: StoreError.
    """
    try:
        connection = open_reader(path)
        try:
            return _sample(connection, since_ns, until_ns, most)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise explained(path, error) from error


def _sample(
    connection: sqlite3.Connection, since_ns: int, until_ns: int, most: int
) -> dict[Group, list[Sampled]]:
    drawn: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
    """By project and app: the highest of the draws first, negated; of a person only the lowest counts."""
    at, end = order.first_since(connection, since_ns), order.first_after(connection, until_ns)
    while at < end:
        rows = connection.execute(
            "SELECT seq, id, project, app, coalesce(session, user, id), outcome, flags, created_ns"
            " FROM traces WHERE seq >= ? AND seq < ? AND status IS NOT ? ORDER BY seq LIMIT ?",
            (at, end, OVER_LIMIT, _PAGE),
        ).fetchall()
        if not rows:
            break
        for seq, id, project, app, person, outcome, flags, created_ns in rows:
            if since_ns <= created_ns < until_ns and outcome in _SOUND and flags >> SURFACE_BIT in _CHATS:
                _draw(drawn.setdefault((project, app), []), -crc32(str(id).encode()), seq, person, most)
        at = rows[-1][0] + 1
        time.sleep(_PAUSE_S)
    found = {}
    for (project, app), heap in drawn.items():
        group = name_of(connection, project), name_of(connection, app)
        some: list[Sampled] = []
        wanted = [seq for _, seq, _ in sorted(heap, reverse=True)]
        while wanted and len(some) < most:
            part, wanted = wanted[: most - len(some)], wanted[most - len(some) :]
            blocks = Blocks(connection)
            some += [one for seq in sorted(part) if (one := _read(connection, seq, blocks)) is not None]
        if some:
            found[group] = some
    return found


def _draw(heap: list[tuple[int, int, str]], lot: int, seq: int, person: str, most: int) -> None:
    if len(heap) >= most * _SPARE and lot <= heap[0][0]:
        return
    for place, (other, _, who) in enumerate(heap):
        if who == person:
            if lot > other:
                heap[place] = (lot, seq, person)
                heap.sort()
            return
    (heappushpop if len(heap) >= most * _SPARE else heappush)(heap, (lot, seq, person))


class Blocks:
    """Bodies out of blocks; the newest block is remembered, as neighbours share one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._number = -1
        self._places: list[bytes | None] = []

    def body(self, number: int, place: int) -> Body | None:
        """Raises: zstandard.ZstdError, msgspec.DecodeError, IndexError for a damaged block."""
        if number != self._number:
            row = self._connection.execute("SELECT body FROM blocks WHERE number = ?", (number,)).fetchone()
            self._places, self._number = ([] if row is None else places(row[0])), number
        encoded = self._places[place]
        return None if encoded is None else decode_body(encoded)


def _read(connection: sqlite3.Connection, seq: int, blocks: Blocks) -> Sampled | None:
    """None for what is gone meanwhile, was a test of ours, or can't be read."""
    values = connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM traces t WHERE t.seq = ?"  # noqa: S608  # constants
        " AND NOT EXISTS (SELECT 1 FROM tags g WHERE g.seq = t.seq AND g.tag LIKE 'eval=%')",
        (seq,),
    ).fetchone()
    if values is None:
        return None
    row = dict(zip(_COLUMNS, values, strict=True))
    body = None
    if row["block"] is not None and row["place"] is not None:
        try:
            body = blocks.body(row["block"], row["place"])
        except (msgspec.DecodeError, zstandard.ZstdError, IndexError):
            return None
        if body is not None and body.why.startswith("shadow of "):
            return None
    row["used"] = None if row["used"] is None else name_of(connection, row["used"])
    row["outcome"] = OUTCOMES[row["outcome"]]
    return Sampled(seq, row, body)


def name_of(connection: sqlite3.Connection, number: int) -> str:
    """The name behind a number, "" for none."""
    found = connection.execute("SELECT name FROM names WHERE number = ?", (number,)).fetchone()
    return "" if found is None else str(found[0])
