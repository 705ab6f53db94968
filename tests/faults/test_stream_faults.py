"""FAULTS A on streams: before the first content another target answers, after it the error is said in-band."""

import gzip
import json

import pytest

from greenroom.models.providers import Anthropic
from tests.faults.rawclient import Answer
from tests.faults.recipes import (
    Chunk,
    Fin,
    Head,
    LastChunk,
    Recipe,
    Reset,
    Stall,
    Wait,
    anthropic_events,
    error,
    openai_events,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import Room, code_of
from tests.faults.test_upstream_faults import outcome_of
from tests.faults.upstream import FaultUpstream

EVENTS = openai_events()
SSE = Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked")
START = openai_events(("So", " far"), finish=None, done=False, usage=False)
ROLE = START[0].replace(b'"content": "So"', b'"content": ""')


def text_of(answer: Answer) -> str:
    pieces = []
    for data in answer.events():
        if data != b"[DONE]":
            choices = json.loads(data).get("choices", ())
            pieces += [choice["delta"].get("content") or "" for choice in choices]
    return "".join(pieces)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(recipe(Fin()), id="A5 closed before any byte"),
        pytest.param(recipe(SSE, Reset()), id="A6 reset after the headers"),
        pytest.param(recipe(SSE, Fin()), id="A6 end after the headers"),
        pytest.param(recipe(SSE, Chunk(ROLE), Reset()), id="A6 reset before any content"),
        pytest.param(streamed([]), id="A8 a clean end of nothing"),
        pytest.param(streamed([ROLE]), id="A8 a clean end before any content"),
        pytest.param(recipe(SSE, Stall()), id="A9 headers, then silence", marks=pytest.mark.slow),
        pytest.param(
            recipe(SSE, *[one for _ in range(30) for one in (Chunk(b": ping\n\n"), Wait(0.1))]),
            id="A9 comments and no content",
            marks=pytest.mark.slow,
        ),
        pytest.param(error(500), id="A12 500"),
        pytest.param(error(401), id="A13 our key is not accepted"),
        pytest.param(whole(b"<html>", content_type="text/html"), id="A14 html"),
        pytest.param(whole(b'{"error": {"message": "no"}}'), id="A14 an error in a 200"),
        pytest.param(streamed([b"data: {nonsense\n\n"]), id="A14 a broken event"),
    ],
)
async def test_a_stream_falls_back_before_its_first_content(upstream: FaultUpstream, bad: Recipe) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", bad)
        async with Room([upstream.base_url, good.base_url]) as room:
            answer = await room.ask(stream=True)
            exchange = await outcome_of(room)

    assert text_of(answer) == "Good morning."
    assert answer.events()[-1] == b"[DONE]"
    assert exchange.target == "p1/m"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(streamed(START, then=(Reset(),)), "upstream_disconnected", id="A7 reset"),
        pytest.param(
            streamed(START, then=(Fin(),)), "upstream_disconnected", id="A7 closed, last chunk missing"
        ),
        pytest.param(streamed(START), "upstream_disconnected", id="A8 clean end without a proper one"),
        pytest.param(
            streamed([*START, b"data: [DONE]\n\n"]),
            "upstream_disconnected",
            id="A8 [DONE] and no finish_reason",
        ),
        pytest.param(
            streamed([*START, EVENTS[3].rstrip(b"\n")]),
            "upstream_disconnected",
            id="A8 cut in the last event",
        ),
        pytest.param(
            streamed(START, then=(Stall(),)), "upstream_timeout", id="A9 silence", marks=pytest.mark.slow
        ),
        pytest.param(
            streamed([*START, b"data: {nonsense\n\n", *EVENTS]), "upstream_protocol", id="A14 a broken event"
        ),
        pytest.param(
            streamed([*START, b"data: " + b"[" * 1_000_000 + b"\n\n"]), "upstream_protocol", id="A14 nested"
        ),
        pytest.param(
            streamed([*START, START[0].replace(b"1790000000", b"NaN")]), "upstream_protocol", id="A14 NaN"
        ),
        pytest.param(
            streamed([*START, START[0].replace(b'"So"', b'"\xff"')]), "upstream_protocol", id="A14 not UTF-8"
        ),
        pytest.param(
            streamed([*START, b'data: {"error":{"message":"overloaded"}}\n\n']),
            "upstream_error",
            id="A12 error event",
        ),
    ],
)
async def test_a_fault_after_content_is_said_in_band_and_is_never_success(
    upstream: FaultUpstream, bad: Recipe, code: str
) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", bad)
        async with Room([upstream.base_url, good.base_url]) as room:
            answer = await room.ask(stream=True)
            exchange = await outcome_of(room)
        assert good.requests == []

    events = answer.events()
    assert answer.status == 200
    assert text_of(answer) == "So far"
    assert b"[DONE]" not in events
    assert json.loads(events[-1])["error"]["code"] == code
    assert exchange.outcome == "failed"
    assert exchange.usage is not None
    assert exchange.usage.output_tokens > 0


