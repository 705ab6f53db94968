"""Chat completions at Bedrock: Converse bodies there, answers and streams back."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import (
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.wire.bedrock_answer import ConverseStream, from_converse
from greenroom.wire.bedrock_request import to_converse
from greenroom.wire.eventstream import EventStreamParser
from tests.wire.test_eventstream import frame

HI = [{"role": "user", "content": "Hi"}]
CLAUDE, NOVA = "anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-lite-v1:0"
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": {"properties": {}}, "strict": True},
}


def sent(model: str = CLAUDE, messages: Any = HI, **fields: Any) -> tuple[Any, list[str]]:
    made, lost = to_converse(json.dumps({"model": model, "messages": messages, **fields}).encode(), model)
    return json.loads(made), lost


def test_a_conversation_with_a_tool_turn() -> None:
    call = {
        "id": "call:1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Rio"}'},
    }
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call:1", "content": "21", "is_error": True},
        {"role": "user", "content": "And?"},
    ]

    made, lost = sent(messages=messages, tools=[WEATHER], tool_choice="required")

    assert made == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Weather?"}]},
            {
                "role": "assistant",
                "content": [
                    {"text": "Let me see."},
                    {"toolUse": {"toolUseId": "call:1", "name": "weather", "input": {"city": "Rio"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "call:1", "content": [{"text": "21"}], "status": "error"}},
                    {"text": "And?"},
                ],
            },
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "d",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                        "strict": True,
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
    }
    assert lost == []


def test_settings_have_their_names_and_what_has_none_is_named() -> None:
    made, lost = sent(
        max_tokens=5, temperature=0.1, top_p=0.2, top_k=3, stop="x", seed=1, user="u", logit_bias={"1": 2},
        reasoning_effort="minimal", service_tier="flex", thinking={"type": "enabled", "budget_tokens": 9},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )  # fmt: skip

    assert made["inferenceConfig"] == {
        "maxTokens": 5,
        "temperature": 0.1,
        "topP": 0.2,
        "stopSequences": ["x"],
    }
    assert made["additionalModelRequestFields"] == {
        "top_k": 3,
        "thinking": {"type": "enabled", "budget_tokens": 9},
    }
    assert made["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
        },
        "effort": "low",
    }
    assert made["serviceTier"] == {"type": "flex"}
    assert sorted(lost) == ["logit_bias", "seed", "user"]


def test_what_only_claude_takes_is_lost_elsewhere() -> None:
    made, lost = sent(NOVA, top_k=3, thinking={"type": "enabled", "budget_tokens": 9})

    assert "additionalModelRequestFields" not in made
    assert lost == ["top_k", "thinking"]


def test_marks_for_the_cache_follow_what_they_mark() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    messages = [{"role": "user", "content": [{"type": "text", "text": "long", "cache_control": mark}]}]

    made, lost = sent(messages=messages, tools=[{**WEATHER, "cache_control": {"type": "ephemeral"}}])

    assert made["messages"][0]["content"] == [
        {"text": "long"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
    ]
    assert made["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert lost == []


@pytest.mark.parametrize(
    ("part", "made"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
            {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "My_plan.v2.pdf"}},
            {"document": {"format": "pdf", "name": "My plan v2", "source": {"bytes": "AAAA"}}},
        ),
    ],
    ids=["image", "document"],
)  # fmt: skip
def test_parts_are_carried(part: Any, made: Any) -> None:
    assert sent(messages=[{"role": "user", "content": [part]}])[0]["messages"][0]["content"] == [made]


def test_signed_thinking_goes_back_and_that_of_another_provider_does_not() -> None:
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "EqQB"},
        {"type": "thinking", "thinking": "g", "signature": "gemini:x"},
        {"type": "redacted_thinking", "data": "AAAA"},
    ]
    messages = [*HI, {"role": "assistant", "content": "x", "thinking_blocks": blocks}, *HI]

    made, lost = sent(messages=messages)

    assert made["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "EqQB"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"text": "x"},
    ]
    assert lost == ["thinking_blocks"]


def test_no_tools_are_sent_where_none_may_be_called() -> None:
    made, lost = sent(tools=[WEATHER], tool_choice="none")

    assert "toolConfig" not in made
    assert lost == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 2}, "answer once"),
        ({"messages": [{"role": "system", "content": "x"}]}, "only system messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://h/i"}}]}]},
            "by its address",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA"}}]}]},
            "image/bmp",
        ),
    ],
)  # fmt: skip
def test_what_would_change_the_question_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        sent(**fields)


# answers

USAGE = {
    "inputTokens": 5, "outputTokens": 7, "totalTokens": 42, "cacheReadInputTokens": 20, "cacheWriteInputTokens": 10,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 6}],
}  # fmt: skip
BLOCKS = [
    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "EqQB"}}},
    {"text": "It is"},
    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rio"}}},
]


def read(*, native: bool = False, **fields: Any) -> Any:
    told = {
        "output": {"message": {"role": "assistant", "content": BLOCKS}},
        "stopReason": "tool_use",
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
        **fields,
    }
    made, lost = from_converse(json.dumps(told).encode(), asked="app", created=1, native=native)
    return {**json.loads(made), "lost": lost}


def test_a_whole_answer_with_thinking_a_call_and_counts() -> None:
    got = read(native=True)

    choice = got["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "It is"
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
    ]
    assert choice["message"]["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rio"}'}}
    ]
    assert got["usage"] == {
        "prompt_tokens": 35,
        "completion_tokens": 7,
        "total_tokens": 42,
        "prompt_tokens_details": {
            "cached_tokens": 20, "audio_tokens": 0, "cache_write_tokens": 10, "cache_write_1h_tokens": 4,
        },
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }  # fmt: skip


def test_thinking_stays_out_of_a_chat_answer_but_for_its_text() -> None:
    assert "thinking_blocks" not in read()["choices"][0]["message"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("malformed_tool_use", "stop"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    assert read(stopReason=reason)["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    "fields",
    [
        {"stopReason": None},
        {"output": None},
        {"output": {"message": {"content": []}}, "stopReason": "malformed_model_output"},
    ],
)
def test_what_is_no_finished_answer_is_never_taken_for_one(fields: Any) -> None:
    with pytest.raises(UpstreamProtocol):
        read(**fields)


# streams


def event(kind: str, **body: Any) -> bytes:
    payload = json.dumps(body, ensure_ascii=False).encode()
    return frame(
        payload, {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    )


EVENTS = [
    event("messageStart", role="assistant", p="abcd"),
    event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "hm"}}),
    event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"signature": "EqQB"}}),
    event("contentBlockStop", contentBlockIndex=0),
    event("contentBlockDelta", contentBlockIndex=1, delta={"text": "Olá 🙂"}),
    event("contentBlockStop", contentBlockIndex=1),
    event(
        "contentBlockStart", contentBlockIndex=2, start={"toolUse": {"toolUseId": "t1", "name": "weather"}}
    ),
    event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": '{"city"'}}),
    event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": ':"Rio"}'}}),
    event("contentBlockStop", contentBlockIndex=2),
    event("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "t2", "name": "now"}}),
    event("contentBlockStop", contentBlockIndex=3),
    event("messageStop", stopReason="tool_use"),
    event("metadata", usage=USAGE, metrics={"latencyMs": 1}),
]
STREAM = b"".join(EVENTS)


def stream(pieces: list[bytes], *, native: bool = False) -> list[Any]:
    parser, translator = EventStreamParser(), ConverseStream("app", 1, native=native)
    out = [piece for data in pieces for one in parser.feed(data) for piece in translator.feed(one)]
    out += [piece for one in parser.flush() for piece in translator.feed(one)]
    return [{**json.loads(piece), "id": "-"} for piece in [*out, *translator.finish()]]


def test_a_stream_says_what_the_whole_answer_says() -> None:
    pieces = stream([STREAM], native=True)

    deltas = [piece["choices"][0]["delta"] for piece in pieces if piece["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Olá 🙂"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "hm"
    blocks = [block for delta in deltas for block in delta.get("thinking_blocks", ())]
    assert blocks == [{"type": "thinking", "thinking": "hm", "signature": "EqQB"}]
    written: dict[int, str] = {}
    for call in (call for delta in deltas for call in delta.get("tool_calls", ())):
        written[call["index"]] = written.get(call["index"], "") + call["function"]["arguments"]
    assert written == {0: '{"city":"Rio"}', 1: "{}"}
    assert pieces[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert pieces[-1]["usage"]["prompt_tokens"] == 35


@settings(deadline=None)  # a busy machine is not a fault
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_a_stream_is_cut_it_says_the_same(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})

    assert stream([STREAM[start:end] for start, end in pairwise(edges)]) == stream([STREAM])


@pytest.mark.parametrize("count", range(len(EVENTS) - 2))
def test_a_stream_without_a_reason_to_stop_is_cut(count: int) -> None:
    with pytest.raises(UpstreamDisconnected):
        stream([b"".join(EVENTS[:count])])


@pytest.mark.parametrize(
    ("kind", "status"), [("throttlingException", 429), ("serviceUnavailableException", 503), ("new", 502)]
)
def test_an_exception_inside_a_stream_is_an_error(kind: str, status: int) -> None:
    told = frame(b'{"message":"busy"}', {":message-type": "exception", ":exception-type": kind})

    with pytest.raises(UpstreamRefused) as caught:
        stream([EVENTS[0] + told])

    assert (caught.value.upstream_status, str(caught.value)) == (status, "busy")


def test_a_refused_key_inside_a_stream_is_ours() -> None:
    told = frame(b"{}", {":message-type": "exception", ":exception-type": "accessDeniedException"})

    with pytest.raises(UpstreamAuth):
        stream([told])


def test_arguments_of_a_call_that_never_began_are_no_event() -> None:
    with pytest.raises(UpstreamProtocol):
        stream([EVENTS[7]])
