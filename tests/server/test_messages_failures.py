"""Messages that are refused, break, or are left: by whom, and in which words."""

import json
from typing import Any

import anthropic
import pytest

from greenroom.exchange import Caller
from greenroom.gateway.keys import Key
from greenroom.server.head import Limits
from greenroom.server.messages import MESSAGES, Messages
from tests.faults.rawclient import request_bytes
from tests.faults.recipes import Chunk, LastChunk, Wait, error, openai_events, recipe, streamed, whole
from tests.faults.room import KEY, Room
from tests.faults.test_stream_faults import SSE
from tests.faults.upstream import FaultUpstream
from tests.server.messages import ANSWER, FULL, HELLO, Body, ask, content_of, events_of, raw_ask, serving


@pytest.mark.parametrize(
    ("upstreams", "status", "kind"),
    [
        (error(400), 400, "invalid_request_error"), (error(404), 404, "not_found_error"),
        (error(413), 413, "request_too_large"), (error(429), 429, "rate_limit_error"),
        (error(500), 500, "api_error"), (error(503), 503, "api_error"), (error(529), 529, "overloaded_error"),
        (error(401), 502, "api_error"), (whole(b"<html>"), 502, "api_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_the_provider_refuses_has_anthropics_types(
    upstream: FaultUpstream, upstreams: Any, status: int, kind: str, stream: bool
) -> None:
    upstream.script("m", upstreams)
    async with serving(upstream) as (room, client):
        with pytest.raises(anthropic.APIStatusError) as refused:
            await ask(client, HELLO, stream=stream)
        exchange = await room.kept.next()

    assert refused.value.status_code == status
    assert refused.value.body["error"]["type"] == kind  # type: ignore[index]  # the client's own JSON
    assert refused.value.request_id == exchange.id


@pytest.mark.parametrize(
    ("body", "options", "status", "kind"),
    [
        pytest.param(b"{", {}, 400, "invalid_request_error", id="broken"),
        pytest.param({"model": "m"}, {}, 400, "invalid_request_error", id="fields missing"),
        pytest.param(HELLO, {"key": None}, 401, "authentication_error", id="no key"),
        pytest.param(HELLO, {"key": "gr-nobody"}, 401, "authentication_error", id="unknown key"),
        pytest.param(b"", {"method": "GET"}, 405, "invalid_request_error", id="method"),
        pytest.param(HELLO, {"path": "/v1/messages/batches"}, 404, "not_found_error", id="no route"),
        pytest.param({**HELLO, "x": "x" * 200_000}, {}, 413, "request_too_large", id="too large"),
        pytest.param({**HELLO, "model": "x"}, {}, 403, "permission_error", id="not allowed"),
    ],
)
async def test_every_refusal_of_ours_has_anthropics_envelope(
    upstream: FaultUpstream, body: Body | bytes, options: Body, status: int, kind: str
) -> None:
    key = Key(caller=Caller(key_id="k", apps=("m",)))
    async with serving(upstream, limits=Limits(body_bytes=100_000), key=key) as (room, _):
        answer = await raw_ask(room, body, **options)

    assert answer.status == status
    said = answer.json()
    assert said["type"] == "error"
    assert said["error"]["type"] == kind  # type: ignore[index]  # JSON
    assert said["request_id"] == answer.header("request-id") == answer.header("x-request-id")
    assert upstream.requests == []


async def test_a_key_out_of_its_limits_is_told_when_to_come_back(upstream: FaultUpstream) -> None:
    key = Key(caller=Caller(key_id="k"), requests_per_minute=1)
    async with serving(upstream, key=key) as (_, client):
        await ask(client, HELLO, stream=False)
        with pytest.raises(anthropic.RateLimitError) as refused:
            await ask(client, HELLO, stream=True)

    assert int(refused.value.response.headers["retry-after"]) >= 1


async def test_a_stream_that_breaks_says_so_in_an_error_event(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(openai_events(("So",), finish=None, done=False, usage=False)))
    async with serving(upstream) as (_, client):
        with pytest.raises(anthropic.APIStatusError) as broken:
            await ask(client, HELLO, stream=True)

    body: Any = broken.value.body
    assert body["error"]["type"] == "api_error"
    assert body["error"]["code"] == "upstream_disconnected"


async def test_an_overloaded_provider_is_named_inside_the_stream_too(upstream: FaultUpstream) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    event = f"event: error\ndata: {json.dumps(overloaded)}\n\n".encode()
    upstream.script("m", streamed([*events_of(ANSWER)[:6], event]))
    async with serving(upstream, native=True) as (_, client):
        with pytest.raises(anthropic.APIStatusError) as broken:
            await ask(client, HELLO, stream=True)

    body: Any = broken.value.body
    assert body["error"]["type"] == "overloaded_error"


async def test_pings_keep_a_slow_stream_alive(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.beat.KEEP_ALIVE_S", 0.05)
    events = openai_events()
    upstream.script("m", recipe(SSE, Wait(0.3), *map(Chunk, events), LastChunk()))
    async with serving(upstream) as (room, client):
        answer = await raw_ask(room, {**HELLO, "stream": True})
        message = await ask(client, HELLO, stream=True)

    kinds = [json.loads(data)["type"] for data in answer.events()]
    assert kinds[:3] == ["ping"] * 3
    assert kinds[kinds.index("message_start") :].count("ping") == 0
    assert content_of(message) == [{"type": "text", "text": "Good morning."}]


async def test_a_stream_that_is_cut_by_the_shutdown_says_so_in_its_own_words(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(SSE, Chunk(openai_events()[0]), Wait(5.0)))
    async with serving(upstream) as (room, _), room.client(timeout_s=8.0) as client:
        await client.send(request_bytes({**HELLO, "stream": True}, path="/v1/messages", key=KEY))
        begun = await client.read_until(b"text_delta")
        for connection in list(room.shared.connections):
            connection.cut()
        rest = await client.read_to_end()

    assert b"message_start" in begun
    assert b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"' in rest
    assert rest.endswith(b"0\r\n\r\n")


async def test_a_client_that_leaves_ends_the_call_and_its_record_says_so(upstream: FaultUpstream) -> None:
    upstream.script("m", recipe(SSE, Chunk(openai_events()[0]), Wait(5.0)))
    async with serving(upstream) as (room, _):
        async with room.client(timeout_s=8.0) as client:
            await client.send(request_bytes({**HELLO, "stream": True}, path="/v1/messages", key=KEY))
            await client.read_until(b"text_delta")
        exchange = await room.kept.next()
        await upstream.log.wait("gone")

    assert exchange.outcome == "cancelled"
    assert exchange.surface == "messages"
    assert exchange.usage is not None


async def test_another_provider_answers_where_the_first_fails_before_content(upstream: FaultUpstream) -> None:
    upstream.script("m", error(500))
    async with (
        FaultUpstream() as good,
        Room([upstream.base_url, good.base_url], fronts={MESSAGES: Messages()}) as room,
    ):
        answer = await raw_ask(room, {**FULL, "messages": HELLO["messages"], "stream": True})
        exchange = await room.kept.next()

    assert [json.loads(data)["type"] for data in answer.events()][-1] == "message_stop"
    assert exchange.target == "p1/m"
    dropped = answer.header("x-greenroom-dropped")
    assert dropped == "thinking, inference_geo, cache_control, tools.input_examples"
