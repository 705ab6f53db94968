"""FAULTS B and C1–C2: what clients do to us, and that nobody else suffers for it."""

import asyncio
import json
import time

import pytest

from greenroom.server.protocol import Limits
from tests.faults.rawclient import Answer, chat_bytes, request_bytes
from tests.faults.recipes import Stall, openai_events, openai_reply, recipe, streamed, whole
from tests.faults.room import KEY, Room
from tests.faults.upstream import FaultUpstream

QUICK = Limits(body_bytes=100_000, header_s=0.5, body_s=0.6, idle_s=0.8, write_s=1.0)
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
    + KEY.encode()
    + b"\r\n"
)
HELLO = chat_bytes("m", key=KEY)


def code_of(answer: Answer) -> object:
    envelope = answer.json()["error"]
    assert isinstance(envelope, dict)
    assert set(envelope) == {"message", "type", "param", "code"}
    return envelope["code"]


async def works(room: Room) -> bool:
    """Whether a healthy request is answered (I7)."""
    answer = await room.ask()
    return answer.status == 200


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_b1_who_leaves_before_the_answer_frees_the_provider_within_a_second(
    upstream: FaultUpstream, leave: str, stream: bool
) -> None:
    upstream.script("m", recipe(Stall()))
    async with Room([upstream.base_url]) as room:
        async with room.client() as client:
            await client.send(chat_bytes("m", stream=stream, key=KEY))
            await asyncio.sleep(0.1)
            client.reset() if leave == "reset" else client.close()
        exchange = await room.kept.next()
        await asyncio.sleep(0.05)
        assert upstream.open_connections == 0

    assert exchange.outcome == "cancelled"
    assert exchange.status == 499


async def test_b1_who_leaves_in_the_middle_pays_for_what_came(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(["word "] * 200), pace_s=0.02))
    async with Room([upstream.base_url]) as room:
        async with room.client() as client:
            await client.send(chat_bytes("m", stream=True, key=KEY))
            await client.read_until(b"word ")
            client.reset()
        exchange = await room.kept.next()
        await asyncio.sleep(0.05)
        assert upstream.open_connections == 0

    assert exchange.outcome == "cancelled"
    assert exchange.usage is not None
    assert exchange.usage.estimated
    assert exchange.usage.output_tokens > 0


async def test_b2_a_slow_reader_is_bounded_and_cut_and_others_go_on(upstream: FaultUpstream) -> None:
    upstream.script("slow", streamed(openai_events(["x" * 100_000] * 400)))
    async with Room([upstream.base_url], limits=QUICK) as room, room.client(receive_bytes=4096) as client:
        await client.send(chat_bytes("slow", stream=True, key=KEY))
        await asyncio.sleep(0.3)

        assert await works(room)
        slow = await room.kept.next(2)

        assert slow.asked == "slow"
        assert slow.outcome == "cancelled"
        sent = sum(len(text) for text in slow.reply_text)
        assert sent < 20_000_000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"model":1}', b'{"model":"m","messages":"x"}', b"\xff\xfe{",
     b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', b'{"a":' * 100_000,
     b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
     b'{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}'],
    ids=["empty", "cut", "list", "null", "string", "number model", "string messages", "bom", "surrogate", "deep", "NaN",
         "key twice"],
)  # fmt: skip
async def test_b3_a_malformed_body_is_a_400_in_the_envelope_and_the_connection_goes_on(
    upstream: FaultUpstream, body: bytes
) -> None:
    async with Room([upstream.base_url], limits=Limits()) as room, room.client() as client:
        await client.send(request_bytes(body, key=KEY))
        answer = await client.answer()
        await client.send(HELLO)
        after = await client.answer()

    assert answer.status == 400
    assert code_of(answer) == "malformed_request"
    assert answer.header("x-request-id")
    assert after.status == 200


