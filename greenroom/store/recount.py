"""Traces that the rollups lack, counted from what is stored: after a kill, and for traces older than they."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import zstandard

from greenroom.store.blocks import places
from greenroom.store.coverage import Span
from greenroom.store.database import explained, open_reader
from greenroom.store.listing import row_of
from greenroom.store.material import Body, Row, decode_body
from greenroom.store.names import Names
from greenroom.store.rollups import Rollups

AT_ONCE = 500
"""Some tenths of a second of work. More at once is less work in all: cells are written once for all."""
_SELECT = (
    "SELECT t.seq, t.id, t.created_ns, t.project, t.key, t.app, t.asked, t.used, t.outcome, t.status,"
    " t.session, t.user, t.language, t.input_tokens, t.output_tokens, t.cost_nano, t.total_us, t.overhead_us,"
    " t.first_token_us, t.flags, t.block, t.place FROM traces t"
    " WHERE t.seq BETWEEN ? AND ? ORDER BY t.seq DESC LIMIT ?"
)


def recount(
    rollups: Rollups,
    traces: Path,
    *,
    is_unwanted: Callable[[], bool] = lambda: False,
    pause_s: float = 0.0,
) -> int:
    """Add all that is missing, the newest first, `AT_ONCE` traces at a time; how many exchanges.

    Between steps it waits `pause_s` and asks whether to end. Raises: StoreError.
    """
    counted = 0
    names = Names()
    try:
        with closing(open_reader(traces)) as connection, rollups.held():
            while not is_unwanted() and (gap := rollups.gap()) is not None:
                found = connection.execute(_SELECT, (*gap, AT_ONCE)).fetchall()
                span = Span(found[-1][0], gap.last) if len(found) == AT_ONCE else gap
                told = list(_told(connection, names, found))
                rollups.add_span(told, span)
                counted += len(told)
                if pause_s:
                    time.sleep(pause_s)
    except sqlite3.Error as error:
        raise explained(traces, error) from error
    return counted


def _told(
    connection: sqlite3.Connection, names: Names, found: list[tuple[object, ...]]
) -> Iterator[tuple[Row, Body | None]]:
    number: object = None
    bodies: list[bytes | None] = []
    for one in found:
        block, place = one[-2:]
        if block is not None and block != number:
            number, bodies = block, _bodies(connection, block)
        yield row_of(connection, names, one), None if block is None else _body(bodies, place)


def _bodies(connection: sqlite3.Connection, block: object) -> list[bytes | None]:
    """The bodies of a block; none of a damaged one, whose rows tell enough."""
    found = connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
    try:
        return [] if found is None else places(found[0])
    except (zstandard.ZstdError, msgspec.DecodeError):
        return []


def _body(bodies: list[bytes | None], place: object) -> Body | None:
    assert isinstance(place, int)
    encoded = bodies[place] if place < len(bodies) else None
    try:
        return None if encoded is None else decode_body(encoded)
    except msgspec.DecodeError:
        return None
