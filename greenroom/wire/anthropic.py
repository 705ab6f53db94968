"""Anthropic's Messages dialect: chat bodies to `/v1/messages` bodies.

Sans-io. Knows the two dialects and nothing of sockets, keys or prices. What Anthropic has no field for is
reported by name, never dropped in silence; what would change the question itself is refused. Whole answers
and errors are read in `anthropic_answer`, streams in `anthropic_stream`. Checked against the types of
Anthropic's Python client 2.13.0 (November 2026).
"""

import re
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.json import decode as decode_json

from greenroom.errors import MalformedRequest, RequestError
from greenroom.wire.anthropic_answer import error_from, from_message

# A part, block or schema is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]


class _Function(Struct):
    name: str
    arguments: str = ""


class _Call(Struct):
    id: str = ""
    function: _Function | None = None


class _Message(Struct):
    role: str
    content: str | list[_Object] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    name: str | None = None


class _Declared(Struct):
    name: str
    description: str | None = None
    parameters: _Object | None = None
    strict: bool | None = None


class _Tool(Struct):
    type: str = "function"
    function: _Declared | None = None


class _Schema(Struct):
    schema: _Object | None = None


class _Format(Struct):
    type: str
    json_schema: _Schema | None = None


class _Chat(Struct):
    messages: list[_Message]
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    reasoning_effort: str | None = None
    thinking: _Object | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None


_chat = Decoder(_Chat)
_fields = Decoder(dict[str, Raw])
_encode = Encoder().encode

_CARRIED = frozenset(_Chat.__struct_fields__) | {"model", "stream_options"}
_SAYS_NOTHING = frozenset({b"null", b"false", b"0", b"0.0", b"{}", b"[]", b'["text"]', b'""'})
_EFFORTS = {"minimal": "low", **{same: same for same in ("low", "medium", "high", "xhigh", "max")}}
_TIERS = {"auto": "auto", "default": "standard_only"}
_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*?(;base64)?,", re.ASCII)


def to_messages(body: bytes, model: str, default_max_tokens: int) -> tuple[bytes, list[str]]:
    """Translate a chat-completions body; also name the fields Anthropic cannot carry.

    Raises MalformedRequest when the body is not a chat body, RequestError for what no Anthropic model can
    answer: `n` above 1, audio, files by id, a message of an unknown role, nothing but system messages.
    """
    try:
        chat = _chat.decode(body)
        given = _fields.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The body is not a chat completion request: {error}.") from error
    if chat.n is not None and chat.n != 1:
        raise RequestError(f"Anthropic models answer once; 'n' is {chat.n}. Leave it out or ask again.", "n")
    lost = [name for name, raw in given.items() if name not in _CARRIED and bytes(raw) not in _SAYS_NOTHING]
    system, turns = _turns(chat.messages, lost)
    out: _Object = {
        "model": model,
        "max_tokens": chat.max_completion_tokens or chat.max_tokens or default_max_tokens,
        "messages": turns,
    }
    if system:
        out["system"] = "\n\n".join(system)
    _put_sampling(out, chat, lost)
    _put_tools(out, chat, lost)
    _put_output(out, chat, lost)
    if who := chat.user or chat.safety_identifier:
        out["metadata"] = {"user_id": who}
    if chat.stream:
        out["stream"] = True
    return _encode(out), list(dict.fromkeys(lost))


