"""The Responses dialect without sockets: the rules of Open Responses, one by one, and how chat becomes it."""

import json
from collections.abc import Sequence

import pytest

from greenroom.wire import openai
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import ItemIds
from greenroom.wire.responses_stream import ResponseStream
from greenroom.wire.responses_talk import unpacked
from tests.wire.responses import HARD, REQUIRED, SEARCH, Json, call, chunk, decoded, ends, skeleton, told

MAY_BE_NULL = frozenset({
    "completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "reasoning", "user",
    "usage", "max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key", "conversation",
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
ONE_TEXT = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.done", "response.content_part.done",
    "response.output_item.done", "response.completed",
]  # fmt: skip


def types(events: Sequence[Json]) -> list[str]:
    return [event["type"] for event in events]


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
