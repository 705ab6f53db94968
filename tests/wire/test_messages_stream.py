"""Chat streams as Anthropic's events: their order, and the same message however the pieces are cut."""

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from greenroom.exchange import Passage
from greenroom.wire.messages_answer import to_message
from greenroom.wire.messages_error import type_of
from greenroom.wire.messages_stream import MessageEvents
from greenroom.wire.sse import NamedEventParser

# Pieces and events are JSON: Any stands for it.
Body = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def piece(delta: Body, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "up", "choices": [choice], **more}).encode()


def usage(asked: int, answered: int) -> bytes:
    counts = {"prompt_tokens": asked, "completion_tokens": answered}
    return json.dumps({"id": "c", "model": "up", "choices": [], "usage": counts}).encode()


def events_of(payloads: list[bytes], **options: Any) -> list[Body]:  # Any: of MessageEvents
    writer = MessageEvents("0123", "asked", **options)
    written = b"".join(map(writer.feed, payloads))
    events = []
    for name, data in NamedEventParser().feed(written):
        event = json.loads(data)
        assert name.decode() == event["type"]
        events.append(event)
    return events


def message_of(events: list[Body]) -> Body:
    """The message that the official client builds of them."""
    snapshot, buffers = None, dict[int, bytes]()
    for event in events:
        snapshot = accumulate_event(
            event=EVENT.validate_python(event), current_snapshot=snapshot, json_bufs=buffers
        )
    assert snapshot is not None
    return snapshot.model_dump(exclude_none=True)


def check_order(events: list[Body]) -> None:
    """One block after the other, each opened and closed, between the beginning and the end."""
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("message_start", "message_delta", "message_stop")
    open_, count = False, 0
    for event in events[1:-2]:
        assert event["index"] == count
        match event["type"]:
            case "content_block_start":
                assert not open_
                open_ = True
            case "content_block_stop":
                assert open_
                open_, count = False, count + 1
            case other:
                assert other == "content_block_delta"
                assert open_
    assert not open_


def test_a_short_stream_to_the_letter() -> None:
    payloads = [piece({"role": "assistant", "content": ""}), piece({"content": "Oi"}), piece({}, "stop")]

    assert events_of([*payloads, usage(9, 2), b"[DONE]"], counted=lambda: 7) == [
        {"type": "message_start", "message": {
            "id": "msg_0123", "type": "message", "role": "assistant", "model": "up", "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                      "output_tokens": 0},
        }},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Oi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta",
         "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
         "usage": {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                   "output_tokens": 2}},
        {"type": "message_stop"},
    ]  # fmt: skip


