"""Chat bodies to Anthropic's: goldens, what is lost and what is refused, and the official client's own types."""

import json
import warnings
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from greenroom.errors import MalformedRequest, RequestError
from greenroom.wire.anthropic import to_messages

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client's types name fields as pydantic would rather not have them
    WHOLE: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
    STREAM: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)

USER = {"role": "user", "content": "Olá"}
PNG = "iVBORw0KGgo="


def translate(chat: Mapping[str, object]) -> tuple[dict[str, Any], list[str]]:
    body, lost, *_ = to_messages(json.dumps({"model": "asked", **chat}).encode(), "claude-x", 1000)
    out: dict[str, Any] = json.loads(body)
    read_all((STREAM if out.get("stream") else WHOLE).validate_python(out))
    return out, lost


def read_all(value: object) -> None:
    """Pydantic looks into iterables only as they are read."""
    if isinstance(value, Mapping):
        for one in value.values():
            read_all(one)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for one in value:
            read_all(one)


def turns(*messages: Mapping[str, object]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = translate({"messages": messages})[0]["messages"]
    return found


def test_the_clients_types_would_object() -> None:
    wrong = {"type": "tool_use", "id": "a", "name": "f", "input": "text"}

    with pytest.raises(ValidationError):
        read_all(
            WHOLE.validate_python(
                {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [wrong]}]}
            )
        )


def test_the_smallest_chat() -> None:
    out, lost = translate({"messages": [USER]})

    assert out == {
        "model": "claude-x",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Olá"}],
    }
    assert lost == []


def test_a_chat_with_every_field_that_has_a_counterpart() -> None:
    out, lost = translate(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Answer in Spanish."}]},
                USER,
            ],
            "max_completion_tokens": 50,
            "max_tokens": 60,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": "END",
            "stream": True,
            "stream_options": {"include_usage": True},
            "n": 1,
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look_up",
                        "description": "Looks a word up.",
                        "strict": True,
                        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
                    },
                },
                {"type": "function", "function": {"name": "now"}},
            ],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "out", "strict": True, "schema": {"type": "object"}},
            },
            "reasoning_effort": "minimal",
            "user": "u-1",
            "service_tier": "default",
        }
    )

    assert out == {
        "model": "claude-x",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Olá"}],
        "system": "Be brief.\n\nAnswer in Spanish.",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "service_tier": "standard_only",
        "tools": [
            {
                "name": "look_up",
                "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
                "description": "Looks a word up.",
                "strict": True,
            },
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
        "metadata": {"user_id": "u-1"},
        "stream": True,
    }
    assert lost == []


def test_a_conversation_with_tools_and_images() -> None:
    found = turns(
        {"role": "user", "content": "Wie ist das Wetter?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "w", "arguments": '{"at": "Recife"}'},
                },
                {"id": "call:2", "type": "function", "function": {"name": "w", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "31 °C"},
        {"role": "tool", "tool_call_id": "call:2", "content": [{"type": "text", "text": "rain"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And here?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg", "detail": "auto"}},
            ],
        },
        {"role": "user", "content": "Please."},
    )

    assert found == [
        {"role": "user", "content": "Wie ist das Wetter?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "w", "input": {"at": "Recife"}},
                {"type": "tool_use", "id": "call_2", "name": "w", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "31 °C"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "rain"},
                {"type": "text", "text": "And here?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
                {"type": "text", "text": "Please."},
            ],
        },
    ]


def test_a_pdf_becomes_a_document() -> None:
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}

    assert turns({"role": "user", "content": [{"type": "file", "file": file}]})[0]["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
            "title": "a.pdf",
        }
    ]


@pytest.mark.parametrize(
    "arguments", ["{", "[1]", '"text"', '{"a": NaN}', '{"a": 1e999}', "[" * 5000], ids=lambda one: one[:12]
)
def test_arguments_that_are_no_object_are_kept_as_they_were(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}

    found = turns(USER, {"role": "assistant", "content": None, "tool_calls": [call]})

    assert found[1]["content"][0]["input"] == {"_raw": arguments}


def test_numbers_in_arguments_keep_every_digit() -> None:
    arguments = '{"a":1.10,"b":12345678901234567890,"c":0.1000000000000000055}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    chat = {"messages": [USER, {"role": "assistant", "tool_calls": [call]}]}

    body, *_ = to_messages(json.dumps(chat).encode(), "m", 1)

    assert arguments.encode() in body


@pytest.mark.parametrize(
    ("chat", "named"),
    [
        ({"seed": 1}, ["seed"]),
        ({"logprobs": True, "top_logprobs": 2}, ["logprobs", "top_logprobs"]),
        ({"frequency_penalty": 0.5}, ["frequency_penalty"]),
        ({"frequency_penalty": 0, "logprobs": False, "seed": None, "logit_bias": {}}, []),
        ({"temperature": 1.7}, ["temperature"]),
        ({"response_format": {"type": "json_object"}}, ["response_format"]),
        ({"response_format": {"type": "text"}}, []),
        ({"reasoning_effort": "none"}, ["reasoning_effort"]),
        ({"stop": ["\n", "END"]}, ["stop"]),
        ({"service_tier": "flex"}, ["service_tier"]),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, ["tools.custom"]),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "odd"}, ["tool_choice"]),
        ({"metadata": {"a": "b"}}, ["metadata"]),
        ({"brand_new_field": 1}, ["brand_new_field"]),
        ({"messages": [{**USER, "name": "Ana"}, {**USER, "name": "Bia"}]}, ["messages.name"]),
    ],
    ids=lambda one: json.dumps(one)[:40],
)
def test_what_is_lost_is_named(chat: dict[str, object], named: list[str]) -> None:
    assert translate({"messages": [USER], **chat})[1] == named


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        ({"n": 3}, "n"),
        ({"messages": [{"role": "system", "content": "Be."}]}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[1].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]}, "messages[0].content[0]"),
    ],
    ids=lambda one: json.dumps(one)[:60],
)  # fmt: skip
def test_what_would_change_the_question_is_refused_by_name(chat: dict[str, object], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        translate({"messages": [USER], **chat})

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, None),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
    ],
    ids=str,
)
def test_tool_choice(choice: object, parallel: bool | None, expected: object) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]

    out, _ = translate(
        {"messages": [USER], "tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel}
    )

    assert out.get("tool_choice") == expected


def test_allowed_tools_leave_the_others_out() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "abc"]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]}

    out, _ = translate(
        {
            "messages": [USER],
            "tools": tools,
            "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
        }
    )

    assert [tool["name"] for tool in out["tools"]] == ["b"]
    assert out["tool_choice"] == {"type": "any"}


