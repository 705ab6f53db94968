"""Amazon Bedrock's Converse dialect: chat bodies to Converse bodies.

Sans-io. Knows the two dialects and nothing of sockets, keys or prices. What Converse has no field for is
reported by name; what would change the question itself is refused. Checked against the service model of
bedrock-runtime in botocore 1.44.8 (November 2026).
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from msgspec.json import Encoder

from greenroom.errors import RequestError
from greenroom.wire.chat_body import (
    SIGNED,
    ChatBody,
    Message,
    Object,
    Part,
    arguments_of,
    choice_of,
    functions_of,
    parts_of,
    read_body,
    text_of,
)

_WHO = "Bedrock"
_CARRIED = frozenset({
    "n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "tools",
    "tool_choice", "response_format", "reasoning_effort", "thinking", "service_tier", "parallel_tool_calls",
})  # fmt: skip
_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS = {
    "application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc", "text/html": "html",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls", "text/plain": "txt", "text/markdown": "md",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
_TIERS = {"auto": None, "default": "default", "flex": "flex", "priority": "priority"}
_EFFORTS = {"minimal": "low", **{same: same for same in ("low", "medium", "high", "xhigh", "max")}}
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]+|\s{2,}")
_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_encode = Encoder().encode


class Translated(NamedTuple):
    """A body for Converse, and the names of what it cannot carry."""

    body: bytes
    lost: list[str]


def to_converse(body: bytes, model: str, *, hidden: Collection[str] = ()) -> Translated:
    """Translate a chat body; thinking that holds one of the `hidden` values is left out.

    Raises MalformedRequest when it is none, RequestError for what Converse can't take: `n` above 1, images by
    address, parts of other kinds, a message of an unknown role, nothing but system messages.
    """
    chat = read_body(body, hidden)
    if chat.n is not None and chat.n != 1:
        raise RequestError(f"Bedrock models answer once; 'n' is {chat.n}. Leave it out or ask again.", "n")
    lost = chat.not_in(_CARRIED)
    is_claude = "anthropic" in model
    system, messages = _turns(chat.messages, lost)
    out: Object = {"messages": messages}
    if system:
        out["system"] = system
    config = _inference(chat)
    if config:
        out["inferenceConfig"] = config
    _put_tools(out, chat, lost)
    _put_output(out, chat, lost)
    more: Object = {}
    for name, value in (("top_k", chat.top_k), ("thinking", chat.thinking)):
        if value is not None and is_claude:
            more[name] = value
        elif value is not None and value != {"type": "disabled"}:
            lost.append(name)
    if more:
        out["additionalModelRequestFields"] = more
    if chat.service_tier is not None and chat.service_tier not in _TIERS:
        lost.append("service_tier")
    elif chat.service_tier is not None and (tier := _TIERS[chat.service_tier]) is not None:
        out["serviceTier"] = {"type": tier}
    return Translated(_encode(out), list(dict.fromkeys(lost)))


def _turns(messages: list[Message], lost: list[str]) -> tuple[list[Object], list[Object]]:
    """Blocks of the system prompt, and the turns with neighbours of one role merged."""
    system: list[Object] = []
    turns: list[Object] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}].content"
        if message.name is not None:
            lost.append("messages.name")
        match message.role:
            case "system" | "developer":
                texts = [one for one in parts_of(message.content, place, _WHO) if one.kind == "text"]
                system += [block for one in texts for block in _blocks(one, place, lost)]
                continue
            case "user":
                role = "user"
                parts = parts_of(message.content, place, _WHO)
                blocks = [block for one in parts for block in _blocks(one, place, lost)]
            case "assistant":
                role, blocks = "assistant", _spoken(message, place, lost)
            case "tool":
                role, blocks = "user", _result(message, place, lost)
            case other:
                raise RequestError(f"Bedrock has no role {other[:40]!r}.", f"messages[{index}].role")
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise RequestError("Bedrock needs a message of a user; there are only system messages.", "messages")
    return system, turns


def _blocks(part: Part, place: str, lost: list[str]) -> list[Object]:
    """A part as a block, with the mark for the cache behind it where there is one."""
    block = _block(part, place, lost)
    return [block] if part.cached is None else [block, _cache_point(part.cached)]


def _cache_point(mark: Object) -> Object:
    ttl = mark.get("ttl")
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl in {"5m", "1h"} else {})}}


def _block(part: Part, place: str, lost: list[str]) -> Object:
    if part.kind == "text":
        return {"text": part.text}
    if part.url:
        raise RequestError(f"Bedrock takes no {part.kind} by its address. Send it as a data URL.", place)
    if part.kind == "image":
        if part.detail != "auto":
            lost.append("image_url.detail")
        kind = _IMAGES.get(part.media)
        if kind is None:
            raise RequestError(f"Bedrock takes PNG, JPEG, GIF and WebP; this is {part.media[:60]!r}.", place)
        return {"image": {"format": kind, "source": {"bytes": part.data}}}
    if part.kind == "audio":
        kind = part.media.removeprefix("audio/")
        return {"audio": {"format": kind, "source": {"bytes": part.data}}}
    kind = _DOCUMENTS.get(part.media)
    if kind is None:
        raise RequestError(f"Bedrock takes no documents of type {part.media[:60]!r}.", place)
    name = _BAD_IN_NAME.sub(" ", part.name.rpartition(".")[0] or part.name).strip() or "document"
    return {"document": {"format": kind, "name": name[:200], "source": {"bytes": part.data}}}


def _spoken(message: Message, place: str, lost: list[str]) -> list[Object]:
    """What an assistant said: thinking that was signed, text, calls."""
    blocks: list[Object] = []
    for one in message.thinking_blocks or ():
        match one:
            case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if not (
                signature.startswith(SIGNED)
            ):
                blocks.append({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
            case {"type": "redacted_thinking", "data": str(data)}:
                blocks.append({"reasoningContent": {"redactedContent": data}})
            case _:
                lost.append("thinking_blocks")
    if message.reasoning_content and not message.thinking_blocks:
        lost.append("reasoning_content")  # only what is signed is taken back
    for part in parts_of(message.content, place, _WHO):
        blocks += _blocks(part, place, lost)
    if message.refusal and message.refusal.strip():
        blocks.append({"text": message.refusal})
    for call in message.tool_calls or ():
        name, arguments = arguments_of(call, place.replace("content", "tool_calls"), _WHO)
        blocks.append({"toolUse": {"toolUseId": _id(call.id), "name": name, "input": arguments}})
    return blocks


def _result(message: Message, place: str, lost: list[str]) -> list[Object]:
    parts = parts_of(message.content, place, _WHO)
    content = [_block(one, place, lost) for one in parts if one.kind != "text"]
    text = text_of(parts)
    if text or not content:
        content.insert(0, {"text": text or " "})  # an empty text is refused
    result: Object = {"toolUseId": _id(message.tool_call_id), "content": content}
    if message.is_error:
        result["status"] = "error"
    blocks: list[Object] = [{"toolResult": result}]
    mark = message.cache_control or next((one.cached for one in parts if one.cached is not None), None)
    return blocks if mark is None else [*blocks, _cache_point(mark)]


def _id(id: str) -> str:
    """The id with what Bedrock's pattern forbids replaced; a call and its result change alike."""
    return _BAD_IN_ID.sub("_", id)[:64] or "_"


