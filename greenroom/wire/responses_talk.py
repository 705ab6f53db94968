"""Items of the Responses dialect as the chat messages that say the same.

Sans-io. What chat cannot carry is named, never lost in silence. Reasoning and summaries that only we can read
go out packed and come back with the next request.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from greenroom.errors import MalformedRequest
from greenroom.wire.responses_items import Item

_any: Decoder[Any] = Decoder()  # Any: what was packed
_encode = Encoder().encode


class UploadedFile(NamedTuple):
    """A file that an item names, with its bytes."""

    filename: str
    media: str
    content: bytes


class Talk(NamedTuple):
    """Items as chat messages, and what of them chat cannot carry."""

    messages: list[Item]
    dropped: list[str]


SUMMARY = "Summary of the conversation so far:\n"
"""What stands before the text of a compaction in the message that brings it back."""


def to_messages(items: Iterable[Item], files: Mapping[str, UploadedFile]) -> Talk:
    """Chat messages that say the same. What the model said and called in one turn is one message.

    Raises: MalformedRequest for a file that `files` does not hold, and for a compaction that is none of ours.
    """
    talk = _Talk(files)
    for item in items:
        talk.take(item)
    talk.end_turn()
    return Talk(talk.messages, list(talk.dropped))


class _Talk:
    def __init__(self, files: Mapping[str, UploadedFile]) -> None:
        self.messages: list[Item] = []
        self.dropped: dict[str, None] = {}
        self._files = files
        self._turn: Item | None = None
        """The assistant message that is being put together."""
        self._takes: dict[str, Callable[[Item], None]] = {
            "message": self._message,
            "function_call": self._call,
            "function_call_output": self._output,
            "reasoning": self._reasoning,
            "compaction": self._compaction,
        }

    def take(self, item: Item) -> None:
        type = item["type"]
        if type == "file_search_call":
            return  # what it found is in the answer that cites it; the next question is searched for anew
        take = self._takes.get(type)
        if take is None:
            self.dropped[f"input.{type}"] = None
            return
        take(item)

    def end_turn(self) -> None:
        self._close()

    def _close(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.setdefault("content", None)
            if turn["content"] is not None or "tool_calls" in turn:
                self.messages.append(turn)

    def _own(self) -> Item:
        if self._turn is None:
            self._turn = {"role": "assistant"}
        return self._turn

    def _message(self, item: Item) -> None:
        role = item["role"]
        if role != "assistant":
            self._close()
            self.messages.append({"role": role, "content": self._content(item["content"])})
            return
        turn = self._own()
        if "content" in turn or "tool_calls" in turn:
            self._close()
            turn = self._own()
        texts = [part for part in item["content"] if part["type"] in {"output_text", "refusal"}]
        if len(texts) < len(item["content"]):
            self.dropped["input.message.content"] = None
        parts = [
            {"type": "text", "text": one["text"]} if one["type"] == "output_text"
            else {"type": "refusal", "refusal": one["refusal"]}
            for one in texts
        ]  # fmt: skip
        is_plain = len(parts) == 1 and parts[0]["type"] == "text"
        turn["content"] = parts[0]["text"] if is_plain else parts or ""

    def _call(self, item: Item) -> None:
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        self._own().setdefault("tool_calls", []).append(call)

    def _output(self, item: Item) -> None:
        self._close()
        output = item["output"]
        if not isinstance(output, str):
            output = self._content(output)
        self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})

    def _reasoning(self, item: Item) -> None:
        turn = self._own()
        if "content" in turn or "tool_calls" in turn:
            self._close()
            turn = self._own()
        parts = item.get("content") or item.get("summary") or ()
        text = "\n\n".join(part["text"] for part in parts)
        if text:
            turn["reasoning_content"] = text
        blocks = unpacked(item.get("encrypted_content"), "thinking")
        if isinstance(blocks, list):
            turn["thinking_blocks"] = [*turn.get("thinking_blocks", ()), *blocks]
        elif item.get("encrypted_content"):
            self.dropped["input.reasoning.encrypted_content"] = None

    def _compaction(self, item: Item) -> None:
        self._close()
        text = unpacked(item["encrypted_content"], "summary")
        if not isinstance(text, str):
            raise MalformedRequest(
                "The compaction was not made here, so its content can't be read. Send the messages it stands "
                "for.",
                "input",
            )
        self.messages.append({"role": "user", "content": SUMMARY + text})

    def _content(self, parts: Sequence[Item]) -> str | list[Item]:
        if len(parts) == 1 and parts[0]["type"] == "input_text":
            return str(parts[0]["text"])
        return [self._part(part) for part in parts]

    def _part(self, part: Item) -> Item:
        type = part["type"]
        if type == "input_text":
            return {"type": "text", "text": part["text"]}
        if type == "output_text":
            return {"type": "text", "text": part["text"]}
        if type == "input_image":
            url = part["image_url"]
            if url is None:
                file = self._file(part["file_id"])
                url = _data_url(file.media, file.content)
            return {"type": "image_url", "image_url": {"url": url, "detail": _detail(part["detail"])}}
        if type == "input_file":
            return self._file_part(part)
        if type == "input_audio":
            return part
        return {"type": "text", "text": part.get("refusal", "")}

    def _file_part(self, part: Item) -> Item:
        if "file_url" in part:
            return {"type": "file", "file": {"file_url": part["file_url"]}, "native": {"type": "document"}}
        if "file_data" in part:
            file = {"file_data": part["file_data"], "filename": part.get("filename", "file")}
            return {"type": "file", "file": file}
        uploaded = self._file(part["file_id"])
        if uploaded.media.startswith("text/"):
            text = uploaded.content.decode("utf-8", "replace")
            return {"type": "text", "text": f"{uploaded.filename}:\n{text}"}
        data = _data_url(uploaded.media, uploaded.content)
        return {"type": "file", "file": {"file_data": data, "filename": uploaded.filename}}

    def _file(self, id: str) -> UploadedFile:
        found = self._files.get(id)
        if found is None:
            raise MalformedRequest(f"There is no file '{id[:64]}'.", "input")
        return found


def _detail(asked: str) -> str:
    return "high" if asked == "original" else asked


def _data_url(media: str, content: bytes) -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def packed(kind: Literal["thinking", "summary"], value: object) -> str:
    """`encrypted_content` of an item: what the client keeps for us and gives back. Not secret from it."""
    return "gr1." + base64.urlsafe_b64encode(_encode([kind, value])).decode()


def unpacked(text: str | None, kind: Literal["thinking", "summary"]) -> object | None:
    """What `packed` made; None for anything else."""
    if not text or not text.startswith("gr1."):
        return None
    try:
        found = _any.decode(base64.urlsafe_b64decode(text[4:]))
    except (ValueError, DecodeError, RecursionError):
        return None
    return found[1] if isinstance(found, list) and len(found) == 2 and found[0] == kind else None
