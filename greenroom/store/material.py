"""What is kept of one exchange, and the record that is made of it when somebody reads.

Two parts: a narrow `Row` that lists and counts need, and a `Body` with the texts, kept compressed in a block.
The record (SPEC, section 7) is built only here, from both; no exchange pays for it while it runs.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import DecodeError, Struct, ValidationError, field, msgpack, to_builtins
from msgspec.json import Decoder

from greenroom.exchange import SURFACES, Attempt, Entity, Passage, StepRecord
from greenroom.usage import Usage
from greenroom.wire import tracecontext

_UNREADABLE = (DecodeError, ValidationError, UnicodeDecodeError, RecursionError)

Record = dict[str, Any]  # Any: JSON of the shape of SPEC, section 7
Detect = Callable[[str], tuple[str, float]]
"""Text → language code and confidence."""

TRACE_TAG = "trace"
"""Exchanges that came with a `traceparent` are found by its trace, as by a tag of this name."""
OUTCOMES = ("open", "answered", "cached", "refused", "failed", "cancelled")

REDACTED = 1
STREAMED = 2
LOST_BODY = 4
"""The queue was full: the row was kept, its texts were not."""
ESTIMATED = 8
"""Tokens were counted by us."""
SEMANTIC = 16
SURFACE_BIT = 8
"""From this bit on, flags hold the place of the exchange's surface among all."""


class Row(NamedTuple):
    """The narrow part: one per exchange, always kept. Times in microseconds, money in nano-dollars."""

    id: str
    created_ns: int
    project: str
    key: str
    app: str
    asked: str
    used: str | None
    outcome: str
    status: int
    session: str | None
    user: str | None
    language: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_nano: int | None
    total_us: int
    overhead_us: int
    first_token_us: int
    flags: int


class Body(Struct, array_like=True):
    """The wide part: what came, what was sent, what was said, what each step did.

    An empty `sent` means "as it came", a `reply_text` of None "as the model said it". `shared` counts the
    bytes at the start and at the end of `sent` that are those of `request`, and left out.
    """

    request: bytes = b""
    sent: bytes = b""
    reply_raw: str = ""
    reply_text: str | None = None
    steps: list[StepRecord] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    recalled: list[dict[str, object]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    why: str = ""
    usage: Usage | None = None
    finish_reason: str | None = None
    error: str | None = None
    confidence: float = 0.0
    shared: tuple[int, int] = (0, 0)
    dropped: list[str] = field(default_factory=list)
    """Fields of the request and the answer that could not be carried, by name."""
    trace: str = ""
    """The `traceparent` it came with."""


class _Chat(Struct):
    messages: list[Any] = []  # Any: messages in a client's own words


class _Filling(Struct):
    prompt: Any = None  # Any: a client's own words


def _plain(value: object) -> object:
    """What a note that is no plain JSON becomes: a number if it is one, else its text."""
    try:
        return float(value)  # type: ignore[arg-type]  # whatever a step noted
    except (TypeError, ValueError):
        return str(value)


_chat = Decoder(_Chat)
_filling = Decoder(_Filling)
_body = msgpack.Decoder(Body)
encode_body = msgpack.Encoder(enc_hook=_plain).encode


def decode_body(data: bytes | memoryview) -> Body:
    """The body of one exchange. Raises: msgspec.DecodeError."""
    return _body.decode(data)


def plain(value: object) -> Any:  # Any: lists, dicts, strings and numbers
    """Structs as dictionaries, with all their fields: encoding leaves out what has its default."""
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return to_builtins(value, enc_hook=_plain)


def whole_sent(body: Body) -> bytes:
    """The body the model got, put together again."""
    if not body.sent:
        return body.request
    head, tail = body.shared
    return body.request[:head] + body.sent + body.request[len(body.request) - tail :]


def messages_of(raw: bytes) -> list[Any]:
    """The messages of a chat body; empty when it has none."""
    if not raw:
        return []
    try:
        return _chat.decode(raw).messages
    except _UNREADABLE:
        return []


def _filling_of(raw: bytes) -> Record:
    """The field `prompt` of a chat body, where it says which prompt to fill with what."""
    if b'"prompt"' not in raw:
        return {}
    try:
        found = _filling.decode(raw).prompt
    except _UNREADABLE:
        return {}
    return {"prompt": found} if isinstance(found, dict) else {}


class MessageText(NamedTuple):
    """One text of a message: which message, which part (None for a plain string), what it says."""

    message: int
    role: str
    part: int | None
    text: str


def texts_of(messages: list[Any]) -> list[MessageText]:
    """All texts of chat messages, in order: prose first, then the arguments of tool calls."""
    found: list[MessageText] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role, content = str(message.get("role", "")), message.get("content")
        if isinstance(content, str):
            found.append(MessageText(index, role, None, content))
        elif isinstance(content, list):
            for part, one in enumerate(content):
                if isinstance(one, dict):
                    text = one.get("text") if one.get("text") is not None else one.get("refusal")
                    if isinstance(text, str):
                        found.append(MessageText(index, role, part, text))
        calls = message.get("tool_calls")
        for part, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            arguments = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(arguments, str):
                found.append(MessageText(index, role, part, arguments))
    return found


def pseudonym(name: str) -> str:
    """What stands for a user or session whose name is personal data: stable, so that it can be asked for."""
    return "#" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def stamp(ns: int) -> str:
    """ISO 8601 in UTC, to the microsecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dollars(nano: int | None) -> str | None:
    """Nano-dollars as a decimal string, None when the price is not known."""
    return None if nano is None else format((Decimal(nano) / 1_000_000_000).normalize(), "f")


def summary_of(row: Row) -> Record:
    """A line of a list: the record without texts, stages and findings."""
    return {
        "id": row.id,
        "created_at": stamp(row.created_ns),
        "project": row.project,
        "key": row.key,
        "app": row.app,
        "surface": surface_of(row),
        "session": row.session,
        "user": row.user,
        "model": {"asked": row.asked, "used": row.used},
        "language": row.language,
        "usage": {"input_tokens": row.input_tokens or 0, "output_tokens": row.output_tokens or 0},
        "cost_usd": dollars(row.cost_nano),
        "cache": _cache(row),
        "outcome": row.outcome,
        "status": row.status,
        "timing_ms": _timing(row),
    }


def record_of(row: Row, body: Body | None, detect: Detect | None = None) -> Record:
    """The whole record of one exchange. `detect` names the language when no step did."""
    body = body or Body()
    messages = messages_of(body.request)
    stages = [_stage(one) for one in plain(body.steps)]
    return {
        "id": row.id,
        "created_at": stamp(row.created_ns),
        "project": row.project,
        "key": row.key,
        "app": row.app,
        "session": row.session,
        "user": row.user,
        "tags": body.tags,
        "trace": _trace(row.id, body.trace),
        "surface": surface_of(row),
        "model": {
            "asked": row.asked,
            "used": row.used,
            "attempts": [_attempt(one) for one in body.attempts],
            "why": body.why,
        },
        "language": _language(row, body, messages, detect),
        "stages": stages,
        "entities": plain(body.entities),
        "passages": plain(body.passages),
        "recalled": body.recalled,
        "verdicts": [verdict for stage in stages for verdict in stage["verdicts"]],
        "usage": shown_usage(body.usage or _usage(row)),
        "cost_usd": dollars(row.cost_nano),
        "cache": _cache(row),
        "dropped": body.dropped,
        "outcome": row.outcome,
        "status": row.status,
        "error": body.error,
        "finish_reason": body.finish_reason,
        "timing_ms": _timing(row),
        "prompt": _prompt(stages),
        "request": {"messages": messages, **_filling_of(body.request)},
        "sent": {"messages": messages_of(whole_sent(body)) if body.sent else messages},
        "reply": {
            "raw": body.reply_raw,
            "text": body.reply_raw if body.reply_text is None else body.reply_text,
        },
        "scores": [],
    }


def _trace(id: str, kept: str) -> Record:
    """The trace it belongs to, and the caller's span in it if it came with one."""
    parent = tracecontext.parse(kept)
    return {"id": tracecontext.trace_of(id, kept), "parent": None if parent is None else parent.span}


def _prompt(stages: list[Record]) -> Record:
    """Which version of which prompt was filled, as the step that did it noted."""
    found = next((one["notes"].get("prompt") for one in stages if one["step"] == "template"), None)
    return found if isinstance(found, dict) else {"name": None, "version": None}


def shown_usage(usage: Usage) -> Record:
    """Usage in a record: what most models never count stands there only where it is not 0."""
    usual = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "estimated")
    return {name: value for name, value in plain(usage).items() if value or name in usual}


