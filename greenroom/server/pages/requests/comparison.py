"""Two requests side by side: their facts, and what differs between their texts."""

from typing import NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.diff import Piece, compare_words, pieces
from greenroom.server.pages.record import Record, message_text

_LONGEST = 20_000


class Fact(NamedTuple):
    """One fact of both."""

    name: str
    one: str
    other: str
    differs: bool


class Text(NamedTuple):
    """One text of both: what leads from the first to the second."""

    title: str
    pieces: list[Piece]
    is_same: bool
    left_out: int


def facts(one: Record, other: Record) -> list[Fact]:
    """Return the facts in the order in which people ask for them."""
    rows = [
        ("Outcome", one.outcome, other.outcome),
        ("App", one.app, other.app),
        ("Answered by", one.model.used or "–", other.model.used or "–"),
        ("Total", figures.duration(one.timing_ms.total), figures.duration(other.timing_ms.total)),
        ("Our overhead", figures.duration(one.timing_ms.overhead),
         figures.duration(other.timing_ms.overhead)),
        ("First token", figures.duration(one.timing_ms.first_token or None),
         figures.duration(other.timing_ms.first_token or None)),
        ("Cost", figures.dollars(one.cost_usd), figures.dollars(other.cost_usd)),
        ("Tokens in", _tokens(one, "input_tokens"), _tokens(other, "input_tokens")),
        ("Tokens out", _tokens(one, "output_tokens"), _tokens(other, "output_tokens")),
        ("Prompt", _prompt(one), _prompt(other)),
        ("Passages", _passages(one), _passages(other)),
        ("Findings", _findings(one), _findings(other)),
        ("Finish", one.finish_reason or "–", other.finish_reason or "–"),
        ("When", figures.clock(one.created_at), figures.clock(other.created_at)),
    ]  # fmt: skip
    return [Fact(name, left, right, left != right) for name, left, right in rows]


def texts(one: Record, other: Record) -> list[Text]:
    """Return what differs in what came, what was sent and what went out."""
    pairs = [
        ("Came in", one.newest_user()[1], other.newest_user()[1]),
        ("Sent to the model", _sent(one), _sent(other)),
        ("Went out", _reply(one), _reply(other)),
    ]
    return [_text(title, left, right) for title, left, right in pairs]


def _text(title: str, left: str, right: str) -> Text:
    cut_left, cut_right = left[:_LONGEST], right[:_LONGEST]
    left_out = max(len(left), len(right)) - _LONGEST
    return Text(title, pieces(cut_left, compare_words(cut_left, cut_right)), left == right, max(left_out, 0))


def _sent(record: Record) -> str:
    body = record.sent if record.sent is not None else record.request
    found = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(found, list):
        return ""
    return "\n\n".join(f"[{m.get('role')}] {message_text(m)}" for m in found if isinstance(m, dict))


def _reply(record: Record) -> str:
    return (record.reply.text or record.reply.raw or "") if record.reply else ""


def _tokens(record: Record, name: str) -> str:
    return figures.count(getattr(record.usage, name)) if record.usage else figures.NONE


def _prompt(record: Record) -> str:
    if record.prompt is None or not record.prompt.name:
        return figures.NONE
    return f"{record.prompt.name}@{record.prompt.version}"


def _passages(record: Record) -> str:
    return ", ".join(one.title or one.id for one in record.passages[:20]) or figures.NONE


def _findings(record: Record) -> str:
    return ", ".join(dict.fromkeys(f"{v.rule} ({v.action})" for v in record.all_verdicts[:20])) or "none"
