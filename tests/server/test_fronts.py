"""A dialect in front of the pipeline: its requests, answers, streams and errors, and nothing of chat."""

import json

import pytest

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller, Exchange, Surface
from greenroom.gateway.access import Limits as KeyLimits
from greenroom.server.fronts import Envelope, Events, Failure, Front, Turn
from greenroom.server.head import Limits, Request
from greenroom.wire import openai
from tests.faults.rawclient import Answer, request_bytes
from tests.faults.recipes import Recipe, Reset, error, openai_events, recipe, streamed, whole
from tests.faults.room import KEY, Room
from tests.faults.test_stream_faults import SSE
from tests.faults.upstream import FaultUpstream

PATH = b"/v1/says"


class SaysEvents:
    keep_alive = b"event: still here\n\n"

    def feed(self, payload: bytes) -> bytes:
        if payload == b"[DONE]":
            return b"data: over\n\n"
        chunk = json.loads(payload)
        if "error" in chunk:
            return b"data: failed %b\n\n" % chunk["error"]["code"].encode()
        said = [one["delta"].get("content") or "" for one in chunk["choices"]]
        return b"data: said %b\n\n" % "".join(said).encode() if any(said) else b""


class SaysTurn:
    def __init__(self, body: dict[str, object]) -> None:
        self.dropped = [name for name in body if name not in {"say", "stream"}]
        messages = [{"role": "user", "content": body["say"]}]
        self.chat = openai.encode({"model": "m", "messages": messages, "stream": body.get("stream", False)})

    async def whole(self, exchange: Exchange, body: bytes) -> bytes:
        said = json.loads(body)["choices"][0]["message"]["content"]
        return openai.encode({"said": said, "id": exchange.id})

    def events(self, exchange: Exchange) -> Events:
        return SaysEvents()


class SaysEnvelope:
    def error(self, failure: Failure, id: str) -> bytes:
        return openai.encode({"wrong": failure.message, "code": failure.code, "id": id})

    def id_header(self, id: str) -> bytes:
        return b"says-id: %b\r\n" % id.encode()

    def limit_headers(self, limits: KeyLimits | None) -> bytes:
        return (
            b"" if limits is None else b"says-limits: %d\r\n" % (limits.requests or limits.tokens or (0,))[0]
        )


class Says:
    surface: Surface = "responses"
    envelope: Envelope = SaysEnvelope()

    async def read(self, request: Request, caller: Caller) -> Turn:
        body = json.loads(request.body)
        if "say" not in body:
            raise MalformedRequest("'say' is missing.", "say")
        return SaysTurn(body)


def room(upstream: FaultUpstream, **options: object) -> Room:
    front: Front = Says()
    return Room([upstream.base_url], fronts={PATH: front}, **options)  # type: ignore[arg-type]  # Room's own


async def ask(
    served: Room, body: dict[str, object] | bytes, *, key: str | None = KEY, method: str = "POST"
) -> Answer:
    async with served.client(timeout_s=8.0) as client:
        await client.send(request_bytes(body, path=PATH.decode(), key=key, method=method))
        return await client.answer()


async def test_a_body_goes_in_as_chat_and_comes_back_in_the_fronts_own_form(upstream: FaultUpstream) -> None:
    async with room(upstream) as served:
        answer = await ask(served, {"say": "Hello?", "loudly": True})
        exchange = await served.kept.next()

    assert upstream.requests[0].json()["messages"] == [{"role": "user", "content": "Hello?"}]
    assert answer.json() == {"said": "Good morning.", "id": exchange.id}
    assert answer.header("says-id") == answer.header("x-request-id") == exchange.id
    assert answer.header("x-greenroom-dropped") == "loudly"
    assert exchange.surface == "responses"


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in pieces", "at once"])
async def test_a_stream_is_written_in_the_fronts_own_events(upstream: FaultUpstream, size: int) -> None:
    events = b"".join(openai_events(("Good", "-mor", "ning", ".")))
    upstream.script("m", streamed([events[at : at + size] for at in range(0, len(events), size)]))
    async with room(upstream) as served:
        answer = await ask(served, {"say": "Hello?", "stream": True})

    assert b"".join(answer.events()) == b"said Goodsaid -morsaid ningsaid .over"
    assert answer.header("says-id") == answer.header("x-request-id")


async def test_a_stream_that_breaks_says_so_in_the_fronts_own_words(upstream: FaultUpstream) -> None:
    begun = openai_events(("So",), finish=None, done=False, usage=False)
    upstream.script("m", streamed(begun))
    async with room(upstream) as served:
        answer = await ask(served, {"say": "Hello?", "stream": True})

    assert answer.status == 200
    assert answer.events() == [b"said So", b"failed upstream_disconnected"]


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        pytest.param(error(500), 500, "scripted", id="the provider's error"),
        pytest.param(recipe(SSE, Reset()), 502, "upstream_disconnected", id="nothing before it breaks"),
        pytest.param(whole(b"<html>", content_type="text/html"), 502, "upstream_protocol", id="no events"),
    ],
)
async def test_what_fails_before_any_content_has_a_status_and_the_fronts_envelope(
    upstream: FaultUpstream, bad: Recipe, status: int, code: str
) -> None:
    upstream.script("m", bad)
    async with room(upstream) as served:
        answer = await ask(served, {"say": "Hello?", "stream": True})

    assert answer.status == status
    assert answer.json()["code"] == code
    assert answer.json()["id"] == answer.header("says-id")


@pytest.mark.parametrize(
    ("body", "key", "method", "status"),
    [
        pytest.param({}, KEY, "POST", 400, id="a field is missing"),
        pytest.param({"say": "x"}, None, "POST", 401, id="no key"),
        pytest.param(b"", KEY, "GET", 405, id="the wrong method"),
        pytest.param({"say": "x" * 200_000}, KEY, "POST", 413, id="too large"),
    ],
)
async def test_every_refusal_has_the_fronts_envelope(
    upstream: FaultUpstream, body: dict[str, object] | bytes, key: str | None, method: str, status: int
) -> None:
    async with room(upstream, limits=Limits(body_bytes=100_000)) as served:
        answer = await ask(served, body, key=key, method=method)

    assert answer.status == status
    assert answer.json().keys() == {"wrong", "code", "id"}
    assert upstream.requests == []
