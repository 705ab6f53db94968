"""Anthropic's content blocks as the messages and parts of a chat body.

Sans-io. An assistant's turn that thinks again after it spoke becomes several messages, so that a provider of
the same dialect gets the order back. Every fault names its block.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, ValidationError, convert

from greenroom.errors import MalformedRequest
from greenroom.wire.openai_request import malformed

# A block or part is any JSON object: Any stands for "looked at by name".
_Object = dict[str, Any]

_MEDIA = re.compile(r"[\w.+-]+/[\w.+-]+\Z", re.ASCII).match
_THINKING = frozenset({"thinking", "redacted_thinking"})


def system_content(content: str | list[_Object], place: str, dropped: list[str]) -> str | list[_Object]:
    """A system prompt: text only. Raises MalformedRequest."""
    if isinstance(content, str):
        return content
    for index, block in enumerate(content):
        if block.get("type") != "text":
            raise _unfit(block, f"{place}[{index}]", "a system prompt is made of text blocks")
    return _short(
        [one for index, block in enumerate(content) for one in _parts(block, f"{place}[{index}]", dropped)]
    )


def user_messages(content: str | list[_Object], place: str, dropped: list[str]) -> list[_Object]:
    """A user's turn: its tool results first, then the rest as one message. Raises MalformedRequest."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[_Object] = []
    parts: list[_Object] = []
    for index, block in enumerate(content):
        where = f"{place}[{index}]"
        if block.get("type") == "tool_result":
            results.append(_result(block, where, dropped))
        else:
            parts += _parts(block, where, dropped)
    if parts:
        results.append({"role": "user", "content": _short(parts)})
    return results


def assistant_messages(
    content: str | list[_Object], inputs: Sequence[bytes], place: str, dropped: list[str]
) -> list[_Object]:
    """An assistant's turn, cut where chat's order begins anew. Raises MalformedRequest.

    `inputs` are the inputs of its blocks as they came: numbers keep every digit.
    """
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}] if content else []
    spoken = [_Spoken()]
    for index, block in enumerate(content):
        kind, where = block.get("type"), f"{place}[{index}]"
        now = spoken[-1]
        if now.calls and kind != "tool_use":
            dropped.append("messages.content order")  # in chat a message's calls come last
        if kind in _THINKING:
            if now.parts and not now.calls:
                now = _Spoken()
                spoken.append(now)
            now.thinking.append(_thinking(block, where))
        elif kind == "tool_use":
            now.calls.append(_call(block, inputs[index], where))
        elif kind == "text":
            now.parts += _parts(block, where, dropped)
        else:
            raise _unfit(block, where, "an assistant says text, thinking and tool_use blocks")
    return [one.message() for one in spoken if one.thinking or one.parts or one.calls]


class _Spoken:
    """Blocks in chat's order: thinking, then prose, then calls."""

    def __init__(self) -> None:
        self.thinking: list[_Object] = []
        self.parts: list[_Object] = []
        self.calls: list[_Object] = []

    def message(self) -> _Object:
        message: _Object = {"role": "assistant", "content": _short(self.parts) if self.parts else None}
        if self.thinking:
            message["reasoning_content"] = "".join(one.get("thinking", "") for one in self.thinking)
            signed = [one for one in self.thinking if one.get("signature") or "data" in one]
            if signed:
                message["thinking_blocks"] = signed
        if self.calls:
            message["tool_calls"] = self.calls
        return message


class _Text(Struct):
    text: str
    cache_control: _Object | None = None


