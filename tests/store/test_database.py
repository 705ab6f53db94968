"""Opening, migrating, locking, checking and copying store files."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest

from greenroom.errors import StoreError
from greenroom.store.database import backup, check, lock_folder, open_database, transaction

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
SECOND = "CREATE TABLE b (y INTEGER);\nINSERT INTO b SELECT x + 1 FROM a;"


def test_a_new_file_gets_all_migrations_and_no_backup(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db", (FIRST, SECOND))

    assert connection.execute("SELECT y FROM b").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not list(tmp_path.glob("*.backup-*"))
    connection.close()


def test_an_old_file_is_copied_and_brought_up_to_date(tmp_path: Path) -> None:
    open_database(tmp_path / "x.db", (FIRST,)).close()

    connection = open_database(tmp_path / "x.db", (FIRST, SECOND))

    assert connection.execute("SELECT y FROM b").fetchone() == (2,)
    connection.close()
    old = open_database(tmp_path / "x.db.backup-v1", (FIRST,))
    assert old.execute("SELECT x FROM a").fetchone() == (1,)
    old.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    open_database(tmp_path / "x.db", (FIRST,)).close()

    with pytest.raises(StoreError):
        open_database(tmp_path / "x.db", (FIRST, "CREATE TABLE c (z); INSERT INTO nowhere VALUES (1);"))

    connection = open_database(tmp_path / "x.db", (FIRST,))
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'c'").fetchone() == (0,)
    connection.close()


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "x.db", (FIRST, SECOND)).close()

    with pytest.raises(StoreError, match=r"newer Greenroom.*backup-v1.*greenroom db check"):
        open_database(tmp_path / "x.db", (FIRST,))

    open_database(tmp_path / "x.db", (FIRST, SECOND)).close()


def test_a_damaged_file_names_the_command_that_helps(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all" * 500)

    with pytest.raises(StoreError, match="greenroom db check"):
        open_database(tmp_path / "x.db", (FIRST,))

    assert check(tmp_path / "x.db")


def test_a_check_finds_a_page_that_was_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connection = open_database(path, (FIRST,))
    with transaction(connection):
        connection.executemany("INSERT INTO a VALUES (?)", [(n,) for n in range(5_000)])
    connection.close()
    assert check(path) == []

    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)

    assert check(path)


def test_a_backup_while_in_use_holds_everything_committed(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x.db", (FIRST,))
    with transaction(connection):
        connection.execute("INSERT INTO a VALUES (7)")

    backup(tmp_path / "x.db", tmp_path / "copy.db")

    connection.close()
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT x FROM a ORDER BY x").fetchall() == [(1,), (7,)]
    copy.close()


def test_a_second_process_learns_who_holds_the_folder(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from greenroom.store.database import lock_folder;"
        "lock = lock_folder(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreError, match=f"process id {holder.pid}"):
            lock_folder(tmp_path)
        holder.kill()
        holder.wait()

    lock_folder(tmp_path).release()


def test_a_file_that_another_is_just_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as maker:
        maker.execute("BEGIN IMMEDIATE")
        maker.execute("CREATE TABLE t (a INTEGER)")
        Timer(0.3, maker.execute, ("COMMIT",)).start()

        open_database(path, ("CREATE TABLE IF NOT EXISTS t (a INTEGER);",)).close()

    assert check(path) == []
