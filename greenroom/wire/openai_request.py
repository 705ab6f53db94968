"""Bodies of chat completions: read in two parts, written again with only the changes.

Sans-io. A body is decoded into a view of the fields we use; what nobody changed leaves as it came, byte for
byte.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.exchange import ChatRequest, Text
from greenroom.wire.openai import ToolCall, encode
from greenroom.wire.repeated_keys import refuse_repeated_keys, refuse_repeated_within

MAX_MESSAGES = 20_000
MAX_KEYS = 200_000
MANY_BYTES = 1 << 20
"""A body must be this large before its keys are counted."""


class _Part(Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Format(Struct):
    type: str


_ABSENT = Raw()


class _Chat(Struct):
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: Raw
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=0)] | None = None
    tools: list[Raw] | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    response_format: _Format | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt: Raw = _ABSENT


class _JsonSchema(Struct):
    schema: Raw = Raw()


class _SchemaFormat(Struct):
    json_schema: _JsonSchema | None = None


class _Parameters(Struct):
    name: str = ""
    parameters: Raw = Raw()


class _Tool(Struct):
    function: _Parameters | None = None


class _Schemas(Struct):
    response_format: _SchemaFormat | None = None
    tools: list[_Tool] = []


_schemas = Decoder(_Schemas)
_schema = Decoder(_SchemaFormat)
_ASCII_LETTERS = (b"\\u004", b"\\u005", b"\\u006", b"\\u007")
_chat = Decoder(_Chat)
_messages = Decoder(Annotated[list[_Message], Meta(min_length=1)])
_messages_or_none: Decoder[Any] = Decoder(list[_Message])  # Any: as of the one above
_fields: Decoder[dict[str, Raw]] = Decoder(dict[str, Raw])
_raws: Decoder[list[Raw]] = Decoder(list[Raw])
_any: Decoder[Any] = Decoder()  # Any: one message, of which only the texts are known to us


def parse_chat(raw: bytes) -> ChatRequest:
    """Read a chat completions body: its head, then its messages. Raises as those two do."""
    request = parse_head(raw)
    read_messages(request)
    return request


def parse_head(raw: bytes) -> ChatRequest:
    """Read all of a chat completions body but its messages, of which only the bytes are found.

    Raises: MalformedRequest with field and place; TooLarge for a body of very many keys.
    """
    if len(raw) > MANY_BYTES and raw.count(b'":') > MAX_KEYS:
        raise TooLarge(f"The body has more than {MAX_KEYS} keys.")
    try:
        if not raw.isascii():
            raw.decode()
        view = _chat.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    messages = bytes(view.messages)
    at = raw.find(b"[", raw.find(b'"messages"'))
    if not raw.startswith(messages, at):
        at = raw.rfind(messages)
    before, behind = raw[:at], raw[at + len(messages) :]
    request = ChatRequest(raw, view.model, before, messages, behind)
    if view.stream:
        request.stream = True
        options = view.stream_options
        request.include_usage = options is not None and bool(options.include_usage)
    if view.n is not None:
        request.n = view.n
    request.max_tokens = view.max_completion_tokens or view.max_tokens or None  # 0 is the model's to refuse
    if view.tools:
        request.has_tools = True
    request.user = view.user or view.safety_identifier
    request.metadata = view.metadata
    if view.response_format is not None:
        request.response_format = view.response_format.type
    if view.prompt is not _ABSENT and bytes(view.prompt).startswith(b"{"):
        request.prompt = bytes(view.prompt)
    rest = before + behind
    once = rest.count(b'"model"') == 1 and rest.count(b'"messages"') == 1
    request.is_odd = not once or rest.find(b"\\") >= 0
    if (
        not once
        or (request.is_odd and _hides_letters(rest))
        or (rest.count(b":") > 2 and _fields_may_repeat(b"%b[]%b" % (before, behind)))
    ):
        refuse_repeated_keys(raw)
    return request


def _fields_may_repeat(body: bytes) -> bool:
    """Whether an object may say one of its own keys twice: it has more keys than different ones.

    Counted without reading its values; a space before a colon makes it a false alarm. Values with keys of
    their own, as tools have, are read once, and known when they come again. Raises: MalformedRequest.
    """
    fields = _fields.decode(body)
    values = b"".join(fields.values())
    if values.count(b":") > 1:
        for value in fields.values():
            refuse_repeated_within(bytes(value))
    return body.count(b'":') != len(fields) + values.count(b'":')


def read_messages(request: ChatRequest, *, may_be_none: bool = False) -> None:
    """Read the messages of a body whose head was read; `may_be_none` where a prompt brings its own.

    Raises: MalformedRequest with field and place; TooLarge for more than 20,000 messages.
    """
    raw = request.messages
    spoken = raw.count(b'"role"')
    if spoken > MAX_MESSAGES:
        raise TooLarge(f"The request has more than {MAX_MESSAGES} messages.", "messages")
    try:
        decoder = _messages_or_none if may_be_none else _messages
        messages = decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, request.raw, "messages") from None
    roles = request.roles = [message.role for message in messages]
    contents = [message.content for message in messages]
    calls = [message.tool_calls for message in messages]
    is_plain = set(map(type, contents)) == _STRINGS and calls.count(None) == len(calls)
    if is_plain:
        request.texts = list(map(Text, range(len(roles)), roles, contents))
    else:
        request.texts = [text for index, message in enumerate(messages) for text in _texts(index, message)]
    # A body that says `content` twice could show us one text and the provider another: a cheap test with
    # false alarms, then a sure one.
    count = len(roles)
    if not is_plain or spoken > count or raw.count(b'"content"') > count or _hides_letters(raw):
        refuse_repeated_keys(request.raw)


_STRINGS = {str}


def _texts(index: int, message: _Message) -> Iterator[Text]:
    """The texts of a message that is more than a plain string."""
    role, content = message.role, message.content
    if isinstance(content, str):
        yield Text(index, role, content)
    elif content is not None:
        for number, part in enumerate(content):
            value = part.text if part.text is not None else part.refusal
            if value is not None:
                yield Text(index, role, value, number)
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is not None:
            yield Text(index, role, call.function.arguments, number, "arguments")


def answer_schema(request: ChatRequest) -> bytes:
    """The JSON Schema that the answer is to obey, as it came; empty without one."""
    asked = request.fields.get("response_format")
    try:
        if asked:
            wanted: _SchemaFormat | None = _schema.decode(asked)
        else:
            wanted = _schemas.decode(request.raw).response_format
    except ValidationError:
        return b""
    return bytes(wanted.json_schema.schema) if wanted is not None and wanted.json_schema is not None else b""


def tool_schemas(request: ChatRequest) -> dict[str, bytes]:
    """Tool name → the JSON Schema of its arguments, as it came; tools without one have an empty one."""
    try:
        tools = _schemas.decode(request.raw).tools
    except ValidationError:
        return {}
    return {one.function.name: bytes(one.function.parameters) for one in tools if one.function is not None}


def _hides_letters(raw: bytes) -> bool:
    return (
        raw.find(b"\\") >= 0 and raw.find(b"\\u00") >= 0 and any(escape in raw for escape in _ASCII_LETTERS)
    )


def malformed(error: Exception, raw: bytes, within: str = "") -> MalformedRequest:
    """What is wrong with a body, and where: the field, or the position in bytes."""
    if isinstance(error, RecursionError):
        return MalformedRequest("The body is nested too deeply.")
    if not isinstance(error, ValidationError):
        return MalformedRequest(f"The body is not valid JSON{_fault(raw)}.")
    message, _, path = str(error).partition(" - at `$")
    param = (within + path.rstrip("`")).lstrip(".") or None
    said, _, missing = message.partition("missing required field ")
    if missing and said == "Object ":
        param = f"{param}.{missing.strip('`')}" if param else missing.strip("`")
        return MalformedRequest(f"'{param}' is missing.", param)
    return MalformedRequest(f"'{param}': {message}." if param else f"{message}.", param)


_lone_surrogate = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])"
).search


_no_number = re.compile(rb"(?<=[:\[, \t\r\n])-?(?:NaN|Infinity)\b").search


def _fault(raw: bytes) -> str:
    """What a text that is no JSON stumbles over, as the end of a sentence."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return f": it is not UTF-8 at byte {error.start}"
    if text.startswith("\ufeff"):
        return ": it begins with a byte order mark, at byte 0"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f": {error.msg[:1].lower()}{error.msg[1:]} at byte {len(text[: error.pos].encode())}"
    except RecursionError:
        return ": it is nested too deeply"
    for search, what in ((_lone_surrogate, "half a surrogate pair"), (_no_number, "this is no number")):
        found = search(raw)
        if found is not None:
            return f": {what} at byte {found.start()}"
    return ""