async def test_b4_a_body_past_the_limit_is_refused_before_it_is_read(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room:
        async with room.client() as client:
            await client.send(HEAD + b"Content-Length: 5000000000\r\n\r\n")
            announced = await client.answer()
            assert await client.closed_within(1)
        async with room.client() as client:
            await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                await client.send(b"c350\r\n" + b" " * 50_000 + b"\r\n")
            endless = await client.answer()
            assert await client.closed_within(1)

    assert (announced.status, endless.status) == (413, 413)


async def test_b5_a_million_keys_and_a_huge_number_are_answered_quickly(upstream: FaultUpstream) -> None:
    keys = b",".join(b'"k%d":1' % number for number in range(1_000_000))
    base = b'{"model":"m","messages":[{"role":"user","content":"x"}],'
    async with Room([upstream.base_url]) as room, room.client(timeout_s=10) as client:
        began = time.monotonic()
        await client.send(request_bytes(base + keys + b"}", key=KEY))
        await client.answer()
        await client.send(request_bytes(base + b'"n":' + b"9" * 1_000_000 + b"}", key=KEY))
        number = await client.answer()
        took = time.monotonic() - began

    assert number.status == 400
    assert took < 5


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


async def test_b11_a_dripping_head_is_cut_though_it_never_pauses(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room, room.client() as client:
        taken = await client.send_slowly(HEAD + b"X: " + b"a" * 200, every_s=0.02)

    assert taken < 200


async def test_b11_an_idle_connection_is_closed(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room:
        async with room.client() as silent:
            assert await silent.closed_within(3)
        async with room.client() as client:
            await client.send(HELLO)
            await client.answer()
            assert await client.closed_within(3)


async def test_b12_more_connections_than_allowed_are_dropped_and_the_rest_work(
    upstream: FaultUpstream,
) -> None:
    async with Room([upstream.base_url], limits=Limits(connections=5)) as room:
        clients = [room.client() for _ in range(8)]
        for client in clients:
            await client.__aenter__()
        dropped = [await client.closed_within(0.2) for client in clients]
        for client in clients:
            client.close()
        await asyncio.sleep(0.1)

        assert sum(dropped) == 3
        assert await works(room)


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


async def test_s4_without_a_key_a_huge_body_is_refused_unread(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HEAD.replace(KEY.encode(), b"wrong") + b"Content-Length: 15000000\r\n\r\n{")
        answer = await client.answer()

        assert answer.status == 401
        assert code_of(answer) == "invalid_api_key"
        assert await client.closed_within(1)


async def test_too_much_at_once_is_shed_with_the_time_to_come_back(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(Stall()))
    async with Room([upstream.base_url], in_flight=1) as room, room.client() as first:
        await first.send(HELLO)
        await asyncio.sleep(0.1)
        answer = await room.ask()

    assert answer.status == 503
    assert answer.header("retry-after")


async def test_c1_on_shutdown_streams_finish_and_idle_connections_close(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(["a"] * 10), pace_s=0.05))
    async with Room([upstream.base_url]) as room, room.client() as client, room.client() as half:
        await half.send(HEAD)
        await client.send(chat_bytes("m", stream=True, key=KEY))
        await client.read_until(b"\r\n\r\n")
        room.shared.draining = True
        room.server.should_exit = True
        rest = await client.read_to_end(3)
        assert await half.closed_within(2)

    assert b"[DONE]" in rest


async def test_c2_past_the_drain_limit_a_stream_is_ended_with_an_error_in_band(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", streamed(openai_events(["a"] * 500), pace_s=0.05))
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(chat_bytes("m", stream=True, key=KEY))
        await client.read_until(b"\r\n\r\n")
        room.shared.draining = True
        room.server.should_exit = True
        await asyncio.sleep(0.2)
        for connection in list(room.shared.connections):
            connection.cut()
        rest = await client.read_to_end(3)
        exchange = await room.kept.next()

    events = [line[6:] for line in rest.split(b"\n") if line.startswith(b"data: ")]
    assert json.loads(events[-1])["error"]["code"] == "shutting_down"
    assert b"[DONE]" not in rest
    assert exchange.outcome == "cancelled"
