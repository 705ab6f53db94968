"""kill -9 while traces are written: what is older than 50 ms is there, what was lost is counted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from greenroom.store.database import check
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore

WRITER = """
import sys, time
from pathlib import Path
from greenroom.gateway.recorder import Recorder
from greenroom.store.traces import TraceStore
from tests.store.exchanges import make_exchange
store = TraceStore(Path(sys.argv[1]))
recorder = Recorder(store)
recorder.start()
number = 0
while True:
    for _ in range(20):
        recorder.put(make_exchange(f"{sys.argv[2]}-{number}"))
        number += 1
    sys.stdout.write(f"{time.monotonic()} {number}\\n")
    sys.stdout.flush()
    time.sleep(0.005)
"""
FINDER = WRITER.replace("Recorder(store)", "Recorder(store, audit_key=bytes(32))")
FINDER = FINDER.replace("import make_exchange", "import make_masked").replace(
    "make_exchange(", "make_masked("
)
FINDER = FINDER.replace("range(20)", "range(2)")
pytestmark = pytest.mark.slow  # each starts processes of its own

MARGIN_S = 0.25  # 50 ms is the promise; a shared machine may take the writer's turn away


@pytest.mark.parametrize("round_", range(5))
def test_after_a_kill_everything_older_than_the_promise_is_there(tmp_path: Path, round_: int) -> None:
    path = tmp_path / "traces.db"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(round_)], stdout=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(0.5 + 0.037 * round_)
        killed_at = time.monotonic()
        child.kill()
        lines = [first, *child.stdout.readlines()]
    said = [(float(at), int(count)) for at, count in (line.split() for line in lines if line.endswith(b"\n"))]
    safe = max(count for at, count in said if at < killed_at - MARGIN_S)

    began = time.monotonic()
    store = TraceStore(path)
    lost = store.begin()
    assert time.monotonic() - began < 2.0

    stored = store.counts()["stored"]
    assert stored >= safe > 0
    assert stored + lost >= said[-1][1]
    assert store.counts()["lost_rows"] == lost
    assert store.counts()["unclean_shutdowns"] == 1
    assert all(store.get("default", f"{round_}-{number}") is not None for number in range(0, safe, 17))
    assert len(store.list(TraceFilter(q="oslo", limit=500)).rows) == min(stored, 500)
    store.end()
    store.close()
    assert check(path) == []


def test_a_clean_stop_is_not_counted_as_a_loss(tmp_path: Path) -> None:
    for _ in range(3):
        store = TraceStore(tmp_path / "traces.db")
        assert store.begin() == 0
        store.end()
        store.close()

    store = TraceStore(tmp_path / "traces.db")
    assert store.counts()["unclean_shutdowns"] == 0
    store.close()


@pytest.mark.parametrize("round_", range(3))
def test_after_a_kill_the_audit_log_holds_and_has_a_line_for_every_finding_stored(
    tmp_path: Path, round_: int
) -> None:
    path = tmp_path / "traces.db"
    with subprocess.Popen(
        [sys.executable, "-c", FINDER, str(path), "a"], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.4 + 0.053 * round_)
        child.kill()

    store = TraceStore(path)
    state = store.audit.verify()

    assert state.broken is None
    assert state.lines == store.counts()["stored"] > 0
    store.close()
