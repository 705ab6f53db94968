"""The real `anthropic` client against `/v1/messages`, in front of providers of its own dialect and of OpenAI's."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from greenroom.exchange import Caller
from greenroom.gateway.keys import Key
from greenroom.models.providers import Anthropic, OpenAICompatible
from greenroom.server.head import Limits
from greenroom.server.messages import MESSAGES, Messages
from tests.faults.rawclient import Answer, request_bytes
from tests.faults.recipes import (
    Chunk,
    LastChunk,
    Wait,
    error,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import KEY, Room
from tests.faults.test_stream_faults import SSE
from tests.faults.upstream import FaultUpstream

# Bodies are JSON in the client's own words: Any stands for what its types would check anyway.
Body = dict[str, Any]

HELLO: Body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello?"}]}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"}
SECRET_THOUGHT = {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}
USAGE = {
    "input_tokens": 11,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 7,
}
TOOLS = [
    {
        "name": "weather",
        "description": "Looks out of the window.",
        "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "input_examples": [{"at": "Recife"}],
    }
]
FULL: Body = {
    "model": "m",
    "max_tokens": 4000,
    "system": [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be kind."},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": PNG},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    "title": "Rules",
                    "context": "of the house",
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "No shoes."},
                    "title": "Notes",
                },
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                {
                    "type": "search_result",
                    "source": "https://example.com",
                    "title": "Found",
                    "content": [{"type": "text", "text": "It is a cat."}],
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                THOUGHT,
                SECRET_THOUGHT,
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"at": "Recife", "n": 1.5}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no window", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "see"}, {"type": "image", "source": PNG}],
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": TOOLS,
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "metadata": {"user_id": "u-1"},
    "service_tier": "standard_only",
    "stop_sequences": ["END"],
    "inference_geo": "eu",
}
ANSWER: Body = {
    "id": "msg_scripted",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        THOUGHT,
        SECRET_THOUGHT,
        {"type": "text", "text": "I look again."},
        {"type": "tool_use", "id": "toolu_3", "name": "weather", "input": {"at": "Olinda"}},
        {"type": "tool_use", "id": "toolu_4", "name": "weather", "input": {"at": "Natal"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}


def events_of(message: Body, cut: int = 3) -> list[bytes]:
    """The events Anthropic streams for a message, texts `cut` characters at a time."""

    def event(kind: str, **more: object) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()

    def deltas(index: int, kind: str, name: str, text: str) -> list[bytes]:
        return [
            event("content_block_delta", index=index, delta={"type": kind, name: text[at : at + cut]})
            for at in range(0, len(text), cut)
        ]

    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    events = [event("message_start", message=begun), event("ping")]
    for index, block in enumerate(message["content"]):
        match block["type"]:
            case "text":
                first, rest = {**block, "text": ""}, deltas(index, "text_delta", "text", block["text"])
            case "thinking":
                first = {**block, "thinking": "", "signature": ""}
                rest = deltas(index, "thinking_delta", "thinking", block["thinking"])
                delta = {"type": "signature_delta", "signature": block["signature"]}
                rest.append(event("content_block_delta", index=index, delta=delta))
            case "tool_use":
                first = {**block, "input": {}}
                rest = deltas(index, "input_json_delta", "partial_json", json.dumps(block["input"]))
            case _:
                first, rest = block, []
        events += [event("content_block_start", index=index, content_block=first), *rest]
        events.append(event("content_block_stop", index=index))
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")}
    events.append(
        event("message_delta", delta=delta, usage={"output_tokens": message["usage"]["output_tokens"]})
    )
    events.append(event("message_stop"))
    return events


@asynccontextmanager
async def serving(
    upstream: FaultUpstream, *, native: bool = False, **options: Any
) -> AsyncIterator[tuple[Room, anthropic.AsyncAnthropic]]:
    """A room with the front, and a client of it."""
    url = upstream.origin if native else upstream.base_url
    provider = Anthropic if native else OpenAICompatible
    async with (
        Room([url], provider=provider, fronts={MESSAGES: Messages()}, **options) as room,
        anthropic.AsyncAnthropic(
            base_url=f"http://127.0.0.1:{room.port}", api_key=KEY, max_retries=0
        ) as client,
    ):
        yield room, client


async def ask(client: anthropic.AsyncAnthropic, body: Body, *, stream: bool) -> Message:
    if not stream:
        message: Message = await client.messages.create(**body)
        return message
    async with client.messages.stream(**{name: body[name] for name in body}) as events:
        return await events.get_final_message()


def content_of(message: Message) -> list[Body]:
    return [block.model_dump(exclude_none=True) for block in message.content]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_between_client_and_provider_of_one_dialect_nothing_is_lost(
    upstream: FaultUpstream, stream: bool
) -> None:
    upstream.script("m", streamed(events_of(ANSWER)) if stream else whole(json.dumps(ANSWER).encode()))
    extra = {"extra_headers": {"anthropic-version": "2026-10-21", "anthropic-beta": "a-2026-01-01,b"}}
    async with serving(upstream, native=True) as (room, client):
        message = await ask(client, {**FULL, **extra}, stream=stream)
        exchange = await room.kept.next()

    sent = upstream.requests[0]
    body = sent.json()
    assert body.pop("stream", False) is stream
    assert body == FULL
    assert sent.header("anthropic-version") == "2026-10-21"
    assert sent.header("anthropic-beta") == "a-2026-01-01,b"
    assert content_of(message) == ANSWER["content"]
    assert message.id == "msg_scripted"
    assert message.stop_reason == "tool_use"
    assert "dropped" not in exchange.context
    assert exchange.user == "u-1"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_a_prompt_cache_read_and_kept_is_counted_as_the_provider_counts_it(
    upstream: FaultUpstream, stream: bool
) -> None:
    upstream.script("m", streamed(events_of(ANSWER)) if stream else whole(json.dumps(ANSWER).encode()))
    async with serving(upstream, native=True) as (_, client):
        message = await ask(client, HELLO, stream=stream)

    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (11, 7)
    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (300, 2000)
    assert usage.cache_creation is not None
    assert usage.cache_creation.model_dump() == USAGE["cache_creation"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_provider_of_openais_dialect_gets_what_chat_can_say_and_the_rest_is_named(
    upstream: FaultUpstream, stream: bool
) -> None:
    content = [block for block in FULL["messages"][0]["content"] if block.get("source", {}) != URL_DOCUMENT]
    messages = [{"role": "user", "content": content}, *FULL["messages"][1:]]
    async with serving(upstream) as (room, client):
        message = await ask(client, {**FULL, "messages": messages}, stream=stream)
        exchange = await room.kept.next()

    assert content_of(message) == [{"type": "text", "text": "Good morning."}]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)
    sent = upstream.requests[0].json()
    assert sent == {
        "model": "m",
        "max_completion_tokens": 4000,
        "messages": [
            {"role": "system", "content": [
                {"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}
            ]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "text", "text": "Rules"},
                {"type": "text", "text": "of the house"},
                {"type": "file", "file": {
                    "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "document.pdf"
                }},
                *({"type": "text", "text": text} for text in (
                    "Notes", "No shoes.", "https://example.com", "Found", "It is a cat."
                )),
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "toolu_1", "type": "function",
                 "function": {"name": "weather", "arguments": '{"at":"Recife","n":1.5}'}},
                {"id": "toolu_2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "no window"},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "see"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "text", "text": "And now?"},
            ]},
        ],
        "tools": [{"type": "function", "function": {
            "name": "weather", "description": "Looks out of the window.",
            "parameters": TOOLS[0]["input_schema"],
        }}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "answer", "schema": {"type": "object"}, "strict": True
        }},
        "user": "u-1",
        "service_tier": "default",
        "stop": ["END"],
        **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}),
    }  # fmt: skip
    assert exchange.context["dropped"] == [
        "thinking", "inference_geo", "cache_control", "thinking_blocks", "is_error",
        "tools.input_examples",
    ]  # fmt: skip


URL_DOCUMENT = {"type": "url", "url": "https://example.com/a.pdf"}


async def test_a_document_by_address_is_refused_where_the_provider_takes_none(
    upstream: FaultUpstream,
) -> None:
    body = {
        **HELLO,
        "messages": [{"role": "user", "content": [{"type": "document", "source": URL_DOCUMENT}]}],
    }
    async with serving(upstream) as (_, client):
        with pytest.raises(anthropic.BadRequestError, match="by its address"):
            await ask(client, body, stream=False)

    assert upstream.requests == []


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"at": "Olinda"}'}}
CALL_2 = {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": ""}}
REASONING: Body = {
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I look.",
                "reasoning_content": "Hm.",
                "tool_calls": [CALL, CALL_2],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}


def chat_events(reply: Body) -> list[bytes]:
    """The same answer as OpenAI streams it."""
    choice = reply["choices"][0]
    message = choice["message"]
    deltas: list[Body] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": letter} for letter in message.get("reasoning_content", "")]
    deltas += [{"content": letter} for letter in message["content"] or ""]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append(
            {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]}
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": letter}}]}
            for letter in call["function"]["arguments"]
        ]
    head = {"id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    chunks: list[Body] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    chunks.append({**head, "choices": [], "usage": reply["usage"]})
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_reasoning_calls_and_counts_of_a_chat_model_come_as_blocks(
    upstream: FaultUpstream, stream: bool
) -> None:
    upstream.script(
        "m", streamed(chat_events(REASONING)) if stream else whole(json.dumps(REASONING).encode())
    )
    async with serving(upstream) as (_, client):
        message = await ask(client, {**HELLO, "tools": TOOLS}, stream=stream)

    assert content_of(message) == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"at": "Olinda"}},
        {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
    ]
    assert message.stop_reason == "tool_use"
    assert message.id.startswith("msg_")
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (36, 64, 20)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 5


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("other", "end_turn"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_stop_reasons(upstream: FaultUpstream, stream: bool, finish: str, reason: str) -> None:
    reply = json.loads(openai_reply("Well"))
    reply["choices"][0]["finish_reason"] = finish
    upstream.script("m", streamed(chat_events(reply)) if stream else whole(json.dumps(reply).encode()))
    async with serving(upstream) as (_, client):
        message = await ask(client, HELLO, stream=stream)

    assert message.stop_reason == reason


@pytest.mark.parametrize(
    "ending",
    [
        {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        {"stop_reason": "pause_turn"},
        {"stop_reason": "model_context_window_exceeded"},
        {
            "stop_reason": "refusal",
            "stop_details": {"type": "refusal", "category": "cyber", "explanation": "I won't."},
        },
    ],
    ids=lambda one: one["stop_reason"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_anthropics_own_reasons_come_back_as_they_are(
    upstream: FaultUpstream, stream: bool, ending: Body
) -> None:
    answer = {**ANSWER, "content": [{"type": "text", "text": "So"}], **ending}
    upstream.script("m", streamed(events_of(answer)) if stream else whole(json.dumps(answer).encode()))
    async with serving(upstream, native=True) as (_, client):
        message = await ask(client, HELLO, stream=stream)

    got = message.model_dump(include={"stop_reason", "stop_sequence", "stop_details"}, exclude_none=True)
    assert got == ending
    assert content_of(message) == [{"type": "text", "text": "So"}]


async def test_blocks_that_chat_has_no_place_for_are_named(upstream: FaultUpstream) -> None:
    server_tool = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    answer = {**ANSWER, "content": [server_tool, {"type": "text", "text": "So"}], "stop_reason": "end_turn"}
    upstream.script("m", whole(json.dumps(answer).encode()), streamed(events_of(answer)))
    async with serving(upstream, native=True) as (room, client):
        raw = await client.messages.with_raw_response.create(**HELLO)
        streamed_answer = await ask(client, HELLO, stream=True)
        exchange = await room.kept.next(2)

    assert raw.headers["x-greenroom-dropped"] == "content.server_tool_use"
    assert content_of(streamed_answer) == [{"type": "text", "text": "So"}]
    assert exchange.context["dropped"] == ["content.server_tool_use"]


async def test_events_come_in_the_order_of_the_dialect_each_with_its_name(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(chat_events(REASONING)))
    async with serving(upstream) as (room, _):
        answer = await raw_ask(room, {**HELLO, "tools": TOOLS, "stream": True})

    names = [line[7:].decode() for line in answer.body.split(b"\n") if line.startswith(b"event: ")]
    kinds = [json.loads(data)["type"] for data in answer.events()]
    assert names == kinds
    assert [name for name in names if name != "content_block_delta"] == [
        "message_start",
        *(4 * ["content_block_start", "content_block_stop"]),
        "message_delta",
        "message_stop",
    ]
    assert answer.whole
    indexes = [one["index"] for one in map(json.loads, answer.events()) if "index" in one]
    assert indexes == sorted(indexes)


async def raw_ask(
    room: Room, body: Body | bytes, *, key: str | None = KEY, method: str = "POST", path: str = "/v1/messages",
    headers: Sequence[tuple[str, str]] = (),
) -> Answer:  # fmt: skip
    async with room.client(timeout_s=8.0) as client:
        await client.send(request_bytes(body, path=path, key=key, method=method, headers=tuple(headers)))
        return await client.answer()


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
