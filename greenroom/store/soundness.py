"""Damage in the middle of a store's file, looked for before it is served from.

Knows SQLite files and nothing of what lies in them.
"""

import contextlib
import sqlite3
from pathlib import Path

from greenroom.store.database import explained

LOOKED_AT_BYTES = 128 * 1024 * 1024
"""Of all files of a folder together, the smallest first: a tenth of a second, where they are in memory."""


def refuse_damaged(folder: Path, limit_bytes: int = LOOKED_AT_BYTES) -> list[str]:
    """Look through the stores of a folder that fit into the limit; the names of those that do not.

    Nothing is written, not even a log carried over. What another process holds, and what is no longer there,
    is left to those who open it. Raises: StoreError that names a damaged one and the command that helps.
    """
    left, passed_over = limit_bytes, []
    for size, path in sorted((path.stat().st_size, path) for path in folder.glob("*.db")):
        if size > left:
            passed_over.append(path.name)
            continue
        left -= size
        try:
            with contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            ) as store:
                found = store.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:
            continue
        except sqlite3.DatabaseError as error:
            raise explained(path, error) from error
        if found != ("ok",):
            raise explained(path, sqlite3.DatabaseError(str(found)))
    return passed_over
