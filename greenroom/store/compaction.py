"""Joining small blocks: one exchange alone compresses badly and wastes the rest of its page."""

import sqlite3
from itertools import groupby

from greenroom.store.blocks import Packer, places
from greenroom.store.search import Place

SMALL = 64
"""A block of fewer bodies is worth joining with others."""


def join_blocks(connection: sqlite3.Connection, packer: Packer, rows: list[Place]) -> int:
    """Put the bodies of small blocks, all of whose traces are among `rows`, into one; how many blocks went.

    `rows` are in the order in which they were stored, so the traces of a block stand together.
    """
    gone: list[tuple[int]] = []
    bodies: list[bytes | None] = []
    moved: list[tuple[int, int]] = []
    for block, group in groupby(rows, key=lambda row: row.block):
        own = list(group)
        if block is None or len(own) >= SMALL:
            continue
        found = connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
        old = places(found[0]) if found else []
        if len([one for one in old if one is not None]) != len(own):
            continue  # some of its traces are not among these
        gone.append((block,))
        for row in own:
            assert row.place is not None
            moved.append((len(bodies), row.seq))
            bodies.append(old[row.place])
    if len(gone) < 2:
        return 0
    number = connection.execute("INSERT INTO blocks (body) VALUES (?)", (packer.pack(bodies),)).lastrowid
    connection.executemany(
        "UPDATE traces SET block = ?, place = ? WHERE seq = ?", [(number, place, seq) for place, seq in moved]
    )
    connection.executemany("DELETE FROM blocks WHERE number = ?", gone)
    return len(gone)
