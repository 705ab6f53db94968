"""From the exchange to what is kept of it, and to the record that is shown.

`row_of` and `body_of` are what the recorder stores; `to_record` builds the whole record at once, unredacted,
for answers to the caller whose text it is.
"""

from collections.abc import Mapping

from greenroom.exchange import SURFACES, Exchange
from greenroom.store.by_prompt import tag_of
from greenroom.store.material import (
    ESTIMATED,
    SEMANTIC,
    STREAMED,
    SURFACE_BIT,
    Body,
    Detect,
    Record,
    Row,
    plain,
    record_of,
)

_new = tuple.__new__
"""Makes a NamedTuple for an eighth of the cost of calling its class."""


def to_record(exchange: Exchange, detect: Detect | None = None) -> Record:
    """The record of SPEC, section 7, with every text as it was: not for storing.

    `detect` (text → language code, confidence) names the language when no step did.
    """
    body = body_of(exchange)
    body.recalled = plain(body.recalled)
    return record_of(row_of(exchange), body, detect)


def row_of(exchange: Exchange, flags: int = 0) -> Row:
    """The narrow part. `flags` are added to what the exchange itself says."""
    caller, usage = exchange.caller, exchange.usage
    if exchange.request.stream:
        flags |= STREAMED
    if exchange.surface != "chat":
        flags |= SURFACES.index(exchange.surface) << SURFACE_BIT
    if exchange.outcome == "cached" and exchange.context.get("cache") == "semantic":
        flags |= SEMANTIC
    if usage is not None and usage.estimated:
        flags |= ESTIMATED
    total_us = exchange.total_ns // 1000
    return _new(Row, (
        exchange.id,
        exchange.created_ns,
        caller.project,
        caller.key_id,
        exchange.app,
        exchange.asked,
        exchange.target,
        exchange.outcome,
        exchange.status,
        exchange.session,
        exchange.user,
        None if exchange.language is None else exchange.language[0],
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.output_tokens,
        exchange.cost_nano_usd,
        total_us,
        max(0, total_us - exchange.model_ns // 1000),
        exchange.first_token_ns // 1000,
        flags,
    ))  # fmt: skip


def body_of(exchange: Exchange) -> Body:
    """The wide part; shares the exchange's own lists, so encode it before anything goes on changing them.

    What was sent is known by its messages, which only steps change: without steps it is as it came.
    """
    raw, text, sent = exchange.reply_raw, exchange.reply_text, exchange.sent
    came, usage, language = exchange.request.raw, exchange.usage, exchange.language
    if (
        usage is not None
        and usage.is_plain
        and not (usage.cached_tokens or usage.reasoning_tokens or usage.service_tier)
    ):
        usage = None  # the row says it all
    return Body(
        came,
        b"" if sent is None or sent is came or not exchange.steps else sent,
        raw[0] if len(raw) == 1 else "\n\n".join(raw),
        None if text == raw else "\n\n".join(text),
        exchange.steps,
        exchange.entities,
        exchange.passages,
        exchange.recalled,
        exchange.attempts,
        exchange.tags,
        exchange.why,
        usage,
        exchange.finish_reason,
        exchange.error,
        0.0 if language is None else language[1],
        (0, 0),
        exchange.context.get("dropped", []),  # type: ignore[arg-type]  # a list of names wherever it is set
        exchange.trace,
    )


def without_shared(body: Body) -> None:
    """Cut `sent` to what it does not share with `request`: mostly the model's name alone."""
    came, sent = body.request, body.sent
    start = came.find(b'"messages"')
    if start >= 0 and sent.endswith(came[start:]):
        tail = len(came) - start
        body.sent, body.shared = sent[:-tail], (0, tail)
        return
    end = came.rfind(b'"model"')
    if 0 < end < len(sent) and sent.startswith(came[:end]):
        body.sent, body.shared = sent[end:], (end, 0)


def tags_of(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Tags as lists are filtered by them: `key=value`."""
    return tuple([key + "=" + value for key, value in tags.items()]) if tags else ()


def version_of(exchange: Exchange) -> str:
    """The tag of the version of a prompt that was filled; "" where none was. It is always the first step."""
    first = exchange.steps[0]
    found = first.notes.get("prompt") if first.step == "template" else None
    if not isinstance(found, dict) or first.outcome != "changed":
        return ""
    return tag_of(str(found["name"]), int(found["version"]))