def _inference(chat: ChatBody) -> Object:
    config: Object = {}
    for name, value in (
        ("maxTokens", chat.max_completion_tokens or chat.max_tokens),
        ("temperature", chat.temperature),
        ("topP", chat.top_p),
        ("stopSequences", chat.stops or None),
    ):
        if value is not None:
            config[name] = value
    return config


def _put_tools(out: Object, chat: ChatBody, lost: list[str]) -> None:
    choice = choice_of(chat, lost)
    tools: list[Object] = []
    for function, mark in functions_of(chat, lost):
        if choice.names and function.name not in choice.names and choice.mode == "auto":
            continue
        schema = {"type": "object", **(function.parameters or {"properties": {}})}
        spec: Object = {"name": function.name, "inputSchema": {"json": schema}}
        if function.description:
            spec["description"] = function.description
        if function.strict:
            spec["strict"] = True
        tools.append({"toolSpec": spec})
        if mark is not None:
            tools.append(_cache_point(mark))
    if not tools:
        return
    if chat.parallel_tool_calls is False:
        lost.append("parallel_tool_calls")
    if choice.mode == "none":
        if not _has_calls(out["messages"]):
            return
        lost.append("tool_choice")  # Converse knows no "none", and wants tools where calls were made
    config: Object = {"tools": tools}
    if choice.mode == "required":
        if len(choice.names) == 1:
            config["toolChoice"] = {"tool": {"name": choice.names[0]}}
        else:
            config["toolChoice"] = {"any": {}}
            if choice.names:
                lost.append("tool_choice.allowed_tools")
    elif choice.is_said and choice.mode == "auto":
        config["toolChoice"] = {"auto": {}}
    out["toolConfig"] = config


def _has_calls(messages: list[Object]) -> bool:
    return any("toolUse" in block or "toolResult" in block for one in messages for block in one["content"])


def _put_output(out: Object, chat: ChatBody, lost: list[str]) -> None:
    config: Object = {}
    wanted = chat.response_format
    if wanted is not None and wanted.type != "text":
        schema = wanted.json_schema
        if wanted.type == "json_schema" and schema is not None and schema.schema is not None:
            made: Object = {"schema": _encode(schema.schema).decode()}
            if schema.name:
                made["name"] = schema.name
            if schema.description:
                made["description"] = schema.description
            config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": made}}
        else:
            lost.append("response_format")
    if chat.reasoning_effort is not None:
        effort = _EFFORTS.get(chat.reasoning_effort)
        if effort is None:
            lost.append("reasoning_effort")
        else:
            config["effort"] = effort
    if config:
        out["outputConfig"] = config
