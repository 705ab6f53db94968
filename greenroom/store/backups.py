"""A data folder copied while a server runs, and put back: all stores at one moment, files with digests.

All stores are held for an instant, in which a snapshot of each is opened; then the snapshots are copied while
everybody goes on writing. A copy is complete when its `backup.json` is there, which is written last. What
opens sealed secrets (`master.key`, `audit.key`) is never in it: who finds a copy must not find the keys too.
"""

import contextlib
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from greenroom.errors import StoreError
from greenroom.store.audit import KEY_NAME
from greenroom.store.database import LOCK_NAME, explained
from greenroom.store.sealed import FILE_NAME as MASTER_KEY

MANIFEST = "backup.json"
KEYS = frozenset({MASTER_KEY, KEY_NAME})
"""Stay where they are: in no copy, and untouched when one is put back."""
ASIDE = "before-restore-"
"""Where the old content goes when a copy is put back, with the time behind it."""
STAGING = ".restoring"
"""Where a copy is put together first; with `READY` in it, it is whole."""
READY = "ready"
_PASSING = frozenset({LOCK_NAME, STAGING, MANIFEST, "workers", "shared.db"})
_LOGS = ("-wal", "-shm", "-journal")
"""Of stores, beside them: what they hold is in the copy of the store."""
_MAGIC = b"SQLite format 3\x00"
_HOLD_S = 1.0
_TRIES = 20


class File(Struct, frozen=True):
    """One file of a copy."""

    bytes: int
    sha256: str


class Copied(NamedTuple):
    """A copy that was made."""

    manifest: "Manifest"
    new_files: int
    """Besides stores: those that were not there yet."""


class Manifest(Struct, kw_only=True, frozen=True):
    """What a copy holds, by path in the folder."""

    made_at: str
    held_ms: float
    """How long writers had to wait, at most."""
    files: dict[str, File]
    lost: list[str] = []
    """Files that were deleted while they were copied."""


def stores(folder: Path) -> list[Path]:
    """The SQLite files in a data folder, copies of earlier schemas left out."""
    return [path for path in sorted(folder.glob("*")) if ".backup-v" not in path.name and is_store(path)]


