"""Anthropic's bodies to chat: every field, what is refused and where, and the way there and back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest, RequestError
from greenroom.wire.anthropic import to_messages
from greenroom.wire.messages_request import read_messages
from greenroom.wire.openai_request import parse_chat
from greenroom.wire.plain_chat import plain

# Bodies are JSON: Any stands for it.
Body = dict[str, Any]

SMALL: Body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Olá"}]}


def chat(**fields: object) -> Body:
    read: Body = json.loads(read_messages(json.dumps({**SMALL, **fields}).encode()).chat)
    return read


def said(*content: object) -> list[Body]:
    """A body's messages with one turn of these blocks."""
    return [{"role": "user", "content": list(content)}]


def test_the_smallest_body() -> None:
    read = read_messages(json.dumps(SMALL).encode())

    assert json.loads(read.chat) == {
        "model": "m", "max_completion_tokens": 9, "messages": [{"role": "user", "content": "Olá"}]
    }  # fmt: skip
    assert read.dropped == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}},
         {"thinking": {"type": "adaptive", "display": "omitted"}}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"container": "c", "speed": "fast"}, {"native": {"container": "c", "speed": "fast"}}),
        ({"container": None, "tools": None, "system": None, "top_k": None}, {}),
        ({"tool_choice": {"type": "any"}}, {}),
    ],
)  # fmt: skip
def test_top_level_fields(fields: Body, wanted: Body) -> None:
    read = chat(**fields)

    for name in ("model", "messages", "max_completion_tokens"):
        del read[name]
    assert read == wanted


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "any", "disable_parallel_tool_use": True},
         {"tool_choice": "required", "parallel_tool_calls": False}),
    ],
)  # fmt: skip
def test_choices_of_tools(choice: Body, wanted: Body) -> None:
    read = chat(tools=[{"name": "f", "input_schema": {"type": "object"}}], tool_choice=choice)

    assert {name: read[name] for name in read if name in {"tool_choice", "parallel_tool_calls"}} == wanted


def test_results_of_tools_come_before_what_the_user_says_beside_them() -> None:
    blocks = [{"type": "text", "text": "Look:"}, {"type": "tool_result", "tool_use_id": "t", "content": "9"}]

    assert chat(messages=said(*blocks))["messages"] == [
        {"role": "tool", "tool_call_id": "t", "content": "9"},
        {"role": "user", "content": "Look:"},
    ]


def test_turns_of_one_user_become_one() -> None:
    messages = [*said({"type": "text", "text": "a"}), {"role": "user", "content": "b"}]

    assert chat(messages=messages)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


def test_numbers_in_a_tools_input_keep_every_digit() -> None:
    given = '{"a":1.10,"b":12345678901234567890,"c":0.1000000000000000055}'
    call = {"type": "tool_use", "id": "t", "name": "f", "input": "GIVEN"}
    spoken = {"role": "assistant", "content": [{"type": "text", "text": "y"}, call]}
    body = json.dumps({**SMALL, "messages": [*SMALL["messages"], spoken]}).replace('"GIVEN"', given)

    messages = json.loads(read_messages(body.encode()).chat)["messages"]

    assert messages[1]["tool_calls"][0]["function"]["arguments"] == given


def test_system_messages_of_the_caller_stay_between_turns_and_ours_go_to_the_prompt() -> None:
    later = {"role": "system", "content": "Now in Spanish."}
    body = chat(system="Be kind.", messages=[*SMALL["messages"], later])
    body["messages"].append({"role": "system", "content": "Passages."})

    native = json.loads(to_messages(json.dumps(body).encode(), "m", 1, native=True).body)
    made = json.loads(plain(json.dumps(body).encode())[0])

    assert native["messages"] == [*SMALL["messages"], later]
    assert [block["text"] for block in native["system"]] == ["Be kind.", "Passages."]
    assert made["messages"][2] == later


