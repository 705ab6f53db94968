"""Anthropic's Messages dialect in front: `/v1/messages` bodies to chat bodies.

Sans-io. What chat completions have no word for goes along as neutral extensions (`thinking`, `top_k`,
`thinking_blocks`, `cache_control`, `is_error`; all else of Anthropic's own under `native`): an Anthropic
provider gets what came, and any other names what it leaves out. What would change the question is refused,
with the field as this dialect calls it. Blocks are read in `messages_blocks`. Checked against the types of
Anthropic's Python client 2.13.0 (November 2026).
"""

import re
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError, convert
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire.messages_blocks import assistant_messages, system_content, user_messages
from greenroom.wire.openai import encode
from greenroom.wire.openai_request import MANY_BYTES, MAX_KEYS, MAX_MESSAGES, malformed

# A block, tool or schema is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]


class _Message(Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Object]


class _Input(Struct):
    input: Raw = Raw(b"{}")


class _Inputs(Struct):
    content: str | list[_Input]


class _AllInputs(Struct):
    messages: list[_Inputs]


class _Tool(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    input_schema: _Object
    description: str | None = None
    strict: bool | None = None
    cache_control: _Object | None = None


class _Choice(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None


class _Format(Struct):
    type: Literal["json_schema"]
    schema: _Object


class _Output(Struct):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Request(Struct):
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    system: str | list[_Object] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Object] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _Output | None = None
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None


class Asked(NamedTuple):
    """A request as the pipeline takes it."""

    chat: bytes
    dropped: list[str]
    """Fields that no chat body can carry."""
    stops: tuple[str, ...] = ()
    """Its stop sequences."""


_inputs = Decoder(_AllInputs)
_any: Decoder[Any] = Decoder()  # Any: the body, until it is converted
_KNOWN = frozenset(_Request.__struct_fields__)
_TOOL_KNOWN = frozenset(_Tool.__struct_fields__) | {"type"}
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")
"""Tools of Anthropic's own that the caller runs: they are called by plain `tool_use` blocks."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TIERS = {"auto": "auto", "standard_only": "default"}
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._, -]{0,1023}\Z")


def read_messages(
    raw: bytes, *, version: bytes | None = None, beta: bytes | None = None, counting: bool = False
) -> Asked:
    """Read a body of `/v1/messages`, or of `count_tokens`, where `max_tokens` is not asked for.

    `version` and `beta` are the caller's headers `anthropic-version` and `anthropic-beta`; they go along.
    Raises MalformedRequest with field and place; TooLarge for a body of very many keys.
    """
    if len(raw) > MANY_BYTES and raw.count(b'":') > MAX_KEYS:
        raise TooLarge(f"The body has more than {MAX_KEYS} keys.")
    try:
        whole = _any.decode(raw)
        if not isinstance(whole, dict):
            raise MalformedRequest("The body must be a JSON object.")
        request = convert(whole, _Request)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    if request.max_tokens is None and not counting:
        raise MalformedRequest("'max_tokens' is missing: how many tokens may the answer take?", "max_tokens")
    dropped: list[str] = []
    chat: _Object = {"model": request.model, "messages": _turns(request, raw, dropped)}
    if request.max_tokens is not None:
        chat["max_completion_tokens"] = request.max_tokens
    if request.stream:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    _put_sampling(chat, request, whole, dropped)
    _put_tools(chat, request)
    native = {name: value for name, value in whole.items() if name not in _KNOWN and value is not None}
    for header, given in (("anthropic-version", version), ("anthropic-beta", beta)):
        if given is not None:
            native[header] = _header(header, given)
    if native:
        chat["native"] = native
    try:
        return Asked(encode(chat), list(dict.fromkeys(dropped)), tuple(request.stop_sequences or ()))
    except (UnicodeEncodeError, RecursionError) as error:
        raise MalformedRequest("The body holds half a surrogate pair or is nested too deeply.") from error


def _header(name: str, given: bytes) -> str:
    value = given.decode("latin-1").strip()
    if not _HEADER.match(value):
        raise MalformedRequest(f"The header '{name}' must be names or dates with commas in between.", name)
    return value


def _turns(request: _Request, raw: bytes, dropped: list[str]) -> list[_Object]:
    turns: list[_Object] = []
    inputs = _inputs.decode(raw).messages
    if request.system:
        turns.append({"role": "system", "content": system_content(request.system, "system", dropped)})
    for index, message in enumerate(request.messages):
        place = f"messages[{index}].content"
        match message.role:
            case "user":
                for one in user_messages(message.content, place, dropped):
                    _add(turns, one)
            case "assistant":
                blocks = inputs[index].content
                given = [bytes(one.input) for one in blocks] if isinstance(blocks, list) else ()
                turns += assistant_messages(message.content, given, place, dropped)
            case "system":
                content = system_content(message.content, place, dropped)
                turns.append({"role": "system", "content": content, "native": {"in_place": True}})
    if all(turn["role"] == "system" for turn in turns):
        raise MalformedRequest("'messages' holds no text, image or document.", "messages")
    return turns


def _add(turns: list[_Object], one: _Object) -> None:
    """Put a turn behind the others; a user's follows a user's as one, as the dialect has it."""
    last = turns[-1] if turns else None
    if last is None or one["role"] != "user" or last["role"] != "user":
        turns.append(one)
        return
    last["content"] = _parts(last["content"]) + _parts(one["content"])


def _parts(content: str | list[_Object]) -> list[_Object]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _put_sampling(chat: _Object, request: _Request, whole: _Object, dropped: list[str]) -> None:
    for name in ("temperature", "top_p", "top_k"):
        if (value := getattr(request, name)) is not None:
            chat[name] = value
    if request.stop_sequences:
        chat["stop"] = request.stop_sequences
    if request.thinking is not None:
        chat["thinking"] = whole["thinking"]
    if request.service_tier is not None:
        chat["service_tier"] = _TIERS[request.service_tier]
    if request.metadata is not None:
        if request.metadata.user_id:
            chat["user"] = request.metadata.user_id
        dropped += [f"metadata.{name}" for name in whole["metadata"] if name != "user_id"]
    output = request.output_config
    if output is not None:
        if output.effort is not None:
            chat["reasoning_effort"] = output.effort
        if output.format is not None:
            schema = {"name": "answer", "schema": output.format.schema, "strict": True}
            chat["response_format"] = {"type": "json_schema", "json_schema": schema}
        dropped += [
            f"output_config.{name}" for name in whole["output_config"] if name not in {"effort", "format"}
        ]


def _put_tools(chat: _Object, request: _Request) -> None:
    tools = [_tool(one, f"tools[{index}]") for index, one in enumerate(request.tools or ())]
    choice = request.tool_choice
    if tools:
        chat["tools"] = tools
    if choice is None or not tools:
        return
    if choice.type == "tool":
        if not choice.name:
            raise MalformedRequest("'tool_choice.name' is missing: which tool?", "tool_choice.name")
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        chat["tool_choice"] = _CHOICES[choice.type]
    if choice.disable_parallel_tool_use:
        chat["parallel_tool_calls"] = False


def _tool(one: _Object, place: str) -> _Object:
    kind = one.get("type") or "custom"
    if kind != "custom":
        if not isinstance(kind, str) or not kind.startswith(_CLIENT_TOOLS):
            raise MalformedRequest(
                f"'{place}.type': tools of type {str(kind)[:40]!r} run at the provider and can't pass here. "
                "Declare a tool with an input_schema instead.",
                f"{place}.type",
            )
        return {"type": kind, "native": one}
    try:
        tool = convert(one, _Tool)
    except ValidationError as error:
        raise malformed(error, b"", place) from None
    function: _Object = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    declared: _Object = {"type": "function", "function": function}
    if tool.cache_control is not None:
        declared["cache_control"] = tool.cache_control
    rest = {name: value for name, value in one.items() if name not in _TOOL_KNOWN and value is not None}
    return {**declared, "native": rest} if rest else declared