def tool_pairs(request: ChatRequest) -> list[tuple[int, list[int]]]:
    """Which tool messages answer which assistant message: (assistant's index, [indexes of answers])."""
    pairs: list[tuple[int, list[int]]] = []
    callers = {text.index for text in request.texts if text.kind == "arguments"}
    for index, role in enumerate(request.roles):
        if index in callers:
            pairs.append((index, []))
        elif role == "tool" and pairs:
            pairs[-1][1].append(index)
    return pairs


def render_chat(
    request: ChatRequest,
    *,
    model: str | None = None,
    dropped: Iterable[int] = (),
    extra: dict[str, bytes] | None = None,
) -> bytes:
    """The body for the provider: ours where something changed, else exactly what came.

    `dropped` are indexes of messages left out; `extra` top-level fields to set (encoded values).
    """
    texts = request.texts
    changed = [text for text in texts if text.before_edits is not None] if texts else []
    rename = model is not None and model != request.model
    gone = frozenset(dropped)
    if not (changed or rename or gone or request.added or request.filled or request.fields or extra):
        return request.raw
    messages = request.messages
    if changed or gone or request.added or request.filled:
        messages = _render_messages(messages, request, changed, gone)
    before, behind = request.before, request.behind
    name = encode(model) if rename else b""
    if not (request.is_odd or request.fields or extra):
        if not name:
            return b"%b%b%b" % (before, messages, behind)
        # Outside the messages the key stands once, so this is it; no need to read the body again.
        front = _MODEL(before)
        if front is not None:
            return b"%b%b%b%b%b" % (before[: front.end()], name, _past(before, front), messages, behind)
        front = _MODEL(behind)
        if front is not None:
            return b"%b%b%b%b%b" % (before, messages, behind[: front.end()], name, _past(behind, front))
    fields = _fields.decode(request.raw)
    fields["messages"] = Raw(messages)
    if name:
        fields["model"] = Raw(name)
    for key, value in (*request.fields.items(), *(extra or {}).items()):
        if value:
            fields[key] = Raw(value)
        else:
            fields.pop(key, None)
    return encode(fields)


