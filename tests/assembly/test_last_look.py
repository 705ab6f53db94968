"""A clock that is set forward erases nothing before it has stood for a day; who runs seldom still erases."""

import time
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.last_look import FILE, LastLook, look, next_look
from greenroom.assembly.retaining import let_go_in_time
from greenroom.store.listing import TraceFilter
from tests.store.exchanges import entry_of, make_exchange

DAY, HOUR = 86_400_000_000_000, 3_600_000_000_000
NOW = 20_000 * DAY


def believed(*moments: int) -> list[bool]:
    """Whether the clock is believed at looks at these moments, after one that was."""
    last, found = LastLook(at_ns=NOW), []
    for moment in moments:
        last = next_look(last, moment)
        found.append(last.doubted_ns is None)
    return found


@pytest.mark.parametrize(
    ("moments", "told"),
    [
        pytest.param([NOW + DAY, NOW + 2 * DAY], [True, True], id="day by day"),
        pytest.param([NOW + DAY - HOUR, NOW + DAY - HOUR], [True, True], id="an hour back"),
        pytest.param([NOW + 9 * DAY, NOW + 10 * DAY - 1, NOW + 10 * DAY], [False, False, True], id="forward"),
        pytest.param([NOW + 9 * DAY, NOW + HOUR, NOW + DAY + HOUR], [False, False, True], id="put right"),
        pytest.param([NOW - 9 * DAY, NOW - 8 * DAY], [False, True], id="back"),
        pytest.param([NOW + 7 * DAY, NOW + 14 * DAY, NOW + 21 * DAY], [False, True, False], id="weekly"),
    ],
)
def test_a_clock_is_believed_that_goes_on_or_has_stood_for_a_day(
    moments: list[int], told: list[bool]
) -> None:
    assert believed(*moments) == told


def test_nothing_is_erased_by_a_clock_that_jumped_until_a_day_later(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    now = time.time_ns()
    house.traces.write([entry_of(make_exchange("old", created_ns=now - 31 * DAY))])
    (house.folder() / FILE).write_text(f'{{"at_ns": {now - 9 * DAY}}}')

    first = let_go_in_time(house, now)
    kept = len(house.traces.list(TraceFilter()).rows)
    second = let_go_in_time(house, now + DAY)

    assert (first, kept) == (False, 1)
    assert (second, house.traces.list(TraceFilter()).rows) == (True, [])
    house.stop()


@pytest.mark.parametrize("content", [b"", b"x", b'{"at_ns": "soon"}', b"\xff"])
def test_where_no_look_is_known_the_clock_is_doubted_for_a_day(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    assert look(tmp_path, NOW).doubted_ns == NOW
    assert look(tmp_path, NOW + DAY).doubted_ns is None
