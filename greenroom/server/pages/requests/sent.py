"""What the provider got, message by message, with the passages that stand in it marked."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.record import PassageView, Record, message_text

_LONGEST = 12_000
_MOST = 60


class Stretch(NamedTuple):
    """A stretch of a message; `passage` is the place in the list of passages from 1, or 0."""

    runs: list[Run]
    passage: int


class Message(NamedTuple):
    """One message as it was sent."""

    role: str
    stretches: list[Stretch]
    left_out: int
    is_added: bool
    """Greenroom put it in: it did not come with the request."""
    calls: str
    """Calls of tools, as JSON."""


class Parameter(NamedTuple):
    """One field of the body beside the messages."""

    name: str
    value: str


def messages(record: Record) -> tuple[list[Message], int]:
    """Return the messages that were sent, and how many earlier ones are left out."""
    body = record.sent if record.sent is not None else record.request
    found = body.get("messages") if isinstance(body, dict) else None
    found = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    came = record.request.get("messages") if isinstance(record.request, dict) else None
    came = [one for one in came if isinstance(one, dict)] if isinstance(came, list) else []
    added = _added(came, found)
    shown = [
        _message(one, record.passages, is_added=is_added)
        for one, is_added in list(zip(found, added, strict=True))[-_MOST:]
    ]
    return shown, max(len(found) - _MOST, 0)


def parameters(body: str) -> list[Parameter]:
    """Return the fields of a body as it was sent, its messages aside."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return []
    return [
        Parameter(name, _short(value)) for name, value in fields.items() if name not in ("messages", "input")
    ][:40]


def _added(came: Sequence[dict[str, Any]], sent: Sequence[dict[str, Any]]) -> list[bool]:
    """Which were put in: those that neither came as they are nor stand for one of their role that did."""
    kept = Counter(map(_digest, sent))
    changed = Counter(str(one.get("role")) for one in came if not kept[_digest(one)])
    known = {_digest(one) for one in came}
    found = []
    for one in sent:
        role = str(one.get("role"))
        is_changed = _digest(one) not in known and changed[role] > 0
        changed[role] -= is_changed
        found.append(_digest(one) not in known and not is_changed)
    return found


def _message(one: dict[str, Any], passages: Sequence[PassageView], *, is_added: bool) -> Message:
    text = message_text(one)
    calls = one.get("tool_calls")
    return Message(
        str(one.get("role", "")),
        _stretches(text[:_LONGEST], passages),
        max(len(text) - _LONGEST, 0),
        is_added,
        _short(calls, 2_000) if calls else "",
    )


def _stretches(text: str, passages: Sequence[PassageView]) -> list[Stretch]:
    places = []
    for number, one in enumerate(passages[:50], 1):
        at = text.find(one.text) if one.text else -1
        if at >= 0:
            places.append((at, at + len(one.text), number))
    found: list[Stretch] = []
    at = 0
    for start, end, number in sorted(places):
        if start < at:
            continue
        if start > at:
            found.append(Stretch(runs(text[at:start]), 0))
        found.append(Stretch(runs(text[start:end]), number))
        at = end
    if at < len(text):
        found.append(Stretch(runs(text[at:]), 0))
    return found


def _short(value: Any, limit: int = 400) -> str:  # Any: JSON
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[:limit] + "…"


def _digest(one: Any) -> str:  # Any: a message as the caller wrote it
    return json.dumps(one, sort_keys=True, default=str)