def test_calls_written_side_by_side_come_one_after_the_other() -> None:
    def call(index: int, arguments: str, **more: object) -> bytes:
        return piece({"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]})

    begun = [
        piece({"tool_calls": [{"index": n, "id": f"c{n}", "function": {"name": f"f{n}", "arguments": ""}}]})
        for n in range(2)
    ]
    mixed = [
        *begun,
        call(0, '{"a":'),
        call(1, '{"b":'),
        call(0, "1}"),
        piece({"content": "Oi"}),
        call(1, "2}"),
    ]

    events = events_of([*mixed, piece({}, "tool_calls"), usage(1, 1), b"[DONE]"])

    check_order(events)
    assert message_of(events)["content"] == [
        {"type": "tool_use", "id": "c0", "name": "f0", "input": {"a": 1}},
        {"type": "tool_use", "id": "c1", "name": "f1", "input": {"b": 2}},
        {"type": "text", "text": "Oi"},
    ]


def test_citations_of_ours_stand_at_their_text() -> None:
    passages = [
        Passage(id="1", document="a.md", title="A", text="One. Two.", score=1.0, start=100),
        Passage(id="2", document="b.md", title="B", text="Three.", score=1.0),
    ]
    annotation = {
        "type": "file_citation",
        "file_citation": {"file_id": "file-9", "filename": "a.md", "index": 3, "quote": "Two."},
    }
    wanted = {
        "type": "char_location", "cited_text": "Two.", "document_index": 0, "document_title": "a.md",
        "file_id": "file-9", "start_char_index": 105, "end_char_index": 109,
    }  # fmt: skip
    message = {"content": "It [1].", "annotations": [annotation, {"type": "url_citation", "url": "x"}]}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
    payloads = [
        piece({"content": "It [1]."}),
        piece({"annotations": message["annotations"]}, "stop"),
        b"[DONE]",
    ]

    events = events_of(payloads, passages=lambda: passages)
    told = json.loads(to_message(json.dumps(whole).encode(), "0123", passages))

    assert message_of(events)["content"] == [{"type": "text", "text": "It [1].", "citations": [wanted]}]
    assert told["content"] == [{"type": "text", "text": "It [1].", "citations": [wanted]}]


def test_a_refusal_says_why_in_its_text_and_beside_it() -> None:
    facts = {"outcome": "refused", "reason": "Não posso."}
    payloads = [
        piece({"role": "assistant", "content": "Bem"}),
        piece({"content": "\n\nNão posso."}),
        piece({}, "content_filter", greenroom=facts),
        b"[DONE]",
    ]

    message = message_of(events_of(payloads))

    assert message["stop_reason"] == "refusal"
    assert message["stop_details"] == {"type": "refusal", "explanation": "Não posso."}
    assert message["content"] == [{"type": "text", "text": "Bem\n\nNão posso."}]
    assert message["usage"]["output_tokens"] > 0


def test_nothing_follows_an_error() -> None:
    writer = MessageEvents("0123", "asked")
    said = writer.feed(b'{"error":{"message":"Gone.","type":"upstream_error","code":"upstream_timeout"}}')

    assert said.startswith(b"event: error\n")
    assert json.loads(said.partition(b"data: ")[2]) == {
        "type": "error", "request_id": "0123",
        "error": {"type": "timeout_error", "message": "Gone.", "code": "upstream_timeout"},
    }  # fmt: skip
    assert writer.feed(piece({"content": "x"})) == writer.feed(b"[DONE]") == b""


def test_what_is_no_chunk_ends_the_stream_with_an_error() -> None:
    assert MessageEvents("0123", "asked").feed(b'{"choices": 9}').startswith(b"event: error\n")


def test_an_answer_of_nothing_is_a_message_of_no_blocks() -> None:
    events = events_of(
        [piece({"role": "assistant", "content": ""}), piece({}, "stop"), usage(1, 0), b"[DONE]"]
    )

    check_order(events)
    assert message_of(events)["content"] == []


def test_blocks_that_repeat_each_piece_of_thinking_do_not_cut_it() -> None:
    payloads = [
        piece({"reasoning_content": one, "thinking_blocks": [{"type": "thinking", "thinking": one}]})
        for one in ("Let", " me", " see")
    ]
    signed = {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "c2ln"}]}

    message = message_of(events_of([*payloads, piece(signed), piece({"content": "Oi"}, "stop"), b"[DONE]"]))

    assert message["content"] == [
        {"type": "thinking", "thinking": "Let me see", "signature": "c2ln"},
        {"type": "text", "text": "Oi"},
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "signature"]), inner, max_size=2)
    ),
    max_leaves=5,
)
deltas = st.dictionaries(
    st.sampled_from(
        ["content", "reasoning_content", "thinking_blocks", "tool_calls", "annotations", "refusal"]
    ),
    json_values,
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(given_=st.lists(deltas, max_size=4), native=json_values, facts=json_values)
def test_whatever_a_provider_writes_the_stream_ends_as_a_message_or_an_error(
    given_: list[Body], native: object, facts: object
) -> None:
    writer = MessageEvents("0123", "asked")
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "native": native}
    ending = json.dumps({"choices": [last], "greenroom": facts}).encode()

    written = b"".join(map(writer.feed, [*map(piece, given_), ending, b"[DONE]"]))

    assert b"event: message_stop\n" in written or b"event: error\n" in written


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
inputs = st.dictionaries(st.sampled_from("ab"), words, max_size=2).map(json.dumps) | st.just("")


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, the rest last."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [one for one in [*pieces, text[at:]] if one]


@settings(max_examples=200, deadline=None)
@given(
    thinking=st.just("") | words,
    signature=st.sampled_from(["", "c2ln"]),
    text=st.just("") | words,
    arguments=st.lists(inputs, max_size=3),
    sizes=st.lists(st.integers(1, 4), max_size=6),
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
)
def test_however_it_is_cut_the_stream_builds_the_whole_message(
    thinking: str, signature: str, text: str, arguments: list[str], sizes: list[int], finish: str
) -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": given}}
        for n, given in enumerate(arguments)
    ]
    message: Body = {"role": "assistant", "content": text}
    payloads = [piece({"role": "assistant", "content": ""})]
    payloads += [piece({"reasoning_content": one}) for one in cut(thinking, sizes)]
    if thinking:
        message["reasoning_content"] = thinking
        if signature:
            block = {"type": "thinking", "thinking": thinking, "signature": signature}
            message["thinking_blocks"] = [block]
            payloads.append(piece({"thinking_blocks": [block]}))
    payloads += [piece({"content": one}) for one in cut(text, sizes)]
    for n, call in enumerate(calls):
        begun = {"index": n, "id": call["id"], "function": {"name": "f", "arguments": ""}}
        payloads.append(piece({"tool_calls": [begun]}))
        payloads += [
            piece({"tool_calls": [{"index": n, "function": {"arguments": one}}]})
            for one in cut(arguments[n], sizes)
        ]
    if calls:
        message["tool_calls"] = calls
    counts = {"prompt_tokens": 9, "completion_tokens": 5}
    whole = {
        "id": "c",
        "model": "up",
        "choices": [{"message": message, "finish_reason": finish}],
        "usage": counts,
    }

    events = events_of([*payloads, piece({}, finish), usage(9, 5), b"[DONE]"])

    check_order(events)
    told = json.loads(to_message(json.dumps(whole).encode(), "0123"))
    assert message_of(events) == without_nulls(told)


def without_nulls(value: Any) -> Any:  # Any: JSON
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (418, "invalid_request_error"), (529, "overloaded_error")],
)
def test_types_by_status(status: int, kind: str) -> None:
    assert type_of(status) == kind
