"""What a killed process had not written of its rollups is counted from the traces, once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import StoreError
from greenroom.gateway.recorder import Recorder
from greenroom.store.coverage import Span, joined
from greenroom.store.listing import TraceFilter
from greenroom.store.recount import recount
from greenroom.store.rollups import MOST_CELLS, Rollups
from greenroom.store.traces import TraceStore
from tests.store.exchanges import START_NS, make_exchange, make_masked
from tests.store.test_rollups import NOW_S, row

WRITER = """
import sys, time
from pathlib import Path
from greenroom.gateway.recorder import Recorder
from greenroom.store import rollups
from greenroom.store.traces import TraceStore
from tests.store.exchanges import make_masked
rollups.FLUSH_S = 0.2
folder, name = Path(sys.argv[1]), int(sys.argv[2])
store, sums = TraceStore(folder / "traces.db", worker=name), rollups.Rollups(folder / "rollups.db")
sums.begin(store.newest()[0], looks_for_gaps=False)
recorder = Recorder(store, rollups=sums)
recorder.start()
number = 0
while True:
    for _ in range(5):
        recorder.put(make_masked(f"{name}-{number}"))
        number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    time.sleep(0.005)
"""


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TraceStore]:
    store = TraceStore(tmp_path / "traces.db")
    yield store
    store.close()


def sums_of(rollups: Rollups) -> list[tuple[object, ...]]:
    """All that is known, as values."""
    return [
        (
            one.since_s, one.app, one.requests, one.outcomes, one.cost_nano, one.input_tokens, one.total.counts,
            one.verdicts, {step: timing.count for step, timing in one.steps.items()},
        )
        for one in rollups.read(0, time.time() + 60, 3_600, by="app")
    ]  # fmt: skip


def test_a_recount_of_the_traces_gives_what_the_recorder_counted(traces: TraceStore, tmp_path: Path) -> None:
    live = Rollups(tmp_path / "live.db")
    recorder = Recorder(traces, rollups=live)
    recorder.start()
    for number in range(450):
        made = make_masked if number % 3 else make_exchange
        recorder.put(made(str(number)))
    recorder.put(make_exchange("refused", outcome="refused", app="other"))
    recorder.stop()

    again = Rollups(tmp_path / "again.db")
    again.begin(traces.newest()[0])
    assert recount(again, tmp_path / "traces.db") == 451
    assert recount(again, tmp_path / "traces.db") == 0
    found = sums_of(again)
    assert sum(one[2] for one in found) == 451  # type: ignore[misc]  # numbers
    assert found == sums_of(live)
    live.close()
    again.close()


def test_traces_older_than_the_file_are_counted_by_the_hour(traces: TraceStore, tmp_path: Path) -> None:
    recorder = Recorder(traces)
    recorder.start()
    now_s = int(time.time())
    for ago_s in (60, 90, 5 * 86_400, 5 * 86_400 + 60):
        recorder.put(make_exchange(str(ago_s), created_ns=(now_s - ago_s) * 10**9))
    recorder.stop()
    rollups = Rollups(tmp_path / "rollups.db")
    rollups.begin(4)
    assert recount(rollups, tmp_path / "traces.db") == 4
    rollups.add([(row(now_s - 5 * 86_400), None)])
    young = rollups.read(now_s - 3_600, now_s + 60, 60)
    assert sum(one.requests for one in young) == 2
    assert all(one.step_s == 60 for one in young)
    old = rollups.read(now_s - 6 * 86_400, now_s - 4 * 86_400, 60)
    assert sum(one.requests for one in old) == 3
    assert {one.since_s % 3_600 for one in old} == {0}
    rollups.close()


def test_without_bodies_the_rows_are_counted(traces: TraceStore, tmp_path: Path) -> None:
    recorder = Recorder(traces, capture="off")
    recorder.start()
    for number in range(3):
        recorder.put(make_exchange(str(number), created_ns=START_NS))
    recorder.stop()
    rollups = Rollups(tmp_path / "rollups.db")
    rollups.begin(3)
    assert recount(rollups, tmp_path / "traces.db") == 3
    (one,) = rollups.read(START_NS / 1e9, START_NS / 1e9 + 1, 86_400)
    assert (one.requests, one.cost_nano, one.steps) == (3, 369_000, {})
    rollups.close()


def test_what_a_living_process_has_in_memory_is_left_to_it(tmp_path: Path) -> None:
    first, second = Rollups(tmp_path / "r.db"), Rollups(tmp_path / "r.db")
    first.begin(10)
    second.begin(10, looks_for_gaps=False)
    assert first.gap() == Span(1, 10)
    first.add_span([], Span(1, 10))
    second.add([(row(), None)] * 5, Span(11, 15))
    first.add([(row(), None)] * 5, Span(16, 20))
    first.flush()
    assert first.gap() is None
    second.flush()
    first.add([(row(), None)], Span(21, 21))
    assert [one.requests for one in first.read(NOW_S, NOW_S + 60, 60)] == [11]
    second.close()
    first.close()


def test_cells_that_the_file_does_not_take_are_counted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollups = Rollups(tmp_path / "r.db")
    rollups.begin(0)
    with monkeypatch.context() as patch:
        patch.setattr(rollups, "_write", _full)
        for number in range(MOST_CELLS + 10):
            rollups.add([(row(NOW_S + 60 * number), None)], Span(number + 1, number + 1))
        with pytest.raises(StoreError):
            rollups.flush()
    assert sum(cell.requests for cell in rollups.since_start().values()) == MOST_CELLS + 10
    rollups.flush()
    rollups.close()
    later = Rollups(tmp_path / "r.db")
    later.begin(MOST_CELLS + 10)
    assert later.gap() == Span(1, MOST_CELLS)
    later.close()


def _full(*_: object) -> None:
    raise StoreError("There is no space left for the store 'r.db'.")


def test_ranges_that_touch_are_one() -> None:
    spans: list[Span] = []
    for one in (Span(1, 2), Span(3, 5), Span(8, 9)):
        joined(spans, one)
    assert spans == [Span(1, 5), Span(8, 9)]


@pytest.mark.slow  # starts processes
def test_after_a_kill_of_two_processes_nothing_is_missing_and_nothing_counted_twice(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)], stdout=subprocess.PIPE, cwd=root
        )
        for number in (1, 2)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    time.sleep(0.9)
    for child in children:
        child.kill()
        child.communicate()
    traces, rollups = TraceStore(tmp_path / "traces.db"), Rollups(tmp_path / "rollups.db")
    traces.begin()
    before = sum(one.requests for one in rollups.read(0, time.time() + 60, 86_400))
    rollups.begin(traces.newest()[0])
    missing = recount(rollups, tmp_path / "traces.db")
    stored = traces.counts()["stored"]
    assert 0 < before < stored
    assert before + missing == stored
    (one,) = rollups.read(0, time.time() + 60, 400 * 86_400)
    assert (one.requests, one.verdicts) == (stored, {("personal_data", "mask"): stored})
    assert len(traces.list(TraceFilter(limit=500)).rows) == min(500, stored)
    rollups.close()
    traces.close()