def _attempt(one: Attempt) -> Record:
    shown: Record = {"target": one.target, "status": one.status, "error": one.error, "ms": _ms(one.ns)}
    if one.usage is not None:  # it is paid for, though its answer was not given
        shown |= {"usage": shown_usage(one.usage), "cost_usd": dollars(one.cost_nano_usd)}
    return shown


def _ms(ns: int) -> float:
    return round(ns / 1_000_000, 4)


def _stage(step: Record) -> Record:
    return {
        "stage": step["stage"],
        "step": step["step"],
        "ms": _ms(step["ns"]),
        "outcome": step["outcome"],
        "changes": step["changes"],
        "notes": step["notes"],
        "verdicts": step["verdicts"],
    }


def _language(row: Row, body: Body, messages: list[Any], detect: Detect | None) -> Record | None:
    if row.language is not None:
        return {"code": row.language, "confidence": body.confidence}
    newest = next((one.text for one in reversed(texts_of(messages)) if one.role == "user"), None)
    if detect is None or not newest:
        return None
    code, confidence = detect(newest)
    return {"code": code, "confidence": confidence}


def _usage(row: Row) -> Usage:
    return Usage(
        input_tokens=row.input_tokens or 0,
        output_tokens=row.output_tokens or 0,
        estimated=bool(row.flags & ESTIMATED),
    )


def surface_of(row: Row) -> str:
    """What an exchange came through."""
    place = row.flags >> SURFACE_BIT
    return SURFACES[place] if place < len(SURFACES) else "chat"


def _cache(row: Row) -> str:
    if row.outcome != "cached":
        return "miss"
    return "semantic" if row.flags & SEMANTIC else "hit"


def _timing(row: Row) -> dict[str, float]:
    tokens = row.output_tokens or 0
    if row.first_token_us and tokens > 1:
        per_token = (row.total_us - row.first_token_us) / (tokens - 1)
    else:
        per_token = (row.total_us - row.overhead_us) / tokens if tokens else 0.0
    return {
        "total": round(row.total_us / 1000, 4),
        "overhead": round(row.overhead_us / 1000, 4),
        "first_token": round(row.first_token_us / 1000, 4),
        "per_output_token": round(max(per_token, 0.0) / 1000, 4),
    }


def search_text(body: Body, limit: int = 50_000) -> str:
    """What a search looks at: the answer, then what came, newest first, up to `limit` characters."""
    texts = [one.text for one in texts_of(messages_of(body.request))]
    replies = [body.reply_raw] if body.reply_text is None else [body.reply_text, body.reply_raw]
    return "\n".join([*replies, *reversed(texts)])[:limit]
