"""Open Responses, rule by rule: which type each field has, which values, and that no field of an object is missing.

`scripts/open_responses.py` holds the same against the published document itself.
"""

from typing import Any

import pytest

from tests.wire.responses import HARD, Json, chunk, ends, skeleton, told

TEXT, NUMBER, FLAG = (str,), (int, float), (bool,)
MAYBE_TEXT, MAYBE_WHOLE = (str, type(None)), (int, type(None))
RESPONSE: dict[str, tuple[type, ...]] = {
    "id": TEXT, "object": TEXT, "created_at": (int,), "completed_at": MAYBE_WHOLE, "status": TEXT,
    "incomplete_details": (dict, type(None)), "model": TEXT, "previous_response_id": MAYBE_TEXT,
    "instructions": MAYBE_TEXT, "output": (list,), "error": (dict, type(None)), "tools": (list,),
    "tool_choice": (str, dict), "truncation": TEXT, "parallel_tool_calls": FLAG, "text": (dict,), "top_p": NUMBER,
    "presence_penalty": NUMBER, "frequency_penalty": NUMBER, "top_logprobs": (int,), "temperature": NUMBER,
    "reasoning": (dict, type(None)), "usage": (dict, type(None)), "max_output_tokens": MAYBE_WHOLE,
    "max_tool_calls": MAYBE_WHOLE, "store": FLAG, "background": FLAG, "service_tier": TEXT, "metadata": (dict,),
    "safety_identifier": MAYBE_TEXT, "prompt_cache_key": MAYBE_TEXT,
}  # fmt: skip
ITEMS = {
    "message": {"id", "status", "role", "content"},
    "function_call": {"id", "call_id", "name", "arguments", "status"},
    "reasoning": {"id", "summary"},
}
PARTS = {"output_text": {"text", "annotations"}, "refusal": {"refusal"}, "reasoning_text": {"text"}}
LIKELY = {"token", "logprob", "bytes"}
WEATHER: Json = {"type": "function", "name": "weather"}
ALLOWED: Json = {"type": "allowed_tools", "tools": [{"type": "function", "name": "weather"}]}
NULLS = dict.fromkeys((
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "metadata", "tools", "text",
    "tool_choice", "parallel_tool_calls", "truncation", "service_tier", "store", "background", "reasoning",
))  # fmt: skip


def is_of(value: object, types: tuple[type, ...]) -> bool:
    """Whether a JSON value has one of these types; true is no number."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        NULLS,
        {"temperature": 0, "top_p": 1},
        {"tools": [WEATHER], "tool_choice": ALLOWED},
        {"reasoning": {}},
    ],
    ids=["nothing", "nulls", "whole numbers", "tools", "reasoning"],
)
def test_every_field_has_a_type_that_it_may_have(asked: Json) -> None:
    _, draft = told([*HARD, chunk({"refusal": "No."})], **asked)

    for response in (skeleton(**asked), draft.response):
        wrong = {name for name, types in RESPONSE.items() if not is_of(response[name], types)}
        assert wrong == set()


def test_no_item_or_part_lacks_a_field_and_every_status_is_one_of_three() -> None:
    events, draft = told([*HARD, chunk({"refusal": "No."})])
    items = [one["item"] for one in events if "item" in one] + draft.response["output"]
    parts = [one["part"] for one in events if "part" in one]
    parts += [part for item in items for part in item.get("content") or ()]

    assert {item["type"] for item in items} == ITEMS.keys()
    assert {part["type"] for part in parts} == PARTS.keys()
    for item in items:
        assert item.keys() >= ITEMS[item["type"]]
        assert item.get("status", "completed") in {"in_progress", "completed", "incomplete"}
        assert isinstance(item.get("encrypted_content", ""), str)  # left out, never null
    for part in parts:
        assert part.keys() >= PARTS[part["type"]]


def test_a_tool_is_repeated_with_all_its_fields_however_little_was_said_of_it() -> None:
    (tool,) = skeleton(tools=[WEATHER])["tools"]

    assert tool == {**WEATHER, "description": None, "parameters": None, "strict": False}


@pytest.mark.parametrize(("mode", "shown"), [(None, "auto"), ("auto", "auto"), ("required", "required")])
def test_a_choice_among_allowed_tools_names_its_mode(mode: str | None, shown: str) -> None:
    asked = ALLOWED if mode is None else {**ALLOWED, "mode": mode}

    assert skeleton(tools=[WEATHER], tool_choice=asked)["tool_choice"] == {**ALLOWED, "mode": shown}


def test_settings_of_reasoning_are_repeated_with_both_fields() -> None:
    assert skeleton(reasoning={})["reasoning"] == {"effort": None, "summary": None}
    assert skeleton(reasoning={"effort": "low"})["reasoning"] == {"effort": "low", "summary": None}


@pytest.mark.parametrize("beside", [[], [{"token": "b", "logprob": -1.5}], None, ["odd"]])
def test_every_likelihood_has_all_its_fields(beside: Any) -> None:  # Any: JSON of a provider
    found = {"token": "a", "logprob": -0.5, "top_logprobs": beside}
    piece = (
        chunk({"content": "a"})[:-3]
        + b', "logprobs": {"content": [%b]}}]}'
        % str(found).replace("'", '"').replace("None", "null").encode()
    )
    events, draft = told([piece, *ends()])
    told_of = [one for event in events for one in event.get("logprobs") or ()]
    told_of += draft.response["output"][0]["content"][0]["logprobs"]

    assert len(told_of) == 3  # in the delta, in the whole text, and in the answer
    for one in told_of:
        assert one.keys() == LIKELY | {"top_logprobs"}
        assert one["bytes"] == []
        assert all(other.keys() == LIKELY for other in one["top_logprobs"])


def test_counts_are_whole_numbers_that_add_up() -> None:
    usage = told([chunk({"content": "x"}), *ends()])[1].response["usage"]

    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert isinstance(usage["input_tokens_details"]["cached_tokens"], int)
    assert isinstance(usage["output_tokens_details"]["reasoning_tokens"], int)


def test_what_a_response_failed_of_has_a_code_and_a_message() -> None:
    broken = b'{"error": {"message": "It broke.", "type": "server_error", "code": null}}'

    assert told([broken])[1].response["error"] == {"code": "server_error", "message": "It broke."}
