"""The real `openai` and `anthropic` clients in front of providers of a third dialect: turns with tools."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from greenroom.models.dispatch import Patience
from greenroom.models.providers import Bedrock, Cohere, Gemini
from greenroom.server.messages import MESSAGES, Messages
from tests.faults.room import KEY, MakeProvider, Room
from tests.models.scripted import Answer, Scripted
from tests.wire.test_bedrock import event

# Bodies are JSON in the clients' own words: Any stands for what their types would check anyway.
Body = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
OPENAI_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ANTHROPIC_TOOLS: Any = [{"name": "weather", "input_schema": SCHEMA}]
GEMINI_CALL = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "I should look.", "thought": True},
                    {"text": "Let me look."},
                    {"functionCall": {"name": "weather", "args": {"city": "Rio"}}, "thoughtSignature": "c2lnbmVk"},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3},
    "responseId": "r1",
}  # fmt: skip
GEMINI_TEXT = {
    "candidates": [{"content": {"parts": [{"text": "21 degrees."}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 4},
}
CONVERSE_CALL = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "I should look.", "signature": "c2lnbmVk"}}},
                {"text": "Let me look."},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rio"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 10, "outputTokens": 8, "totalTokens": 18},
}
CONVERSE_TEXT = {
    "output": {"message": {"role": "assistant", "content": [{"text": "21 degrees."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 20, "outputTokens": 4, "totalTokens": 24},
}
CONVERSE_EVENTS = [
    event("messageStart", role="assistant"),
    event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "I should look."}}),
    event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"signature": "c2lnbmVk"}}),
    event("contentBlockStop", contentBlockIndex=0),
    event("contentBlockDelta", contentBlockIndex=1, delta={"text": "Let me look."}),
    event("contentBlockStop", contentBlockIndex=1),
    event(
        "contentBlockStart", contentBlockIndex=2, start={"toolUse": {"toolUseId": "t1", "name": "weather"}}
    ),
    event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": '{"city": "Rio"}'}}),
    event("contentBlockStop", contentBlockIndex=2),
    event("messageStop", stopReason="tool_use"),
    event("metadata", usage=CONVERSE_CALL["usage"]),
]


def sse(*events: Body) -> Answer:
    return Answer(
        media="text/event-stream", chunks=[b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in events]
    )


def json_of(body: Body) -> Answer:
    return Answer(json.dumps(body).encode())


def scripted(provider: type, *, stream: bool) -> list[Answer]:
    """A call of a tool, then a sentence."""
    if provider is Gemini:
        return (
            [sse(GEMINI_CALL), sse(GEMINI_TEXT)] if stream else [json_of(GEMINI_CALL), json_of(GEMINI_TEXT)]
        )
    if not stream:
        return [json_of(CONVERSE_CALL), json_of(CONVERSE_TEXT)]
    media = "application/vnd.amazon.eventstream"
    text = [
        event("messageStart", role="assistant"),
        event("contentBlockDelta", contentBlockIndex=0, delta={"text": "21 degrees."}),
        event("messageStop", stopReason="end_turn"),
    ]
    return [Answer(media=media, chunks=CONVERSE_EVENTS), Answer(media=media, chunks=text)]


@asynccontextmanager
async def room_of(provider: MakeProvider, *answers: Answer) -> AsyncIterator[tuple[Room, Scripted]]:
    async with (
        Scripted(*answers) as upstream,
        Room([upstream.origin], provider=provider, fronts={MESSAGES: Messages()}) as room,
    ):
        yield room, upstream


def returned(provider: type, asked: Body) -> tuple[Any, Any]:
    """The signature that came back to the provider, and what the tool said."""
    turn, result = (
        (asked["contents"][1]["parts"], asked["contents"][2]["parts"][0])
        if provider is Gemini
        else (asked["messages"][1]["content"], asked["messages"][2]["content"][0])
    )
    if provider is Gemini:
        call = next(part for part in turn if "functionCall" in part)
        assert call["functionCall"] == {"name": "weather", "args": {"city": "Rio"}}
        return call.get("thoughtSignature"), result["functionResponse"]["response"]
    call = next(block["toolUse"] for block in turn if "toolUse" in block)
    assert call == {"toolUseId": "t1", "name": "weather", "input": {"city": "Rio"}}
    thought = next((block["reasoningContent"] for block in turn if "reasoningContent" in block), None)
    return thought and thought["reasoningText"], result["toolResult"]["content"]


@pytest.mark.parametrize("provider", [Gemini, Bedrock])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_turn_with_a_tool_by_the_anthropic_client(provider: type, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Weather in Rio?"}]
    async with room_of(provider, *scripted(provider, stream=stream)) as (room, upstream):
        url = f"http://127.0.0.1:{room.port}"
        async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client:
            answers = []
            for _ in range(2):
                body: Body = {"model": "m", "max_tokens": 99, "messages": messages, "tools": ANTHROPIC_TOOLS}
                if stream:
                    async with client.messages.stream(**body) as events:
                        answer: Any = await events.get_final_message()
                else:
                    answer = await client.messages.create(**body)
                answers.append(answer)
                call = next((block for block in answer.content if block.type == "tool_use"), None)
                if call is not None:
                    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21"}
                    messages.append({"role": "assistant", "content": answer.content})
                    messages.append({"role": "user", "content": [result]})

    first, second = answers
    kinds = [block.type for block in first.content]
    late = provider is Gemini and stream  # its signature comes with the call, when the thought is long said
    assert kinds == ["thinking", "text", *(["thinking"] if late else []), "tool_use"]
    assert first.stop_reason == "tool_use"
    assert next(block.input for block in first.content if block.type == "tool_use") == {"city": "Rio"}
    assert next(block.thinking for block in first.content if block.type == "thinking") == "I should look."
    assert (first.usage.input_tokens, first.usage.output_tokens) == (10, 8)
    assert second.content[0].text == "21 degrees."
    signature, told = returned(provider, upstream.asked[1].json())
    if provider is Gemini:
        assert (signature, told) == ("c2lnbmVk", {"result": "21"})
    else:
        assert signature == {"text": "I should look.", "signature": "c2lnbmVk"}
        assert told == [{"text": "21"}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_turn_with_a_tool_by_the_openai_client_at_gemini(stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Weather in Rio?"}]
    answers = [scripted(Gemini, stream=stream)[0], json_of(GEMINI_TEXT)]
    async with room_of(Gemini, *answers) as (room, upstream):
        url = f"http://127.0.0.1:{room.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
            if stream:
                pieces = await client.chat.completions.create(
                    model="m", messages=messages, tools=OPENAI_TOOLS, stream=True
                )
                calls = [
                    call.model_dump(exclude_none=True)
                    async for piece in pieces
                    for choice in piece.choices
                    for call in choice.delta.tool_calls or ()
                ]
            else:
                answer = await client.chat.completions.create(
                    model="m", messages=messages, tools=OPENAI_TOOLS
                )
                assert answer.choices[0].finish_reason == "tool_calls"
                assert answer.usage is not None
                assert answer.usage.completion_tokens == 8
                said = answer.choices[0].message.tool_calls or []
                calls = [call.model_dump(exclude_none=True) for call in said]
            messages += [
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": calls[0]["id"], "content": "21"},
            ]
            raw = await client.chat.completions.with_raw_response.create(
                model="m", messages=messages, tools=OPENAI_TOOLS, extra_body={"logit_bias": {"1": 1}}
            )

    assert returned(Gemini, upstream.asked[1].json()) == ("c2lnbmVk", {"result": "21"})
    assert raw.headers["x-greenroom-dropped"] == "logit_bias"
    assert raw.parse().choices[0].message.content == "21 degrees."


@pytest.mark.parametrize("provider", [Gemini, Bedrock, Cohere])
async def test_a_stream_that_is_cut_says_so_to_the_client(provider: type) -> None:
    parts = {
        Gemini: ("text/event-stream", [b'data: {"candidates":[{"content":{"parts":[{"text":"So"}]}}]}\n\n']),
        Bedrock: ("application/vnd.amazon.eventstream", CONVERSE_EVENTS[:5]),
        Cohere: (
            "text/event-stream",
            [
                b'data: {"type":"message-start","id":"c"}\n\n',
                b'data: {"type":"content-delta","delta":{"message":{"content":{"text":"So"}}}}\n\n',
            ],
        ),
    }
    media, chunks = parts[provider]
    async with room_of(provider, Answer(media=media, chunks=chunks)) as (room, _):
        answer = await room.ask(stream=True)
        exchange = await room.kept.next()

    last = answer.events()[-1]
    assert b"upstream_disconnected" in last
    assert b"[DONE]" not in answer.events()
    assert (exchange.outcome, exchange.error) == ("failed", "upstream_disconnected")


def retry_info(wait: str) -> Answer:
    told = {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "Quota.",
        "details": [{"retryDelay": wait}],
    }
    return Answer(json.dumps({"error": told}).encode(), 429)


async def test_a11_a_wait_that_gemini_names_in_the_body_is_kept_to() -> None:
    answers = [retry_info("0.3s"), json_of(GEMINI_TEXT)]
    async with (
        Scripted(*answers) as upstream,
        Room([upstream.origin], provider=Gemini, patience=Patience()) as room,
    ):
        began = time.monotonic()
        answer = await room.ask()

    assert answer.status == 200
    assert time.monotonic() - began >= 0.3
    assert len(upstream.asked) == 2


async def test_a11_a_wait_that_is_too_long_is_told_to_the_client() -> None:
    async with (
        Scripted(retry_info("42s")) as upstream,
        Room([upstream.origin], provider=Gemini, patience=Patience()) as room,
    ):
        answer = await room.ask()

    assert answer.status == 429
    assert answer.header("retry-after") in {"42", "43"}
    assert len(upstream.asked) == 1
