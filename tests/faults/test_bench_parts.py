"""The scripted peers themselves: what they claim to do to a connection is what arrives at the other end."""

import asyncio
import gzip
import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.faults.rawclient import RawClient, chat_bytes, request_bytes
from tests.faults.recipes import (
    Chunk,
    Drip,
    Fin,
    Flood,
    Head,
    LastChunk,
    Reset,
    Send,
    Stall,
    Wait,
    bomb,
    compressed,
    error,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.upstream import FaultUpstream, Unaccepting


async def test_a_model_without_recipes_answers_well_in_both_dialects(upstream: FaultUpstream) -> None:
    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("plain"))
        openai = await client.answer()
        await client.send(request_bytes({"model": "plain", "messages": []}, path="/v1/messages"))
        anthropic = await client.answer()

    assert openai.json()["object"] == "chat.completion"
    assert anthropic.json()["type"] == "message"
    assert [seen.path for seen in upstream.asked("plain")] == ["/v1/chat/completions", "/v1/messages"]


async def test_a_stream_ends_with_finish_usage_and_done(upstream: FaultUpstream) -> None:
    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("plain", stream=True))
        answer = await client.answer()

    last = answer.events()
    assert answer.whole
    assert last[-1] == b"[DONE]"
    assert json.loads(last[-2])["usage"]["total_tokens"] == 18
    assert json.loads(last[-3])["choices"][0]["finish_reason"] == "stop"


async def test_an_anthropic_stream_names_its_events(upstream: FaultUpstream) -> None:
    async with RawClient(upstream.port) as client:
        await client.send(request_bytes({"model": "plain", "stream": True}, path="/v1/messages"))
        answer = await client.answer()

    kinds = [json.loads(data)["type"] for data in answer.events()]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


async def test_the_nth_request_gets_the_nth_recipe_and_the_last_one_stays(upstream: FaultUpstream) -> None:
    upstream.script("flaky", error(503), whole(openai_reply()))

    async with RawClient(upstream.port) as client:
        statuses = []
        for _ in range(3):
            await client.send(chat_bytes("flaky"))
            statuses.append((await client.answer()).status)

    assert statuses == [503, 200, 200]


async def test_pipelined_requests_are_answered_in_order(upstream: FaultUpstream) -> None:
    upstream.script("first", recipe(Wait(0.05), *whole(openai_reply("one")).actions))
    upstream.script("second", whole(openai_reply("two")))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("first") + chat_bytes("second"))
        answers = [await client.answer(), await client.answer()]

    assert [b"one" in answers[0].body, b"two" in answers[1].body] == [True, True]


async def test_a_reset_before_any_byte_is_seen_as_one(upstream: FaultUpstream) -> None:
    upstream.script("cut", recipe(Reset()))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("cut"))
        read = await client.read_to_end()

    assert (read, client.was_reset) == (b"", True)
    assert len(upstream.log.of("reset")) == 1


async def test_what_was_sent_before_a_reset_still_arrives(upstream: FaultUpstream) -> None:
    events = openai_events()
    upstream.script("cut", streamed(events[:2], then=[Reset()]))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("cut", stream=True))
        answer = await client.answer()

    assert not answer.whole
    assert client.was_reset
    assert len(answer.events()) == 2


async def test_an_orderly_end_is_no_reset(upstream: FaultUpstream) -> None:
    upstream.script("short", recipe(Head(framing="500"), Send(b"{"), Fin()))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("short"))
        answer = await client.answer()

    assert (answer.whole, answer.body, client.was_reset) == (False, b"{", False)


async def test_a_close_delimited_answer_ends_with_the_connection(upstream: FaultUpstream) -> None:
    upstream.script("old", recipe(Head(framing="close", version="HTTP/1.0"), Send(openai_reply())))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("old"))
        answer = await client.answer()

    assert answer.json()["object"] == "chat.completion"


async def test_a_stall_ends_when_the_client_leaves_and_the_log_says_when(upstream: FaultUpstream) -> None:
    upstream.script("silent", recipe(Head(framing="chunked"), Stall()))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("silent"))
        with pytest.raises(TimeoutError):
            await client.answer(timeout_s=0.15)
    left_at = time.monotonic()

    event = await upstream.log.wait("left")
    await upstream.log.wait("gone")
    assert abs(event.at - left_at) < 0.2
    assert upstream.open_connections == 0


async def test_a_client_that_resets_is_logged_as_lost(upstream: FaultUpstream) -> None:
    upstream.script("silent", recipe(Stall()))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("silent"))
        await upstream.log.wait("request")
        client.reset()

        await upstream.log.wait("lost")

    assert len(upstream.log.of("lost")) == 1


