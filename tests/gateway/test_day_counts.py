"""Limits a day through restarts, in one process and in several."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.errors import QuotaExceeded
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.gateway.day_counts import NAME, DayCounts
from greenroom.gateway.keys import Key
from greenroom.gateway.meters import DAY_S, LocalMeters, SharedMeters
from tests.patience import slowness, within
from tests.server_process import ServerProcess, greenroom

KEY = Key(caller=Caller(key_id="k"), requests_per_day=3, requests_per_minute=2)
Life = Callable[..., Access]
"""Access of a process that begins; the one before has ended."""


@pytest.fixture(params=["one process", "several"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    ends: list[Callable[[], None]] = []
    lives = [0]

    def begin(at: float = 0.0, wall: float | None = None) -> Access:
        """`at`: seconds since the first life, by whichever clock; `wall`: where the wall clock jumped."""
        end()
        lives[0] += 1
        zero = lives[0] * 5_000.0  # another process has another monotonic clock
        meters: LocalMeters | SharedMeters = LocalMeters()
        if request.param == "several":
            meters = shared = SharedMeters(tmp_path / f"limits-{lives[0]}", 0, slots=64)
            ends.append(shared.close)
        clock = at if wall is None else wall
        days = DayCounts(meters, tmp_path, lambda: zero + at, lambda: 1_790_000_000 + clock)
        days.start()
        ends.append(days.stop)
        return Access({}, None, lambda: zero + at, meters)

    def end() -> None:
        while ends:
            ends.pop()()

    yield begin
    end()


def admitted(access: Access, times: int = 5) -> int:
    count = 0
    for _ in range(times):
        try:
            access.admit(KEY).release(100)
        except QuotaExceeded:
            break
        count += 1
    return count


def test_a_day_goes_on_after_a_restart_and_a_minute_does_not(life: Life) -> None:
    assert admitted(life()) == 2
    access = life(at=1)

    assert admitted(access) == 1
    with pytest.raises(QuotaExceeded) as told:
        access.admit(KEY)
    assert told.value.retry_after_s == pytest.approx(DAY_S - 1, abs=2)


def test_a_day_that_ended_while_nobody_served_is_over(life: Life) -> None:
    assert admitted(life()) == 2

    assert admitted(life(at=DAY_S + 5)) == 2


def test_a_clock_that_went_back_keeps_no_key_out_for_longer_than_a_day(life: Life) -> None:
    admitted(life())
    access = life(at=1, wall=-30 * DAY_S)
    admitted(access)
    with pytest.raises(QuotaExceeded) as told:
        access.admit(KEY)

    assert told.value.retry_after_s <= DAY_S


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"zz": [1, 2, 3]}', b'{"00": ["x", 1, 1]}', b"\xff"])
def test_a_file_that_says_nothing_is_passed_over_and_written_anew(
    life: Life, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / NAME).write_bytes(data)

    assert admitted(life()) == 2
    assert admitted(life(at=1)) == 1


def test_it_is_written_within_a_second_and_then_only_when_something_changed(
    life: Life, tmp_path: Path
) -> None:
    access = life()
    admitted(access, 1)
    assert within(4.0, (tmp_path / NAME).exists)
    written = (tmp_path / NAME).stat().st_mtime_ns
    time.sleep(1.2)

    assert (tmp_path / NAME).stat().st_mtime_ns == written
    assert b"k" not in (tmp_path / NAME).read_bytes()  # a digest of its id


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_restarted_server_goes_on_with_the_day(tmp_path: Path, workers: int) -> None:
    config = f"[server]\nworkers = {workers}\n"
    with ServerProcess(tmp_path / "data", config) as server:
        made = greenroom(server.data, "keys", "create", "bot", "--requests-per-day", "3", "--json")
        key = json.loads(made.stdout)["key"]
        deadline = time.monotonic() + 10
        while server.ask(key=key)[0] == 401 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(slowness())  # every worker knows the key
        before = [server.ask(key=key)[0] for _ in range(1)]
        assert server.stop() == 0
    with ServerProcess(tmp_path / "data", config) as server:
        after = [server.ask(key=key)[0] for _ in range(3)]

    assert before == [200]
    assert after == [200, 429, 429]
