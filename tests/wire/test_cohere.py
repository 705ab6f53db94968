"""Chat completions at Cohere: v2 bodies there, answers and streams back."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import RequestError, UpstreamDisconnected, UpstreamProtocol, UpstreamRefused
from greenroom.wire.cohere_answer import CohereStream, from_chat
from greenroom.wire.cohere_request import to_chat
from greenroom.wire.sse import EventParser

MODEL = "command-a-03-2025"
HI = [{"role": "user", "content": "Hi"}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "time")
]


def sent(messages: Any = HI, **fields: Any) -> tuple[Any, list[str]]:
    made, lost = to_chat(json.dumps({"model": MODEL, "messages": messages, **fields}).encode(), MODEL)
    return json.loads(made), lost


def test_a_conversation_with_an_image_and_a_tool_turn() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://h/a.png", "detail": "low"}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rio"}'}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "See"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
    ]

    made, lost = sent(messages)

    assert made["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "See"}, image]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"result":"21"}'},
    ]
    assert lost == []


def test_settings_have_their_names_and_what_has_none_is_named() -> None:
    made, lost = sent(
        stream=True, max_completion_tokens=5, temperature=1.5, top_p=0.2, top_k=3, seed=1, stop=["x"], user="u",
        presence_penalty=0.1, frequency_penalty=0.2, service_tier="flex", reasoning_effort="low",
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )  # fmt: skip

    assert made == {
        "model": MODEL, "messages": HI, "stream": True, "max_tokens": 5, "temperature": 1.0, "p": 0.2, "k": 3,
        "seed": 1, "presence_penalty": 0.1, "frequency_penalty": 0.2, "stop_sequences": ["x"],
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "enabled"},
    }  # fmt: skip
    assert sorted(lost) == ["reasoning_effort", "service_tier", "temperature", "user"]


@pytest.mark.parametrize(
    ("choice", "names", "made"),
    [
        ("auto", ["weather", "time"], None),
        ("required", ["weather", "time"], "REQUIRED"),
        ("none", ["weather", "time"], "NONE"),
        ({"type": "function", "function": {"name": "time"}}, ["time"], "REQUIRED"),
    ],
)
def test_the_choice_among_tools(choice: Any, names: list[str], made: str | None) -> None:
    told, lost = sent(tools=TOOLS, tool_choice=choice)

    assert [tool["function"]["name"] for tool in told["tools"]] == names
    assert told.get("tool_choice") == made
    assert lost == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 2}, "answer once"),
        ({"messages": [{"role": "user", "content": ""}]}, "no message"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}}]}]},
            "'audio'",
        ),
    ],
)  # fmt: skip
def test_what_would_change_the_question_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        sent(**fields)


USAGE = {
    "billed_units": {"input_tokens": 9.0, "output_tokens": 4.0},
    "tokens": {"input_tokens": 120.0, "output_tokens": 4.0},
    "cached_tokens": 5.0,
}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rio"}'}}


def read(**fields: Any) -> Any:
    message = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is"}],
        "tool_calls": [CALL],
        "tool_plan": "I will look. ",
        "citations": [{"start": 0}],
    }
    told = {"id": "r1", "finish_reason": "TOOL_CALL", "message": message, "usage": USAGE, **fields}
    made, lost = from_chat(json.dumps(told).encode(), asked="app", created=1)
    return {**json.loads(made), "lost": lost}


def test_a_whole_answer_with_a_plan_thinking_a_call_and_counts() -> None:
    got = read()

    choice = got["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "I will look. hm"
    assert (choice["message"]["content"], choice["message"]["tool_calls"]) == ("It is", [CALL])
    assert (got["usage"]["prompt_tokens"], got["usage"]["completion_tokens"]) == (9, 4)
    assert got["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert got["lost"] == ["content.citations"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"finish_reason": "ERROR"}, UpstreamRefused),
        ({"finish_reason": "TIMEOUT"}, UpstreamRefused),
        ({"finish_reason": None}, UpstreamProtocol),
        ({"message": None}, UpstreamProtocol),
    ],
)
def test_what_is_no_finished_answer_is_never_taken_for_one(fields: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read(**fields)


EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant"}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "Look. "}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Olá 🙂"}}}},
    {"type": "content-end", "index": 0},
    {
        "type": "tool-call-start", "index": 0,
        "delta": {"message": {"tool_calls": {"id": "c1", "type": "function", "function": {"name": "a", "arguments": ""}}}},
    },
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": '{"x":'}}}}},
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "1}"}}}}},
    {"type": "tool-call-end", "index": 0},
    {
        "type": "tool-call-start", "index": 1,
        "delta": {"message": {"tool_calls": {"id": "c2", "type": "function", "function": {"name": "b"}}}},
    },
    {"type": "tool-call-end", "index": 1},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
]  # fmt: skip


def encoded(events: list[dict[str, Any]]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one, ensure_ascii=False).encode())
        for one in events
    )


STREAM = encoded(EVENTS)


def stream(pieces: list[bytes]) -> list[Any]:
    parser, translator = EventParser(), CohereStream("app", 1)
    out = [piece for data in pieces for one in parser.feed(data) for piece in translator.feed(one)]
    out += [piece for one in parser.flush() for piece in translator.feed(one)]
    return [json.loads(piece) for piece in [*out, *translator.finish()]]


def test_a_stream_says_what_the_whole_answer_says() -> None:
    pieces = stream([STREAM])

    deltas = [piece["choices"][0]["delta"] for piece in pieces if piece["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Olá 🙂"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Look. "
    written: dict[int, str] = {}
    for call in (call for delta in deltas for call in delta.get("tool_calls", ())):
        written[call["index"]] = written.get(call["index"], "") + call["function"]["arguments"]
    assert written == {0: '{"x":1}', 1: "{}"}
    assert pieces[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert pieces[-1]["usage"]["prompt_tokens"] == 9


@settings(deadline=None)  # a busy machine is not a fault
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_a_stream_is_cut_it_says_the_same(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})

    assert stream([STREAM[start:end] for start, end in pairwise(edges)]) == stream([STREAM])


@pytest.mark.parametrize("count", range(len(EVENTS)))
def test_a_stream_without_its_end_is_cut(count: int) -> None:
    with pytest.raises(UpstreamDisconnected):
        stream([encoded(EVENTS[:count])])


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no"}}, UpstreamRefused),
        ({"type": "content-delta", "delta": 1}, UpstreamProtocol),
        ({"type": "tool-call-delta", "index": 9, "delta": {"message": {"tool_calls": {"function": {"arguments": "x"}}}}}, UpstreamProtocol),
    ],
)  # fmt: skip
def test_failures_inside_a_stream(event: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        stream([encoded([EVENTS[0], event])])
