"""What was asked and answered, in the conventions' message form. Leaves only where content is asked for.

Texts come from what is stored, masked as there; bytes of images, sounds and files stay here.
"""

from contextlib import suppress
from typing import Any

from msgspec import DecodeError
from msgspec.json import Encoder, decode

from greenroom.store.material import Body, messages_of, whole_sent
from greenroom.wire import semconv
from greenroom.wire.otlp.signals import Attributes

Json = dict[str, Any]  # Any: JSON
_encode = Encoder().encode
_SYSTEM = frozenset({"system", "developer"})


def content_of(body: Body) -> Attributes:
    """The attributes with texts, structured, as events carry them."""
    messages = [one for one in messages_of(whole_sent(body)) if isinstance(one, dict)]
    system = [part for one in messages if one.get("role") in _SYSTEM for part in _parts(one)]
    found: Attributes = {}
    if system:
        found[semconv.SYSTEM_INSTRUCTIONS] = system
    asked = [one for one in messages if one.get("role") not in _SYSTEM]
    if asked:
        found[semconv.INPUT_MESSAGES] = [_message(one) for one in asked]
    if body.reply_raw:
        parts = [{"type": "text", "content": body.reply_raw}]
        found[semconv.OUTPUT_MESSAGES] = [{"role": "assistant", "parts": parts}]
    return found


def as_texts(attributes: Attributes) -> Attributes:
    """The same for spans, whose backends take texts alone."""
    return {name: _encode(value).decode() for name, value in attributes.items()}


def _message(message: Json) -> Json:
    return {"role": str(message.get("role", "user")), "parts": _parts(message)}


def _parts(message: Json) -> list[Json]:
    content = message.get("content")
    if message.get("role") == "tool":
        return [{"type": "tool_call_response", "id": _text(message.get("tool_call_id")), "response": content}]
    parts: list[Json] = []
    if isinstance(content, str):
        parts.append({"type": "text", "content": content})
    elif isinstance(content, list):
        parts += [_part(one) for one in content if isinstance(one, dict)]
    calls = message.get("tool_calls")
    parts += [_call(one) for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
    return parts


def _part(part: Json) -> Json:
    kind = _text(part.get("type"))
    text = part.get("text") if part.get("text") is not None else part.get("refusal")
    if isinstance(text, str):
        return {"type": "text", "content": text}
    image = part.get("image_url")
    uri = image.get("url") if isinstance(image, dict) else None
    if isinstance(uri, str) and not uri.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": uri}
    return {"type": kind or "unknown", "omitted": True}


def _call(call: Json) -> Json:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        with suppress(DecodeError, RecursionError):  # what the model wrote may be no JSON: it stays as it is
            arguments = decode(arguments)
    return {
        "type": "tool_call",
        "id": _text(call.get("id")),
        "name": _text(function.get("name")),
        "arguments": arguments,
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
