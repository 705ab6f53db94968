"""Cohere's v2 chat dialect: chat bodies to `/v2/chat` bodies.

Sans-io. Knows the two dialects and nothing of sockets, keys or prices. What Cohere has no field for is
reported by name; what would change the question itself is refused. Cohere's own surface for OpenAI clients
is not documented to take `tool_choice` or `top_k`, so it is not used for chat. Checked against the types of
Cohere's Python client 7.3.1 (November 2026).
"""

from collections.abc import Collection
from typing import NamedTuple

from msgspec.json import Encoder

from greenroom.errors import RequestError
from greenroom.wire.chat_body import (
    ChatBody,
    Message,
    Object,
    Part,
    arguments_of,
    choice_of,
    functions_of,
    object_in,
    parts_of,
    read_body,
    text_of,
)

_WHO = "Cohere"
_CARRIED = frozenset({
    "n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "presence_penalty",
    "frequency_penalty", "stop", "tools", "tool_choice", "response_format", "reasoning_effort", "thinking",
    "parallel_tool_calls",
})  # fmt: skip
_MOST_STOPS = 5
_encode = Encoder().encode


class Translated(NamedTuple):
    """A body for Cohere, and the names of what it cannot carry."""

    body: bytes
    lost: list[str]


def to_chat(body: bytes, model: str, *, hidden: Collection[str] = ()) -> Translated:
    """Translate a chat body; thinking that holds one of the `hidden` values is left out.

    Raises MalformedRequest when it is none, RequestError for what no Cohere model can answer: `n` above 1,
    audio, files, a message of an unknown role.
    """
    chat = read_body(body, hidden)
    if chat.n is not None and chat.n != 1:
        raise RequestError(f"Cohere models answer once; 'n' is {chat.n}. Leave it out or ask again.", "n")
    lost = chat.not_in(_CARRIED)
    out: Object = {"model": model, "messages": _messages(chat.messages, lost)}
    if chat.stream:
        out["stream"] = True
    for name, value in (
        ("max_tokens", chat.max_completion_tokens or chat.max_tokens),
        ("temperature", chat.temperature),
        ("p", chat.top_p),
        ("k", chat.top_k),
        ("seed", chat.seed),
        ("presence_penalty", chat.presence_penalty),
        ("frequency_penalty", chat.frequency_penalty),
        ("stop_sequences", chat.stops[:_MOST_STOPS] or None),
    ):
        if value is not None:
            out[name] = value
    if len(chat.stops) > _MOST_STOPS:
        lost.append("stop")
    if chat.temperature is not None and chat.temperature > 1:
        out["temperature"] = 1.0
        lost.append("temperature")  # Cohere's scale ends at 1
    _put_tools(out, chat, lost)
    _put_output(out, chat, lost)
    return Translated(_encode(out), list(dict.fromkeys(lost)))


def _messages(messages: list[Message], lost: list[str]) -> list[Object]:
    out: list[Object] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}].content"
        parts = parts_of(message.content, place, _WHO)
        if message.name is not None:
            lost.append("messages.name")
        if message.cache_control is not None or any(part.cached is not None for part in parts):
            lost.append("cache_control")
        match message.role:
            case "system" | "developer":
                made: Object = {"role": "system", "content": text_of(parts)}
            case "user":
                made = {"role": "user", "content": _content(parts, place)}
            case "assistant":
                made = _spoken(message, parts, place, lost)
            case "tool":
                made = _result(message, parts, lost)
            case other:
                raise RequestError(f"Cohere has no role {other[:40]!r}.", f"messages[{index}].role")
        if made.get("content") or made.get("tool_calls"):
            out.append(made)
    if not out:
        raise RequestError("There is no message with content.", "messages")
    return out


