"""FAULTS C4 to C7: disks that are full or fail, stores that are locked, damaged, cut or of another version."""

import contextlib
import http.client
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.errors import MalformedRequest, StoreError
from greenroom.gateway.recorder import Recorder
from greenroom.store.database import check
from greenroom.store.listing import TraceFilter
from greenroom.store.soundness import refuse_damaged
from greenroom.store.traces import TraceStore
from tests.patience import within
from tests.server.test_process import STRACE, can_trace
from tests.server_process import ADMIN, ServerProcess, greenroom
from tests.store.exchanges import make_exchange

ROOT = Path(__file__).parents[2]


def metric(server: ServerProcess, name: str) -> float:
    """A metric's value, summed over its labels."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {ADMIN}"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)]
    assert found, f"{name} is not among the metrics"
    return sum(found)


def listed(server: ServerProcess) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/api/traces?limit=500", headers={"Authorization": f"Bearer {ADMIN}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return len(answer["data"])


# C4


@pytest.mark.slow
def test_c4_while_the_disk_is_full_requests_go_on_and_afterwards_everything_is_stored(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        assert server.ask()[0] == 200
        assert within(3.0, lambda: listed(server) == 1)
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        statuses = [server.ask(f"Question {number}?")[0] for number in range(12)]
        assert within(3.0, lambda: metric(server, "greenroom_store_errors_total") > 0)
        before = listed(server)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

        assert statuses == [200] * 12
        assert before < 13
        assert within(6.0, lambda: listed(server) == 13)
        assert metric(server, "greenroom_store_queued") == 0
        assert metric(server, "greenroom_store_log_bytes") < 64 * 1024 * 1024
        assert "traces are not stored" in server.log()
        assert server.stop() == 0
    assert check(tmp_path / "data" / "traces.db") == []


def test_c4_what_does_not_fit_into_memory_meanwhile_is_counted(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    recorder = Recorder(store, capture="full", queue_limit=50)
    recorder.start()
    for number in range(400):
        recorder.put(make_exchange(f"{number:032x}", "Tell me of Norway. " * 40))
    assert _soon(lambda: recorder.counts().errors > 0)
    counts = recorder.counts()
    assert counts.lost_bodies > 0
    assert counts.lost_rows > 0
    store._writer.execute("PRAGMA max_page_count = 1000000")

    assert _soon(lambda: recorder.counts().queued == 0)
    recorder.stop()
    counts = recorder.counts()
    assert counts.stored + counts.lost_rows == counts.accepted == 400
    assert store.counts()["lost_rows"] == counts.lost_rows
    store.close()


def _soon(holds: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


# C5

WRITER = """
import sys, time
from pathlib import Path
from greenroom.errors import MalformedRequest, StoreError
from greenroom.gateway.recorder import Recorder
from greenroom.store.traces import TraceStore
from tests.store.exchanges import make_exchange
try:
    store = TraceStore(Path(sys.argv[1]))
    recorder = Recorder(store, capture="full")
    recorder.start()
    for number in range(60):
        recorder.put(make_exchange(f"{number:032x}", "Tell me of Norway. " * 60))
        time.sleep(0.02)
    recorder.stop(5.0)
    counts = recorder.counts()
    print(counts.accepted, counts.stored, counts.lost_rows)
    store.close()
except StoreError as error:
    print("refused:", error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not can_trace(), reason="strace is not here or may not trace")
@pytest.mark.parametrize(
    "inject",
    [
        pytest.param("pwrite64:error=EIO:when=70+31", id="C5 writes"),
        pytest.param("pwrite64:error=ENOSPC:when=80+13", id="C5 writes without space"),
        pytest.param("fdatasync,fsync:error=EIO:when=1+2", id="C5 flushes"),
        pytest.param("pread64:error=EIO:when=12+5", id="C5 reads"),
        *(pytest.param(f"pwrite64:error=EIO:when={n}", id=f"C5 write {n}") for n in (1, 3, 9, 27, 81, 243)),
        *(pytest.param(f"fdatasync,fsync:error=EIO:when={n}", id=f"C5 flush {n}") for n in (1, 2, 4)),
    ],
)
def test_c5_whichever_operation_fails_the_file_stays_sound_and_losses_are_counted(
    tmp_path: Path, inject: str
) -> None:
    assert STRACE is not None
    path = tmp_path / "traces.db"
    calls = inject.partition(":")[0]
    command = [STRACE, "-f", "-o", str(tmp_path / "calls"), "-e", f"trace={calls}", "-e", f"inject={inject}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", WRITER, str(path)],
        capture_output=True, text=True, timeout=50, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert "INJECTED" in (tmp_path / "calls").read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert check(path) == []
    store = TraceStore(path)
    lost = store.begin()
    kept = len(store.list(TraceFilter(limit=500)).rows)
    store.close()
    if not done.stdout.startswith("refused"):
        accepted, stored, lost_rows = map(int, done.stdout.split())
        assert accepted == 60 == stored + lost_rows
        assert kept >= stored
        assert kept + lost_rows + lost >= 60


# C6


