"""The real `anthropic` client against `/v1/messages`, in front of providers of its own dialect and of OpenAI's."""

import json

import anthropic
import pytest

from tests.faults.recipes import openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server.messages import (
    ANSWER,
    FULL,
    HELLO,
    TOOLS,
    USAGE,
    Body,
    ask,
    content_of,
    events_of,
    raw_ask,
    serving,
)


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
