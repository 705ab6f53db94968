"""FAULTS B6–B8, B11, B12 and B14 on real sockets: heads, framing, time and paths of requests."""

import asyncio
from typing import Any

import pytest

from greenroom.server.head import Limits
from tests.faults.rawclient import chat_bytes, request_bytes
from tests.faults.recipes import openai_reply, whole
from tests.faults.room import HEAD, HELLO, KEY, QUICK, Room, code_of, works
from tests.faults.upstream import FaultUpstream


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"".join(b"X-%d: v\r\n" % n for n in range(2000)), 431, id="2000 headers"),
        pytest.param(b"X-Big: " + b"v" * 1_000_000 + b"\r\n", 431, id="1 MB header"),
    ],
)
async def test_b6_a_flood_of_headers_is_refused(upstream: FaultUpstream, head: bytes, status: int) -> None:
    async with Room([upstream.base_url]) as room:
        async with room.client() as client:
            await client.send(HEAD + head + b"\r\n")
            answer = await client.answer()
            assert await client.closed_within(1)
        assert await works(room)

    assert answer.status == status


async def test_b6_a_long_url_is_refused(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = await client.answer()

    assert answer.status == 414


async def test_b7_pipelined_requests_are_answered_in_order(upstream: FaultUpstream) -> None:
    for number in range(30):
        upstream.script(f"m{number}", whole(openai_reply(f"answer {number}")))
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(b"".join(chat_bytes(f"m{number}", key=KEY) for number in range(30)))
        answers = [await client.answer() for _ in range(30)]

    for number, answer in enumerate(answers):
        assert f'"answer {number}"'.encode() in answer.body


BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        pytest.param(HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000, 413, id="length too large"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n%b\r\n" % (b"x" * 0x8000) * 5,
            413,
            id="chunks too large",
        ),
        pytest.param(HEAD + LENGTH + LENGTH + b"\r\n" + BODY, 400, id="ambiguous"),
        pytest.param(b"nonsense\r\n\r\n", 400, id="no HTTP"),
    ],
)
async def test_b7_a_refusal_waits_for_the_answers_before_it(
    upstream: FaultUpstream, refused: bytes, status: int
) -> None:
    for name in ("first", "second"):
        upstream.script(name, whole(openai_reply(f"the {name}")))
    limits = Limits(body_bytes=100_000)
    async with Room([upstream.base_url], limits=limits) as room, room.client() as client:
        await client.send(chat_bytes("first", key=KEY) + chat_bytes("second", key=KEY) + refused)
        answers = [await client.answer() for _ in range(3)]
        assert await client.closed_within(1)
        assert await works(room)

    assert [answer.status for answer in answers] == [200, 200, status]
    assert b"the first" in answers[0].body
    assert b"the second" in answers[1].body
    assert b'"message"' in answers[2].body


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL and TE"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n0\r\n\r\n", id="TE and CL"),
        pytest.param(HEAD + LENGTH + LENGTH + b"\r\n" + BODY, id="two equal CL"),
        pytest.param(HEAD + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY, id="two CL"),
        pytest.param(HEAD + b"Content-Length: 3, 3\r\n\r\nabc", id="CL list"),
        pytest.param(HEAD + b"Content-Length: +3\r\n\r\nabc", id="CL with sign"),
        pytest.param(HEAD + b"Content-Length: -3\r\n\r\nabc", id="CL negative"),
        pytest.param(HEAD + b"Content-Length: 0x3\r\n\r\nabc", id="CL hex"),
        pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="TE xchunked"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="TE gzip, chunked"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="two TE"
        ),
        pytest.param(HEAD + b"X-A: b\r\n folded\r\n" + LENGTH + b"\r\n" + BODY, id="obs-fold"),
        pytest.param(
            HEAD.replace(b"\r\n", b"\n") + LENGTH.replace(b"\r\n", b"\n") + b"\n" + BODY, id="bare LF"
        ),
        pytest.param(HEAD + b"X-A : b\r\n" + LENGTH + b"\r\n" + BODY, id="space before colon"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad chunk size"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", id="bad chunk end"),
        pytest.param(
            HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="HTTP/1.0 and TE",
        ),
        pytest.param(HEAD + b"Host: evil\r\n" + LENGTH + b"\r\n" + BODY, id="two Host"),
        pytest.param(HEAD.replace(b"Host: 127.0.0.1\r\n", b"") + LENGTH + b"\r\n" + BODY, id="no Host"),
        pytest.param(HEAD.replace(b" /v1", b" http://evil/v1") + LENGTH + b"\r\n" + BODY, id="absolute URI"),
        pytest.param(b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", id="unknown version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS to a plain port"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id="NUL in the target"),
    ],
)
async def test_b8_ambiguous_framing_is_refused_and_the_connection_closed(
    upstream: FaultUpstream, request_head: bytes
) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(request_head + HELLO)
        answer = await client.answer()

        assert answer.status == 400
        assert await client.closed_within(1)
        assert upstream.requests == []


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"localhost@evil", b"evil:80"])
async def test_s7_a_foreign_host_is_not_served(upstream: FaultUpstream, host: bytes) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HELLO.replace(b"Host: 127.0.0.1", b"Host: " + host))
        answer = await client.answer()

    assert answer.status in {400, 421}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(HEAD, 408, id="a head that is never finished"),
        pytest.param(HEAD + b"Content-Length: 10\r\n\r\n{", 408, id="a body that is never finished"),
    ],
)
async def test_b11_who_is_too_slow_gets_a_408(upstream: FaultUpstream, sent: bytes, status: int) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room, room.client() as client:
        await client.send(sent)
        answer = await client.answer(3)

        assert answer.status == status
        assert await client.closed_within(1)