@pytest.mark.slow
def test_c6_a_store_locked_past_the_busy_timeout_holds_up_no_request(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        assert server.ask()[0] == 200
        assert within(3.0, lambda: listed(server) == 1)
        with contextlib.closing(
            sqlite3.connect(tmp_path / "data" / "traces.db", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            waits = []
            while time.monotonic() - began < 6.0:
                asked = time.monotonic()
                assert server.ask()[0] == 200
                waits.append(time.monotonic() - asked)
                time.sleep(0.1)
            assert listed(server) == 1
            other.execute("ROLLBACK")

        assert sorted(waits)[len(waits) // 2] < 0.2
        assert within(8.0, lambda: listed(server) == 1 + len(waits))
        assert server.stop() == 0


def test_c6_a_long_reader_pins_the_log_only_as_long_as_it_reads(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    store.begin()
    reader = sqlite3.connect(tmp_path / "traces.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM traces").fetchone()
    recorder = Recorder(store, capture="full")
    recorder.start()
    for number in range(600):
        recorder.put(make_exchange(f"{number:032x}", f"{number} " * 300))
    assert _soon(lambda: recorder.counts().stored == 600)
    log = tmp_path / "traces.db-wal"
    pinned = log.stat().st_size
    reader.close()
    recorder.stop()
    store.close()

    assert pinned > 0
    assert not log.exists() or log.stat().st_size == 0
    assert check(tmp_path / "traces.db") == []


def test_c6_no_read_leaves_a_snapshot_open(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    recorder = Recorder(store, capture="full")
    recorder.start()
    recorder.put(make_exchange("1" * 32))
    recorder.stop()
    for query in ("Norway", '"', "AND OR", "x" * 5000):
        with contextlib.suppress(StoreError, MalformedRequest):
            store.list(TraceFilter(q=query))
    busy, _, _ = store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    store.close()

    assert busy == 0


# C7


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.commit()


def broken_schema(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [garbage, newer, broken_schema], ids=["garbage", "newer", "broken schema"])
@pytest.mark.parametrize("name", ["traces.db", "keys.db", "documents.db", "turns.db"])
async def test_c7_a_store_that_cannot_be_read_stops_the_start_with_the_command_that_helps(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    house = House.open(None, tmp_path, {})
    _ = house.traces, house.keys, house.documents, house.turns
    house.close_stores()
    damage(tmp_path / name)
    before = (tmp_path / name).read_bytes()

    with pytest.raises(StoreError, match="greenroom db check") as told:
        async with House.open(None, tmp_path, {}).running():
            pass

    assert name in str(told.value)
    assert (tmp_path / name).read_bytes() == before  # nothing is lost that may be saved


def _damaged_in_the_middle(path: Path) -> None:
    """A file of many rows, one page of which no longer says what was written to it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, text)")
        connection.executemany("INSERT INTO kept (text) VALUES (?)", [("words " * 50,)] * 5000)
        connection.commit()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)


def test_c7_a_damaged_page_in_the_middle_is_found_before_anything_is_served(tmp_path: Path) -> None:
    with contextlib.closing(TraceStore(tmp_path / "traces.db")):
        pass
    assert refuse_damaged(tmp_path) == []
    _damaged_in_the_middle(tmp_path / "turns.db")
    before = (tmp_path / "turns.db").read_bytes()

    with pytest.raises(StoreError, match=r"'turns\.db' is damaged.*greenroom db check"):
        refuse_damaged(tmp_path)

    assert (tmp_path / "turns.db").read_bytes() == before
    assert refuse_damaged(tmp_path, limit_bytes=1_000_000) == ["turns.db"]  # too large to be looked through


@pytest.mark.slow
def test_c7_the_server_refuses_to_start_on_a_damaged_page(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    _damaged_in_the_middle(data / "traces.db")

    done = greenroom(data, "serve", "--port", "0")

    assert done.returncode == 3
    assert "greenroom db check" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_c7_the_server_refuses_to_start_with_exit_3(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data) as server:
        server.stop()
    garbage(data / "traces.db")
    done = greenroom(data, "serve", "--port", "0")
    checked = greenroom(data, "db", "check")

    assert done.returncode == 3
    assert "greenroom db check" in done.stderr
    assert "Traceback" not in done.stderr
    assert checked.returncode in {0, 1}


@pytest.mark.parametrize("left", [0, 1, 31, 32, 500, 4152, 9000], ids=lambda left: f"{left} bytes")
def test_c7_a_cut_log_costs_what_was_in_it_and_nothing_else(tmp_path: Path, left: int) -> None:
    store = TraceStore(tmp_path / "traces.db")
    recorder = Recorder(store, capture="full")
    recorder.start()
    for number in range(20):
        recorder.put(make_exchange(f"{number:032x}"))
    assert _soon(lambda: recorder.counts().stored == 20)
    copy = tmp_path / "copy"
    copy.mkdir()
    for one in ("traces.db", "traces.db-wal", "traces.db-tally"):  # as after a crash
        (copy / one).write_bytes((tmp_path / one).read_bytes())
    recorder.stop()
    store.close()
    with (copy / "traces.db-wal").open("r+b") as log:
        log.truncate(left)

    again = TraceStore(copy / "traces.db")
    lost = again.begin()
    kept = len(again.list(TraceFilter(limit=100)).rows)
    again.close()
    assert check(copy / "traces.db") == []
    assert kept + lost == 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_c7_a_file_that_may_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    with contextlib.closing(TraceStore(tmp_path / "traces.db")):
        pass
    (tmp_path / "traces.db").chmod(0o400)

    with pytest.raises(StoreError, match="cannot be written"):
        TraceStore(tmp_path / "traces.db")