_MODEL = re.compile(rb'"model"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}(?=")').search


def _past(piece: bytes, front: re.Match[bytes]) -> bytes:
    """What follows the model's name, in which no backslash stands."""
    return piece[piece.index(b'"', front.end() + 1) + 1 :]


def _render_messages(raw: bytes, request: ChatRequest, changed: list[Text], gone: frozenset[int]) -> bytes:
    messages = _raws.decode(raw)
    edited: dict[int, Any] = {}
    for text in changed:
        if text.index >= len(messages):
            continue  # a value, which `filled` says already
        message = edited.get(text.index)
        if message is None:
            message = edited[text.index] = _any.decode(messages[text.index])
        if text.kind == "arguments":
            message["tool_calls"][text.part]["function"]["arguments"] = text.value
        elif text.part is None:
            message["content"] = text.value
        else:
            part = message["content"][text.part]
            part["text" if part.get("text") is not None else "refusal"] = text.value
    result: list[object] = [*request.filled]
    for index, message in enumerate(messages):
        result += [added for at, added in request.added if at == index]
        if index not in gone:
            result.append(edited.get(index, message))
    behind = [added for at, added in request.added if at >= len(messages)]
    if request.filled and not messages:
        # What steps tell the model stands before the question here as well.
        told = [one for one in behind if one.get("role") == "system"]
        users = [place for place, one in enumerate(request.filled) if one.get("role") == "user"]
        at = users[-1] if users else len(result)
        result[at:at] = told
        behind = [one for one in behind if one.get("role") != "system"]
    return encode(result + behind)
