"""Anthropic's answers and streams as chat completions: goldens, one law for both, and every kind of broken end."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from greenroom.errors import (
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.wire.anthropic_answer import error_from, from_message
from greenroom.wire.anthropic_stream import StreamTranslator
from greenroom.wire.sse import NamedEventParser

USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 7,
    "output_tokens": 5,
}


def message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE, **fields,
    }  # fmt: skip


def completion(body: dict[str, Any] | bytes) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    out: dict[str, Any] = json.loads(from_message(raw, asked="fast", created=7))
    ChatCompletion.model_validate(out, strict=True)
    return out


def events_of(answer: dict[str, Any], sizes: list[int]) -> list[dict[str, Any]]:
    """The stream Anthropic would send for an answer, its texts cut in pieces of these sizes."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None,
                                              "usage": {**answer["usage"], "output_tokens": 1}}},
        {"type": "ping"},
    ]  # fmt: skip
    kinds = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
    fields = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
    for index, block in enumerate(answer["content"]):
        kind = block["type"]
        whole = json.dumps(block["input"]) if kind == "tool_use" else block[kind]
        begin = {**block, "input": {}} if kind == "tool_use" else {**block, kind: ""}
        events.append({"type": "content_block_start", "index": index, "content_block": begin})
        for piece in cut(whole, sizes):
            delta = {"type": kinds[kind], fields[kind]: piece}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": answer["stop_reason"], "stop_details": answer.get("stop_details")}
    usage = {"output_tokens": answer["usage"]["output_tokens"]}
    return [*events, {"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    return pieces


def framed(events: list[dict[str, Any]]) -> bytes:
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def chunks_of(data: bytes, places: list[int] | None = None) -> list[dict[str, Any]]:
    parser, translator = NamedEventParser(), StreamTranslator("fast", 7, True)
    edges = [0, *sorted({min(place, len(data)) for place in places or []}), len(data)]
    found: list[dict[str, Any]] = []
    for start, end in pairwise(edges):
        for event, body in parser.feed(data[start:end]):
            found += [json.loads(one) for one in translator.feed(event, body)]
    translator.finish()
    assert translator.done
    for one in found:
        ChatCompletionChunk.model_validate(one, strict=True)
    return found


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client has at the end of a stream."""
    out: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": [], "refusal": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            out["content"] += delta.get("content", "")
            out["reasoning_content"] += delta.get("reasoning_content", "")
            out["refusal"] = delta.get("refusal") or out["refusal"]
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    assert call["index"] == len(out["tool_calls"])
                    out["tool_calls"].append(
                        {"id": call["id"], "name": call["function"]["name"], "arguments": ""}
                    )
                out["tool_calls"][call["index"]]["arguments"] += call["function"]["arguments"]
            out["finish_reason"] = choice["finish_reason"]
        out["usage"] = chunk.get("usage")
    return out


def test_a_whole_answer() -> None:
    assert completion(
        message(
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": "Olá, "},
            {"type": "text", "text": "mundo"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.50}},
            {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}},
            stop_reason="tool_use",
        )
    ) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": "fast",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Olá, mundo",
                    "refusal": None,
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {
                            "id": "toolu_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"a": 1.5}'},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 5,
            "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("max_tokens", "length"),
     ("model_context_window_exceeded", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter"),
     ("one_of_next_year", "stop")],
)  # fmt: skip
def test_stop_reasons(stop: str, finish: str) -> None:
    answer = message({"type": "text", "text": "a"}, stop_reason=stop)

    assert completion(answer)["choices"][0]["finish_reason"] == finish
    assert joined(chunks_of(framed(events_of(answer, [3]))))["finish_reason"] == finish


def test_a_refusal_brings_its_reason() -> None:
    details = {"type": "refusal", "explanation": "Not this."}
    answer = message(stop_reason="refusal", stop_details=details)

    assert completion(answer)["choices"][0]["message"] == {
        "role": "assistant", "content": None, "refusal": "Not this."
    }  # fmt: skip
    assert joined(chunks_of(framed(events_of(answer, [3]))))["refusal"] == "Not this."


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"input_tokens": 4}, {**USAGE, "output_tokens": -1}, {**USAGE, "input_tokens": -5},
     {**USAGE, "cache_read_input_tokens": 10**12}],
    ids=str,
)  # fmt: skip
def test_usage_that_cannot_be_true_is_left_out(usage: object) -> None:
    assert "usage" not in completion(message({"type": "text", "text": "a"}, usage=usage))


def test_thinking_tokens_are_part_of_the_output() -> None:
    usage = {**USAGE, "output_tokens_details": {"thinking_tokens": 3}}

    found = completion(message(usage=usage))["usage"]

    assert found["completion_tokens"] == 5
    assert found["completion_tokens_details"] == {"reasoning_tokens": 3}


BROKEN = [
    b"", b"<html>busy</html>", b"null", b"[]", b"{}", b'{"type":"message"}', b"\xff\xfe", b'{"a":NaN}', b'{"a":1e999}',
    json.dumps(message(stop_reason=None)).encode(),
    json.dumps(message({"type": "text", "text": 3})).encode(),
    json.dumps(message()).encode()[:-1],
    json.dumps(message()).encode().replace(b'"id"', b'"id": "other", "id"', 1),
    json.dumps(message({"type": "tool_use", "input": {}})).encode().replace(b"{}", b'{"a":1,"a":2}'),
    b"[" * 1_000_000, b'{"content":' * 200_000, b'{"content":[{"type":"tool_use","input":' + b'{"a":' * 500_000,
    b'{"id":' + b"9" * 1_000_000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=lambda one: repr(one[:40]))
def test_what_is_no_finished_message_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        from_message(body, asked="fast", created=7)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"type": "message", "content": value, "stop_reason": value}).encode()))  # fmt: skip
def test_no_body_makes_it_crash(body: bytes) -> None:
    try:
        from_message(body, asked="fast", created=7)
    except UpstreamError as error:
        assert str(error)  # noqa: PT017  # both ends are right


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("new_error", 500)],
)
def test_an_error_inside_an_answer_or_a_stream_is_raised(kind: str, status: int) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "Busy."}}
    start = events_of(message({"type": "text", "text": "a"}), [1])[:4]

    for run in (lambda: completion(error), lambda: chunks_of(framed([*start, error]))):
        with pytest.raises(UpstreamRefused, match="Busy") as caught:
            run()
        assert caught.value.upstream_status == status
        assert caught.value.upstream_code == kind


def test_a_key_that_is_refused_inside_an_answer_is_not_the_callers() -> None:
    with pytest.raises(UpstreamAuth):
        completion(
            {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"type":"error","error":{"type":"not_found_error","message":"model: x"}}',
            ("model: x", "not_found_error"),
        ),
        (b'{"error":{"message":"m","type":"t","param":null,"code":3}}', ("m", "t")),
        (b'{"error":"plain"}', ("plain", "")),
        (b'{"error":null}', ("", "")),
        (b"<html>", ("", "")),
        (b"", ("", "")),
        (b"[" * 1_000_000, ("", "")),
    ],
    ids=range(7),
)
def test_error_bodies(body: bytes, expected: tuple[str, str]) -> None:
    assert error_from(500, body) == expected


def test_a_stream() -> None:
    answer = message(
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "Olá"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
        stop_reason="tool_use",
    )

    found = chunks_of(framed(events_of(answer, [4])))

    assert {chunk["id"] for chunk in found} == {"msg_1"}
    assert {chunk["model"] for chunk in found} == {"fast"}
    assert [chunk["choices"][0]["delta"] for chunk in found[:-1]] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm."},
        {"content": "Olá"},
        {
            "tool_calls": [
                {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found[:-1]] == [None] * 8 + ["tool_calls"]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] == 25


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9), st.lists, max_leaves=4
)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=30)),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, st.text(max_size=30)),
    st.builds(
        lambda call_id, name, given: {"type": "tool_use", "id": call_id, "name": name, "input": given},
        st.text(max_size=9), st.text(max_size=9), st.dictionaries(st.text(max_size=9), values, max_size=3),
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    content=st.lists(blocks, max_size=4),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    places=st.lists(st.integers(0, 3000), max_size=12),
    stop=st.sampled_from(("end_turn", "tool_use", "max_tokens")),
)
def test_a_stream_says_the_same_as_the_whole_answer_however_it_is_cut(
    content: list[dict[str, Any]], sizes: list[int], places: list[int], stop: str
) -> None:
    answer = message(*content, stop_reason=stop)
    whole = completion(answer)

    streamed = joined(chunks_of(framed(events_of(answer, sizes)), places))

    said = whole["choices"][0]["message"]
    assert streamed["content"] == (said["content"] or "")
    assert streamed["reasoning_content"] == said.get("reasoning_content", "")
    assert [(one["id"], one["name"], json.loads(one["arguments"])) for one in streamed["tool_calls"]] == [
        (one["id"], one["function"]["name"], json.loads(one["function"]["arguments"]))
        for one in said.get("tool_calls", [])
    ]
    assert streamed["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert streamed["usage"] == whole["usage"]


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1))
def test_a_stream_that_is_cut_short_is_never_a_success(share: float) -> None:
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, 2]}}
    data = framed(events_of(message({"type": "text", "text": "Olá mundo"}, tool), [3]))
    end = min(int(len(data) * share), len(data) - 1)
    parser, translator = NamedEventParser(), StreamTranslator("fast", 7, True)

    pieces = [one for event, body in parser.feed(data[:end]) for one in translator.feed(event, body)]

    assert all(json.loads(one)["choices"][0]["finish_reason"] is None for one in pieces)
    with pytest.raises(UpstreamDisconnected):
        translator.finish()


@pytest.mark.parametrize(
    "body",
    [b"{", b"null", b"[]", b"<html>", b'{"type":"content_block_delta","index":NaN}', b"[" * 1_000_000, b"\xff",
     b'{"type":"content_block_delta","index":0}', b'{"type":"content_block_start","index":9}',
     b'{"type":"content_block_delta","index":7,"delta":{"type":"input_json_delta","partial_json":"{"}}',
     b'{"type":"message_stop"}'],
    ids=lambda one: repr(one[:60]),
)  # fmt: skip
def test_malformed_events_are_the_providers_fault(body: bytes) -> None:
    translator = StreamTranslator("fast", 7, True)
    translator.feed(b"message_start", b'{"type":"message_start","message":{"id":"m"}}')

    with pytest.raises(UpstreamProtocol):
        translator.feed(b"", body)
    assert not translator.done


@pytest.mark.parametrize("place", range(1, 8))
def test_content_before_the_beginning_is_the_providers_fault(place: int) -> None:
    events = events_of(message({"type": "text", "text": "abc"}), [2])[place:]

    with pytest.raises(UpstreamProtocol):
        chunks_of(framed([one for one in events if one["type"] != "content_block_stop"]))


def test_events_after_the_end_twice_or_unknown_are_passed_over() -> None:
    events = events_of(message({"type": "text", "text": "abc"}), [2])
    noisy = [events[0], events[0], {"type": "of_next_year"}, *events[1:], events[-1], *events]

    found = joined(chunks_of(framed(noisy) + b"data: [DONE]\n\n"))

    assert found == joined(chunks_of(framed(events)))


def test_totals_never_decrease() -> None:
    events = events_of(message({"type": "text", "text": "abc"}), [2])
    late = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}

    found = joined(chunks_of(framed([*events[:-1], late, events[-1]])))

    assert found["usage"]["completion_tokens"] == 5


def test_the_input_of_a_tool_may_come_at_once() -> None:
    events = events_of(message({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}), [9])
    start = {**events[2], "content_block": {**events[2]["content_block"], "input": {"a": 1}}}
    once = [*events[:2], start, *[one for one in events[3:] if one["type"] != "content_block_delta"]]

    assert joined(chunks_of(framed(once)))["tool_calls"][0]["arguments"] == '{"a": 1}'


def test_usage_is_sent_only_when_it_was_asked_for() -> None:
    parser, translator = NamedEventParser(), StreamTranslator("fast", 7, include_usage=False)

    events = parser.feed(framed(events_of(message({"type": "text", "text": "a"}), [1])))
    found = [one for event, body in events for one in translator.feed(event, body)]

    assert not any(b"usage" in one for one in found)


@settings(max_examples=200, deadline=None)
@given(data=st.lists(st.binary(max_size=30) | st.sampled_from((b'{"type":"message_start"}', b'{"type":"error"}',
    b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}', b'{"type":"message_stop"}')), max_size=8))  # fmt: skip
def test_no_events_make_it_crash(data: list[bytes]) -> None:
    translator = StreamTranslator("fast", 7, True)

    try:
        for one in data:
            for piece in translator.feed(b"", one):
                ChatCompletionChunk.model_validate_json(piece)
        translator.finish()
    except UpstreamError:
        assert not translator.done
