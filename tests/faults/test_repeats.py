"""FAULTS B13: clients that ask again and again; with an Idempotency-Key a repeat is no call of its own."""

import asyncio

from greenroom.server import repeats
from tests.faults.rawclient import Answer, chat_bytes
from tests.faults.recipes import Wait, error, openai_events, openai_reply, recipe, streamed, whole
from tests.faults.room import KEY, Room, code_of
from tests.faults.upstream import FaultUpstream

SLOW = recipe(Wait(0.2), *whole(openai_reply()).actions)


async def ask(room: Room, key: str | None, text: str = "Good morning.", *, stream: bool = False) -> Answer:
    headers = () if key is None else (("Idempotency-Key", key),)
    async with room.client(timeout_s=8.0) as client:
        await client.send(chat_bytes("m", text, stream=stream, key=KEY, headers=headers))
        return await client.answer()


async def test_b13_a_repeat_gets_the_same_answer_and_is_not_billed(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room:
        first, second = await ask(room, "k1"), await ask(room, "k1")
        other, plain = await ask(room, "k2"), await ask(room, None)

        assert [one.status for one in (first, second, other, plain)] == [200] * 4
        assert second.body == first.body
        assert second.header("x-request-id") == first.header("x-request-id")
        assert (first.header("idempotent-replayed"), second.header("idempotent-replayed")) == (None, "true")
        assert len(upstream.requests) == len(room.kept.exchanges) == 3


async def test_b13_repeats_at_once_are_one_call(upstream: FaultUpstream) -> None:
    upstream.script("m", SLOW)
    async with Room([upstream.base_url]) as room:
        answers = await asyncio.gather(*(ask(room, "k") for _ in range(6)))

        assert {one.body for one in answers} == {answers[0].body}
        assert len(upstream.requests) == len(room.kept.exchanges) == 1


async def test_b13_a_client_that_gave_up_and_asks_again_gets_what_the_first_call_brings(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", SLOW)
    async with Room([upstream.base_url]) as room:
        for _ in range(3):
            async with room.client() as client:
                await client.send(chat_bytes("m", key=KEY, headers=(("Idempotency-Key", "k"),)))
                await asyncio.sleep(0.04)
                client.reset()
        answer = await ask(room, "k")

        assert answer.status == 200
        assert len(upstream.requests) == len(room.kept.exchanges) == 1
        assert room.kept.exchanges[0].outcome == "answered"


async def test_b13_another_body_under_the_same_key_is_a_409(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url]) as room:
        await ask(room, "k")
        other = await ask(room, "k", "Something else.")
        odd = await ask(room, "x" * 300)

        assert (other.status, code_of(other)) == (409, "conflict")
        assert odd.status == 400
        assert len(upstream.requests) == 1


async def test_b13_an_error_that_may_pass_is_asked_again(upstream: FaultUpstream) -> None:
    upstream.script("m", error(500), error(429), whole(openai_reply()))
    async with Room([upstream.base_url]) as room:
        statuses = [(await ask(room, "k")).status for _ in range(4)]

        assert statuses == [500, 429, 200, 200]
        assert len(upstream.requests) == 3


async def test_b13_a_stream_with_a_key_runs_once_at_a_time(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(), pace_s=0.05))
    async with Room([upstream.base_url]) as room:
        first = asyncio.create_task(ask(room, "k", stream=True))
        await asyncio.sleep(0.05)
        meanwhile = await ask(room, "k", stream=True)
        done = await first
        afterwards = await ask(room, "k", stream=True)

        assert meanwhile.status == 409
        assert done.events()[-1] == afterwards.events()[-1] == b"[DONE]"
        assert len(upstream.requests) == 2


async def test_b13_what_is_kept_has_an_end(upstream: FaultUpstream) -> None:
    now = 0.0
    async with Room([upstream.base_url]) as room:
        kept = repeats.Repeats(lambda: now)
        room.shared.fast._repeats = kept  # type: ignore[attr-defined]  # the fast routes of the room are V1
        await ask(room, "k")
        now = repeats.WINDOW_S + 1
        await ask(room, "k")
        assert len(upstream.requests) == 2

        kept._size_bytes = repeats.LIMIT_BYTES + 1
        await ask(room, "new")
        assert [token for _, token in kept._entries] == [b"new"]
