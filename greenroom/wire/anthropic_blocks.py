"""Chat messages as Anthropic's content blocks.

Sans-io. Texts, images, files and calls, with the neutral extensions: thinking that was signed, marks for the
prompt cache, results that are errors, documents and search results. What no Anthropic model takes is refused.
"""

import re
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import decode as decode_json

from greenroom.errors import RequestError
from greenroom.wire.chat_body import SIGNED

# A part or block is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]


class _Function(Struct):
    name: str
    arguments: str = ""


class _Call(Struct):
    id: str = ""
    function: _Function | None = None
    cache_control: _Object | None = None


class Message(Struct):
    """What is read of a chat message."""

    role: str
    content: str | list[_Object] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    name: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[_Object] | None = None
    is_error: bool | None = None
    cache_control: _Object | None = None
    native: _Object | None = None


_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*?(;base64)?,", re.ASCII)


def blocks_of(content: str | list[_Object] | None, place: str, lost: list[str]) -> list[_Object]:
    """Content as Anthropic's blocks, without empty texts, which it refuses."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks = []
    about: dict[str, str] = {}
    """What was said about the next document."""
    for part, one in enumerate(content):
        match one:
            case {"type": "text", "text": str(text), "native": {"of_next": str(name)}}:
                about[name] = text
                continue
            case {"type": "text", "text": str(text), "native": {"type": "document"}}:
                source = {"type": "text", "media_type": "text/plain", "data": text}
                block: _Object = {"type": "document", "source": source, **about}
            case {"type": "text", "text": str(text), "native": {"type": "search_result"}}:
                said = [{"type": "text", "text": text}]
                block = {"type": "search_result", "source": "", "title": "", **about, "content": said}
            case {"type": "file", "file": {"file_url": str(url)}, "native": {"type": "document"}}:
                block = {"type": "document", "source": {"type": "url", "url": url}, **about}
            case {"type": "file", "file": {"file_data": str(url)}, "native": {"type": "document"}}:
                block = {**_document(url, None, f"{place}[{part}]"), **about}
            case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
                block = {"type": "text", "text": text}
            case {"type": "refusal", "refusal": str(text)}:
                block = {"type": "text", "text": text}
            case {"type": "image_url", "image_url": {"url": str(url)} as image}:
                if image.get("detail", "auto") != "auto":
                    lost.append("image_url.detail")
                block = {
                    "type": "image",
                    "source": _source(url, f"{place}[{part}]"),
                    **(one.get("native") or {}),
                }
            case {"type": "image_url", "image_url": str(url)}:
                block = {"type": "image", "source": _source(url, f"{place}[{part}]")}
            case {"type": "file", "file": {"file_data": str(url)} as file}:
                block = _document(url, file.get("filename"), f"{place}[{part}]")
            case _:
                kind = str(one.get("type"))[:40]
                raise RequestError(f"Anthropic cannot take a part of type {kind!r}.", f"{place}[{part}]")
        about = {}
        if isinstance(one.get("cache_control"), dict):
            block["cache_control"] = one["cache_control"]
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


def spoken(message: Message, place: str, lost: list[str]) -> list[_Object]:
    """What an assistant said: thinking that was signed, text, calls. Raises RequestError."""
    thought = [
        one for one in message.thinking_blocks or () if not str(one.get("signature")).startswith(SIGNED)
    ]
    if len(thought) < len(message.thinking_blocks or ()):
        lost.append("thinking_blocks")  # signed by another provider, refused here
    blocks = [*thought, *blocks_of(message.content, place, lost)]
    if message.reasoning_content and not message.thinking_blocks:
        lost.append("reasoning_content")  # only what is signed is taken back
    if message.refusal and message.refusal.strip():
        blocks.append({"type": "text", "text": message.refusal})
    for call in message.tool_calls or ():
        if call.function is None:
            where = place.replace("content", "tool_calls")
            raise RequestError("Anthropic knows calls of functions only.", where)
        block = {
            "type": "tool_use",
            "id": _tool_id(call.id),
            "name": call.function.name,
            "input": _input(call.function.arguments),
        }
        blocks.append(block if call.cache_control is None else {**block, "cache_control": call.cache_control})
    return blocks


def result(message: Message, place: str, lost: list[str]) -> _Object:
    """What a tool answered. Raises RequestError."""
    block: _Object = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
    if message.is_error:
        block["is_error"] = True
    if message.cache_control is not None:
        block["cache_control"] = message.cache_control
    content = blocks_of(message.content, place, lost)
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
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
