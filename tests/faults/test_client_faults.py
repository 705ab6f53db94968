"""FAULTS B1–B5, C1 and C2 on real sockets: what clients do to us, and that nobody else suffers for it."""

import asyncio
import contextlib
import json

import pytest

from greenroom.server.head import Limits
from tests.faults.rawclient import chat_bytes, request_bytes
from tests.faults.recipes import Stall, openai_events, recipe, streamed
from tests.faults.room import HEAD, HELLO, KEY, QUICK, Room, code_of, works
from tests.faults.upstream import FaultUpstream


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


async def test_b1_who_leaves_before_the_counts_came_pays_for_what_was_said(upstream: FaultUpstream) -> None:
    said = openai_events(("So", " far"), usage=False, done=False)
    upstream.script("m", streamed(said, then=(Stall(),)))
    async with Room([upstream.base_url]) as room:
        async with room.client() as client:
            await client.send(chat_bytes("m", stream=True, key=KEY))
            await client.read_until(b" far")
            client.close()
        exchange = await room.kept.next()
        await upstream.log.wait("gone", timeout_s=1)

    assert (exchange.outcome, exchange.status) == ("cancelled", 499)
    assert exchange.usage is not None
    assert exchange.usage.estimated
    assert exchange.usage.output_tokens == 2


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


@pytest.mark.slow
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


def chat_with(field: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":"x"}],' + field + b"}"


@pytest.mark.parametrize(
    ("body", "names"),
    [
        pytest.param(b"", "byte 0", id="empty"),
        pytest.param(b"{", "byte 1", id="cut"),
        pytest.param(b"[]", "object", id="a list"),
        pytest.param(b"null", "object", id="null"),
        pytest.param(b'"x"', "object", id="a string"),
        pytest.param(b'{"model":1}', "'model'", id="number model"),
        pytest.param(b'{"model":"m"}', "'messages' is missing", id="no messages"),
        pytest.param(b'{"model":"m","messages":[]}', "'messages'", id="empty messages"),
        pytest.param(b'{"model":"m","messages":"x"}', "'messages'", id="string messages"),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user","content":5}]}',
            "'messages[0].content'",
            id="number content",
        ),
        pytest.param(chat_with(b'"x":tru'), "byte", id="a broken word"),
        pytest.param(chat_with(b'"temperature":NaN'), "byte", id="NaN"),
        pytest.param(chat_with(b'"temperature":Infinity'), "byte", id="Infinity"),
        pytest.param(chat_with(b'"temperature":1e400'), "'temperature'", id="1e400"),
        pytest.param(b'{"model":"m",' + HELLO[-60:-1] + b"} x", "JSON", id="more after the end"),
        pytest.param(
            b'{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}', "'model'", id="key twice"
        ),
        pytest.param(
            chat_with(b'"n":1,"tools":[{"type":"function","function":{"name":"f","name":"g"}}]'),
            "'name'",
            id="key twice in a tool",
        ),
        pytest.param(
            chat_with(
                b'"n":1,"tools":[{"type":"function","function":{"name":"f","parameters":{"a":{"b" :1,"\\u0062":2}}}}]'
            ),
            "'b'",
            id="key twice in a schema, written otherwise",
        ),
        pytest.param(chat_with(b'"n":1,"x":{"y":{"z":1,"z":2}}'), "'z'", id="key twice where nobody reads"),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
            "pair at byte 51",
            id="lone surrogate",
        ),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "UTF-8 at byte 51", id="not UTF-8"
        ),
        pytest.param(chat_with(b'"user":"\xff"'), "UTF-8 at byte", id="not UTF-8 where nobody reads"),
        pytest.param(b"\xef\xbb\xbf" + chat_with(b'"n":1'), "byte 0", id="UTF-8 with a BOM"),
        pytest.param(chat_with(b'"n":1').decode().encode("utf-16"), "byte 0", id="UTF-16"),
        pytest.param(chat_with(b'"n":1').decode().encode("utf-16-le"), "byte 1", id="UTF-16 without a BOM"),
    ],
)
async def test_b3_a_malformed_body_is_a_400_in_the_envelope_and_the_connection_goes_on(
    upstream: FaultUpstream, body: bytes, names: str
) -> None:
    async with Room([upstream.base_url], limits=Limits()) as room, room.client() as client:
        await client.send(request_bytes(body, key=KEY))
        answer = await client.answer()
        await client.send(HELLO)
        after = await client.answer()

    assert answer.status == 400
    assert code_of(answer) == "malformed_request"
    assert names in answer.body.decode()
    assert answer.header("x-request-id")
    assert after.status == 200
    assert len(upstream.requests) == 1


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
    assert (code_of(announced), code_of(endless)) == ("request_too_large", "request_too_large")


async def test_b4_who_sends_much_too_much_at_once_still_reads_the_413(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room:
        async with room.client() as client:
            with contextlib.suppress(OSError):
                await client.send(request_bytes(b" " * 5_000_000, key=KEY))
            answer = await client.answer()
        assert await works(room)

    assert answer.status == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"a":' * 100_000, 400, id="100,000 deep"),
        pytest.param(
            chat_with(b'"x":' + b"[" * 100_000 + b"]" * 100_000), 400, id="deep in an unknown field"
        ),
        pytest.param(chat_with(b'"n":' + b"9" * 1_000_000), 400, id="a number of a million digits"),
        pytest.param(
            b'{"model":"m","messages":[' + b",".join([b'{"role":"user"}'] * 1_000_000) + b"]}",
            413,
            id="a million messages",
        ),
        pytest.param(
            chat_with(b",".join(b'"k%d":1' % number for number in range(1_000_000))), 413, id="a million keys"
        ),
    ],
)
async def test_b5_what_is_built_to_cost_much_is_refused_at_little_cost(
    upstream: FaultUpstream, body: bytes, status: int
) -> None:
    async with Room([upstream.base_url], limits=Limits()) as room, room.client(timeout_s=10) as client:
        await client.send(request_bytes(body, key=KEY))
        answer = await client.answer()

        assert await works(room)

    assert answer.status == status
    assert len(upstream.requests) == 1


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


@pytest.mark.slow
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


@pytest.mark.slow
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


async def test_b4_a_client_that_goes_on_sending_still_gets_its_answer(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url], limits=QUICK) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(HEAD + b"Content-Length: 4000000\r\n\r\n")
        for _ in range(40):
            writer.write(b"x" * 100_000)
            await writer.drain()
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"request_too_large"' in answer
        assert await works(room)
