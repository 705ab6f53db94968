"""FAULTS A on whole answers: what providers do to us, and what a client then sees. Streams: test_stream_faults.py."""

import asyncio
import json
import socket

import pytest
import zstandard

from greenroom.exchange import Exchange
from tests.faults.recipes import (
    Fin,
    Head,
    Recipe,
    Reset,
    Send,
    Stall,
    bomb,
    compressed,
    error,
    openai_reply,
    recipe,
    whole,
)
from tests.faults.room import Room, code_of
from tests.faults.upstream import FaultUpstream, Unaccepting

JSON = (("Content-Type", "application/json"),)


async def outcome_of(room: Room, count: int = 1) -> Exchange:
    """The kept record, after the invariants that hold for every case."""
    exchange = await room.kept.next(count)
    assert len(room.kept.exchanges) == count
    await asyncio.sleep(0.02)
    assert room.pool.in_use == 0
    assert room.gateway.at_work == 0
    return exchange


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "255.255.255.255"], ids=["refused", "no such place"])
async def test_a1_a_host_that_is_not_there_is_passed_over_at_once(upstream: FaultUpstream, host: str) -> None:
    async with Room([f"http://{host}:{closed_port()}/v1", upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 200
    assert [attempt.error for attempt in exchange.attempts] == ["upstream_unreachable", None]
    assert exchange.attempts[0].ns < 100_000_000
    assert exchange.target == "p1/m"


async def test_a1_with_no_target_left_the_client_gets_a_502_that_names_it_without_address() -> None:
    port = closed_port()
    async with Room([f"http://127.0.0.1:{port}/v1"]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 502
    assert code_of(answer) == "upstream_unreachable"
    assert b"p0/m" in answer.body
    assert str(port).encode() not in answer.body
    assert answer.header("x-request-id") == exchange.id
    assert exchange.outcome == "failed"


@pytest.mark.slow
async def test_a9_with_no_target_left_silence_is_a_504(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(Stall()))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 504
    assert code_of(answer) == "upstream_timeout"
    assert b"p0/m" in answer.body
    assert exchange.outcome == "failed"


@pytest.mark.slow
async def test_a4_a_connect_that_hangs_ends_in_time_and_the_next_target_answers(
    upstream: FaultUpstream,
) -> None:
    async with Unaccepting() as deaf, Room([f"http://127.0.0.1:{deaf.port}/v1", upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 200
    assert exchange.attempts[0].error == "upstream_timeout"


@pytest.mark.parametrize("ending", [Fin(), Reset()], ids=["fin", "reset"])
async def test_a5_a_reused_connection_that_dies_at_once_is_replaced_silently(
    upstream: FaultUpstream, ending: Fin | Reset
) -> None:
    upstream.script("m", whole(openai_reply()), recipe(ending), whole(openai_reply("again")))
    async with Room([upstream.base_url]) as room:
        await room.ask()
        answer = await room.ask()
        exchange = await outcome_of(room, 2)

    assert answer.status == 200
    assert b"again" in answer.body
    assert [attempt.error for attempt in exchange.attempts] == [None]


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(Send(b"HTTP/1.1 2"), id="in the status line"),
        pytest.param(Head(headers=JSON, framing="500"), id="after the headers"),
    ],
)
@pytest.mark.parametrize("ending", [Fin(), Reset()], ids=["fin", "reset"])
async def test_a5_once_a_byte_came_a_reused_connection_is_not_tried_again_silently(
    upstream: FaultUpstream, begun: Send | Head, ending: Fin | Reset
) -> None:
    upstream.script("m", whole(openai_reply()), recipe(begun, ending), whole(openai_reply("again")))
    async with Room([upstream.base_url]) as room:
        await room.ask()
        answer = await room.ask()
        exchange = await outcome_of(room, 2)

    assert answer.status == 502
    assert [attempt.error for attempt in exchange.attempts] == ["upstream_disconnected"]
    assert len(upstream.requests) == 2


CUT_BODY = recipe(Head(headers=JSON, framing="500"), Send(b'{"id":'), Reset())


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(CUT_BODY, "upstream_disconnected", id="A6 reset after the headers"),
        pytest.param(
            recipe(Fin()), "upstream_disconnected", id="A5 closed before any byte, fresh connection"
        ),
        pytest.param(
            recipe(Head(headers=JSON, framing="500"), Fin()),
            "upstream_disconnected",
            id="A6 end after the headers",
        ),
        pytest.param(
            whole(openai_reply(), announced=9000),
            "upstream_timeout",
            id="A17 content-length too long, silence",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            recipe(*whole(openai_reply(), announced=9000).actions, Fin()),
            "upstream_disconnected",
            id="A17 content-length too long, end",
        ),
        pytest.param(
            whole(openai_reply(), announced=20), "upstream_protocol", id="A17 content-length too short"
        ),
        pytest.param(recipe(Stall()), "upstream_timeout", id="A9 nothing comes", marks=pytest.mark.slow),
        pytest.param(
            recipe(Head(headers=JSON, framing="500"), Stall()),
            "upstream_timeout",
            id="A9 headers, then silence",
            marks=pytest.mark.slow,
        ),
        pytest.param(whole(b"<html>", content_type="text/html"), "upstream_protocol", id="A14 html"),
        pytest.param(whole(b""), "upstream_protocol", id="A14 empty"),
        pytest.param(whole(b'{"choices": ['), "upstream_protocol", id="A14 broken json"),
        pytest.param(whole(b'{"choices": [], "usage": NaN}'), "upstream_protocol", id="A14 NaN"),
        pytest.param(whole(b"[" * 1_000_000), "upstream_protocol", id="A14 nested"),
        pytest.param(whole(b'{"error": {"message": "no"}}'), "upstream_error", id="A14 an error in a 200"),
        pytest.param(whole(b"[1]"), "upstream_protocol", id="A14 a list"),
        pytest.param(whole(b'{"choices": []}'), "upstream_protocol", id="A14 no choice"),
        pytest.param(
            whole(openai_reply().replace(b'"content"', b'"content": "unseen", "content"')),
            "upstream_protocol",
            id="A14 content twice",
        ),
        pytest.param(
            whole(openai_reply().replace(b"Good", b"\xff")), "upstream_protocol", id="A14 not UTF-8"
        ),
        pytest.param(compressed(openai_reply(), broken=True), "upstream_protocol", id="A16 wrong checksum"),
        pytest.param(whole(b"x", headers=[("Content-Encoding", "br")]), "upstream_protocol", id="A16 brotli"),
        pytest.param(
            whole(zstandard.compress(openai_reply())[:-4], headers=[("Content-Encoding", "zstd")]),
            "upstream_protocol",
            id="A16 zstd cut short",
        ),
        pytest.param(bomb(80_000_000), "upstream_protocol", id="A16 bomb"),
        pytest.param(whole(b"", status=204, reason="No Content"), "upstream_protocol", id="A17 204"),
        pytest.param(
            whole(
                b"",
                status=101,
                reason="Switching Protocols",
                headers=[("Upgrade", "x"), ("Connection", "upgrade")],
            ),
            "upstream_protocol",
            id="A17 101",
        ),
        pytest.param(
            whole(openai_reply(), headers=[(f"X-{n}", "v") for n in range(1000)]),
            "upstream_protocol",
            id="A18 headers",
        ),
        pytest.param(
            whole(openai_reply(), headers=[("X-Big", "v" * 1_000_000)]), "upstream_protocol", id="A18 1 MB"
        ),
        pytest.param(recipe(Send(b"SSH-2.0-OpenSSH\r\n"), Stall()), "upstream_protocol", id="A14 not http"),
        pytest.param(error(500), "upstream_error", id="A12 500"),
        pytest.param(error(401), "upstream_auth", id="A13 our key is not accepted"),
    ],
)
async def test_a_fault_before_the_first_content_falls_back(
    upstream: FaultUpstream, bad: Recipe, code: str
) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", bad)
        good.script("m", whole(openai_reply("from the second")))
        async with Room([upstream.base_url, good.base_url]) as room:
            answer = await room.ask()
            exchange = await outcome_of(room)

    assert answer.status == 200
    assert b"from the second" in answer.body
    assert exchange.attempts[0].error == code or code == "upstream_error"
    assert exchange.attempts[0].error is not None
    assert exchange.outcome == "answered"


PACKED = openai_reply("packed")


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(compressed(PACKED), id="gzip"),
        pytest.param(compressed(PACKED, "deflate"), id="deflate"),
        pytest.param(whole(zstandard.compress(PACKED), headers=[("Content-Encoding", "zstd")]), id="zstd"),
    ],
)
async def test_a16_a_compressed_answer_that_nobody_asked_for_is_read(
    upstream: FaultUpstream, packed: Recipe
) -> None:
    upstream.script("m", packed)
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert b"packed" in answer.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a17_a_redirect_is_never_followed_with_the_key(upstream: FaultUpstream, status: int) -> None:
    async with FaultUpstream() as thief:
        to = [("Location", f"{thief.base_url}/chat/completions")]
        upstream.script("m", whole(b"", status=status, reason="Elsewhere", headers=to))
        async with Room([upstream.base_url]) as room:
            answer = await room.ask()
            await outcome_of(room)

        assert thief.log.events == []
    assert answer.status == 502
    assert code_of(answer) == "upstream_protocol"


