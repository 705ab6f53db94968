"""Responses to be told: chunks of a model, what becomes of them, and how they are read."""

import json
from collections.abc import Sequence
from typing import Any

from greenroom.wire.responses_answer import begun
from greenroom.wire.responses_chat import echo
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import ItemIds
from greenroom.wire.responses_request import read_request
from greenroom.wire.responses_stream import ResponseStream

Json = dict[str, Any]
REQUIRED = frozenset({
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model",
    "previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs",
    "temperature", "reasoning", "user", "usage", "max_output_tokens", "max_tool_calls", "store", "background",
    "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
USAGE: Json = {
    "prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}  # fmt: skip


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
