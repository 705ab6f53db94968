"""Questions and answers in the words of Anthropic's messages, and a server that takes them."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic
from anthropic.types import Message

from greenroom.models.providers import Anthropic, OpenAICompatible
from greenroom.server.messages import MESSAGES, Messages
from tests.faults.rawclient import Answer, request_bytes
from tests.faults.room import KEY, Room
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


async def raw_ask(
    room: Room, body: Body | bytes, *, key: str | None = KEY, method: str = "POST", path: str = "/v1/messages",
    headers: Sequence[tuple[str, str]] = (),
) -> Answer:  # fmt: skip
    async with room.client(timeout_s=8.0) as client:
        await client.send(request_bytes(body, path=path, key=key, method=method, headers=tuple(headers)))
        return await client.answer()