async def test_a17_bytes_after_an_answer_are_never_taken_for_the_next_one(upstream: FaultUpstream) -> None:
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    upstream.script("m", recipe(*whole(openai_reply()).actions, Send(forged)), whole(openai_reply("second")))
    async with Room([upstream.base_url]) as room:
        await room.ask()
        answer = await room.ask()
        await outcome_of(room, 2)

    assert b"second" in answer.body
    assert len({event.connection for event in upstream.log.of("received")}) == 2


async def test_a17_an_answer_that_ends_with_its_connection_is_whole(upstream: FaultUpstream) -> None:
    head = Head(headers=JSON, framing="close", version="HTTP/1.0")
    upstream.script("m", recipe(head, Send(openai_reply("closed")), Fin()))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert b"closed" in answer.body


async def test_a17_informational_answers_are_passed_over(upstream: FaultUpstream) -> None:
    upstream.script(
        "m",
        Recipe((Send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), *whole(openai_reply("late")).actions)),
    )
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert b"late" in answer.body


async def test_a13_the_providers_400_reaches_the_client_with_its_message(upstream: FaultUpstream) -> None:
    upstream.script("m", error(400, "temperature is too high", code="unsupported_value"))
    async with Room([upstream.base_url, upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 400
    assert b"temperature is too high" in answer.body
    assert code_of(answer) == "unsupported_value"
    assert len(exchange.attempts) == 1


async def test_a13_our_key_refused_is_never_the_clients_401(upstream: FaultUpstream) -> None:
    upstream.script("m", error(401, "Incorrect API key provided: sk-secret-canary"))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert answer.status == 502
    assert code_of(answer) == "upstream_auth"
    assert b"canary" not in answer.body


async def test_a18_headers_of_the_provider_are_not_copied(upstream: FaultUpstream) -> None:
    upstream.script("m", whole(openai_reply(), headers=[("Set-Cookie", "a=b"), ("X-Internal", "host7")]))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()

    assert answer.header("set-cookie") is None
    assert answer.header("x-internal") is None


async def test_a19_usage_that_is_missing_is_counted_by_us_and_marked(upstream: FaultUpstream) -> None:
    body = json.loads(openai_reply())
    del body["usage"]
    upstream.script("m", whole(json.dumps(body).encode()))
    async with Room([upstream.base_url]) as room:
        await room.ask()
        exchange = await outcome_of(room)

    assert exchange.usage is not None
    assert exchange.usage.estimated
    assert exchange.usage.output_tokens > 0


async def test_i6_the_key_of_the_provider_is_in_no_answer_and_no_record(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert upstream.requests[0].header("authorization") == "Bearer sk-secret-canary"
    assert b"canary" not in answer.body
    assert "canary" not in repr(exchange)
