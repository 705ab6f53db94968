"""Items of the Responses dialect: read from a body, kept as plain JSON, turned into chat messages.

Sans-io. An item that was read has all its keys, an `id` and a `status`, so that what is stored, listed and sent
again has one form. What chat cannot carry is named, never lost in silence.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire.openai_request import MAX_MESSAGES, malformed

Item = dict[str, Any]  # Any: an item is JSON whose keys depend on its type
ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["user", "assistant", "system", "developer"]

FOREIGN = frozenset({
    "web_search_call", "mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
    "computer_call", "computer_call_output", "code_interpreter_call", "image_generation_call",
    "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call",
    "apply_patch_call_output", "custom_tool_call", "custom_tool_call_output",
})  # fmt: skip
"""Calls of tools that are not served here: kept in a conversation, not shown to a model of the chat dialect."""
_PREFIXES = {
    "message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs",
    "file_search_call": "fs", "compaction": "cmp",
}  # fmt: skip
MOST_TEXT = 10_485_760
"""Characters of one text."""

_Str = Annotated[str, Meta(max_length=MOST_TEXT)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Id = Annotated[str, Meta(min_length=1, max_length=128)]


class _Kind(Struct):
    type: str | None = None
    role: str | None = None
    id: _Id | None = None


class _Text(Struct, tag_field="type", tag="input_text"):
    text: _Str


class _PlainText(Struct, tag_field="type", tag="text"):
    text: _Str


class _Said(Struct, tag_field="type", tag="output_text"):
    text: _Str
    annotations: list[dict[str, Any]] = []  # Any: annotations are given back as they came
    logprobs: list[Any] | None = None  # Any: as above


class _Refused(Struct, tag_field="type", tag="refusal"):
    refusal: _Str


class _Image(Struct, tag_field="type", tag="input_image"):
    image_url: str | None = None
    file_id: _Id | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None


class _File(Struct, tag_field="type", tag="input_file"):
    file_id: _Id | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: Annotated[str, Meta(max_length=512)] | None = None


class _AudioData(Struct):
    data: str
    format: str


class _Audio(Struct, tag_field="type", tag="input_audio"):
    input_audio: _AudioData


class _ReasoningText(Struct, tag_field="type", tag="reasoning_text"):
    text: _Str


class _SummaryText(Struct, tag_field="type", tag="summary_text"):
    text: _Str


_Part = _Text | _PlainText | _Said | _Refused | _Image | _File | _Audio
_OutputPart = _Text | _PlainText | _Image | _File


class _Message(Struct):
    role: Role
    content: _Str | list[_Part]
    status: ItemStatus | None = None


class _Call(Struct):
    call_id: _Id
    name: _Name
    arguments: _Str
    status: ItemStatus | None = None


class _CallOutput(Struct):
    call_id: _Id
    output: _Str | list[_OutputPart]
    status: ItemStatus | None = None


class _Reasoning(Struct):
    summary: list[_SummaryText] = []
    content: list[_ReasoningText] | None = None
    encrypted_content: str | None = None
    status: ItemStatus | None = None


class _FileSearchCall(Struct):
    queries: list[_Str] = []
    status: str | None = None
    results: list[dict[str, Any]] | None = None  # Any: results are given back as they came


class _Compaction(Struct):
    encrypted_content: str


_raws = Decoder(list[Raw])
_kind = Decoder(_Kind)
_any: Decoder[Any] = Decoder()  # Any: an item that is only kept
_decoders: dict[str, Decoder[Any]] = {  # Any: one type each
    "message": Decoder(_Message),
    "function_call": Decoder(_Call),
    "function_call_output": Decoder(_CallOutput),
    "reasoning": Decoder(_Reasoning),
    "file_search_call": Decoder(_FileSearchCall),
    "compaction": Decoder(_Compaction),
}
_encode = Encoder().encode


class Reference(NamedTuple):
    """`item_reference`: an item that was stored before, by its id."""

    id: str
    place: int


class ItemIds:
    """Ids for the items of one response or conversation: told apart by a base and a count."""

    def __init__(self, base: str, first: int = 0) -> None:
        self._base = base
        self._next = first

    def new(self, type: str) -> str:
        """The next id of an item of this type."""
        number = self._next
        self._next += 1
        return f"{_PREFIXES.get(type, 'item')}_{self._base}{number:06x}"


def read_items(raw: bytes, ids: ItemIds, *, field: str, most: int = MAX_MESSAGES) -> list[Item | Reference]:
    """Items of a body: a string is one user message. References stay to be looked up.

    Raises: MalformedRequest naming field and place; TooLarge for more than `most` items.
    """
    if raw[:1] == b'"':
        try:
            text = _any.decode(raw)
        except (DecodeError, UnicodeDecodeError) as error:
            raise malformed(error, raw, field) from None
        return [message("user", [{"type": "input_text", "text": text}], ids)]
    try:
        raws = _raws.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw, field) from None
    if len(raws) > most:
        raise TooLarge(f"'{field}' has {len(raws):,} items; {most:,} are the most.", field)
    return [_read(bytes(one), place, ids, field) for place, one in enumerate(raws)]


def _read(raw: bytes, place: int, ids: ItemIds, field: str) -> Item | Reference:
    within = f"{field}[{place}]"
    try:
        kind = _kind.decode(raw)
        type = kind.type or ("message" if kind.role is not None else "item_reference")
        if type == "item_reference":
            if kind.id is None:
                raise MalformedRequest(f"'{within}' needs a type, or the 'id' of a stored item.", within)
            return Reference(kind.id, place)
        if type in FOREIGN:
            return {**_any.decode(raw), "id": kind.id or ids.new(type)}
        decoder = _decoders.get(type)
        if decoder is None:
            known = ", ".join((*_decoders, "item_reference"))
            raise MalformedRequest(f"'{within}.type' is '{type[:64]}'. Known here: {known}.", f"{within}.type")
        item = decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw, within) from None
    return _normal(type, item, kind.id or ids.new(type), within)


def _normal(type: str, item: Any, id: str, within: str) -> Item:  # Any: a Struct of that type
    if isinstance(item, _Message):
        return {
            "id": id, "type": type, "status": item.status or "completed", "role": item.role,
            "content": _parts(item.content, item.role, within),
        }  # fmt: skip
    if isinstance(item, _CallOutput):
        output = item.output if isinstance(item.output, str) else _parts(item.output, "user", within)
        return {
            "id": id, "type": type, "status": item.status or "completed", "call_id": item.call_id,
            "output": output,
        }  # fmt: skip
    found: Item = {"id": id, "type": type, **msgspec.to_builtins(item)}
    if type == "compaction":
        return found
    found["status"] = found.get("status") or "completed"
    if type == "file_search_call" and found["results"] is None:
        del found["results"]
    return found


def _parts(content: str | Sequence[Any], role: str, within: str) -> list[Item]:  # Any: Structs of parts
    if isinstance(content, str):
        return [said(content) if role == "assistant" else {"type": "input_text", "text": content}]
    parts: list[Item] = []
    for number, part in enumerate(content):
        if isinstance(part, _Text | _PlainText):
            is_own = role == "assistant"
            parts.append(said(part.text) if is_own else {"type": "input_text", "text": part.text})
        elif isinstance(part, _Said):
            parts.append(
                {"type": "output_text", "text": part.text, "annotations": part.annotations,
                 "logprobs": part.logprobs or []}
            )  # fmt: skip
        elif isinstance(part, _Image):
            if (part.image_url is None) == (part.file_id is None):
                raise MalformedRequest(
                    f"'{within}.content[{number}]' needs either 'image_url' or 'file_id'.", f"{within}.content"
                )
            parts.append(
                {"type": "input_image", "image_url": part.image_url, "file_id": part.file_id,
                 "detail": part.detail or "auto"}
            )  # fmt: skip
        elif isinstance(part, _File):
            parts.append(_file_part(part, f"{within}.content[{number}]"))
        else:
            parts.append(msgspec.to_builtins(part))
    return parts


def _file_part(part: _File, within: str) -> Item:
    given = {"file_id": part.file_id, "file_data": part.file_data, "filename": part.filename}
    if part.file_url is not None:
        raise MalformedRequest(
            f"'{within}.file_url': files are not fetched from addresses here. Send 'file_data', or upload the "
            "file to /v1/files and send its 'file_id'.",
            f"{within}.file_url",
        )
    if (part.file_id is None) == (part.file_data is None):
        raise MalformedRequest(f"'{within}' needs either 'file_data' or 'file_id'.", within)
    return {"type": "input_file", **{name: value for name, value in given.items() if value is not None}}


def message(role: str, content: list[Item], ids: ItemIds, status: str = "completed") -> Item:
    """A message as an item."""
    return {"id": ids.new("message"), "type": "message", "status": status, "role": role, "content": content}


def said(text: str) -> Item:
    """What the model said, as a part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def file_ids(items: Iterable[Item]) -> list[str]:
    """Ids of uploaded files that the items name, each once."""
    found: dict[str, None] = {}
    for item in items:
        content = item.get("content", ()) if item["type"] == "message" else item.get("output", ())
        for part in content if isinstance(content, list) else ():
            if part.get("file_id"):
                found[part["file_id"]] = None
    return list(found)


# items to chat messages


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
        self._pictures: list[Item] = []
        """Parts of tool outputs that a tool message cannot hold: they follow in a user message."""
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
        if type != "function_call_output":
            self._show_pictures()
        take(item)

    def end_turn(self) -> None:
        self._close()
        self._show_pictures()

    def _close(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.setdefault("content", None)
            if turn["content"] is not None or "tool_calls" in turn:
                self.messages.append(turn)

    def _show_pictures(self) -> None:
        if self._pictures:
            self.messages.append({"role": "user", "content": self._pictures})
            self._pictures = []

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
            texts = [part["text"] for part in output if part["type"] == "input_text"]
            others = [part for part in output if part["type"] != "input_text"]
            self._pictures += self._content(others) if others else []
            output = "\n".join(texts)
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


# what goes to the client and comes back unread


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


__all__ = [
    "Item", "ItemIds", "Reference", "Talk", "UploadedFile", "file_ids", "message", "packed", "read_items",
    "said", "to_messages", "unpacked",
]  # fmt: skip
