"""Limits of keys over several processes: exact, whoever asks, and whoever dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import QuotaExceeded
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.gateway.keys import Key
from greenroom.gateway.meters import DAY_S, MINUTE_S, LocalMeters, Meters, SharedMeters

CALLER = Caller(key_id="key_1")


@pytest.fixture(params=["local", "shared"])
def meters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Meters]:
    if request.param == "local":
        yield LocalMeters()
        return
    shared = SharedMeters(tmp_path / "limits", 0)
    yield shared
    shared.close()


def test_limits_hold_and_begin_anew(meters: Meters) -> None:
    now = [1_000.0]
    access = Access({}, now=lambda: now[0], meters=meters)
    key = Key(caller=CALLER, requests_per_minute=2, requests_per_day=5, parallel=3)

    for round in range(2):
        for _ in range(2):
            access.admit(key).release(7)
        with pytest.raises(QuotaExceeded, match="2 requests a minute") as refused:
            access.admit(key)
        assert refused.value.retry_after_s == 60.0
        standing = access.limits(key)
        assert standing is not None
        assert standing.requests is not None
        assert standing.requests.remaining == 0
        now[0] += MINUTE_S
        assert round < 2
    access.admit(key)
    now[0] += MINUTE_S
    with pytest.raises(QuotaExceeded, match="5 requests a day"):
        access.admit(key)
    now[0] += DAY_S
    access.admit(key)
    access.admit(key)
    now[0] += MINUTE_S
    with pytest.raises(QuotaExceeded, match="3 requests at work"):
        access.admit(key)


def test_what_one_process_counts_the_other_sees(tmp_path: Path) -> None:
    one, two = SharedMeters(tmp_path / "limits", 0), SharedMeters(tmp_path / "limits", 1)
    first, second = Access({}, meters=one), Access({}, meters=two)
    key = Key(caller=CALLER, requests_per_minute=3, tokens_per_minute=100, parallel=2)

    grant = first.admit(key)
    second.admit(key)
    with pytest.raises(QuotaExceeded, match="at work"):
        first.admit(key)
    grant.release(100)
    with pytest.raises(QuotaExceeded, match="100 tokens"):
        second.admit(key)
    other = Key(caller=Caller(key_id="key_2"), requests_per_minute=1)
    assert second.admit(other).key is other

    one.free(1)  # the second is dead: what it had at work is at work no more
    meter = one.take("key_1")
    assert (meter.at_work, meter.elsewhere, meter.minute.requests) == (0, 0, 2)
    one.put(meter)
    one.close()
    two.close()


def test_more_keys_than_slots_share_and_are_never_looser(tmp_path: Path) -> None:
    meters = SharedMeters(tmp_path / "limits", 0, slots=4)
    access = Access({}, meters=meters)
    admitted = 0
    for number in range(40):
        key = Key(caller=Caller(key_id=f"key_{number}"), requests_per_minute=1)
        try:
            access.admit(key)
            admitted += 1
        except QuotaExceeded:
            pass
    assert admitted == 4
    meters.close()


_RACER = """
import sys
from pathlib import Path
from greenroom.errors import QuotaExceeded
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.gateway.keys import Key
from greenroom.gateway.meters import SharedMeters
meters = SharedMeters(Path(sys.argv[1]), int(sys.argv[2]))
access = Access({}, meters=meters)
keys = [Key(caller=Caller(key_id=f"key_{n}"), requests_per_minute=500, tokens_per_minute=10**9) for n in range(3)]
sys.stdin.readline()
admitted = [0, 0, 0]
for turn in range(900):
    try:
        access.admit(keys[turn % 3]).release(3)
        admitted[turn % 3] += 1
    except QuotaExceeded:
        pass
print(*admitted)
"""


@pytest.mark.slow
def test_four_processes_admit_exactly_what_the_limit_says(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
            cwd=Path(__file__).parent.parent.parent,
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    counts = [[int(count) for count in racer.communicate(timeout=30)[0].split()] for racer in racers]

    assert [sum(column) for column in zip(*counts, strict=True)] == [500, 500, 500]
    meters = SharedMeters(path, 0)
    meter = meters.take("key_0")
    assert (meter.minute.requests, meter.minute.tokens, meter.elsewhere + meter.at_work) == (500, 1500, 0)
    meters.put(meter)
    meters.close()
