"""Chat bodies of other fronts, made plain for a provider that speaks chat completions and nothing more.

Sans-io. The neutral extensions are taken out, and what is lost with them is named. What can be said in plain
words is: images of a tool's result follow in a user's message.
"""

from typing import Any

from msgspec.json import Decoder, Encoder

from greenroom.errors import RequestError

# A message or part is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]

_decode = Decoder(_Object).decode
_encode = Encoder().encode
_EFFORTS = {"max": "xhigh"}


def plain(body: bytes) -> tuple[bytes, list[str]]:
    """The body without extensions, and the names of what was lost.

    Raises RequestError for what the question can't do without: a document by its address.
    """
    chat = _decode(body)
    lost: list[str] = []
    thinking = chat.pop("thinking", None)
    if thinking is not None and thinking.get("type") != "disabled":
        lost.append("thinking")
    if chat.pop("top_k", None) is not None:
        lost.append("top_k")
    lost += [name for name in chat.pop("native", {}) if name != "anthropic-version"]
    if chat.get("reasoning_effort") in _EFFORTS:
        chat["reasoning_effort"] = _EFFORTS[chat["reasoning_effort"]]
    messages: list[_Object] = []
    seen: list[_Object] = []
    for message in chat["messages"]:
        if seen and message["role"] == "user":
            message["content"] = [*seen, *_parts(message["content"])]
            seen = []
        elif seen and message["role"] != "tool":
            messages.append({"role": "user", "content": seen})
            seen = []
        seen += _plain_message(message, lost)
        messages.append(message)
    if seen:
        messages.append({"role": "user", "content": seen})
    if messages[-1]["role"] == "assistant":
        lost.append("messages.prefill")  # a chat model answers it instead of going on
    chat["messages"] = messages
    if "tools" in chat:
        chat["tools"] = [tool for tool in chat["tools"] if _plain_tool(tool, lost)]
        if not chat["tools"]:
            for name in ("tools", "tool_choice", "parallel_tool_calls"):
                chat.pop(name, None)
    return _encode(chat), list(dict.fromkeys(lost))


def _plain_message(message: _Object, lost: list[str]) -> list[_Object]:
    """Take out of a message what is not plain; gives what must follow the results of tools."""
    _drop_mark(message, lost)
    message.pop("native", None)
    if message.pop("thinking_blocks", None) is not None or message.get("reasoning_content"):
        lost.append("thinking_blocks")
    message.pop("reasoning_content", None)
    if message.pop("is_error", None):
        lost.append("is_error")
    for call in message.get("tool_calls") or ():
        _drop_mark(call, lost)
    content = message.get("content")
    if not isinstance(content, list):
        return []
    for part in content:
        _drop_mark(part, lost)
        _plain_part(part, lost)
    if message["role"] != "tool":
        return []
    message["content"] = "\n\n".join(part["text"] for part in content if part["type"] == "text")
    return [part for part in content if part["type"] != "text"]


def _parts(content: str | list[_Object]) -> list[_Object]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _plain_part(part: _Object, lost: list[str]) -> None:
    native = part.pop("native", None) or {}
    if "file_url" in part.get("file", {}):
        raise RequestError(
            "This model's provider takes no document by its address. Send it as base64.", "messages"
        )
    if "transformations" in native:
        lost.append("image.transformations")


def _plain_tool(tool: _Object, lost: list[str]) -> bool:
    """Whether the tool is one of chat's; takes out what is not."""
    native = tool.pop("native", None) or {}
    if tool["type"] != "function":
        lost.append(f"tools.{tool['type']}")
        return False
    _drop_mark(tool, lost)
    lost += [f"tools.{name}" for name in native]
    return True


def _drop_mark(one: _Object, lost: list[str]) -> None:
    if one.pop("cache_control", None) is not None:
        lost.append("cache_control")