def test_thinking_without_a_signature_is_kept_as_reasoning_only() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    messages = [
        *SMALL["messages"],
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Oi"}]},
    ]

    assert chat(messages=messages)["messages"][1] == {
        "role": "assistant", "content": "Oi", "reasoning_content": "Hm."
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, None),
        ({**SMALL, "max_tokens": None}, "max_tokens"),
        ({**SMALL, "max_tokens": 0}, "max_tokens"),
        ({**SMALL, "max_tokens": "9"}, "max_tokens"),
        ({**SMALL, "model": ""}, "model"),
        ({**SMALL, "messages": []}, "messages"),
        ({**SMALL, "messages": said()}, "messages"),
        ({**SMALL, "messages": [{"role": "bot", "content": "x"}]}, "messages[0].role"),
        ({**SMALL, "messages": said({"text": "x"})}, "messages[0].content[0].type"),
        ({**SMALL, "messages": said({"type": "text"})}, "messages[0].content[0].text"),
        ({**SMALL, "messages": said({"type": "text", "text": 1})}, "messages[0].content[0].text"),
        ({**SMALL, "messages": said({"type": "tool_use", "id": "t", "name": "f", "input": {}})},
         "messages[0].content[0]"),
        ({**SMALL, "messages": said({"type": "image", "source": {"type": "file", "file_id": "f"}})},
         "messages[0].content[0].source"),
        ({**SMALL, "messages": said({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})},
         "messages[0].content[0].source.url"),
        ({**SMALL, "messages": said(
            {"type": "image", "source": {"type": "base64", "media_type": "image/png;x,", "data": "A"}}
        )}, "messages[0].content[0].source.media_type"),
        ({**SMALL, "messages": said({"type": "tool_result", "content": "9"})}, "messages[0].content[0].tool_use_id"),
        ({**SMALL, "messages": [*SMALL["messages"], {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": "text"}]}]},
         "messages[1].content[0].input"),
        ({**SMALL, "system": [{"type": "image"}]}, "system[0]"),
        ({**SMALL, "tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({**SMALL, "tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools[0].type"),
        ({**SMALL, "tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "tool"}},
         "tool_choice.name"),
        ({**SMALL, "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({**SMALL, "temperature": 1.5}, "temperature"),
        ({**SMALL, "thinking": {"type": "a lot"}}, "thinking.type"),
        ({**SMALL, "output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({**SMALL, "service_tier": "free"}, "service_tier"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(body: object, param: str | None) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_messages(json.dumps(body).encode())

    if param is not None:
        assert refused.value.param is not None
        assert refused.value.param == param


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"model":"\xff"}', b"[" * 100_000, b'{"a":NaN}'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_messages(raw)


def test_a_header_that_could_be_another_is_refused() -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_messages(json.dumps(SMALL).encode(), beta=b"a\x00b")

    assert refused.value.param == "anthropic-beta"


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
marks = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])
objects = st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5) | texts, max_size=2)


def block(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Body]:
    return st.builds(lambda mark, rest: {"type": kind, **rest, **mark}, marks, st.fixed_dictionaries(fields))


IMAGE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
text_blocks = block("text", text=texts)
seen_blocks = text_blocks | block("image", source=st.just(IMAGE))
thoughts = st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, texts)
calls = block("tool_use", id=st.sampled_from(["t1", "t2"]), name=st.just("f"), input=objects)
results = block(
    "tool_result",
    tool_use_id=st.sampled_from(["t1", "t2"]),
    content=texts | st.lists(seen_blocks, min_size=2, max_size=2),
)


@st.composite
def turns(draw: st.DrawFn) -> list[Body]:
    """A conversation as Anthropic's models have it: turns alternate, an answer thinks, speaks, calls."""
    made: list[Body] = []
    for _ in range(draw(st.integers(1, 3))):
        asked = draw(st.lists(results, max_size=2)) + draw(st.lists(seen_blocks, min_size=1, max_size=3))
        made.append({"role": "user", "content": asked})
        spoken = [
            one
            for _ in range(draw(st.integers(0, 2)))
            for one in (
                *draw(st.lists(thoughts, max_size=2)),
                *draw(st.lists(text_blocks, min_size=1, max_size=2)),
            )
        ]
        spoken += draw(st.lists(calls, min_size=1, max_size=2))
        made.append({"role": "assistant", "content": spoken})
    return [*made, {"role": "user", "content": draw(texts)}]


@settings(max_examples=150, deadline=None)
@given(messages=turns(), system=st.lists(text_blocks, min_size=1, max_size=2))
def test_there_and_back_nothing_is_lost(messages: list[Body], system: list[Body]) -> None:
    body = {"model": "m", "max_tokens": 5, "system": system, "messages": messages}

    read = read_messages(json.dumps(body).encode())
    back = to_messages(read.chat, "m", 1, native=True)

    assert read.dropped == []
    assert back.lost == []
    assert spelled_out(json.loads(back.body)) == spelled_out(body)


def spelled_out(body: Body) -> Body:
    """The body with every content as blocks: a string is one of text."""

    def blocks(content: object) -> object:
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return [
            {**one, "content": blocks(one["content"])} if one["type"] == "tool_result" else one
            for one in content  # type: ignore[attr-defined]  # a list where it is no string
        ]

    turns_ = [{**one, "content": blocks(one["content"])} for one in body["messages"]]
    return {**body, "system": blocks(body["system"]), "messages": turns_}


@settings(max_examples=100, deadline=None)
@given(messages=turns())
def test_what_is_made_is_a_chat_body_and_plain_once_it_is_made_plain(messages: list[Body]) -> None:
    chat_body = read_messages(json.dumps({**SMALL, "messages": messages}).encode()).chat

    made, lost = plain(chat_body)

    request = parse_chat(made)
    assert request.roles
    words = {"thinking_blocks", "reasoning_content", "cache_control", "native", "is_error"}
    assert words.isdisjoint(keys_of(json.loads(made)))
    assert bool(lost) == bool(words & keys_of(json.loads(chat_body)))


def keys_of(value: object) -> set[str]:
    if isinstance(value, Mapping):
        return set(value) | {key for one in value.values() for key in keys_of(one)}
    return {key for one in value for key in keys_of(one)} if isinstance(value, list) else set()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "source", "content", "id", "input", "name"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(content=json_values, tools=json_values, system=json_values)
def test_hostile_bodies_are_refused_or_read_and_never_break(
    content: object, tools: object, system: object
) -> None:
    body = {**SMALL, "messages": [{"role": "user", "content": content}], "tools": tools, "system": system}

    try:
        read = read_messages(json.dumps(body).encode())
    except RequestError:
        return
    assert parse_chat(read.chat).roles
