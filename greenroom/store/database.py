"""SQLite files: opening, migrating, locking, checking, copying.

Knows nothing of what lies in the tables. Every problem comes out as a `StoreError` whose sentence names the
command that helps.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from greenroom.errors import StoreError

LOCK_NAME = "greenroom.lock"
BUSY_TIMEOUT_S = 5.0

_SYNCHRONOUS = {"NORMAL": "PRAGMA synchronous = NORMAL", "FULL": "PRAGMA synchronous = FULL"}


def open_database(
    path: Path,
    migrations: Sequence[str],
    *,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
) -> sqlite3.Connection:
    """A connection in WAL mode whose schema is at the newest of `migrations`; made when it does not exist.

    Migration n brings version n to n + 1, each in a transaction of its own; a file with content is copied to
    `NAME.backup-vN` before the first. The connection is in autocommit and may change threads; the owner
    sees to it that one thread at a time uses it.

    Raises: StoreError when the file is newer than this program, damaged, read-only or no database.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise explained(path, error) from error
    try:
        _begin_log(connection)
        connection.execute(_SYNCHRONOUS[synchronous])
        connection.execute("PRAGMA wal_autocheckpoint = 1000")  # pages: 4 MB
        connection.execute("PRAGMA journal_size_limit = 67108864")  # bytes, after a checkpoint
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        _migrate(connection, path, migrations)
    except sqlite3.Error as error:
        connection.close()
        raise explained(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, query_only: bool = True) -> sqlite3.Connection:
    """A second connection to a file that `open_database` opened; it cannot write. Raises: StoreError."""
    try:
        connection = _connect(path)
        if query_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise explained(path, error) from error
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def explained(path: Path, error: Exception) -> StoreError:
    """A `StoreError` that says what an error of SQLite or the file system means for the store at `path`."""
    name = path.name
    text = str(error)
    if "readonly" in text or isinstance(error, PermissionError):
        return StoreError(
            f"The store '{name}' cannot be written. Give this user the right to write to its folder."
        )
    if "locked" in text or "busy" in text:
        return StoreError(f"The store '{name}' is held by another process. End that process, then try again.")
    if "full" in text:
        return StoreError(f"There is no space left for the store '{name}'. Free some, then start again.")
    if "disk I/O error" in text:
        return StoreError(
            f"The disk did not take or give what the store '{name}' asked for. Look at its space, quota and "
            f"health, then run `greenroom db check`."
        )
    if isinstance(error, OSError) or "unable to open" in text:
        return StoreError(f"The store '{name}' cannot be opened. See that its folder exists and can be read.")
    return StoreError(
        f"The store '{name}' is damaged or is no database. Run `greenroom db check` to see what is wrong; "
        f"to go on, put back a copy made by `greenroom db backup`, or move the file away to start afresh."
    )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _begin_log(connection: sqlite3.Connection) -> None:
    """Have the file written through a log. SQLite waits for nobody here, so that two try again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = _version(connection)
    newest = len(migrations)
    if version > newest:
        raise StoreError(
            f"The store '{path.name}' was written by a newer Greenroom "
            f"(schema {version}; this one knows {newest}). "
            f"Install the newer version again, or put back the copy '{path.name}.backup-v{newest}'. "
            f"`greenroom db check` says what the file holds."
        )
    if version == newest:
        return
    if version > 0:
        backup(path, path.with_name(f"{path.name}.backup-v{version}"))
    for number in range(version, newest):
        with transaction(connection):
            if _version(connection) > number:  # another process was quicker
                continue
            for statement in _statements(migrations[number]):
                connection.execute(statement)
            connection.execute("PRAGMA user_version = " + str(number + 1))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction around it."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing: takes the write lock at once, commits at the end, rolls back on any exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty_log(connection: sqlite3.Connection) -> None:
    """Move what the log holds into the file: what was erased is not to stay in it. Outside a transaction."""
    with contextlib.suppress(sqlite3.OperationalError):  # a reader may hold the log a while
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class FolderLock:
    """Says that this process owns a data folder, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        """What a process inherits that is to hold the folder too."""

    def release(self) -> None:
        """Give the folder free, unless another process inherited it. May be called twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def lock_folder(path: Path) -> FolderLock:
    """Take a data folder for this process. Raises: StoreError that names the process which holds it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(
            f"The data folder '{path.name}' is in use by the Greenroom with process id {holder}. "
            f"Stop that one, or choose another folder with GREENROOM_DATA."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return FolderLock(descriptor)


def backup(path: Path, target: Path) -> None:
    """Copy a store while it is in use; `target` is complete or not there. Raises: StoreError."""
    part = target.with_name(target.name + ".part")
    try:
        with contextlib.closing(_connect(path)) as source, contextlib.closing(_connect(part)) as copy:
            source.backup(copy, pages=1_024)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise explained(path, error) from error


def check(path: Path) -> list[str]:
    """What is wrong with a store, a sentence each; empty when it is sound. Reads the whole file."""
    if not path.exists():
        return [f"There is no store '{path.name}'."]
    try:
        with contextlib.closing(_connect(path)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return [f"'{path.name}' cannot be read: {error}."]
    return [] if found == ["ok"] else found