class _Source(Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: str | list[_Object] | None = None


class _Image(Struct):
    source: _Source
    cache_control: _Object | None = None


class _Document(Struct):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Object | None = None
    cache_control: _Object | None = None


class _Found(Struct):
    source: str
    title: str
    content: list[_Object]
    citations: _Object | None = None
    cache_control: _Object | None = None


class _Call(Struct):
    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    input: _Object
    cache_control: _Object | None = None


class _Result(Struct):
    tool_use_id: Annotated[str, Meta(min_length=1)]
    content: str | list[_Object] | None = None
    is_error: bool | None = None
    cache_control: _Object | None = None


class _Thought(Struct):
    thinking: str
    signature: str = ""


class _Redacted(Struct):
    data: str


_T = TypeVar("_T")


def _read(block: _Object, kind: type[_T], place: str) -> _T:
    try:
        return convert(block, kind)
    except ValidationError as error:
        raise malformed(error, b"", place) from None


def _parts(block: _Object, place: str, dropped: list[str]) -> list[_Object]:
    """A block as parts: what is said about a document is a text before it, and is checked like any."""
    match block.get("type"):
        case "text":
            text = _read(block, _Text, place)
            if block.get("citations"):
                dropped.append("citations")  # of an answer before; a provider has no use for ours
            return [_cached({"type": "text", "text": text.text}, text.cache_control)]
        case "image":
            image = _read(block, _Image, place)
            part: _Object = {"type": "image_url", "image_url": {"url": _url(image.source, place, "image/")}}
            if block.get("transformations"):
                part["native"] = {"transformations": block["transformations"]}
            return [_cached(part, image.cache_control)]
        case "document":
            document = _read(block, _Document, place)
            if document.citations and document.citations.get("enabled"):
                dropped.append("document.citations")
            said = {"title": document.title, "context": document.context}
            return [*_about(said), _cached(_document(document.source, place), document.cache_control)]
        case "search_result":
            found = _read(block, _Found, place)
            if found.citations and found.citations.get("enabled"):
                dropped.append("search_result.citations")
            text_of = _texts(found.content, f"{place}.content")
            part = {"type": "text", "text": text_of, "native": {"type": "search_result"}}
            said = {"source": found.source, "title": found.title}
            return [*_about(said), _cached(part, found.cache_control)]
        case _:
            raise _unfit(block, place, "it must be text, image, document, search_result or tool_result")


def _about(said: dict[str, str | None]) -> list[_Object]:
    """Parts that tell about the one behind them."""
    return [
        {"type": "text", "text": text, "native": {"of_next": name}} for name, text in said.items() if text
    ]


def _document(source: _Source, place: str) -> _Object:
    native = {"type": "document"}
    match source.type:
        case "text" if source.data is not None:
            return {"type": "text", "text": source.data, "native": native}
        case "content" if source.content is not None:
            text, where = source.content, f"{place}.source.content"
            text = text if isinstance(text, str) else _texts(text, where)
            return {"type": "text", "text": text, "native": native}
        case "url" if source.url is not None:
            return {"type": "file", "file": {"file_url": _url(source, place, "")}, "native": native}
    file = {"file_data": _url(source, place, "application/pdf"), "filename": "document.pdf"}
    return {"type": "file", "file": file, "native": native}


def _url(source: _Source, place: str, media: str) -> str:
    if source.type == "url" and source.url is not None:
        if not source.url.startswith(("https://", "http://")):
            raise MalformedRequest(f"'{place}.source.url' is no http(s) address.", f"{place}.source.url")
        return source.url
    if source.type == "base64" and source.data is not None:
        given = source.media_type or ""
        if not given.startswith(media) or not _MEDIA(given):
            raise MalformedRequest(
                f"'{place}.source.media_type' is {given[:60]!r}; it must be {media.rstrip('/')}.",
                f"{place}.source.media_type",
            )
        return f"data:{given};base64,{source.data}"
    if source.type == "file":
        raise MalformedRequest(
            f"'{place}.source': files by id are not read here. Send the bytes as base64.", f"{place}.source"
        )
    raise MalformedRequest(f"'{place}.source' of type {source.type[:40]!r} is not known.", f"{place}.source")


def _texts(content: list[_Object], place: str) -> str:
    for index, block in enumerate(content):
        if block.get("type") != "text":
            raise _unfit(block, f"{place}[{index}]", "only text is taken here")
    return "\n\n".join(_read(block, _Text, f"{place}[{index}]").text for index, block in enumerate(content))


def _call(block: _Object, given: bytes, place: str) -> _Object:
    call = _read(block, _Call, place)
    function = {"name": call.name, "arguments": given.decode()}
    return _cached({"id": call.id, "type": "function", "function": function}, call.cache_control)


def _result(block: _Object, place: str, dropped: list[str]) -> _Object:
    result = _read(block, _Result, place)
    content: str | list[_Object] = ""
    if isinstance(result.content, str):
        content = result.content
    elif result.content is not None:
        content = _short(
            [
                part
                for index, one in enumerate(result.content)
                for part in _parts(one, f"{place}.content[{index}]", dropped)
            ]
        )
    message: _Object = {"role": "tool", "tool_call_id": result.tool_use_id, "content": content}
    if result.is_error:
        message["is_error"] = True
    return _cached(message, result.cache_control)


def _thinking(block: _Object, place: str) -> _Object:
    if block["type"] == "thinking":
        thought = _read(block, _Thought, place)
        return {"type": "thinking", "thinking": thought.thinking, "signature": thought.signature}
    return {"type": "redacted_thinking", "data": _read(block, _Redacted, place).data}


def _cached(one: _Object, cache_control: _Object | None) -> _Object:
    return one if cache_control is None else {**one, "cache_control": cache_control}


def _short(parts: list[_Object]) -> str | list[_Object]:
    """A plain string where that says the same."""
    if not parts:
        return ""
    only = parts[0]
    return only["text"] if len(parts) == 1 and only.keys() == {"type", "text"} else parts


def _unfit(block: _Object, place: str, wanted: str) -> MalformedRequest:
    kind = block.get("type")
    if not isinstance(kind, str):
        return MalformedRequest(f"'{place}.type' is missing: {wanted}.", f"{place}.type")
    return MalformedRequest(f"'{place}': a block of type {kind[:40]!r} can't be taken: {wanted}.", place)
