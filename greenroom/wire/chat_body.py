"""A chat body read for translation into another dialect.

Sans-io. Knows chat completions with the neutral extensions (`thinking_blocks`, `cache_control`, `is_error`,
`thinking`, `top_k`) and no other dialect: what a part, a tool or a choice is, so that each codec only says
how its own looks. What nobody carries is named, never dropped in silence.
"""

import re
from collections.abc import Collection
from typing import Any, Final, Literal, NamedTuple

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder
from msgspec.json import decode as decode_json

from greenroom.errors import MalformedRequest, RequestError

# A part, tool or schema is any JSON object: Any stands for "looked at by name, the rest goes through".
Object = dict[str, Any]


class CalledFunction(Struct):
    """What a call calls; `arguments` is JSON in a string."""

    name: str
    arguments: str = ""


class Call(Struct):
    """A call of a tool that an assistant made."""

    id: str = ""
    function: CalledFunction | None = None
    extra_content: Object | None = None


class Message(Struct):
    """What is read of a message."""

    role: str
    content: str | list[Object] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str = ""
    name: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[Object] | None = None
    is_error: bool | None = None
    cache_control: Object | None = None
    extra_content: Object | None = None


class Declared(Struct):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class Tool(Struct):
    """A tool that the model may call."""

    type: str = "function"
    function: Declared | None = None
    cache_control: Object | None = None
    native: Object | None = None


class Schema(Struct):
    """The JSON Schema that an answer is to obey."""

    schema: Object | None = None
    name: str | None = None
    description: str | None = None


class Format(Struct):
    """The form that an answer is to have."""

    type: str
    json_schema: Schema | None = None


class ChatBody(Struct):
    """What is read of a body; `given` are all its fields as they came."""

    messages: list[Message]
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: str | None = None
    thinking: Object | None = None
    service_tier: str | None = None
    logprobs: bool | None = None
    extra_body: Object | None = None
    native: Object | None = None
    given: dict[str, Raw] = {}
    lost: list[str] = []
    """What no dialect but the front's own has a place for."""

    @property
    def stops(self) -> list[str]:
        """The sequences that end an answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def not_in(self, carried: frozenset[str]) -> list[str]:
        """Names of the fields that say something and are not `carried`."""
        return [
            name
            for name, raw in self.given.items()
            if name not in carried and name not in _ALWAYS and bytes(raw) not in _SAYS_NOTHING
        ] + self.lost


SIGNED: Final = "gemini:"
"""What stands before a signature of Gemini's in a thinking block: no other provider would take it back."""

_chat = Decoder(ChatBody)
_fields = Decoder(dict[str, Raw])
_ALWAYS = frozenset({"model", "messages", "stream", "stream_options", "native"})
_SAYS_NOTHING = frozenset({b"null", b"false", b"0", b"0.0", b"{}", b"[]", b'["text"]', b'""'})
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*?(;base64)?,", re.ASCII)


def read_body(body: bytes, hidden: Collection[str] = ()) -> ChatBody:
    """Decode a body. Raises MalformedRequest when it is not a chat body.

    Thinking can't be masked, since it is signed: what holds one of the `hidden` values is left out.
    """
    try:
        chat = _chat.decode(body)
        chat.given = _fields.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The body is not a chat completion request: {error}.") from error
    for message in chat.messages if hidden else ():
        said = "".join(str(block.get("thinking", "")) for block in message.thinking_blocks or ())
        said += message.reasoning_content or ""
        if any(value in said for value in hidden):
            message.thinking_blocks = message.reasoning_content = None
            chat.lost.append("thinking_blocks")
    chat.lost += _of_the_front(chat)
    return chat


def _of_the_front(chat: ChatBody) -> list[str]:
    """Names of what only the front's own dialect says: headers, settings of tools, images and documents."""
    lost = [name for name in chat.native or () if name != "anthropic-version"]
    for tool in chat.tools or ():
        if tool.type == "function":
            lost += [f"tools.{name}" for name in tool.native or ()]
    for message in chat.messages:
        for part in message.content if isinstance(message.content, list) else ():
            native = part.get("native")
            if isinstance(native, dict) and "transformations" in native:
                lost.append("image.transformations")
            if isinstance(native, dict) and part.get("type") == "file":
                lost += [f"document.{name}" for name in native.get("document") or ()]
    return lost