async def test_a8_a_stream_of_anthropics_without_message_stop_is_no_success(upstream: FaultUpstream) -> None:
    upstream.script("whole", streamed(anthropic_events()))
    upstream.script("cut", streamed(anthropic_events(stop=False)[:-1]))
    async with Room([upstream.origin], provider=Anthropic) as room:
        good = await room.ask("whole", stream=True)
        cut = await room.ask("cut", stream=True)
        exchange = await outcome_of(room, 2)

    assert good.events()[-1] == b"[DONE]"
    assert text_of(good) == text_of(cut) == "Good morning."
    assert json.loads(cut.events()[-1])["error"]["code"] == "upstream_disconnected"
    assert exchange.outcome == "failed"


@pytest.mark.slow
async def test_a9_with_no_target_left_a_stream_that_says_nothing_is_a_504(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(SSE, Chunk(ROLE), Stall()))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        await outcome_of(room)

    assert answer.status == 504
    assert code_of(answer) == "upstream_timeout"


@pytest.mark.slow
async def test_a9_a_client_that_waits_long_is_kept_with_comments_and_then_told(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.beat.KEEP_ALIVE_S", 0.1)
    upstream.script("m", recipe(SSE, Chunk(ROLE), Stall()))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        exchange = await outcome_of(room)

    assert answer.status == 200
    assert answer.header("x-request-id") == exchange.id
    assert answer.body.startswith(b": ka\n\n: ka\n\n")
    assert [json.loads(one)["error"]["code"] for one in answer.events()] == ["upstream_timeout"]
    assert exchange.outcome == "failed"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a15_any_form_and_any_cut_of_events_gives_the_same_text(
    upstream: FaultUpstream, newline: bytes, size: int
) -> None:
    events = b": hello\n\n" + b"".join(openai_events(("Olá", " — é", " ¿qué?"))).replace(b"data: ", b"data:")
    events = b"\xef\xbb\xbf" + events.replace(b"\n", newline)
    upstream.script("m", streamed([events[at : at + size] for at in range(0, len(events), size)]))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        await outcome_of(room)

    assert text_of(answer) == "Olá — é ¿qué?"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(EVENTS[:-1], id="no [DONE] after the finish_reason"),
        pytest.param([*EVENTS, EVENTS[-1], EVENTS[-1]], id="[DONE] three times"),
        pytest.param([*EVENTS, START[0]], id="content after [DONE]"),
        pytest.param([EVENTS[4], *EVENTS[:4], EVENTS[5]], id="usage first"),
        pytest.param([b"event: m\nid: 1\nretry: 5\n" + one for one in EVENTS], id="other fields"),
        pytest.param([*EVENTS[:-1], EVENTS[-1].rstrip(b"\n")], id="no blank line at the end"),
    ],
)
async def test_a15_what_else_providers_do_with_events_changes_nothing(
    upstream: FaultUpstream, events: list[bytes]
) -> None:
    upstream.script("m", streamed(events))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        exchange = await outcome_of(room)

    assert text_of(answer) == "Good morning."
    assert answer.events().count(b"[DONE]") == 1
    assert answer.events()[-1] == b"[DONE]"
    assert exchange.outcome == "answered"
    assert exchange.usage is not None
    assert exchange.usage.output_tokens == 7


async def test_a15_an_event_sent_twice_is_passed_on_twice(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed([EVENTS[0], *EVENTS]))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        exchange = await outcome_of(room)

    assert text_of(answer) == "GoodGood morning."
    assert exchange.reply_text == ["GoodGood morning."]


async def test_a15_an_event_of_five_megabytes_passes(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(("x" * 5_000_000,))))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)

    assert len(text_of(answer)) == 5_000_000


async def test_a16_a_compressed_stream_is_read(upstream: FaultUpstream) -> None:
    head = Head(headers=(*SSE.headers, ("Content-Encoding", "gzip")), framing="chunked")
    upstream.script("m", recipe(head, Chunk(gzip.compress(b"".join(EVENTS))), LastChunk()))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        await outcome_of(room)

    assert text_of(answer) == "Good morning."


async def test_a15_a_payload_of_several_lines_reaches_the_client_as_one(upstream: FaultUpstream) -> None:
    lines = START[0].replace(b'"choices": ', b'"choices":\ndata: ')
    upstream.script("m", streamed([lines, *EVENTS[1:]]))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)

    assert lines.count(b"data: ") == 2
    assert text_of(answer).startswith("So")
