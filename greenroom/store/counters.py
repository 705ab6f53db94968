"""What a file of traces has counted since it was made, and what is in it now."""

import sqlite3

from greenroom.store import writers

_NUMBERS = ("indexed", "found", "given", "scored")
"""How far something has come, which is no count."""


def read(connection: sqlite3.Connection) -> dict[str, int]:
    """Stored, erased, lost_rows, lost_bodies; rows and unclean_shutdowns."""
    found: dict[str, int] = {
        name: value
        for name, value in connection.execute("SELECT name, value FROM counters")
        if name not in _NUMBERS and not writers.is_own(name)
    }
    found["rows"] = found["stored"] - found["erased"]
    found["unclean_shutdowns"] = connection.execute(
        "SELECT count(*) FROM losses WHERE kind = 'unclean_shutdown'"
    ).fetchone()[0]
    return found
