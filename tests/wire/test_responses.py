"""The Responses dialect without sockets: the rules of Open Responses, one by one, and how chat becomes it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import RequestError
from greenroom.wire import openai
from greenroom.wire.responses_answer import begun, whole_answer
from greenroom.wire.responses_chat import chat_body, echo, wants_search
from greenroom.wire.responses_draft import Draft, Replay
from greenroom.wire.responses_items import ItemIds, read_items
from greenroom.wire.responses_request import read_request
from greenroom.wire.responses_stream import ResponseStream
from greenroom.wire.responses_talk import packed, to_messages, unpacked
from greenroom.wire.sse import EventParser

Json = dict[str, Any]
MAY_BE_NULL = frozenset({
    "completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "reasoning", "user",
    "usage", "max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key", "conversation",
})  # fmt: skip
REQUIRED = frozenset({
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model",
    "previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs",
    "temperature", "reasoning", "user", "usage", "max_output_tokens", "max_tool_calls", "store", "background",
    "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
FIELDS = {
    "response.created": {"response"},
    "response.queued": {"response"},
    "response.in_progress": {"response"},
    "response.completed": {"response"},
    "response.incomplete": {"response"},
    "response.failed": {"response"},
    "response.output_item.added": {"output_index", "item"},
    "response.output_item.done": {"output_index", "item"},
    "response.content_part.added": {"item_id", "output_index", "content_index", "part"},
    "response.content_part.done": {"item_id", "output_index", "content_index", "part"},
    "response.output_text.delta": {"item_id", "output_index", "content_index", "delta", "logprobs"},
    "response.output_text.done": {"item_id", "output_index", "content_index", "text", "logprobs"},
    "response.output_text.annotation.added": {
        "item_id", "output_index", "content_index", "annotation_index", "annotation",
    },
    "response.refusal.delta": {"item_id", "output_index", "content_index", "delta"},
    "response.refusal.done": {"item_id", "output_index", "content_index", "refusal"},
    "response.reasoning_text.delta": {"item_id", "output_index", "content_index", "delta"},
    "response.reasoning_text.done": {"item_id", "output_index", "content_index", "text"},
    "response.function_call_arguments.delta": {"item_id", "output_index", "delta"},
    "response.function_call_arguments.done": {"item_id", "output_index", "name", "arguments"},
    "response.file_search_call.in_progress": {"item_id", "output_index"},
    "response.file_search_call.searching": {"item_id", "output_index"},
    "response.file_search_call.completed": {"item_id", "output_index"},
}  # fmt: skip
USAGE: Json = {
    "prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}  # fmt: skip
ONE_TEXT = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.done", "response.content_part.done",
    "response.output_item.done", "response.completed",
]  # fmt: skip


def skeleton(**body: Any) -> Json:
    request = read_request(json.dumps({"model": "m", "input": "x", **body}).encode(), ItemIds("in"))
    return begun("resp_1", 1_790_000_000, echo(request))


def chunk(delta: Json | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps({"choices": choices, **more}).encode()


def call(index: int, arguments: str, **first: str) -> Json:
    function = {"arguments": arguments, **({"name": first["name"]} if "name" in first else {})}
    return {
        "tool_calls": [
            {"index": index, **({"id": first["id"]} if "id" in first else {}), "function": function}
        ]
    }


def ends(finish: str = "stop", **more: Any) -> list[bytes]:
    return [chunk({}, finish, **more), chunk(usage=USAGE)]


def told(
    pieces: Sequence[bytes], *, is_refusal: bool = False, searched: Sequence[Json] = (), **body: Any
) -> tuple[list[Json], Draft]:
    """The events of a stream, decoded, and its draft."""
    draft = Draft(skeleton(**body), ItemIds("x"))
    stream = ResponseStream(draft)
    stream.searched(searched)
    out = stream.events()
    for piece in pieces:
        stream.take(piece)
        out += stream.events()
    stream.end(1_790_000_001, is_refusal=is_refusal)
    return decoded(out + stream.events()), draft


def decoded(data: bytes) -> list[Json]:
    events = []
    for frame in data.split(b"\n\n"):
        if frame:
            name, _, payload = frame.partition(b"\n")
            events.append(json.loads(payload.removeprefix(b"data: ")))
            assert name == b"event: " + events[-1]["type"].encode()
    return events


def types(events: Sequence[Json]) -> list[str]:
    return [event["type"] for event in events]


HARD: list[bytes] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Let me"}), chunk({"reasoning_content": " think."}),
    chunk({"thinking_blocks": [{"type": "thinking", "thinking": "Let me think.", "signature": "s"}]}),
    chunk({"content": "It is "}), chunk({"content": "blue [1]."}),
    chunk(call(0, "", id="call_a", name="f")), chunk(call(0, '{"a":')), chunk(call(0, " 1}")),
    chunk(call(1, '{"b": 2}', id="call_b", name="g")),
    chunk({"annotations": [{"type": "file_citation", "file_citation": {"file_id": "file-1", "filename": "a.md", "index": 11, "quote": "q"}}]}, "tool_calls", greenroom={"outcome": "answered"}),
    chunk(usage=USAGE),
]  # fmt: skip
SEARCH: Json = {"type": "file_search_call", "status": "completed", "queries": ["blue?"]}


# the answer object


@pytest.mark.parametrize(
    "response",
    [
        skeleton(),
        told([chunk({"content": "x"}), *ends()])[1].response,
        told([chunk({"content": "x"}), *ends("length")])[1].response,
        told([chunk({"content": "x"}), b'{"error": {"message": "broken", "type": "server_error", "code": "c"}}'])[1].response,
    ],
    ids=["begun", "completed", "incomplete", "failed"],
)  # fmt: skip
def test_every_key_is_there_and_null_only_where_it_may_be(response: Json) -> None:
    assert response.keys() >= REQUIRED
    assert {name for name, value in response.items() if value is None} <= MAY_BE_NULL
    assert isinstance(response["created_at"], int)
    assert response["object"] == "response"


def test_the_defaults_are_those_the_dialect_names() -> None:
    wanted = {
        "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "top_logprobs": 0,
        "tool_choice": "auto", "truncation": "disabled", "parallel_tool_calls": True, "tools": [],
        "background": False, "store": True, "service_tier": "default", "metadata": {},
        "text": {"format": {"type": "text"}},
    }  # fmt: skip

    found = skeleton()

    assert {name: found[name] for name in wanted} == wanted


def test_what_was_asked_for_is_repeated() -> None:
    tool = {
        "type": "function",
        "name": "f",
        "description": None,
        "parameters": {"type": "object"},
        "strict": True,
    }
    form = {
        "type": "json_schema",
        "name": "s",
        "description": None,
        "schema": {"type": "object"},
        "strict": True,
    }
    asked = {
        "instructions": "Be kind.", "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 9, "max_tool_calls": 2,
        "top_logprobs": 3, "parallel_tool_calls": False, "truncation": "auto", "metadata": {"a": "b"}, "store": False,
        "tool_choice": {"type": "function", "name": "f"}, "tools": [tool], "user": "u", "safety_identifier": "s",
        "prompt_cache_key": "p", "service_tier": "flex", "previous_response_id": "resp_0",
        "reasoning": {"effort": "low", "summary": None}, "text": {"format": form, "verbosity": "low"},
        "presence_penalty": 0.5, "frequency_penalty": -0.5,
    }  # fmt: skip

    found = skeleton(**asked)

    assert {name: found[name] for name in asked} == asked


def test_usage_has_all_its_counts() -> None:
    _, draft = told([chunk({"content": "x"}), *ends()])

    assert draft.response["usage"] == {
        "input_tokens": 11, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18,
    }  # fmt: skip


def test_every_output_item_has_an_id_of_its_own_and_a_status() -> None:
    _, draft = told(HARD, searched=[SEARCH])
    output = draft.response["output"]

    assert [item["type"] for item in output] == [
        "file_search_call", "reasoning", "message", "function_call", "function_call",
    ]  # fmt: skip
    assert len({item["id"] for item in output}) == 5
    assert all(item["status"] == "completed" for item in output)
    said = output[2]["content"][0]
    assert said["logprobs"] == []
    assert said["annotations"] == [
        {"type": "file_citation", "file_id": "file-1", "filename": "a.md", "index": 11}
    ]
    assert unpacked(output[1]["encrypted_content"], "thinking") == [
        {"type": "thinking", "thinking": "Let me think.", "signature": "s"}
    ]


@pytest.mark.parametrize(
    ("finish", "is_refusal", "status", "why"),
    [
        ("stop", False, "completed", None),
        ("tool_calls", False, "completed", None),
        ("length", False, "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", False, "incomplete", {"reason": "content_filter"}),
        ("content_filter", True, "completed", None),
    ],
)
def test_how_an_answer_ended(finish: str, is_refusal: bool, status: str, why: Json | None) -> None:
    events, draft = told([chunk({"content": "So"}), *ends(finish)], is_refusal=is_refusal)

    assert draft.response["status"] == status
    assert draft.response["incomplete_details"] == why
    assert draft.response["output"][0]["status"] == status
    assert (draft.response["completed_at"] is None) == (status == "incomplete")
    assert events[-1]["type"] == f"response.{status}"


# the stream


def test_one_text_message_is_told_in_the_documented_order() -> None:
    events, _ = told([chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi."}), *ends()])

    assert types(events) == ONE_TEXT
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize(
    ("pieces", "item"),
    [
        ([chunk({"refusal": "No"}), chunk({"refusal": "."})], "refusal"),
        ([chunk({"reasoning_content": "hm"})], "reasoning_text"),
        ([chunk(call(0, "{}", id="c", name="f"))], "function_call_arguments"),
    ],
)
def test_every_delta_has_its_done_and_lies_within_its_item(pieces: list[bytes], item: str) -> None:
    events, _ = told([*pieces, *ends()])
    found = types(events)

    assert f"response.{item}.delta" in found
    assert found.index("response.output_item.added") < found.index(f"response.{item}.delta")
    assert found.index(f"response.{item}.delta") < found.index(f"response.{item}.done")
    assert found.index(f"response.{item}.done") < found.index("response.output_item.done")


def test_every_event_has_exactly_its_fields() -> None:
    events, _ = told([*HARD, chunk({"refusal": "No."})], searched=[SEARCH])
    more, _ = told([chunk({"refusal": "No."}), *ends()])

    assert set(types(events)) | set(types(more)) == FIELDS.keys() - {
        "response.queued", "response.incomplete", "response.failed",
    }  # fmt: skip
    for event in (*events, *more):
        assert event.keys() == {"type", "sequence_number", *FIELDS[event["type"]]}


def test_deltas_add_up_to_what_is_done_and_to_the_answer() -> None:
    events, draft = told(HARD, searched=[SEARCH])
    sums: dict[tuple[int, str], str] = {}
    for event in events:
        name = event["type"].removeprefix("response.").removesuffix(".delta")
        if "delta" in event:
            key = (event["output_index"], name)
            sums[key] = sums.get(key, "") + event["delta"]
    done = {
        (event["output_index"], event["type"].removeprefix("response.").removesuffix(".done")): event.get("text", event.get("arguments"))
        for event in events if event["type"].endswith(("_text.done", "arguments.done"))
    }  # fmt: skip

    assert sums == done
    assert events[-1]["response"] == json.loads(openai.encode(draft.response))
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert sorted(items, key=lambda one: one["id"]) == sorted(
        events[-1]["response"]["output"], key=lambda one: one["id"]
    )


def test_items_begin_in_the_order_of_their_indexes_and_all_end() -> None:
    events, _ = told(HARD, searched=[SEARCH])
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]

    assert added == list(range(5))
    assert sorted(done) == added


def test_reasoning_ends_before_the_answer_begins() -> None:
    found = types(told(HARD)[0])

    assert found.index("response.reasoning_text.done") < found.index("response.output_text.delta")


def test_a_failure_is_the_last_event_and_keeps_what_was_said() -> None:
    error = b'{"error": {"message": "The provider hung up.", "type": "server_error", "code": "upstream_disconnected", "param": null}}'
    events, draft = told([chunk({"content": "So"}), error, chunk({"content": "more"})])

    assert events[-1]["type"] == "response.failed"
    assert draft.response["error"] == {"code": "server_error", "message": "The provider hung up."}
    assert draft.response["output"][0]["content"][0]["text"] == "So"
    assert draft.response["output"][0]["status"] == "incomplete"
    assert draft.response["greenroom"]["error"]["code"] == "upstream_disconnected"


@pytest.mark.parametrize("broken", [b"{", b"[]", b'{"choices": 3}', b"\xff", b"[" * 100_000])
def test_a_piece_that_is_none_fails_the_response(broken: bytes) -> None:
    events, draft = told([chunk({"content": "So"}), broken])

    assert events[-1]["type"] == "response.failed"
    assert draft.response["status"] == "failed"


def test_a_limit_of_the_providers_is_called_so() -> None:
    error = b'{"error": {"message": "Slow down.", "type": "x", "code": "rate_limit_exceeded"}}'

    assert told([error])[1].response["error"]["code"] == "rate_limit_exceeded"


def test_a_waiting_response_is_told_as_queued_first() -> None:
    draft = Draft(skeleton(background=True), ItemIds("x"))
    stream = ResponseStream(draft, queued=True)
    stream.work()
    stream.cancel()
    events = decoded(stream.events())

    assert types(events) == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.incomplete",
    ]
    assert [event["response"]["status"] for event in events] == [
        "queued",
        "queued",
        "in_progress",
        "cancelled",
    ]


# laws


def cuts(text: str, at: Sequence[int]) -> Iterator[str]:
    begin = 0
    for end in sorted({min(one, len(text)) for one in at}):
        if end > begin:
            yield text[begin:end]
            begin = end
    if begin < len(text):
        yield text[begin:]


def merged(events: Sequence[Json]) -> list[Json]:
    """The events without their numbers, neighbouring deltas of one text as one."""
    found: list[Json] = []
    for event in events:
        one = {name: value for name, value in event.items() if name != "sequence_number"}
        last = found[-1] if found else {}
        if "delta" in one and "delta" in last and {**one, "delta": ""} == {**last, "delta": ""}:
            found[-1] = {**last, "delta": last["delta"] + one["delta"]}
        else:
            found.append(one)
    return found


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
places = st.lists(st.integers(0, 40), max_size=6)


@given(
    reasoning=st.one_of(st.just(""), texts), said=st.one_of(st.just(""), texts),
    arguments=st.lists(texts, max_size=3), one=places, other=places,
)  # fmt: skip
def test_however_the_pieces_are_cut_the_events_are_the_same(
    reasoning: str, said: str, arguments: list[str], one: list[int], other: list[int]
) -> None:
    def pieces(at: Sequence[int]) -> list[bytes]:
        found = [chunk({"reasoning_content": piece}) for piece in cuts(reasoning, at)]
        found += [chunk({"content": piece}) for piece in cuts(said, at)]
        for index, text in enumerate(arguments):
            found.append(chunk(call(index, "", id=f"call_{index}", name="f")))
            found += [chunk(call(index, piece)) for piece in cuts(text, at)]
        return [*found, *ends()]

    assert merged(told(pieces(one))[0]) == merged(told(pieces(other))[0])


@given(at=st.lists(st.integers(0, 4000), max_size=12))
def test_however_the_bytes_are_cut_the_events_are_the_same(at: list[int]) -> None:
    data = b"".join(b"data: %b\n\n" % piece for piece in HARD)
    parser = EventParser()
    payloads: list[bytes] = []
    begin = 0
    for end in [*sorted({min(one, len(data)) for one in at}), len(data)]:
        payloads += parser.feed(data[begin:end])
        begin = end

    assert told(payloads)[0] == told(HARD)[0]


@given(said=texts, at=places, finish=st.sampled_from(["stop", "length"]))
def test_a_stored_stream_is_told_again_event_by_event(said: str, at: list[int], finish: str) -> None:
    pieces = [*HARD[:4], *(chunk({"content": piece}) for piece in cuts(said, at)), *HARD[6:10], *ends(finish)]
    events, draft = told(pieces, searched=[SEARCH])
    stored = json.loads(openai.encode(draft.response))

    again = decoded(Replay(stored, skeleton(), draft.cuts, queued=False).run())

    assert again == events


def test_a_failed_stream_is_told_again_event_by_event() -> None:
    events, draft = told([*HARD[:8], b'{"error": {"message": "broken"}}'])
    stored = json.loads(openai.encode(draft.response))

    assert decoded(Replay(stored, skeleton(), draft.cuts, queued=False).run()) == events


@given(
    said=st.one_of(st.just(""), texts),
    reasoning=st.one_of(st.just(""), texts),
    calls=st.lists(texts, max_size=2),
)
def test_whole_and_streamed_answers_are_the_same(said: str, reasoning: str, calls: list[str]) -> None:
    finish = "tool_calls" if calls else "stop"
    functions = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": text}}
        for n, text in enumerate(calls)
    ]
    message = {
        "role": "assistant",
        "content": said or None,
        "reasoning_content": reasoning or None,
        "tool_calls": functions or None,
    }
    body = json.dumps(
        {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": USAGE}
    ).encode()
    pieces = [
        *([chunk({"reasoning_content": reasoning})] if reasoning else []), *([chunk({"content": said})] if said else []),
        *(chunk(call(n, text, id=f"c{n}", name="f")) for n, text in enumerate(calls)), *ends(finish),
    ]  # fmt: skip

    whole = whole_answer(Draft(skeleton(), ItemIds("x"), tells=False), body, 1_790_000_001, is_refusal=False)

    assert whole == told(pieces)[1].response


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
fields = st.sampled_from([
    "model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "prompt",
    "conversation", "previous_response_id", "stream", "store", "background", "max_output_tokens", "truncation",
])  # fmt: skip
kinds = st.sampled_from([
    "message", "function_call", "function_call_output", "reasoning", "compaction", "item_reference",
    "file_search_call", "web_search_call", "spell",
])  # fmt: skip
items = st.dictionaries(
    st.sampled_from(["role", "content", "id", "call_id", "name", "arguments", "output", "summary", "encrypted_content", "status"]),
    json_values, max_size=5,
).flatmap(lambda one: kinds.map(lambda kind: {**one, "type": kind}))  # fmt: skip


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
