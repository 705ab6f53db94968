"""What an answer means for its line, and how many lines are asked beside live requests."""

import asyncio
import json

import pytest

from greenroom.offline.batches.answer import Answer
from greenroom.offline.batches.pace import Pace


def answer(status: int, code: str | None, headers: bytes = b"") -> Answer:
    body = {"error": {"code": code, "message": "No."}} if status >= 400 else {}
    return Answer(status, json.dumps(body).encode(), headers)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (answer(200, None), "done"),
        (answer(400, "invalid_request"), "done"),
        (answer(404, "model_not_found"), "done"),
        (answer(429, "rate_limit_exceeded", b"retry-after-ms: 1500\r\n"), "wait"),
        (answer(429, "insufficient_quota", b"x-should-retry: false\r\n"), "budget"),
        (answer(429, "insufficient_quota"), "again"),
        (answer(503, "overloaded"), "wait"),
        (answer(503, "upstream_unavailable"), "wait"),
        (answer(502, "upstream_auth"), "done"),
        (answer(500, "internal_error"), "done"),
        (answer(500, "store_error"), "again"),
        (answer(504, "upstream_timeout"), "again"),
        (answer(529, None), "again"),
        (Answer(502, b"<html>", b""), "again"),
    ],
)
def test_what_is_done_with_an_answer(given: Answer, verdict: str) -> None:
    assert given.verdict == verdict


def test_costs_and_waits_are_read_from_the_head() -> None:
    head = b"x-greenroom-cost-usd: 0.000000001\r\nretry-after: 3\r\nretry-after-ms: 2500\r\n"

    assert Answer(200, b"{}", head).cost_nano == 1
    assert Answer(429, b"{}", head).wait_s == 2.5
    assert Answer(200, b"{}", b"").cost_nano is None
    assert Answer(429, b"{}", b"retry-after: 3\r\n").wait_s == 3


@pytest.mark.parametrize(("live", "places"), [(0, 8), (1, 8), (20, 7), (50, 4), (98, 1), (100, 0), (200, 0)])
def test_the_more_live_requests_the_fewer_lines(live: int, places: int) -> None:
    assert Pace(lambda: live, lambda: 200, lambda: 8).places == places


async def test_lines_wait_for_live_requests_to_end() -> None:
    live = 100
    pace = Pace(lambda: live + pace._at_work, lambda: 200, lambda: 8)
    order: list[int] = []

    async def one(number: int) -> None:
        async with pace.place():
            order.append(number)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
        await asyncio.sleep(0.1)
        assert order == []
        live = 0

    assert order == list(range(20))
