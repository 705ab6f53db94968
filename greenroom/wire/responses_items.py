"""Items of the Responses dialect: read from a body, kept as plain JSON, turned into chat messages.

Sans-io. An item that was read has all its keys, a new `id` and a `status`, so that what is stored, listed and
sent again has one form. What chat cannot carry is named, never lost in silence.
"""

from collections.abc import Iterable, Sequence
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
"""Calls of tools that are not served here: kept in a conversation, not shown to a model."""
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
    phase: Annotated[str, Meta(max_length=64)] | None = None


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

    def __init__(self, base: str) -> None:
        self._base = base
        self._next = 0

    def new(self, type: str) -> str:
        """The next id of an item of this type."""
        number = self._next
        self._next += 1
        return f"{_PREFIXES.get(type, 'item')}_{self._base}{number:06x}"


def read_items(raw: bytes, ids: ItemIds, *, field: str) -> list[Item | Reference]:
    """Items of a body: a string is one user message. References stay to be looked up.

    Raises: MalformedRequest naming field and place; TooLarge for more than `MAX_MESSAGES` items.
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
    if len(raws) > MAX_MESSAGES:
        raise TooLarge(f"'{field}' has {len(raws):,} items; {MAX_MESSAGES:,} are the most.", field)
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
            return {**_any.decode(raw), "id": ids.new(type)}
        decoder = _decoders.get(type)
        if decoder is None:
            known = ", ".join((*_decoders, "item_reference"))
            raise MalformedRequest(
                f"'{within}.type' is '{type[:64]}'. Known here: {known}.", f"{within}.type"
            )
        item = decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw, within) from None
    return _normal(type, item, ids.new(type), within)


def _normal(type: str, item: Any, id: str, within: str) -> Item:  # Any: a Struct of that type
    if isinstance(item, _Message):
        phase = {} if item.phase is None else {"phase": item.phase}
        return {
            "id": id, "type": type, "status": item.status or "completed", "role": item.role, **phase,
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
                    f"'{within}.content[{number}]' needs either 'image_url' or 'file_id'.",
                    f"{within}.content",
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
    given = {
        "file_id": part.file_id, "file_data": part.file_data, "file_url": part.file_url,
        "filename": part.filename,
    }  # fmt: skip
    if sum(one is not None for one in (part.file_id, part.file_data, part.file_url)) != 1:
        raise MalformedRequest(f"'{within}' needs one of 'file_data', 'file_id' and 'file_url'.", within)
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