def test_empty_texts_are_left_out_since_anthropic_refuses_them() -> None:
    parts = [{"type": "text", "text": " "}, {"type": "text", "text": "a"}]

    assert turns({"role": "user", "content": parts}, {"role": "assistant", "content": ""}, USER) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "Olá"}]}
    ]


def test_an_answer_begun_by_the_caller_does_not_end_in_white_space() -> None:
    assert turns(USER, {"role": "assistant", "content": "The answer is "})[-1]["content"] == "The answer is"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"messages": 3}', b'{"messages": [{"role": "user", "content": NaN}]}', b"\xff",
     b'{"messages":' + b"[" * 1_000_000, b'{"messages": [{"role": "user", "content": "\\ud800"}]}'],
    ids=lambda one: repr(one[:30]),
)  # fmt: skip
def test_bodies_that_are_no_chat_are_the_callers_fault(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        to_messages(body, "m", 1)


texts = st.text(max_size=20)
parts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
)
calls = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    texts,
    st.text("abc_", min_size=1, max_size=5),
    st.one_of(texts, st.dictionaries(texts, st.integers() | texts, max_size=3).map(json.dumps)),
)
messages = st.one_of(
    st.builds(lambda text: {"role": "system", "content": text}, texts),
    st.builds(lambda content: {"role": "user", "content": content}, texts | st.lists(parts, max_size=3)),
    st.builds(
        lambda text, made: {"role": "assistant", "content": text, "tool_calls": made},
        st.none() | texts,
        st.lists(calls, max_size=2),
    ),
    st.builds(lambda call_id, text: {"role": "tool", "tool_call_id": call_id, "content": text}, texts, texts),
)


@settings(max_examples=150, deadline=None)
@given(chat=st.lists(messages, max_size=6))
def test_every_translated_chat_is_one_the_official_client_could_send(chat: list[dict[str, Any]]) -> None:
    found = translate({"messages": [USER, *chat]})[0]["messages"]

    roles = [turn["role"] for turn in found]
    assert all(before != after for before, after in pairwise(roles))
    assert all(turn["content"] for turn in found)
    used = [call["function"] for one in chat for call in one.get("tool_calls") or ()]
    blocks = [one for turn in found if isinstance(turn["content"], list) for one in turn["content"]]
    inputs = [one["input"] for one in blocks if one["type"] == "tool_use"]
    assert [as_object(call["arguments"]) for call in used] == inputs


def as_object(arguments: str) -> object:
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments)
    except ValueError:
        return {"_raw": arguments}
    return value if isinstance(value, dict) else {"_raw": arguments}


def test_thinking_that_gemini_signed_is_not_sent_to_anthropic_and_named() -> None:
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "gemini:c2ln"},
        {"type": "thinking", "thinking": "u", "signature": "EqQB"},
    ]
    said = {"role": "assistant", "content": "x", "thinking_blocks": blocks}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}, said]}).encode()

    made = to_messages(body, "m", 10, native=True)

    assert json.loads(made.body)["messages"][1]["content"][0] == blocks[1]
    assert made.lost == ["thinking_blocks"]