async def test_dripped_bytes_arrive_one_by_one(upstream: FaultUpstream) -> None:
    upstream.script("drip", recipe(Head(framing="4"), Drip(b"{ }\n", every_s=0.02)))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("drip"))
        begun = time.monotonic()
        answer = await client.answer()

    assert answer.body == b"{ }\n"
    assert time.monotonic() - begun > 0.05


async def test_a_reader_that_does_not_read_stops_the_flood(upstream: FaultUpstream) -> None:
    upstream.script(
        "flood", recipe(Head(framing="chunked"), Flood(b"4000\r\n" + b"x" * 0x4000 + b"\r\n", 4000))
    )

    async with RawClient(upstream.port, receive_bytes=4096) as client:
        await client.send(chat_bytes("flood"))
        await asyncio.sleep(0.3)
        sent = upstream.log.bytes_sent()
        await asyncio.sleep(0.2)

        assert upstream.log.bytes_sent() == sent
        assert sent < 32 * 2**20


async def test_an_early_recipe_answers_before_the_body_is_whole(upstream: FaultUpstream) -> None:
    upstream.script("hasty", recipe(*error(413).actions, Fin(), early=True))
    request = request_bytes({"model": "hasty", "messages": []}, length=1_000_000)

    async with RawClient(upstream.port) as client:
        await client.send(request)
        answer = await client.answer()

    assert answer.status == 413


async def test_a_chunked_request_body_is_understood(upstream: FaultUpstream) -> None:
    body = b'{"model":"chunky","messages":[]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    async with RawClient(upstream.port) as client:
        await client.send_slowly(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), every_s=0.001, size=16)
        answer = await client.answer()

    assert answer.status == 200
    assert upstream.asked("chunky")[0].json() == {"model": "chunky", "messages": []}


async def test_every_received_byte_is_logged(upstream: FaultUpstream) -> None:
    request = chat_bytes("plain", "the secret is marmalade")

    async with RawClient(upstream.port) as client:
        await client.send(request)
        await client.answer()

    assert upstream.log.bytes_received() == request
    assert upstream.requests[0].header("content-length") == str(len(request.partition(b"\r\n\r\n")[2]))


async def test_compressed_answers_decode_and_broken_ones_do_not(upstream: FaultUpstream) -> None:
    upstream.script("gzip", compressed(openai_reply()), compressed(openai_reply(), broken=True))

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("gzip"))
        good = await client.answer()
        await client.send(chat_bytes("gzip"))
        bad = await client.answer()

    assert gzip.decompress(good.body) == openai_reply()
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(bad.body)


def test_a_bomb_grows_about_a_thousandfold() -> None:
    sent = bomb(8_000_000).actions[1]

    assert isinstance(sent, Send)
    grown = gzip.decompress(sent.data)
    assert len(grown) > 500 * len(sent.data)
    assert json.loads(grown)["object"] == "chat.completion"


@pytest.mark.slow
async def test_connecting_to_a_full_backlog_hangs() -> None:
    async with Unaccepting() as target:
        with pytest.raises(TimeoutError):
            await RawClient(target.port, timeout_s=0.4).__aenter__()


async def test_a_server_that_stopped_listening_refuses(upstream: FaultUpstream) -> None:
    await upstream.stop_listening()

    with pytest.raises(ConnectionRefusedError):
        await RawClient(upstream.port).__aenter__()


async def test_raw_chunks_may_be_nonsense(upstream: FaultUpstream) -> None:
    upstream.script(
        "odd", recipe(Head(framing="chunked"), Chunk(b"data: {"), Send(b"zz\r\n"), LastChunk(), Fin())
    )

    async with RawClient(upstream.port) as client:
        await client.send(chat_bytes("odd"))
        with pytest.raises(ValueError, match="invalid literal"):
            await client.answer()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("gcc"), reason="needs Linux and gcc")
def test_the_load_generator_reads_what_the_mock_sends_and_counts_it(tmp_path: Path) -> None:
    from benchmarks.processes import Cores, tree_cpu_ns
    from benchmarks.tools import Tools

    tools = Tools(tmp_path, Cores.choose())
    mock, port = tools.start_mock(events=5, pace_ms=1)
    try:
        plain = tools.load(port, connections=4, requests=200, timeout_s=20)
        streams = tools.load(port, connections=4, requests=20, stream=True, timeout_s=20)
        used_ns = tree_cpu_ns(mock.pid)
    finally:
        mock.stop()

    assert (plain.requests, plain.faults) == (200, 0)
    assert (streams.requests, streams.events, streams.faults) == (20, 20 * 8, 0)
    assert used_ns > 0
