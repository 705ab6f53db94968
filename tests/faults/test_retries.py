"""FAULTS A11, A12, A22: who is asked again, when, and what it costs; places, hedges and the one deadline."""

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest
import pytest_asyncio

from greenroom.models.dispatch import Patience
from greenroom.models.health import TOO_MANY
from tests.faults.recipes import (
    Fin,
    Head,
    Recipe,
    Stall,
    Wait,
    error,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import Room, code_of, works
from tests.faults.upstream import FaultUpstream

ONCE_MORE = Patience(retries=1, wait_s=0.5)
FINE = whole(openai_reply())


@pytest_asyncio.fixture
async def other() -> AsyncIterator[FaultUpstream]:
    """A second provider."""
    async with FaultUpstream() as server:
        yield server


def errors(room: Room) -> list[str | None]:
    return [one.error for one in room.kept.exchanges[-1].attempts]


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a12_a_failure_that_passes_is_tried_once_more_at_the_same_target(
    upstream: FaultUpstream, status: int, stream: bool
) -> None:
    upstream.script("m", error(status), streamed(openai_events()) if stream else FINE)
    async with Room([upstream.base_url], patience=ONCE_MORE) as room:
        answer = await room.ask(stream=stream)
        exchange = await room.kept.next()

    assert answer.status == 200
    assert [(one.target, one.status) for one in exchange.attempts] == [("p0/m", status), ("p0/m", 200)]


async def test_a12_when_it_does_not_pass_the_next_target_is_asked(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", error(500))
    async with Room([upstream.base_url, other.base_url], patience=ONCE_MORE) as room:
        answer = await room.ask()
        exchange = await room.kept.next()

    assert answer.status == 200
    assert [one.target for one in exchange.attempts] == ["p0/m", "p0/m", "p1/m"]


async def test_a12_retries_never_add_more_than_a_tenth(upstream: FaultUpstream) -> None:
    upstream.script("m", error(400 + 9))
    async with Room([upstream.base_url], patience=ONCE_MORE) as room:
        for _ in range(30):
            await room.ask()

    assert 30 < len(upstream.asked("m")) <= 30 + 10 + 3


async def test_a6_a_connection_that_dies_before_content_is_tried_once_more(upstream: FaultUpstream) -> None:
    head = Head(headers=(("Content-Type", "application/json"),), framing="500")
    upstream.script("m", recipe(head, Fin()), FINE)
    async with Room([upstream.base_url], patience=ONCE_MORE) as room:
        answer = await room.ask()
        await room.kept.next()

        assert answer.status == 200
        assert errors(room) == ["upstream_disconnected", None]


def limited(*headers: tuple[str, str]) -> Recipe:
    return error(429, headers=headers)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        (limited(("Retry-After", "7")), 7, 8),
        (limited(("retry-after-ms", "6500")), 7, 7),
        (limited(("Retry-After", "7"), ("retry-after-ms", "20")), 0, 1),
        (limited(("Retry-After", "date")), 6, 8),
        (limited(), 1, 2),
        (limited(("Retry-After", "soon")), 1, 2),
        (limited(("retry-after-ms", "inf")), 86_400, 86_401),
        (limited(("Retry-After", "9" * 400)), 86_400, 86_401),
    ],
    ids=["seconds", "milliseconds", "both", "date", "nothing", "nonsense", "never", "not soon"],
)
async def test_a11_with_no_other_target_the_client_is_told_how_long_to_wait(
    upstream: FaultUpstream, said: Recipe, least: int, most: int
) -> None:
    head = said.actions[0]
    assert isinstance(head, Head)
    if ("Retry-After", "date") in head.headers:
        said = limited(("Retry-After", formatdate(time.time() + 8, usegmt=True)))
    upstream.script("m", said)
    async with Room([upstream.base_url], patience=Patience(retries=1, wait_s=0.0)) as room:
        answer = await room.ask()

    assert answer.status == 429
    assert least <= int(answer.header("retry-after") or -1) <= most
    assert len(upstream.asked("m")) == 1


