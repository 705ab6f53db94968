"""Copies of a data folder: one moment for all stores under load, whole or not there, put back or untouched."""

import contextlib
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from greenroom.errors import StoreError
from greenroom.store.backups import ASIDE, MANIFEST, back_up, finish, is_half, restore, verify
from greenroom.store.database import open_database

TABLE = (
    "CREATE TABLE counts (n INTEGER NOT NULL); INSERT INTO counts VALUES (0); CREATE TABLE filler (b BLOB);",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    for name in ("a.db", "b.db"):
        open_database(found / name, TABLE).close()
    (found / "files").mkdir()
    (found / "files" / "file-1").write_bytes(b"uploaded")
    (found / "files" / ".half.part").write_bytes(b"half")
    (found / "models").mkdir()
    (found / "models" / "big.gguf").write_bytes(b"weights")
    for name in ("master.key", "audit.key", "greenroom.lock", "a.db.backup-v1"):
        (found / name).write_bytes(b"not for copies")
    return found


def count(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT n FROM counts").fetchone()[0])


def put(path: Path, n: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE counts SET n = ?", (n,))


def test_a_copy_holds_all_but_keys_locks_and_halves(folder: Path, tmp_path: Path) -> None:
    done = back_up(folder, tmp_path / "copy", without=("models",))

    names = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*")}
    assert names == {"a.db", "b.db", "files", "files/file-1", MANIFEST}
    assert set(done.manifest.files) == {"a.db", "b.db", "files/file-1"}
    assert verify(tmp_path / "copy") == done.manifest
    assert (tmp_path / "copy" / "a.db").stat().st_mode & 0o077 == 0
    assert "models/big.gguf" in back_up(folder, tmp_path / "all").manifest.files


def test_what_is_deleted_in_between_is_not_in_the_next_copy(folder: Path, tmp_path: Path) -> None:
    first = back_up(folder, tmp_path / "copy")
    (folder / "files" / "file-1").unlink()
    second = back_up(folder, tmp_path / "copy")

    assert (first.new_files, second.new_files) == (2, 0)
    assert not (tmp_path / "copy" / "files" / "file-1").exists()


def test_all_stores_are_copied_as_they_are_at_one_moment(folder: Path, tmp_path: Path) -> None:
    """A writer counts up in one store and then in the other: no moment has them further apart than one."""
    stopping, waited, written = threading.Event(), [0.0], threading.Semaphore(0)

    def write() -> None:
        stores = [
            sqlite3.connect(folder / name, isolation_level=None, timeout=10) for name in ("a.db", "b.db")
        ]
        n = 0
        while not stopping.is_set():
            n += 1
            for store in stores:
                began = time.perf_counter()
                store.execute("BEGIN IMMEDIATE")
                store.execute("UPDATE counts SET n = ?", (n,))
                store.execute("INSERT INTO filler VALUES (randomblob(2000))")
                store.execute("COMMIT")
                waited[0] = max(waited[0], time.perf_counter() - began)
            written.release()
        for store in stores:
            store.close()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    try:
        for number in range(5):
            assert all(written.acquire(timeout=5) for _ in range(2))
            back_up(folder, tmp_path / f"copy-{number}")
            copy = tmp_path / f"copy-{number}"
            seen.append((count(copy / "a.db"), count(copy / "b.db")))
    finally:
        stopping.set()
        writer.join()

    assert all(b <= a <= b + 1 for a, b in seen), seen
    assert seen[-1][0] > seen[0][0] > 0
    assert waited[0] < 2.0


def test_what_is_put_back_is_the_copy_and_the_old_is_kept_aside(folder: Path, tmp_path: Path) -> None:
    put(folder / "a.db", 7)
    back_up(folder, tmp_path / "copy")
    put(folder / "a.db", 8)
    (folder / "files" / "later").write_bytes(b"x")

    aside = restore(tmp_path / "copy", folder)

    assert count(folder / "a.db") == 7
    assert (folder / "files" / "file-1").read_bytes() == b"uploaded"
    assert not (folder / "files" / "later").exists()
    assert (folder / "master.key").exists()
    assert aside is not None
    assert count(aside / "a.db") == 8
    assert finish(folder) is None


def test_a_copy_goes_into_an_empty_folder_too(folder: Path, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "copy")
    (tmp_path / "fresh").mkdir()

    assert restore(tmp_path / "copy", tmp_path / "fresh") is None

    assert count(tmp_path / "fresh" / "b.db") == 0
    assert not list((tmp_path / "fresh").glob(f"{ASIDE}*"))


def test_the_log_of_before_is_not_read_into_what_is_put_back(folder: Path, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "copy")
    held = sqlite3.connect(folder / "a.db", isolation_level=None)
    held.execute("PRAGMA wal_autocheckpoint = 0")
    held.execute("UPDATE counts SET n = 99")
    assert (folder / "a.db-wal").stat().st_size > 0

    restore(tmp_path / "copy", folder)
    held.close()

    assert count(folder / "a.db") == 0


def flip(copy: Path) -> None:
    body = bytearray((copy / "a.db").read_bytes())
    body[5000] ^= 1
    (copy / "a.db").write_bytes(body)


def escape(copy: Path) -> None:
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes())
    manifest["files"]["../evil"] = manifest["files"]["a.db"]
    (copy / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def name_the_key(copy: Path) -> None:
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes())
    manifest["files"]["master.key"] = manifest["files"]["a.db"]
    (copy / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def link(copy: Path) -> None:
    (copy / "a.db").rename(copy / "elsewhere")
    (copy / "a.db").symlink_to(copy / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flip, "'a.db' is not what"),
        (lambda copy: (copy / "b.db").unlink(), "'b.db' is not what"),
        (lambda copy: (copy / MANIFEST).unlink(), "no complete copy"),
        (lambda copy: (copy / MANIFEST).write_text("{half"), "no complete copy"),
        (escape, "no copy holds"),
        (name_the_key, "no copy holds"),
        (link, "'a.db' is not what"),
    ],
    ids=["a flipped bit", "a store gone", "no manifest", "half a manifest", "a path out", "a key", "a link"],
)
def test_a_copy_that_is_not_whole_touches_nothing(
    folder: Path, tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    back_up(folder, tmp_path / "copy")
    put(folder / "a.db", 5)
    before = sorted(folder.rglob("*"))
    harm(tmp_path / "copy")

    with pytest.raises(StoreError, match=said):
        restore(tmp_path / "copy", folder)

    assert count(folder / "a.db") == 5
    assert sorted(path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm"))) == [
        path for path in before if not path.name.endswith(("-wal", "-shm"))
    ]


def killed_at(number: int, deed: Callable[[], object]) -> bool:
    """Whether a process that does this was killed (-9) at its rename of this number."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event == "os.rename":
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        with contextlib.suppress(BaseException):
            deed()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_backup_that_is_killed_is_no_copy_until_one_is_made_again(folder: Path, tmp_path: Path) -> None:
    copy, number, killed = tmp_path / "copy", 0, True
    back_up(folder, copy)
    while killed:
        number += 1
        put(folder / "a.db", number)
        killed = killed_at(number, lambda: back_up(folder, copy))
        if killed:
            with pytest.raises(StoreError, match="no complete copy"):
                verify(copy)

    assert number > 3
    verify(copy)
    assert count(copy / "a.db") == number
    assert not list(copy.rglob("*.part"))


@pytest.mark.slow  # one process after the other
def test_a_restore_that_is_killed_leaves_the_old_or_is_finished(folder: Path, tmp_path: Path) -> None:
    put(folder / "a.db", 1)
    back_up(folder, tmp_path / "copy")
    number, killed, halves = 0, True, 0
    while killed:
        number += 1
        put(folder / "a.db", 2)
        (folder / "files" / "only-old").write_bytes(b"x")
        killed = killed_at(number, lambda: restore(tmp_path / "copy", folder))
        if is_half(folder):
            halves += 1
            with pytest.raises(StoreError, match="--finish"):
                restore(tmp_path / "copy", folder)
            while killed_at(2, lambda: finish(folder)):  # again and again, two steps further each time
                pass
            assert not is_half(folder)
            assert (count(folder / "a.db"), (folder / "files" / "only-old").exists()) == (1, False)
        elif killed:
            assert (count(folder / "a.db"), (folder / "files" / "only-old").exists()) == (2, True)

    assert number > 8
    assert halves > 3
    assert count(folder / "a.db") == 1


def test_a_foreign_manifest_in_the_target_deletes_nothing_outside(folder: Path, tmp_path: Path) -> None:
    target, outside = tmp_path / "copy", tmp_path / "outside"
    outside.write_text("somebody's")
    back_up(folder, target)
    manifest = msgspec.json.decode((target / MANIFEST).read_bytes())
    for name in ("../outside", str(outside), "files/../../outside"):
        manifest["files"][name] = {"bytes": 1, "sha256": "0"}
    (target / MANIFEST).write_bytes(msgspec.json.encode(manifest))

    back_up(folder, target)

    assert outside.read_text() == "somebody's"
    assert verify(target).files.keys() == {"a.db", "b.db", "files/file-1", "models/big.gguf"}


@pytest.mark.parametrize(
    "name", ["ready", ASIDE + "20260101-000000/a.db", ".restoring/ready", "files/\0", "a.db-wal"]
)
def test_a_copy_that_names_what_no_copy_holds_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "copy"
    back_up(folder, target)
    manifest = msgspec.json.decode((target / MANIFEST).read_bytes())
    manifest["files"][name] = {"bytes": 0, "sha256": sha256(b"").hexdigest()}
    (target / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with contextlib.suppress(OSError, ValueError):
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(b"")

    with pytest.raises(StoreError, match="no copy holds"):
        restore(target, folder)

    assert (folder / "a.db").exists()
    assert not is_half(folder)


def test_a_link_within_a_copy_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    """A digest of what lies behind it may be known to who made the copy."""
    target, outside = tmp_path / "copy", tmp_path / "outside"
    back_up(folder, target)
    outside.mkdir()
    (target / "files" / "file-1").rename(outside / "file-1")
    (target / "files").rmdir()
    (target / "files").symlink_to(outside)

    with pytest.raises(StoreError, match="damaged"):
        restore(target, folder)


def test_a_link_in_the_target_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    target, outside = tmp_path / "copy", tmp_path / "outside"
    outside.mkdir()
    target.mkdir()
    (target / "files").symlink_to(outside)

    with contextlib.suppress(StoreError, OSError):
        back_up(folder, target)

    assert list(outside.iterdir()) == []