class Part(NamedTuple):
    """A piece of content: a text, or bytes as base64 in `data`, or their address in `url`."""

    kind: Literal["text", "image", "audio", "file"]
    text: str = ""
    media: str = ""
    """The media type; empty where nobody said it."""
    data: str = ""
    url: str = ""
    name: str = ""
    detail: str = "auto"
    cached: Object | None = None
    """`cache_control`, where the caller marks the end of what is to be cached."""


def parts_of(content: str | list[Object] | None, place: str, who: str) -> list[Part]:
    """Content as parts, without empty texts. Raises RequestError, with `who` as subject, for other kinds."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Part("text", content)] if content.strip() else []
    parts = []
    for number, one in enumerate(content):
        part = _part(one, f"{place}[{number}]", who)
        mark = one.get("cache_control")
        if part.kind != "text" or part.text.strip():
            parts.append(part._replace(cached=mark) if isinstance(mark, dict) else part)
    return parts


def _part(one: Object, place: str, who: str) -> Part:
    match one:
        case {"type": "text", "text": str(text), "native": {"document": {} as said}} | {
            "type": "text", "text": str(text), "native": {"search_result": {} as said}
        }:  # fmt: skip
            return Part("text", "\n".join([*map(str, said.values()), "", text]))
        case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
            return Part("text", text)
        case {"type": "refusal", "refusal": str(text)}:
            return Part("text", text)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return _located("image", url, place)._replace(detail=str(image.get("detail") or "auto"))
        case {"type": "image_url", "image_url": str(url)}:
            return _located("image", url, place)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return Part("audio", media=f"audio/{kind}", data=data)
        case {"type": "file", "file": {"file_data": str(url)} as file}:
            return _located("file", url, place)._replace(name=str(file.get("filename") or ""))
        case {"type": "file", "file": {"file_url": str(url)} as file}:
            return Part("file", url=url, name=str(file.get("filename") or ""))
    raise RequestError(f"{who} cannot take a part of type {str(one.get('type'))[:40]!r}.", place)


def _located(kind: Literal["image", "file"], url: str, place: str) -> Part:
    if kind == "image" and url.startswith(("https://", "http://")):
        return Part(kind, url=url)
    head = _DATA_URL.match(url[:256])
    if head is None:
        raise RequestError("This is neither an http(s) address nor a data URL.", place)
    if head[2] is None:
        raise RequestError("A data URL must be base64.", place)
    return Part(kind, media=head[1] or ("image/png" if kind == "image" else ""), data=url[head.end() :])


def arguments_of(call: Call, place: str, who: str) -> tuple[str, Raw | Object]:
    """Name and arguments of a call; the arguments as an object, number for number as they were.

    Text that is no object stands under `_raw`. Raises RequestError for calls of other things than functions.
    """
    if call.function is None:
        raise RequestError(f"{who} knows calls of functions only.", place)
    text = call.function.arguments
    value = object_in(text)
    if value is None:
        return call.function.name, {"_raw": text} if text.strip() else {}
    return call.function.name, Raw(text.encode())


def object_in(text: str) -> Object | None:
    """The object that a text is, or None when it is anything else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = decode_json(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_of(parts: list[Part]) -> str:
    """The texts of parts, joined by blank lines."""
    return "\n\n".join(part.text for part in parts if part.kind == "text")


def functions_of(chat: ChatBody, lost: list[str]) -> list[tuple[Declared, Object | None]]:
    """The functions that are declared, each with its mark for the cache; tools of other kinds are lost."""
    found = []
    for tool in chat.tools or ():
        if tool.type != "function" or tool.function is None:
            lost.append(f"tools.{tool.type[:40]}")
        else:
            found.append((tool.function, tool.cache_control))
    return found


class Choice(NamedTuple):
    """Whether the model may, must or must not call, and which functions it may choose from."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] = ()
    """Empty: all of them."""
    is_said: bool = False


def choice_of(chat: ChatBody, lost: list[str]) -> Choice:
    """`tool_choice` in one form; what is not understood is lost."""
    match chat.tool_choice:
        case None:
            return Choice()
        case "auto" | "none" | "required" as mode:
            return Choice(mode, is_said=True)
        case {"type": "function", "function": {"name": str(name)}}:
            return Choice("required", (name,), is_said=True)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(allowed)}}:
            names = tuple(
                one["function"]["name"]
                for one in allowed
                if isinstance(one, dict)
                and isinstance(one.get("function"), dict)
                and "name" in one["function"]
            )
            return Choice("required" if mode == "required" else "auto", names, is_said=True)
    lost.append("tool_choice")
    return Choice()
