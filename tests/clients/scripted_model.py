"""A model for clients' own test suites: no language model, but one that does what they need, the same way always.

Speaks `/chat/completions` and `/embeddings`, whole and streamed, on a real socket. It calls a tool that it is
told to call or whose name stands in the newest message, fills schemas with what it finds there, and otherwise
repeats what it heard. Knows the dialect and nothing of Greenroom.
"""

import json
import re
import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from tests.scripted import Json, Reply, ScriptedServer, reply

_NUMBER = re.compile(r"-?\d+")
_QUOTED = re.compile(r"['\"“]([^'\"”]+)['\"”]")
_DIMENSIONS = 8


class ScriptedModel(ScriptedServer):
    """Serves while entered; `base_url` is what a provider's configuration wants."""

    def answer(self, path: str, body: Json) -> Reply:
        """Answer a request."""
        if path.endswith("/embeddings"):
            return reply(vectors(body))
        if not body.get("stream"):
            return reply(answered(body))
        events = [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in streamed(body)]
        return Reply(b"".join([*events, b"data: [DONE]\n\n"]), kind="text/event-stream")


def vectors(body: Json) -> Json:
    """The answer of `/embeddings`: one vector for each input, of its length and place."""
    given = body["input"]
    inputs = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    size = body.get("dimensions") or _DIMENSIONS
    data = []
    for index, one in enumerate(inputs):
        vector = [1.0 / (1 + place + len(one)) for place in range(size)]
        coded = b64encode(struct.pack(f"<{size}f", *vector)).decode()
        is_coded = body.get("encoding_format") == "base64"
        data.append({"object": "embedding", "index": index, "embedding": coded if is_coded else vector})
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def answered(body: Json) -> Json:
    """A `chat.completion`."""
    message, reason = _reply(body)
    choice: Json = {"message": {"role": "assistant", "content": None, "refusal": None, **message}}
    choice |= {"finish_reason": reason, "logprobs": _logprobs(body, message.get("content") or "")}
    choices = [{"index": index, **choice} for index in range(body.get("n") or 1)]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": _usage(body, message)}


def streamed(body: Json) -> Iterator[Json]:
    """The same in pieces: `chat.completion.chunk` objects."""
    message, reason = _reply(body)
    head = _head(body, "chat.completion.chunk")

    def piece(index: int, delta: Json, finish: str | None = None) -> Json:
        logprobs = _logprobs(body, delta.get("content") or "")
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return {**head, "choices": [choice]}

    for index in range(body.get("n") or 1):
        yield piece(index, {"role": "assistant", "content": ""})
        for word in re.findall(r"\s*\S+", message.get("content") or ""):
            yield piece(index, {"content": word})
        for number, call in enumerate(message.get("tool_calls", ())):
            written = call["function"]["arguments"]
            begun = {**call, "index": number, "function": {**call["function"], "arguments": ""}}
            yield piece(index, {"tool_calls": [begun]})
            for part in (written[:4], written[4:]):
                yield piece(index, {"tool_calls": [{"index": number, "function": {"arguments": part}}]})
        yield piece(index, {}, reason)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(body, message)}


def _head(body: Json, kind: str) -> Json:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1_700_000_000, "model": body["model"]}


def _reply(body: Json) -> tuple[Json, str]:
    """The message and why it ends."""
    messages = body["messages"]
    heard = _text(messages[-1])
    wanted = body.get("response_format") or {}
    called = None if messages[-1]["role"] == "tool" else _called(body, heard)
    if called is not None:
        arguments = json.dumps(filled(called.get("parameters") or {}, heard), ensure_ascii=False)
        function = {"name": called["name"], "arguments": arguments}
        return {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}, "tool_calls"
    if wanted.get("type") == "json_schema":
        filling = filled(wanted["json_schema"].get("schema") or {}, heard)
        return {"content": json.dumps(filling, ensure_ascii=False)}, "stop"
    if wanted.get("type") == "json_object":
        named = dict.fromkeys(_QUOTED.findall(heard), "text")
        return {"content": json.dumps(named or {"heard": heard})}, "stop"
    return {"content": f"I heard: {heard}"}, "stop"


def _called(body: Json, heard: str) -> Json | None:
    functions: list[Json] = [one["function"] for one in body.get("tools") or () if "function" in one]
    choice = body.get("tool_choice")
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        return next(one for one in functions if one["name"] == choice["function"]["name"])
    if choice == "required":
        return functions[0]
    words = set(re.findall(r"\w+", heard.lower()))
    for one in functions:
        if one["name"] in heard or set(one["name"].lower().split("_")) <= words | {"get"}:
            return one
    return None


def _text(message: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def filled(schema: Json, heard: str, root: Json | None = None) -> Any:  # Any: JSON
    """A value that obeys a JSON Schema, with numbers and quoted texts of what was heard."""
    root = schema if root is None else root
    if "$ref" in schema:
        found: Json = root
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return filled(found, heard, root)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return filled(schema[several][0], heard, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    number, quoted = _NUMBER.search(heard), _QUOTED.search(heard)
    match schema.get("type"):
        case "object":
            given: Json = schema.get("properties") or {}
            return {name: filled(one, heard, root) for name, one in given.items()}
        case "array":
            return [filled(schema.get("items") or {}, heard, root)]
        case "integer":
            return int(number[0]) if number else 1
        case "number":
            return float(number[0]) if number else 1.5
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return quoted[1] if quoted else "text"


def _logprobs(body: Json, content: str) -> Json | None:
    if not body.get("logprobs"):
        return None
    alternatives = body.get("top_logprobs") or 0
    return {
        "content": [
            {
                "token": word, "logprob": -0.5, "bytes": None,
                "top_logprobs": [{"token": word, "logprob": -0.5, "bytes": None}][:alternatives],
            }
            for word in re.findall(r"\s*\S+", content)
        ],
        "refusal": None,
    }  # fmt: skip


def _usage(body: Json, message: Json) -> Json:
    asked = sum(len(_text(one).split()) for one in body["messages"]) + 3
    said = len(json.dumps(message).split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
