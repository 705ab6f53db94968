"""Anthropic's Messages dialect: chat bodies to `/v1/messages` bodies.

Sans-io. Knows the two dialects and nothing of sockets, keys or prices. What Anthropic has no field for is
reported by name, never dropped in silence; what would change the question itself is refused. Messages become
blocks in `anthropic_blocks`; answers are read in `anthropic_answer`, streams in `anthropic_stream`. Checked
against the types of Anthropic's Python client 2.13.0 (November 2026).
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import MalformedRequest, RequestError
from greenroom.wire.anthropic_blocks import Message, blocks_of, result, spoken
from greenroom.wire.chat_body import Format, Tool

# A part, block or schema is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]


class _Chat(Struct):
    messages: list[Message]
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: str | _Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: str | None = None
    thinking: _Object | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    native: _Object | None = None


_chat = Decoder(_Chat)
_fields = Decoder(dict[str, Raw])
_encode = Encoder().encode

_CARRIED = frozenset(_Chat.__struct_fields__) | {"model", "stream_options"}
_SAYS_NOTHING = frozenset({b"null", b"false", b"0", b"0.0", b"{}", b"[]", b'["text"]', b'""'})
_EFFORTS = {"minimal": "low", **{same: same for same in ("low", "medium", "high", "xhigh", "max")}}
_TIERS = {"auto": "auto", "default": "standard_only"}


class Translated(NamedTuple):
    """A body of `/v1/messages`."""

    body: bytes
    lost: list[str]
    """Fields that Anthropic cannot carry."""
    version: str | None = None
    beta: str | None = None
    """The caller's own headers `anthropic-version` and `anthropic-beta`."""


def to_messages(
    body: bytes,
    model: str,
    default_max_tokens: int,
    *,
    native: bool = False,
    hidden: Collection[str] = (),
) -> Translated:
    """Translate a chat-completions body; also name the fields Anthropic cannot carry.

    With `native` the body came through a front: it may hold the extensions of the neutral dialect, with
    Anthropic's own fields and headers under `native`. Thinking can't be masked, since it is signed: what
    holds one of the `hidden` values is left out.

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
    for message in chat.messages if hidden else ():
        said = "".join(str(block.get("thinking", "")) for block in message.thinking_blocks or ())
        if any(value in said for value in hidden):
            message.thinking_blocks = message.reasoning_content = None
            lost.append("thinking_blocks")
    own = dict(chat.native or {}) if native else {}
    if chat.native is not None and not native:
        lost.append("native")
    version, beta = own.pop("anthropic-version", None), own.pop("anthropic-beta", None)
    system, turns = _turns(chat.messages, lost, native=native)
    out: _Object = {
        **own,
        "model": model,
        "max_tokens": chat.max_completion_tokens or chat.max_tokens or default_max_tokens,
        "messages": turns,
    }
    if system:
        is_plain = all(block.keys() == {"type", "text"} for block in system) and not native
        out["system"] = "\n\n".join([block["text"] for block in system]) if is_plain else system
    _put_sampling(out, chat, lost)
    _put_tools(out, chat, lost)
    _put_output(out, chat, lost)
    if who := chat.user or chat.safety_identifier:
        out["metadata"] = {"user_id": who}
    if chat.stream:
        out["stream"] = True
    return Translated(_encode(out), list(dict.fromkeys(lost)), version, beta)


def _turns(messages: list[Message], lost: list[str], *, native: bool) -> tuple[list[_Object], list[_Object]]:
    """Blocks of the system prompt, and the turns with neighbours of one role merged.

    System messages go to the prompt from wherever they stand, but for those that a caller of this dialect put
    between turns.
    """
    system: list[_Object] = []
    turns: list[_Object] = []
    for index, message in enumerate(messages):
        if message.name is not None:
            lost.append("messages.name")
        match message.role:
            case "system" | "developer":
                blocks = blocks_of(message.content, f"messages[{index}].content", lost)
                if not (native and message.native and turns):
                    system += [block for block in blocks if block["type"] == "text"]
                    continue
                role = "system"
            case "user":
                role, blocks = "user", blocks_of(message.content, f"messages[{index}].content", lost)
            case "assistant":
                role, blocks = "assistant", spoken(message, f"messages[{index}].content", lost)
            case "tool":
                role, blocks = "user", [result(message, f"messages[{index}].content", lost)]
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
        own = tool.native or {}
        if own.get("type") == tool.type:
            tools.append(own)
            continue
        if tool.type != "function" or tool.function is None:
            lost.append(f"tools.{tool.type[:40]}")
            continue
        one = tool.function
        schema = one.parameters or {"properties": {}}
        declared: _Object = {**own, "name": one.name, "input_schema": {"type": "object", **schema}}
        if tool.cache_control is not None:
            declared["cache_control"] = tool.cache_control
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