def is_store(path: Path) -> bool:
    """Whether this is a file of SQLite."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def back_up(folder: Path, target: Path, *, without: Collection[str] = ()) -> Copied:
    """Copy a data folder; a file that is in the target already, with its size and time, is not copied again.

    `without`: top-level folders to leave out. A copy that was in `target` is no longer one from the first
    moment on, until this one is. Raises: StoreError; OSError.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = _read(target)
    (target / MANIFEST).unlink(missing_ok=True)
    found: dict[str, File] = {}
    held_stores = stores(folder)
    with _snapshots(held_stores) as (held_ms, snapshots):
        for path, snapshot in snapshots.items():
            _copy_store(path, snapshot, target / path.name)
            found[path.name] = _described(target / path.name)
    lost, new_files = [], 0
    for path in _plain_files(folder, without):
        name = path.relative_to(folder).as_posix()
        if not _is_within(target, name):
            raise StoreError(f"'{name}' would be written through a link in the target. Take another folder.")
        try:
            new_files += _copy_file(path, target / name)
        except FileNotFoundError:  # deleted meanwhile
            lost.append(name)
            continue
        found[name] = _described(target / name)
    for gone in set(before.files) - set(found) if before is not None else ():
        if _may_be_held(gone) and _is_within(target, gone):  # whoever wrote that list
            (target / gone).unlink(missing_ok=True)  # what was erased since is not to stay in the copy
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    manifest = Manifest(made_at=made_at, held_ms=held_ms, files=dict(sorted(found.items())), lost=lost)
    _write_whole(target / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return Copied(manifest, new_files)


def verify(source: Path) -> Manifest:
    """What a copy holds, once every byte of it was read. Raises: StoreError that names what is wrong."""
    manifest = _read(source)
    if manifest is None:
        raise StoreError(
            f"'{source.name}' holds no complete copy: there is no '{MANIFEST}' that can be read. "
            "Make one with `greenroom db backup`."
        )
    for name, file in manifest.files.items():
        if not _may_be_held(name):
            raise StoreError(f"The copy '{source.name}' names a file that no copy holds: '{name[:100]}'.")
        path = source / name
        if not _is_within(source, name) or not path.is_file() or _described(path) != file:
            raise StoreError(
                f"The copy '{source.name}' is damaged: '{name}' is not what '{MANIFEST}' says. Take another."
            )
    return manifest


def _may_be_held(name: str) -> bool:
    """Whether a copy may hold a file of this name: what `back_up` puts into none is refused."""
    path = Path(name)
    parts = path.parts
    return (
        not path.is_absolute()
        and "\0" not in name
        and bool(parts)
        and parts[0] not in KEYS | _PASSING | {READY}
        and not parts[0].startswith(ASIDE)
        and not any(part.startswith(".") for part in parts)
        and not (len(parts) == 1 and name.endswith(_LOGS))
    )


def _is_within(folder: Path, name: str) -> bool:
    """Whether no link leads from a folder to a file of this name."""
    return (folder / name).resolve() == folder.resolve() / name


def restore(source: Path, folder: Path) -> Path | None:
    """Put a copy back in the place of what is in a data folder, which goes aside; where to, if there was any.

    The caller holds the folder's lock. If it is interrupted, the folder is as it was, or says so when it is
    opened, until `finish` is called. Raises: StoreError; OSError.
    """
    if is_half(folder):
        raise StoreError(
            "A restore of this folder was interrupted. Run `greenroom db restore --finish` first."
        )
    manifest = verify(source)
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    for name, file in manifest.files.items():
        _copy_file(source / name, staging / name)
        if _described(staging / name) != file:
            raise StoreError(
                f"'{name}' changed while it was copied, or the disk failed. Nothing was changed."
            )
    name = ASIDE + time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    while (folder / name).exists():  # another one within the same second
        name += "-"
    _write_whole(staging / READY, name.encode())
    return finish(folder)


def is_half(folder: Path) -> bool:
    """Whether a restore of this folder was interrupted after the old content began to go."""
    return (folder / STAGING / READY).exists()


def finish(folder: Path) -> Path | None:
    """Bring a restore to its end; where the old content is. Doing it again changes nothing."""
    staging = folder / STAGING
    try:
        aside = folder / (staging / READY).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    # A name that is still in the staging folder is old here; one that is not has been moved up already.
    coming = {path.name for path in staging.iterdir()} - {READY}
    if not (aside / READY).exists():
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in list(folder.iterdir()):
            if path.name not in KEYS | _PASSING and not path.name.startswith(ASIDE):
                path.replace(aside / path.name)
        _write_whole(aside / READY, b"")
    for name in coming:
        (staging / name).replace(folder / name)
    _sync(folder)
    (staging / READY).unlink()
    shutil.rmtree(staging, ignore_errors=True)
    (aside / READY).unlink()
    if any(aside.iterdir()):
        return aside
    aside.rmdir()
    return None


@contextlib.contextmanager
def _snapshots(paths: Sequence[Path]) -> Iterator[tuple[float, dict[Path, sqlite3.Connection]]]:
    """A connection to each store that sees it as it was at one moment, which is the same for all.

    No writer is let in between: each store's write lock is held until every snapshot is opened.
    """
    with contextlib.ExitStack() as ending:
        readers = {path: ending.enter_context(contextlib.closing(_open(path))) for path in paths}
        writers = {path: ending.enter_context(contextlib.closing(_open(path))) for path in paths}
        for attempt in range(_TRIES):
            began = time.perf_counter()
            try:
                for connection in writers.values():
                    connection.execute("BEGIN IMMEDIATE")
                for connection in readers.values():
                    connection.execute("BEGIN")
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                break
            except sqlite3.OperationalError as error:
                _let_go(readers)
                if attempt == _TRIES - 1:
                    raise explained(paths[0], error) from error
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  # so that two who wait for each other part
            finally:
                _let_go(writers)
        held_ms = round(1000 * (time.perf_counter() - began), 2)
        yield held_ms, readers


def _open(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=_HOLD_S, isolation_level=None)
    except sqlite3.Error as error:
        raise explained(path, error) from error


def _let_go(connections: dict[Path, sqlite3.Connection]) -> None:
    for connection in connections.values():
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _copy_store(path: Path, snapshot: sqlite3.Connection, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
            snapshot.backup(copy, pages=1_024)
        _flush(part)
        for tail in ("-wal", "-shm"):  # of whoever opened the copy before: they are not this file's
            target.with_name(target.name + tail).unlink(missing_ok=True)
        part.replace(target)
    except sqlite3.Error as error:
        raise explained(path, error) from error
    finally:
        for tail in ("", "-wal", "-shm", "-journal"):
            part.with_name(part.name + tail).unlink(missing_ok=True)


def _plain_files(folder: Path, without: Collection[str]) -> Iterator[Path]:
    """Everything that is no store, no key, and nothing that passes with its process."""
    for top in sorted(folder.iterdir()):
        name = top.name
        if name in KEYS | _PASSING or name in without or name.startswith((".", ASIDE)) or ".backup-v" in name:
            continue
        if name.endswith(_LOGS) or (top.is_file() and is_store(top)):
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() and not top.is_symlink() else [top]:
            if (
                path.is_file()
                and not path.is_symlink()
                and not _is_half_written(path.relative_to(top.parent))
            ):
                yield path


def _is_half_written(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts) or path.name.endswith(".part")


def _copy_file(source: Path, target: Path) -> bool:
    """Copy, unless the same size and time are there. Raises: FileNotFoundError for one that is gone."""
    was = source.stat()
    with contextlib.suppress(FileNotFoundError):
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (was.st_size, was.st_mtime_ns):
            return False
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copy2(source, part)
        part.chmod(0o600)
        _flush(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return True


def _described(path: Path) -> File:
    with path.open("rb") as file:
        return File(path.stat().st_size, file_digest(file, "sha256").hexdigest())


def _read(source: Path) -> Manifest | None:
    try:
        return msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.chmod(0o600)
    _flush(part)
    part.replace(path)
    _sync(path.parent)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