@pytest.mark.slow
async def test_b11_a_dripping_head_is_cut_though_it_never_pauses(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room, room.client() as client:
        taken = await client.send_slowly(HEAD + b"X: " + b"a" * 200, every_s=0.02)

    assert taken < 200


@pytest.mark.slow
async def test_b11_an_idle_connection_is_closed(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room:
        async with room.client() as silent:
            assert await silent.closed_within(3)
        async with room.client() as client:
            await client.send(HELLO)
            await client.answer()
            assert await client.closed_within(3)


async def test_b12_connections_too_many_are_told_to_come_back_or_dropped_and_the_rest_work(
    upstream: FaultUpstream,
) -> None:
    async with Room([upstream.base_url], limits=Limits(connections=3), app=healthy) as room:
        clients = [room.client() for _ in range(3 + Limits().spare + 2)]
        for client in clients:
            await client.__aenter__()
        dropped = [await client.closed_within(0.1) for client in clients]
        for client in (clients[0], clients[4]):
            await client.send(HELLO)
        answers = [await clients[0].answer(), await clients[4].answer()]
        await clients[5].send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        health = await clients[5].answer()
        for client in clients:
            client.close()
        await asyncio.sleep(0.05)

        assert sum(dropped) == 2
        assert [one.status for one in answers] == [200, 503]
        assert code_of(answers[1]) == "overloaded"
        assert answers[1].header("retry-after") == "1"
        assert health.status == 200
        assert await works(room)


async def healthy(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"h")]})
    await send({"type": "http.response.body", "body": b"fine"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/models/a%2Fb", 404),
        ("HEAD", "/v1/models", 200),
        ("GET", "/v1/models", 200),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "//v1/chat/completions", 404),
        ("POST", "/v1//chat/completions", 404),
        ("POST", "/v1/chat%2Fcompletions", 404),
        ("GET", "/v1/%2e%2e/v1/models", 404),
        ("GET", "/v1/../v1/models", 404),
        ("GET", "/v1/models/", 404),
        ("OPTIONS", "/v1/models", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("HEAD", "/v1/chat/completions", 405),
    ],
)
async def test_b14_methods_and_odd_paths(
    upstream: FaultUpstream, method: str, path: str, status: int
) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(request_bytes(b"", path=path, method=method, key=KEY))
        head = (await client.read_until(b"\r\n\r\n")).decode()

    assert int(head.split(" ")[1]) == status
    if status == 405:
        assert "allow: " in head.lower()


async def test_b14_a_slash_in_a_models_name_may_be_encoded(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], models=("a/b",)) as room, room.client() as client:
        for path in ("/v1/models/a%2Fb", "/v1/models/a/b"):
            await client.send(request_bytes(b"", path=path, method="GET", key=KEY))
            answer = await client.answer()

            assert answer.status == 200
            assert answer.json()["id"] == "a/b"
