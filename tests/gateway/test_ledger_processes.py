"""The ledger over four processes that are killed at any moment: what must always add up."""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import Scope

ROOT = Path(__file__).parents[2]
LIMIT = 1_000_000_000
LARGEST = 200_000_000
WINDOW = (Scope("total", key="key_1"), 0)
WORKERS = 4


class Process:
    """A worker and how it is spoken to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.ledger_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )  # fmt: skip

    def do(self, what: str, **told: Any) -> Any:  # Any: JSON
        """Have one thing done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, **told}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """End it as no process can prepare for."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Spenders(RuleBasedStateMachine):
    """Four processes reserve, settle, fail, stop and are killed; the file is looked at in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "ledger.db")
        self.workers: list[Process] = []
        self.open: list[dict[str, int]] = [{} for _ in range(WORKERS)]
        self.number = 0
        self.paid = 0
        """What is certain to be in the file once it is written."""
        self.may_be_lost = 0
        """At most what a killed process knew and the file does not, or knows at the reserved amount."""
        self.may_be_more = 0

    @initialize()
    def begin(self) -> None:
        self.workers = [Process() for _ in range(WORKERS)]
        for one in self.workers:
            one.do("start", path=self.path, limit=LIMIT)
        self.books = LedgerStore(Path(self.path))

    @rule(at=st.integers(0, WORKERS - 1), amount=st.integers(1, LARGEST))
    def reserve(self, at: int, amount: int) -> None:
        self.number += 1
        id = f"{self.number:032x}"
        if self.workers[at].do("reserve", id=id, amount=amount):
            self.open[at][id] = amount

    @rule(amount=st.integers(LARGEST // 8, LARGEST), count=st.integers(1, 4))
    def rush(self, amount: int, count: int) -> None:
        for _ in range(count):
            for at in range(WORKERS):
                self.reserve(at, amount)

    @precondition(lambda self: any(self.open))
    @rule(share=st.floats(0, 1))
    def close_all(self, share: float) -> None:
        for at, held in enumerate(self.open):
            for id, amount in held.items():
                self.workers[at].do("close", id=id, cost=int(amount * share))
                self.paid += int(amount * share)
            held.clear()

    @precondition(lambda self: any(self.open))
    @rule(data=st.data(), share=st.one_of(st.none(), st.floats(0, 1)))
    def close(self, data: st.DataObject, share: float | None) -> None:
        at = data.draw(st.sampled_from([at for at, held in enumerate(self.open) if held]))
        id = data.draw(st.sampled_from(sorted(self.open[at])))
        amount = self.open[at].pop(id)
        cost = None if share is None else int(amount * share)
        self.workers[at].do("close", id=id, cost=cost)
        self.paid += cost or 0

    @rule(at=st.integers(0, WORKERS - 1))
    def kill_when_all_is_written(self, at: int) -> None:
        self.workers[at].do("flush")
        self.workers[at].kill()
        self.paid += sum(self.open[at].values())  # settled as reserved
        self._start(at)

    @rule(at=st.integers(0, WORKERS - 1), amount=st.integers(1, LARGEST), share=st.floats(0, 1))
    def kill_in_the_middle(self, at: int, amount: int, share: float) -> None:
        self.workers[at].do("flush")
        self.number += 1
        id = f"{self.number:032x}"
        is_reserved = self.workers[at].do("reserve", id=id, amount=amount)
        if is_reserved:
            self.workers[at].do("close", id=id, cost=int(amount * share))
        self.workers[at].kill()
        self.paid += sum(self.open[at].values())
        if is_reserved:  # not there, or settled, or there as reserved
            self.may_be_more += amount
        self._start(at)

    @rule(at=st.integers(0, WORKERS - 1))
    def stop(self, at: int) -> None:
        for id in list(self.open[at]):
            self.workers[at].do("close", id=id, cost=0)
        self.open[at] = {}
        self.workers[at].do("stop")
        self._start(at, fresh=False)

    def _start(self, at: int, *, fresh: bool = True) -> None:
        self.open[at] = {}
        if fresh:
            self.workers[at] = Process()
        self.workers[at].do("start", path=self.path, limit=LIMIT)

    @invariant()
    def all_adds_up(self) -> None:
        if not self.workers:
            return
        for one in self.workers:
            one.do("flush")
        settled, leased, held = self.books.balance(WINDOW)
        totals = self.books.totals()
        reserved = sum(sum(one.values()) for one in self.open)
        assert held == totals.held == reserved
        assert settled == totals.lines == totals.days == totals.center_days
        assert self.paid <= settled <= self.paid + self.may_be_more
        assert leased >= held
        assert settled + leased <= LIMIT + LARGEST  # of which nothing was ever given without asking
        assert totals.processes == WORKERS

    def teardown(self) -> None:
        if self.workers:
            for at, one in enumerate(self.workers):
                for id in self.open[at]:
                    one.do("close", id=id, cost=0)
                one.do("stop")
                one.kill()
            settled, leased, held = self.books.balance(WINDOW)
            assert (leased, held) == (0, 0)
            assert settled <= LIMIT + LARGEST
            assert self.books.totals().processes == 0
            assert not list(Path(self.folder.name).glob("*-process-*"))
            self.books.close()
        self.folder.cleanup()


Spenders.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_what_four_processes_spend_adds_up_whoever_is_killed = pytest.mark.slow(
    pytest.mark.timeout(300)(Spenders.TestCase)
)


@pytest.mark.slow
@pytest.mark.parametrize("closed", [False, True], ids=["at-work", "ended"])
def test_with_sync_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, closed: bool) -> None:
    path = tmp_path / "ledger.db"
    one = Process()
    one.do("start", path=str(path), limit=LIMIT, sync=True)
    assert one.do("reserve", id="a" * 32, amount=70)
    if closed:
        one.do("close", id="a" * 32, cost=30)
    one.kill()

    other = Process()
    abandoned = other.do("start", path=str(path), limit=LIMIT)
    books = LedgerStore(path)
    settled, _, held = books.balance(WINDOW)
    other.do("stop")
    other.kill()
    books.close()

    assert abandoned == (0 if closed else 1)
    assert (settled, held) == (30 if closed else 70, 0)


@pytest.mark.slow
def test_a_kill_loses_at_most_fifty_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    one = Process()
    one.do("start", path=str(path), limit=LIMIT)
    ended: list[tuple[float, str]] = []
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        id = f"{len(ended):032x}"
        assert one.do("reserve", id=id, amount=100)
        one.do("close", id=id, cost=1)
        ended.append((time.monotonic(), id))
        time.sleep(0.002)
    killed = time.monotonic()
    one.kill()

    books = LedgerStore(path)
    found = {str(row[0]).lower() for row in books.query("SELECT hex(exchange) FROM lines", {})}
    books.close()
    assert len(ended) > 50
    assert {id for at, id in ended if at < killed - 0.05} <= found