async def test_a11_another_target_is_asked_before_anyone_waits(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", limited(("Retry-After", "60")))
    async with Room([upstream.base_url, other.base_url], patience=ONCE_MORE) as room:
        began = time.monotonic()
        answer = await room.ask()

        assert answer.status == 200
        assert time.monotonic() - began < 2
        assert errors(room) == ["upstream_error", None]


async def test_a11_a_short_wait_is_waited_for_where_no_other_target_is_left(upstream: FaultUpstream) -> None:
    upstream.script("m", limited(("retry-after-ms", "200")), FINE)
    async with Room([upstream.base_url], patience=ONCE_MORE) as room:
        began = time.monotonic()
        answer = await room.ask()

    assert answer.status == 200
    assert time.monotonic() - began >= 0.2


async def test_a11_of_several_waits_the_smallest_is_told(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", limited(("Retry-After", "9")))
    other.script("m", limited(("Retry-After", "40")))
    async with Room([upstream.base_url, other.base_url], patience=ONCE_MORE) as room:
        answer = await room.ask()

    assert answer.status == 429
    assert int(answer.header("retry-after") or 0) in {9, 10}


async def test_a22_a_flapping_target_is_left_alone_and_said_so(upstream: FaultUpstream) -> None:
    upstream.script("m", error(500))
    async with Room([upstream.base_url]) as room:
        for _ in range(TOO_MANY):
            await room.ask()
        answer = await room.ask()
        await room.kept.next(TOO_MANY + 1)

        assert answer.status == 503
        assert code_of(answer) == "upstream_unavailable"
        assert answer.header("retry-after") is not None
        assert errors(room) == ["circuit_open"]
        assert len(upstream.asked("m")) == TOO_MANY

        health = room.healths.of("p0/m")
        health.open_until = asyncio.get_running_loop().time() - 1
        upstream.script("m", recipe(Wait(0.3), *FINE.actions))
        answers = await asyncio.gather(*(room.ask() for _ in range(8)))
        assert sorted(one.status for one in answers) == [200, *[503] * 7]
        assert len(upstream.asked("m")) == TOO_MANY + 1
        assert await works(room)


async def test_a22_streams_that_break_after_their_content_count_as_well(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(finish=None, usage=False, done=False)))
    async with Room([upstream.base_url]) as room:
        for _ in range(TOO_MANY):
            assert (await room.ask(stream=True)).status == 200
        answer = await room.ask(stream=True)

    assert answer.status == 503


async def test_a22_the_callers_faults_do_not_open_the_breaker(upstream: FaultUpstream) -> None:
    upstream.script("m", *[error(400)] * (2 * TOO_MANY), FINE)
    async with Room([upstream.base_url]) as room:
        for _ in range(2 * TOO_MANY):
            assert (await room.ask()).status == 400
        assert await works(room)


# places


async def test_no_more_calls_are_at_work_than_may_be_and_the_rest_wait_for_a_place(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", recipe(Wait(0.1), *FINE.actions))
    async with Room([upstream.base_url], parallel=2, patience=Patience(queue_s=5.0)) as room:
        answers = await asyncio.gather(*(room.ask() for _ in range(8)))

        assert [one.status for one in answers] == [200] * 8
        assert upstream.most_at_once == 2
        assert room.healths.of("p0/m", 2).at_work == 0


async def test_who_waits_too_long_for_a_place_is_told_to_come_back(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(Wait(0.8), *FINE.actions))
    async with Room([upstream.base_url], parallel=1, patience=Patience(queue_s=0.1)) as room:
        answers = await asyncio.gather(*(room.ask() for _ in range(3)))

    assert sorted(one.status for one in answers) == [200, 503, 503]
    shed = next(one for one in answers if one.status == 503)
    assert code_of(shed) == "overloaded"
    assert shed.header("retry-after") is not None


async def test_who_leaves_the_queue_gives_its_place_to_the_next(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(Wait(0.3), *FINE.actions))
    async with Room([upstream.base_url], parallel=1, patience=Patience(queue_s=3.0)) as room:
        first = asyncio.create_task(room.ask())
        await asyncio.sleep(0.1)
        leaving = asyncio.create_task(room.ask())
        await asyncio.sleep(0.05)
        last = asyncio.create_task(room.ask())
        await asyncio.sleep(0.05)
        leaving.cancel()

        assert (await first).status == 200
        assert (await last).status == 200
        assert room.healths.of("p0/m", 1).at_work == 0


async def test_a_full_target_is_passed_over_where_there_is_another(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", recipe(Wait(0.4), *FINE.actions))
    async with Room([upstream.base_url, other.base_url], parallel=1) as room:
        slow = asyncio.create_task(room.ask())
        await asyncio.sleep(0.1)
        answer = await room.ask()

        assert answer.status == 200
        assert errors(room) == ["no_place", None]
        assert (await slow).status == 200


# hedges


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_slow_target_is_hedged_and_the_loser_is_left_and_billed(
    upstream: FaultUpstream, other: FaultUpstream, stream: bool
) -> None:
    upstream.script("m", recipe(Stall()))
    async with Room([upstream.base_url, other.base_url], patience=Patience(hedge_s=0.1)) as room:
        answer = await room.ask(stream=stream)
        exchange = await room.kept.next()
        await asyncio.sleep(0.1)

        assert answer.status == 200
        assert exchange.target == "p1/m"
        assert [one.error for one in exchange.attempts] == ["hedge_lost", None]
        lost = exchange.attempts[0].usage
        assert lost is not None
        assert lost.input_tokens > 0
        assert upstream.open_connections == 0
        assert room.pool.in_use == 0
        assert room.healths.of("p0/m").at_work == 0


async def test_the_first_may_still_win_and_a_quick_one_is_not_hedged(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", FINE, recipe(Wait(0.3), *FINE.actions))
    other.script("m", recipe(Stall()))
    async with Room([upstream.base_url, other.base_url], patience=Patience(hedge_s=0.15)) as room:
        await room.ask()
        await room.kept.next()
        assert errors(room) == [None]
        answer = await room.ask()
        exchange = await room.kept.next(2)

        assert answer.status == 200
        assert exchange.target == "p0/m"
        assert errors(room) == [None, "hedge_lost"]


async def test_a_hedge_whose_both_calls_fail_tells_the_last_failure(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    upstream.script("m", recipe(Wait(0.3), *error(500).actions))
    other.script("m", error(503))
    patience = Patience(retries=0, hedge_s=0.1)
    async with Room([upstream.base_url, other.base_url], patience=patience) as room:
        answer = await room.ask()

    assert answer.status == 500


async def test_who_leaves_takes_both_calls_of_a_hedge_along(
    upstream: FaultUpstream, other: FaultUpstream
) -> None:
    for one in (upstream, other):
        one.script("m", recipe(Stall()))
    async with Room([upstream.base_url, other.base_url], patience=Patience(hedge_s=0.05)) as room:
        asking = asyncio.create_task(room.ask())
        await asyncio.sleep(0.3)
        asking.cancel()
        exchange = await room.kept.next()
        await asyncio.sleep(0.1)

        assert exchange.status == 499
        assert room.pool.in_use == 0
        assert upstream.open_connections == other.open_connections == 0


# one deadline


async def test_one_deadline_holds_over_all_attempts(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(Wait(0.7), *error(500).actions))
    patience = Patience(retries=5)
    async with Room([upstream.base_url] * 4, patience=patience, total_s=2.0) as room:
        began = time.monotonic()
        answer = await room.ask()

        assert answer.status in {500, 504}
        assert time.monotonic() - began < 2.6
