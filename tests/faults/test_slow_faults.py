"""FAULTS A2, A10, A21: names that are slow or unknown, answers byte by byte, answers before the question's end."""

import asyncio
import json
import socket
import threading
import time

import pytest

from greenroom.models.names import Names
from greenroom.models.pool import Pool
from tests.faults.rawclient import Answer, chat_bytes
from tests.faults.recipes import (
    Action,
    Chunk,
    Drip,
    Fin,
    Head,
    Recipe,
    Reset,
    Send,
    Stall,
    Wait,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import KEY, Room, code_of
from tests.faults.upstream import FaultUpstream

JSON = (("Content-Type", "application/json"),)
SSE = Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked")
START = openai_events(("So", " far"), finish=None, done=False, usage=False)


def url_of(upstream: FaultUpstream, host: str) -> str:
    return f"http://{host}:{upstream.port}/v1"


class NameServer:
    """Names of the tests: some are known, one is unknown, one is never answered for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host == "hangs.test":
            self.release.wait(5)
        if host != "known.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ["127.0.0.1"]

    def pool(self) -> Pool:
        return Pool(names=Names(self))


async def test_a2_a_name_that_is_unknown_is_the_next_targets_turn_and_at_the_end_a_502(
    upstream: FaultUpstream,
) -> None:
    names = NameServer()
    bad, good = url_of(upstream, "unknown.test"), url_of(upstream, "known.test")
    async with Room([bad, good], pool=names.pool()) as room:
        answer = await room.ask()
        exchange = await room.kept.next()
    async with Room([bad], pool=names.pool()) as room:
        failed = await room.ask()

    assert answer.status == 200
    assert [one.error for one in exchange.attempts] == ["upstream_unreachable", None]
    assert (failed.status, code_of(failed)) == (502, "upstream_unreachable")
    assert b"unknown.test" not in failed.body


async def test_a2_a_name_that_is_not_answered_ends_in_time_and_holds_nobody_else_up(
    upstream: FaultUpstream,
) -> None:
    names = NameServer()
    hangs, good = url_of(upstream, "hangs.test"), url_of(upstream, "known.test")
    try:
        async with Room([hangs, good], pool=names.pool()) as room:
            began = time.monotonic()
            asking = [asyncio.create_task(room.ask()) for _ in range(12)]
            loop_waits = []
            while not all(one.done() for one in asking):
                at = time.monotonic()
                await asyncio.sleep(0.005)
                loop_waits.append(time.monotonic() - at)
            answers = [one.result() for one in asking]
            took = time.monotonic() - began

            assert [one.status for one in answers] == [200] * 12
            assert room.kept.exchanges[0].attempts[0].error == "upstream_timeout"
        assert took < 2.5
        assert max(loop_waits) < 0.4
        assert names.asked.count("hangs.test") == 1  # twelve wait for one answer
        assert names.asked.count("known.test") == 1
    finally:
        names.release.set()


async def test_a2_an_address_that_was_known_counts_while_names_are_not_answered() -> None:
    now_fails = threading.Event()

    def lookup(host: str) -> list[str]:
        if now_fails.is_set():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.1"]

    names = Names(lookup)
    first = await names.addresses("known.test")
    now_fails.set()
    names._known["known.test"] = names._known["known.test"]._replace(until=0.0)

    assert await names.addresses("known.test") == first == ("127.0.0.1",)
    with pytest.raises(OSError, match="Temporary"):
        await names.addresses("other.test")


async def test_a2_the_next_address_of_a_name_is_tried_where_the_first_refuses(
    upstream: FaultUpstream,
) -> None:
    names = Names(lambda _: ["127.0.0.9", "127.0.0.1"])
    async with Room([url_of(upstream, "two.test")], pool=Pool(names=names)) as room:
        answer = await room.ask()

    assert answer.status == 200


# who sends byte by byte


def dripped(data: bytes) -> list[Chunk | Wait]:
    """A chunk a byte, fifty a second."""
    return [one for byte in data for one in (Chunk(b"%c" % byte), Wait(0.02))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(recipe(Drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 99, 0.02)), id="A10 its head"),
        pytest.param(
            recipe(Head(headers=JSON, framing="9999"), Drip(openai_reply() + b" " * 9_000, 0.02)),
            id="A10 its body",
        ),
        pytest.param(
            recipe(Head(headers=JSON, framing="chunked"), *dripped(b"x" * 400)),
            id="A10 its body in chunks of a byte",
        ),
    ],
)
async def test_a10_who_answers_byte_by_byte_is_left_for_the_next_target(
    upstream: FaultUpstream, slow: Recipe
) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", slow)
        async with Room([upstream.base_url, good.base_url]) as room:
            began = time.monotonic()
            answer = await room.ask()
            exchange = await room.kept.next()
            took = time.monotonic() - began

    assert answer.status == 200
    assert [one.error for one in exchange.attempts] == ["upstream_timeout", None]
    assert took < 2.5


@pytest.mark.slow
async def test_a10_a_stream_that_drips_before_its_content_falls_back(upstream: FaultUpstream) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", recipe(SSE, *dripped(START[0])))
        async with Room([upstream.base_url, good.base_url]) as room:
            answer = await room.ask(stream=True)
            exchange = await room.kept.next()

    assert answer.events()[-1] == b"[DONE]"
    assert exchange.target == "p1/m"


@pytest.mark.slow
async def test_a10_a_stream_that_drips_after_its_content_ends_with_an_error_in_band(
    upstream: FaultUpstream,
) -> None:
    upstream.script(
        "m",
        recipe(SSE, *map(Chunk, START), *dripped(openai_events(("x" * 400,), done=False)[0])),
    )
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        exchange = await room.kept.next()

    assert json.loads(answer.events()[-1])["error"]["code"] == "upstream_timeout"
    assert exchange.outcome == "failed"


@pytest.mark.slow
async def test_a10_the_whole_call_has_a_limit_however_busy_its_stream_is(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(["word "] * 500), pace_s=0.02))
    async with Room([upstream.base_url], total_s=1.0) as room:
        began = time.monotonic()
        answer = await room.ask(stream=True)
        took = time.monotonic() - began

    assert json.loads(answer.events()[-1])["error"]["code"] == "upstream_timeout"
    assert 0.9 < took < 2.0


@pytest.mark.slow
async def test_a10_a_slow_answer_that_keeps_a_fair_rate_is_waited_for(upstream: FaultUpstream) -> None:
    body = openai_reply("x" * 12_000)
    upstream.script("m", recipe(Head(headers=JSON, framing=str(len(body))), Drip(body, 0.1, 600)))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert answer.status == 200  # it took three times what a silent provider is given


# who answers before the question is whole


LARGE = "x" * 6_000_000


async def ask_much(room: Room) -> Answer:
    async with room.client(timeout_s=8.0) as client:
        await client.send(chat_bytes("m", LARGE, key=KEY))
        return await client.answer()


def refusal(*then: Action, framing: str = "") -> Recipe:
    body = b'{"error": {"message": "much too long", "type": "invalid_request_error", "code": "too_long"}}'
    head = Head(413, "Too Large", JSON, framing=framing or str(len(body)))
    return recipe(head, Send(body), *then, early=True)


@pytest.mark.parametrize(
    "early",
    [
        pytest.param(refusal(Fin()), id="A21 and closes"),
        pytest.param(refusal(Wait(0.05), Reset()), id="A21 and resets"),
        pytest.param(refusal(Fin(), framing="close"), id="A21 and the close is its end"),
    ],
)
async def test_a21_an_answer_given_while_the_body_is_still_sent_is_read(
    upstream: FaultUpstream, early: Recipe
) -> None:
    upstream.script("m", early)
    async with Room([upstream.base_url]) as room:
        answer = await ask_much(room)
        exchange = await room.kept.next()

    assert answer.status == 413
    assert b"much too long" in answer.body or early.actions[0].framing == "close"  # type: ignore[union-attr]  # a Head
    assert exchange.attempts[-1].status == 413


@pytest.mark.parametrize("end", [Fin(), Reset()], ids=["A21 closed", "A21 reset"])
async def test_a21_who_closes_in_the_middle_of_the_body_without_a_word_is_left_for_the_next_target(
    upstream: FaultUpstream, end: Fin | Reset
) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", recipe(end, early=True))
        async with Room([upstream.base_url, good.base_url]) as room:
            answer = await ask_much(room)
            exchange = await room.kept.next()

    assert answer.status == 200
    assert exchange.attempts[0].error == "upstream_disconnected"


async def test_a21_a_connection_with_half_a_body_on_it_takes_no_other_request(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", recipe(*refusal().actions, Stall(), early=True), whole(openai_reply()))
    async with Room([upstream.base_url]) as room:
        assert (await ask_much(room)).status == 413
        answer = await room.ask()

        assert answer.status == 200
        assert len({one.connection for one in upstream.log.of("request")}) == 2
