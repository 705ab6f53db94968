"""The state in which a connection to a provider is kept for the next request."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from greenroom.errors import UpstreamDisconnected
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.response import Limits
from tests.faults.rawclient import chat_bytes
from tests.faults.recipes import (
    Chunk,
    Fin,
    Head,
    LastChunk,
    Recipe,
    Reset,
    Send,
    Wait,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import KEY, Room
from tests.faults.upstream import FaultUpstream

QUESTION = b'POST / HTTP/1.1\r\ncontent-length: 13\r\n\r\n{"model":"m"}'
LIMITS = Limits(connect_s=0.5, first_byte_s=0.5, idle_s=0.3, total_s=5.0)


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    made.start()
    yield made
    made.stop()


def origin(port: int) -> Origin:
    return Origin("http", "127.0.0.1", port, "")


async def ask(pool: Pool, upstream: FaultUpstream) -> bytes:
    response = await pool.request(origin(upstream.port), QUESTION, LIMITS, whole=True)
    return await response.read()


async def test_a_client_that_leaves_behind_the_last_byte_leaves_a_connection_that_reads(
    upstream: FaultUpstream,
) -> None:
    upstream.script("big", streamed(openai_events(["y", "x" * 5_000_000])))
    async with Room([upstream.base_url]) as room:
        async with room.client(receive_bytes=4096) as client:
            await client.send(chat_bytes("big", stream=True, key=KEY))
            await upstream.log.wait("finished")
            await asyncio.sleep(0.1)
            client.reset()
        await room.kept.next()
        answer = await room.ask()

    assert answer.status == 200


async def test_what_was_not_read_of_a_whole_answer_keeps_no_connection_from_reading(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.script("m", whole(b"x" * 300_000), whole(b"fine"))
    response = await pool.request(origin(upstream.port), QUESTION, LIMITS)
    await asyncio.sleep(0.1)
    response.close()

    assert await ask(pool, upstream) == b"fine"


async def test_an_answer_that_is_there_has_no_deadline(pool: Pool, upstream: FaultUpstream) -> None:
    upstream.script("m", whole(b"slowly read"))
    response = await pool.request(origin(upstream.port), QUESTION, LIMITS)
    await asyncio.sleep(0.05)
    for connection in list(pool._busy):
        connection.check_time(pool.now() + 100)

    assert await response.read() == b"slowly read"


async def test_what_stands_behind_an_answer_is_no_header_of_the_next(
    pool: Pool, upstream: FaultUpstream
) -> None:
    chunked = Head(framing="chunked")
    trailing = Recipe((chunked, Chunk(b"one"), Send(b"0\r\nContent-Encoding: gzip\r\n\r\n")))
    upstream.script("m", trailing, Recipe((chunked, Chunk(b"two"), LastChunk())))

    assert [await ask(pool, upstream), await ask(pool, upstream)] == [b"one", b"two"]
    assert len(upstream.log.of("connected")) == 1


async def test_the_beginning_of_an_answer_nobody_asked_for_ends_the_connection(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.script(
        "m",
        recipe(Send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Le")),
        recipe(Send(b"ngth: 4\r\n\r\nevil")),
    )
    first = await ask(pool, upstream)
    upstream.script("m", whole(b"two"))

    assert [first, await ask(pool, upstream)] == [b"one", b"two"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_a_provider_that_ends_or_speaks_before_it_is_asked_is_a_fault_of_its_own(
    pool: Pool, said: bytes
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)

    async def accept() -> None:
        while True:
            taken, _ = await asyncio.get_running_loop().sock_accept(listener)
            taken.send(said)
            taken.close()

    accepting = asyncio.ensure_future(accept())
    for _ in range(50):
        try:
            response = await pool.request(origin(listener.getsockname()[1]), QUESTION, LIMITS, whole=True)
        except UpstreamDisconnected:
            continue
        assert response.status == 408
    accepting.cancel()
    listener.close()

    assert pool.in_use == 0


@pytest.mark.parametrize("end", [Fin(), Reset()], ids=["closed", "reset"])
@pytest.mark.parametrize("stale", [True, False])
async def test_a_kept_connection_that_ends_is_replaced_once_and_only_before_a_byte_came(
    pool: Pool, upstream: FaultUpstream, end: Fin | Reset, stale: bool
) -> None:
    ending = recipe(end) if stale else recipe(Send(b"HTTP/1.1 2"), Wait(0.05), end)
    upstream.script("m", whole(b"one"), ending, ending, whole(b"never"))
    await ask(pool, upstream)
    with pytest.raises(UpstreamDisconnected):
        await ask(pool, upstream)

    assert len(upstream.requests) == (3 if stale else 2)
    assert pool.in_use == 0


async def test_a_call_that_is_given_up_leaves_nothing_for_the_next(
    pool: Pool, upstream: FaultUpstream
) -> None:
    late = Recipe((Wait(0.2), *whole(openai_reply("late")).actions))
    upstream.script("m", whole(b"one"), late, whole(b"two"))
    await ask(pool, upstream)
    asking = asyncio.ensure_future(ask(pool, upstream))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.wait([asking])

    assert await ask(pool, upstream) == b"two"
    assert pool.in_use == 0