def _content(parts: list[Part], place: str) -> str | list[Object]:
    if all(part.kind == "text" for part in parts):
        return text_of(parts)
    content: list[Object] = []
    for part in parts:
        if part.kind == "text":
            content.append({"type": "text", "text": part.text})
        elif part.kind == "image":
            image: Object = {"url": part.url or f"data:{part.media};base64,{part.data}"}
            if part.detail != "auto":
                image["detail"] = part.detail
            content.append({"type": "image_url", "image_url": image})
        else:
            raise RequestError(f"Cohere cannot take a part of type {part.kind!r}.", place)
    return content


def _spoken(message: Message, parts: list[Part], place: str, lost: list[str]) -> Object:
    texts = [part.text for part in parts if part.kind == "text"]
    if message.refusal and message.refusal.strip():
        texts.append(message.refusal)
    made: Object = {"role": "assistant"}
    thought = message.reasoning_content
    if message.thinking_blocks:
        if any(one.get("signature") for one in message.thinking_blocks):
            lost.append("thinking_blocks.signature")
        thought = thought or "".join(str(one.get("thinking", "")) for one in message.thinking_blocks)
    content: list[Object] = [{"type": "thinking", "thinking": thought}] if thought else []
    content += [{"type": "text", "text": text} for text in texts]
    if content:
        made["content"] = content if thought or len(content) > 1 else texts[0]
    calls = []
    for call in message.tool_calls or ():
        name, arguments = arguments_of(call, place.replace("content", "tool_calls"), _WHO)
        function = {"name": name, "arguments": _encode(arguments).decode()}
        calls.append({"id": call.id, "type": "function", "function": function})
    if calls:
        made["tool_calls"] = calls
    return made


def _result(message: Message, parts: list[Part], lost: list[str]) -> Object:
    """What a tool answered, as the JSON object that Cohere wants."""
    if any(part.kind != "text" for part in parts):
        lost.append("messages.content.image_url")
    text = text_of(parts)
    if message.is_error:
        text = _encode({"error": text}).decode()
    elif object_in(text) is None:
        text = _encode({"result": text}).decode()
    return {"role": "tool", "tool_call_id": message.tool_call_id, "content": text}


def _put_tools(out: Object, chat: ChatBody, lost: list[str]) -> None:
    choice = choice_of(chat, lost)
    tools = []
    is_strict = False
    for function, mark in functions_of(chat, lost):
        if mark is not None:
            lost.append("cache_control")
        if choice.names and function.name not in choice.names:
            continue  # Cohere has no way to name some of them, but what is not sent can't be called
        declared: Object = {"name": function.name}
        if function.description:
            declared["description"] = function.description
        declared["parameters"] = function.parameters or {"type": "object", "properties": {}}
        is_strict = is_strict or bool(function.strict)
        tools.append({"type": "function", "function": declared})
    if not tools:
        return
    if chat.parallel_tool_calls is False:
        lost.append("parallel_tool_calls")
    out["tools"] = tools
    if is_strict:
        out["strict_tools"] = True
    if choice.mode != "auto":
        out["tool_choice"] = choice.mode.upper()


def _put_output(out: Object, chat: ChatBody, lost: list[str]) -> None:
    wanted = chat.response_format
    if wanted is not None and wanted.type in {"json_object", "json_schema"}:
        made: Object = {"type": "json_object"}
        if wanted.json_schema is not None and wanted.json_schema.schema is not None:
            made["json_schema"] = wanted.json_schema.schema
        out["response_format"] = made
    elif wanted is not None and wanted.type != "text":
        lost.append("response_format")
    match chat.thinking:
        case {"type": "enabled", "budget_tokens": int(tokens)}:
            out["thinking"] = {"type": "enabled", "token_budget": tokens}
        case {"type": "enabled" | "disabled" as kind}:
            out["thinking"] = {"type": kind}
        case {}:
            out["thinking"] = {"type": "enabled"}
        case _ if chat.reasoning_effort is not None:
            if chat.reasoning_effort not in {"none", "high"}:
                lost.append("reasoning_effort")  # it thinks or it does not; how much can't be said
            out["thinking"] = {"type": "disabled" if chat.reasoning_effort == "none" else "enabled"}
