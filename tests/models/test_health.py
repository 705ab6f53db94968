"""Breaker, places and retry budget, with a clock of the test's own."""

import asyncio

import pytest

from greenroom.models.health import FIRST_BREAK_S, LONGEST_BREAK_S, TOO_MANY, Health, Healths, RetryBudget


def broken(now: float = 100.0) -> Health:
    health = Health("p/m")
    for _ in range(TOO_MANY):
        health.failed(now)
    return health


def test_a22_five_failures_of_ten_open_the_breaker() -> None:
    health = Health("p/m")
    for number in range(9):
        if number % 2:
            health.failed(1.0)
        else:
            health.succeeded(1.0, 0.1)
        assert health.may_call(1.0)

    health.failed(1.0)

    assert not health.may_call(1.0)


def test_a22_old_failures_are_forgotten() -> None:
    health = Health("p/m")
    for _ in range(30):
        for _ in range(TOO_MANY - 1):
            health.failed(1.0)
        for _ in range(10):
            health.succeeded(1.0, 0.1)

    assert health.may_call(1.0)


def test_a22_after_the_break_one_probe_goes_out_and_no_herd() -> None:
    health = broken()
    assert not health.may_call(100.0 + 0.8 * FIRST_BREAK_S)
    later = 100.0 + 1.2 * FIRST_BREAK_S
    assert health.may_call(later)
    health.begin(later)

    assert not health.may_call(later)

    health.end()
    health.succeeded(later, 0.2)
    assert health.may_call(later)
    assert health.open_until == 0.0


def test_a22_a_probe_that_fails_doubles_the_break_up_to_a_minute() -> None:
    health, now, breaks = broken(0.0), 0.0, []
    for _ in range(8):
        now = health.open_until
        health.begin(now)
        health.end()
        health.failed(now)
        breaks.append(health.open_until - now)

    assert 1.6 * FIRST_BREAK_S < breaks[0] < 2.4 * FIRST_BREAK_S
    assert all(one <= 1.1 * LONGEST_BREAK_S for one in breaks)
    assert breaks[-1] >= 0.9 * LONGEST_BREAK_S


def test_a_probe_that_is_left_does_not_block_the_next() -> None:
    health = broken(0.0)
    health.begin(health.open_until)
    health.end()
    health.given_up()

    assert health.may_call(health.open_until)


def test_failures_of_calls_begun_before_the_break_do_not_lengthen_it() -> None:
    health = broken(0.0)
    until = health.open_until
    health.failed(1.0)

    assert health.open_until == until


def test_latency_follows_new_calls_and_fades() -> None:
    health = Health("p/m")
    assert health.expected_s(0.0) == 0.0
    for _ in range(50):
        health.succeeded(1.0, 2.0)
    assert health.expected_s(1.0) == pytest.approx(2.0)
    for number in range(50):
        health.succeeded(2.0 + number, 0.5)
    assert health.expected_s(52.0) == pytest.approx(0.5, rel=0.1)
    assert health.expected_s(52.0 + 3600) < 0.1


async def test_a_place_that_is_freed_goes_to_the_first_that_waits() -> None:
    health = Health("p/m", parallel=1)
    health.begin(0.0)
    loop = asyncio.get_running_loop()
    left, first, second = (loop.create_future() for _ in range(3))
    left.cancel()
    health.queue.extend((left, first, second))

    health.end()

    assert first.done()
    assert not second.done()


def test_a_target_keeps_its_health_when_the_configuration_is_read_again() -> None:
    healths = Healths()
    first = healths.of("p/m", 3)
    first.failed(0.0)

    again = healths.of("p/m", 5)

    assert again is first
    assert again.parallel == 5
    assert healths.all() == [first]


def test_retries_are_at_most_a_tenth_of_the_calls() -> None:
    budget = RetryBudget()
    calls, retries = 2000, 0
    for _ in range(calls):
        budget.earn()
        retries += budget.spend()

    assert calls * 0.1 <= retries <= calls * 0.1 + RetryBudget.MOST
