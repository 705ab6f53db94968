"""Requests for responses: what is read of them, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import RequestError
from greenroom.wire import openai
from greenroom.wire.responses_answer import begun
from greenroom.wire.responses_chat import chat_body, echo, wants_search
from greenroom.wire.responses_items import ItemIds, read_items
from greenroom.wire.responses_request import read_request
from greenroom.wire.responses_talk import packed, to_messages, unpacked
from tests.wire.responses import HARD, REQUIRED, SEARCH, Json, told

# requests


def talk(items: list[Json]) -> list[Json]:
    found = read_items(json.dumps(items).encode(), ItemIds("in"), field="input")
    return to_messages([one for one in found if isinstance(one, dict)], {}).messages


def test_what_the_model_said_and_called_in_one_turn_is_one_message() -> None:
    thinking = packed("thinking", [{"type": "thinking", "thinking": "hm", "signature": "s"}])
    found = talk([
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "Two?"}, {"type": "input_image", "image_url": "https://x/y.png"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}], "encrypted_content": thinking},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}, {"type": "input_image", "image_url": "data:image/png;base64,AA"}]},
        {"role": "assistant", "content": "Three."},
    ])  # fmt: skip

    assert found == [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Two?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "auto"}}]},
        {
            "role": "assistant", "content": "Let me see.", "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [
            {"type": "text", "text": "2"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "auto"}},
        ]},
        {"role": "assistant", "content": "Three."},
    ]  # fmt: skip


def test_an_answer_sent_back_as_input_says_the_same() -> None:
    _, draft = told(HARD, searched=[SEARCH])
    sent = json.loads(openai.encode(draft.response["output"]))

    (message,) = talk([*sent])

    assert message["content"] == "It is blue [1]."
    assert message["reasoning_content"] == "Let me think."
    assert message["thinking_blocks"][0]["signature"] == "s"
    assert [one["function"]["name"] for one in message["tool_calls"]] == ["f", "g"]


def test_reasoning_that_only_another_server_can_read_is_named() -> None:
    items: list[Any] = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAAAAB"},
        {"type": "web_search_call", "id": "ws"},
    ]
    found = read_items(json.dumps(items).encode(), ItemIds("in"), field="input")

    assert to_messages([one for one in found if isinstance(one, dict)], {}).dropped == [
        "input.reasoning.encrypted_content", "input.web_search_call",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "chat", "searches"),
    [
        ("none", "none", False),
        ("required", "required", True),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}, True),
        ({"type": "file_search"}, "auto", True),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
         {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}}, False),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}]}, "none", True),
    ],
    ids=["none", "required", "function", "file_search", "allowed", "only search allowed"],
)  # fmt: skip
def test_the_choice_of_tools(choice: object, chat: object, searches: bool) -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}]
    body = json.dumps({"input": "x", "tools": tools, "tool_choice": choice}).encode()
    request = read_request(body, ItemIds("in"))

    sent = json.loads(chat_body(request, [{"role": "user", "content": "x"}], stream=False))

    assert sent["tool_choice"] == chat
    assert wants_search(request) is searches
    assert sent["model"] == "default"


@given(kind=st.sampled_from(["thinking", "summary"]), value=st.recursive(st.text() | st.integers(-5, 5), lambda one: st.lists(one, max_size=3), max_leaves=5))  # fmt: skip
def test_what_is_packed_comes_back(kind: Any, value: object) -> None:
    assert unpacked(packed(kind, value), kind) == value
    assert unpacked(packed(kind, value), "summary" if kind == "thinking" else "thinking") is None


@pytest.mark.parametrize("text", ["", "gr1.", "gr1.!!!!", "gr1.bm90IGpzb24=", "gAAAAAB", "gr1." + "A" * 1001])
def test_what_was_not_packed_here_is_not_read(text: str) -> None:
    assert unpacked(text, "thinking") is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=8), one, max_size=4),
    max_leaves=12,
)
kinds = st.sampled_from([
    "message", "function_call", "function_call_output", "reasoning", "compaction", "item_reference",
    "file_search_call", "web_search_call", "spell",
])  # fmt: skip
items = st.dictionaries(
    st.sampled_from(["role", "content", "id", "call_id", "name", "arguments", "output", "summary", "encrypted_content", "status"]),
    json_values, max_size=5,
).flatmap(lambda one: kinds.map(lambda kind: {**one, "type": kind}))  # fmt: skip

fields = st.sampled_from([
    "model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "prompt",
    "conversation", "previous_response_id", "stream", "store", "background", "max_output_tokens", "truncation",
])  # fmt: skip


@given(body=st.dictionaries(fields, json_values, max_size=6), asked=st.lists(items | json_values, max_size=3))
def test_any_body_is_read_or_refused_by_name(body: Json, asked: list[Any]) -> None:
    raw = json.dumps({"input": asked, **body}).encode()
    try:
        request = read_request(raw, ItemIds("in"))
        found = [one for one in request.items if isinstance(one, dict)]
        sent = chat_body(request, to_messages(found, {}).messages, stream=request.stream)
        shown = begun("resp_1", 0, echo(request))
    except RequestError:
        return
    assert json.loads(sent)["messages"]
    assert openai.encode(shown)
    assert shown.keys() >= REQUIRED
