"""What stands between two requests of one connection: their order, their end, and what else may be said there."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from greenroom.server import connection as connections
from greenroom.server.head import Limits
from greenroom.server.protocol import HttpProtocol
from tests.faults.certificates import OPENSSL, make_certificate
from tests.faults.rawclient import RawClient, chat_bytes, request_bytes
from tests.faults.recipes import Recipe, Wait, openai_reply, whole
from tests.faults.room import HEAD, HELLO, KEY, Room
from tests.faults.upstream import FaultUpstream

LAST = HELLO.replace(b"Host:", b"Connection: close\r\nHost:")
OFFER = (
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMA"),
)
WRONG = HEAD.replace(KEY.encode(), b"wrong")


async def closings(client: RawClient, count: int) -> list[str | None]:
    """What so many answers say of the connection."""
    return [(await client.answer()).header("connection") for _ in range(count)]


async def test_only_the_last_of_several_requests_ends_the_connection(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HELLO + HELLO + LAST + HELLO)

        assert await closings(client, 3) == [None, None, "close"]
        assert await client.read_to_end(1) == b""
        assert len(upstream.requests) == 3


async def test_nothing_is_answered_behind_an_answer_that_was_said_to_be_the_last(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", Recipe((Wait(0.2), *whole(openai_reply()).actions)))
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HELLO + HELLO + b"nonsense\r\n\r\n")
        await asyncio.sleep(0.05)
        room.shared.draining = True

        assert await closings(client, 1) == ["close"]
        assert await client.read_to_end(1) == b""
        assert len(upstream.requests) == 1


async def test_thousands_of_requests_in_one_read_are_all_answered(upstream: FaultUpstream) -> None:
    upstream.script("m", Recipe((Wait(0.1), *whole(openai_reply()).actions)))
    refused = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HELLO + refused * 2000 + HELLO)
        statuses = [(await client.answer()).status for _ in range(2002)]

        assert statuses == [200, *[401] * 2000, 200]


async def test_who_does_not_read_is_answered_no_further(upstream: FaultUpstream) -> None:
    refused = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with (
        Room([upstream.base_url]) as room,
        room.client(receive_bytes=4096, timeout_s=30) as client,
    ):
        sending = asyncio.ensure_future(client.send(refused * 15_000))
        sizes = [0, 0]
        while sizes[-1] != sizes[-2] or not sizes[-1]:
            await asyncio.sleep(0.1)
            sizes += [
                one.transport.get_write_buffer_size() for one in room.shared.connections if one.transport
            ]
        assert sizes[-1] < 1_000_000
        for _ in range(15_000):
            await client.read_until(b"}}")
        await sending
        await client.send(HELLO)
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_offer_of_another_protocol_is_passed_over(upstream: FaultUpstream, stream: bool) -> None:
    offering = chat_bytes("m", "é" * 50_000, stream=stream, key=KEY, headers=OFFER)
    listing = request_bytes(b"", path="/v1/models", method="GET", key=KEY, headers=OFFER)
    chunked = (
        HEAD
        + "".join(f"{name}: {value}\r\n" for name, value in OFFER).encode()
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY)
        + BODY
        + b"\r\n0\r\n\r\n"
    )
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(listing + offering + chunked + listing + HELLO)
        statuses = [(await client.answer()).status for _ in range(5)]

        assert statuses == [200] * 5
        assert upstream.requests[0].json()["messages"] == [{"role": "user", "content": "é" * 50_000}]
        assert len(upstream.requests) == 3
        await client.send(offering[:300])
        await asyncio.sleep(0.02)
        await client.send(offering[300:])
        assert (await client.answer()).status == 200
        await client.send(offering + b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n")
        assert [(await client.answer()).status for _ in range(2)] == [200, 414]


BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'


async def test_what_stands_behind_a_chunked_body_is_bounded_and_no_header(upstream: FaultUpstream) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    line = b"X: " + b"y" * 1000 + b"\r\n"
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(chunked + b"Idempotency-Key: \r\n\r\n")
        assert (await client.answer()).status == 200
        await client.send(chunked)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                await client.send(line)
                await asyncio.sleep(0)
        assert (await client.answer()).status == 431
        assert await client.closed_within(1)


async def test_who_waits_to_be_told_to_send_is_told_behind_the_answer_before(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", Recipe((Wait(0.1), *whole(openai_reply()).actions)))
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HELLO + head)
        first, go = await client.answer(), await client.answer()
        await client.send(BODY)
        last = await client.answer()
        await client.send(HELLO + head + BODY)
        untold = [(await client.answer()).status for _ in range(2)]
        await client.send(head.replace(b"HTTP/1.1", b"HTTP/1.0") + BODY)
        old = await client.answer()

    assert [first.status, go.status, last.status] == [200, 100, 200]
    assert untold == [200, 200]
    assert old.status == 200


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(WRONG, id="wrong key"),
        pytest.param(HEAD.replace(b"chat/completions", b"nothing"), id="no such route"),
        pytest.param(HEAD.replace(b"127.0.0.1", b"evil.example"), id="foreign host"),
        pytest.param(HEAD + b"Content-Length: 7\r\n", id="ambiguous"),
    ],
)
async def test_whoever_is_refused_while_sending_may_send_on_and_reads_the_answer(
    upstream: FaultUpstream, head: bytes
) -> None:
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(head + b"Content-Length: 3000000\r\n\r\n")
        for _ in range(30):
            await client.send(b"x" * 100_000)
            await asyncio.sleep(0.002)
        answer = await client.answer()

        assert answer.status in {400, 401, 404, 421}
        assert answer.header("connection") == "close"
        assert await client.closed_within(1)
        assert not client.was_reset


async def test_an_upload_refused_behind_a_running_answer_is_told_so(upstream: FaultUpstream) -> None:
    upstream.script("m", Recipe((Wait(0.1), *whole(openai_reply()).actions)))
    upload = (
        HEAD.replace(b"chat/completions", b"files")
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n"
    )
    async with Room([upstream.base_url], app=short) as room, room.client() as client:
        await client.send(HELLO + upload)
        answers = [await client.answer() for _ in range(2)]
        assert await client.closed_within(1)

    assert [answer.status for answer in answers] == [200, 400]
    assert [answer.header("connection") for answer in answers] == [None, "close"]


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_a_refusal_of_head_has_no_body(upstream: FaultUpstream, host: str) -> None:
    limits = Limits(connections=0 if host == "127.0.0.1" else 10)
    async with Room([upstream.base_url], limits=limits) as room, room.client() as client:
        await client.send(request_bytes(b"", path="/v1/models", method="HEAD", key=KEY, host=host))
        read = await client.read_to_end(1)

    assert read.startswith((b"HTTP/1.1 503", b"HTTP/1.1 421"))
    assert read.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("quiet_s", "whole_s"),
    [
        pytest.param(connections.LINGER_QUIET_S, 1000.0, id="pauses"),
        pytest.param(1000.0, connections.LINGER_S, id="never stops"),
    ],
)
async def test_a_refused_client_is_let_go_in_the_end(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch, quiet_s: float, whole_s: float
) -> None:
    monkeypatch.setattr(connections, "LINGER_QUIET_S", quiet_s)
    monkeypatch.setattr(connections, "LINGER_S", whole_s)
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(HEAD + b"Content-Length: 300000000\r\n\r\n")
        assert (await client.answer()).status == 413
        (connection,) = room.shared.connections
        now = connection.loop.time()
        connection.check_time(now + min(quiet_s, whole_s) - 2)
        await client.send(b"x" * 100_000)
        assert room.shared.connections
        connection.check_time(now + min(quiet_s, whole_s) + 2)
        await gone(room, 2)


async def gone(room: Room, within_s: float) -> None:
    """Wait until no connection is left. Raises: TimeoutError."""
    async with asyncio.timeout(within_s):
        while room.shared.connections:  # noqa: ASYNC110  # a plain set
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("last", [LAST, b""], ids=["closed", "idle"])
async def test_a_connection_whose_last_answer_nobody_reads_ends(upstream: FaultUpstream, last: bytes) -> None:
    upstream.script("m", whole(openai_reply("x" * 20_000)))
    async with Room([upstream.base_url]) as room, room.client(receive_bytes=1024) as client:
        await client.send(HELLO)
        await asyncio.sleep(0.02)
        (connection,) = room.shared.connections
        assert connection.transport is not None
        sent = 1
        while not connection.transport.get_write_buffer_size():
            await client.send(HELLO)
            sent += 1
            await room.kept.next(sent)
        await client.send(last)
        await room.kept.next(sent + bool(last))
        await asyncio.sleep(0.02)
        for later_s in (100, 200):
            connection.check_time(connection.loop.time() + later_s)
        await gone(room, 2)


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
async def test_over_tls_too_whoever_is_refused_while_sending_reads_the_answer(
    upstream: FaultUpstream, tmp_path: Path
) -> None:
    made = make_certificate(tmp_path / "tls")
    async with Room([upstream.base_url]) as room:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: HttpProtocol(room.shared, room.server.config, room.server.server_state, {}, loop),
            "127.0.0.1",
            0,
            ssl=made.serving(),
        )
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=made.trusting())
        writer.write(HEAD + b"Content-Length: 300000000\r\n\r\n")
        for _ in range(40):
            writer.write(b"x" * 100_000)
            await writer.drain()
            await asyncio.sleep(0.002)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await gone(room, 2)
        server.close()

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in head


async def short(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
    """An app that ends before its answer does, in the way its path says."""
    if scope["path"] == "/nothing":
        return
    headers = [(b"x-request-id", b"s")]
    if scope["path"] != "/unended":
        headers.append((b"content-length", b"10"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] != "/head":
        body = b"123456789012" if scope["path"] == "/long" else b"1234"
        await send({"type": "http.response.body", "body": body, "more_body": scope["path"] == "/unended"})


@pytest.mark.parametrize("path", ["/short", "/unended", "/head", "/nothing", "/long"])
async def test_an_app_that_says_less_or_more_than_it_announced_spoils_no_other_answer(path: str) -> None:
    async with Room([], app=short) as room, room.client() as client:
        await client.send(request_bytes(b"", path=path, method="GET") * 2)
        if path == "/long":
            assert [(await client.answer()).body for _ in range(2)] == [b"1234567890"] * 2
        elif path in {"/nothing", "/head"}:
            assert [(await client.answer()).status for _ in range(2)] == [500, 500]
        else:
            assert (await client.read_to_end(1)).count(b"HTTP/1.1") <= 1