def _turns(messages: list[_Message], lost: list[str]) -> tuple[list[str], list[_Object]]:
    """System texts, and the turns with neighbours of one role merged."""
    system: list[str] = []
    turns: list[_Object] = []
    for index, message in enumerate(messages):
        if message.name is not None:
            lost.append("messages.name")
        match message.role:
            case "system" | "developer":
                blocks = _blocks(message.content, f"messages[{index}].content", lost)
                system += [block["text"] for block in blocks if block["type"] == "text"]
                continue
            case "user":
                role, blocks = "user", _blocks(message.content, f"messages[{index}].content", lost)
            case "assistant":
                role, blocks = "assistant", _spoken(message, f"messages[{index}].content", lost)
            case "tool":
                role, blocks = "user", [_result(message, f"messages[{index}].content", lost)]
            case other:
                raise RequestError(f"Anthropic has no role {other[:40]!r}.", f"messages[{index}].role")
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise RequestError("Anthropic needs a message of a user; there are only system messages.", "messages")
    last = turns[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        # Refused upstream otherwise; a model that goes on from here brings its own space.
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
    for turn in turns:
        content = turn["content"]
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            turn["content"] = content[0]["text"]
    return system, turns


def _blocks(content: str | list[_Object] | None, place: str, lost: list[str]) -> list[_Object]:
    """Content as Anthropic's blocks, without empty texts, which it refuses."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks = []
    for part, one in enumerate(content):
        if "cache_control" in one:
            lost.append("cache_control")
        match one:
            case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
                block: _Object = {"type": "text", "text": text}
            case {"type": "refusal", "refusal": str(text)}:
                block = {"type": "text", "text": text}
            case {"type": "image_url", "image_url": {"url": str(url)} as image}:
                if image.get("detail", "auto") != "auto":
                    lost.append("image_url.detail")
                block = {"type": "image", "source": _source(url, f"{place}[{part}]")}
            case {"type": "image_url", "image_url": str(url)}:
                block = {"type": "image", "source": _source(url, f"{place}[{part}]")}
            case {"type": "file", "file": {"file_data": str(url)} as file}:
                block = _document(url, file.get("filename"), f"{place}[{part}]")
            case _:
                kind = str(one.get("type"))[:40]
                raise RequestError(f"Anthropic cannot take a part of type {kind!r}.", f"{place}[{part}]")
        if block["type"] != "text" or block["text"].strip():
            blocks.append(block)
    return blocks


def _source(url: str, place: str) -> _Object:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media, is_base64, data = _split_data_url(url, place)
    if not is_base64:
        raise RequestError("A data URL of an image must be base64.", place)
    return {"type": "base64", "media_type": media or "image/png", "data": data}


def _document(url: str, name: object, place: str) -> _Object:
    media, is_base64, data = _split_data_url(url, place)
    if not is_base64:
        raise RequestError("A data URL of a file must be base64.", place)
    if media != "application/pdf":
        raise RequestError(f"Anthropic takes PDF files; this is {(media or 'of no type')[:60]!r}.", place)
    block: _Object = {
        "type": "document",
        "source": {"type": "base64", "media_type": media, "data": data},
    }
    return {**block, "title": name} if isinstance(name, str) and name else block


def _split_data_url(url: str, place: str) -> tuple[str | None, bool, str]:
    head = _DATA_URL.match(url[:256])
    if head is None:
        raise RequestError("This is neither an http(s) address nor a data URL.", place)
    return head[1], head[2] is not None, url[head.end() :]


def _spoken(message: _Message, place: str, lost: list[str]) -> list[_Object]:
    blocks = _blocks(message.content, place, lost)
    if message.refusal and message.refusal.strip():
        blocks.append({"type": "text", "text": message.refusal})
    for call in message.tool_calls or ():
        if call.function is None:
            where = place.replace("content", "tool_calls")
            raise RequestError("Anthropic knows calls of functions only.", where)
        blocks.append(
            {
                "type": "tool_use",
                "id": _tool_id(call.id),
                "name": call.function.name,
                "input": _input(call.function.arguments),
            }
        )
    return blocks


def _result(message: _Message, place: str, lost: list[str]) -> _Object:
    block: _Object = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
    content = _blocks(message.content, place, lost)
    if len(content) == 1 and content[0]["type"] == "text":
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    return block


def _tool_id(id: str) -> str:
    """The id with what Anthropic's pattern forbids replaced; a call and its result change alike."""
    return _BAD_IN_ID.sub("_", id) or "_"


def _input(arguments: str) -> object:
    """The arguments as an object, number for number as they were; text that is none stands under `_raw`."""
    if not arguments.strip():
        return {}
    try:
        value = decode_json(arguments)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return {"_raw": arguments}
    return Raw(arguments.encode()) if isinstance(value, dict) else {"_raw": arguments}


def _put_sampling(out: _Object, chat: _Chat, lost: list[str]) -> None:
    if chat.temperature is not None:
        if chat.temperature > 1:
            lost.append("temperature")  # Anthropic's scale ends at 1
        out["temperature"] = min(chat.temperature, 1.0)
    if chat.top_p is not None:
        out["top_p"] = chat.top_p
    if chat.top_k is not None:
        out["top_k"] = chat.top_k
    if chat.stop:
        asked = [chat.stop] if isinstance(chat.stop, str) else chat.stop
        kept = [one for one in asked if one.strip()]
        if len(kept) != len(asked):
            lost.append("stop")  # white space alone is refused
        if kept:
            out["stop_sequences"] = kept
    if chat.service_tier is not None:
        tier = _TIERS.get(chat.service_tier)
        if tier is None:
            lost.append("service_tier")
        elif tier != "auto":
            out["service_tier"] = tier


def _put_tools(out: _Object, chat: _Chat, lost: list[str]) -> None:
    tools: list[_Object] = []
    for tool in chat.tools or ():
        if tool.type != "function" or tool.function is None:
            lost.append(f"tools.{tool.type[:40]}")
            continue
        one = tool.function
        schema = one.parameters or {"properties": {}}
        declared: _Object = {"name": one.name, "input_schema": {"type": "object", **schema}}
        if one.description:
            declared["description"] = one.description
        if one.strict:
            declared["strict"] = True
        tools.append(declared)
    choice: _Object | None = None
    match chat.tool_choice:
        case None | "auto":
            pass
        case "none":
            choice = {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            choice = {"type": "tool", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(allowed)}}:
            names = {one["function"]["name"] for one in allowed if _names_function(one)}
            tools = [one for one in tools if one["name"] in names]
            choice = {"type": "any"} if mode == "required" else None
        case _:
            lost.append("tool_choice")
    if not tools:
        return
    if chat.parallel_tool_calls is False and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    out["tools"] = tools
    if choice is not None:
        out["tool_choice"] = choice


def _names_function(one: object) -> bool:
    match one:
        case {"function": {"name": str()}}:
            return True
    return False


def _put_output(out: _Object, chat: _Chat, lost: list[str]) -> None:
    config: _Object = {}
    if chat.response_format is not None and chat.response_format.type != "text":
        wanted = chat.response_format.json_schema
        if chat.response_format.type == "json_schema" and wanted is not None and wanted.schema is not None:
            config["format"] = {"type": "json_schema", "schema": wanted.schema}
        else:
            lost.append("response_format")
    if chat.reasoning_effort is not None:
        effort = _EFFORTS.get(chat.reasoning_effort)
        if effort is None:
            lost.append("reasoning_effort")
        else:
            config["effort"] = effort
    if config:
        out["output_config"] = config
    if chat.thinking is not None:
        out["thinking"] = chat.thinking  # Anthropic's own field, as some clients send it


__all__ = ["error_from", "from_message", "to_messages"]
