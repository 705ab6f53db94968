"""Finished exchanges to store, made without a gateway."""

from collections.abc import Mapping
from typing import Any

from greenroom.exchange import Attempt, Caller, Edit, Exchange, StepRecord, Verdict
from greenroom.gateway.record import body_of, row_of, tags_of
from greenroom.store.material import encode_body
from greenroom.store.traces import Entry
from greenroom.usage import Usage
from greenroom.wire.openai import encode
from greenroom.wire.openai_request import parse_chat, render_chat

CPF = "123.456.789-09"
START_NS = 1_760_000_000_000_000_000


def make_exchange(
    id: str,
    text: str = "What is the capital of Norway?",
    reply: str = "Oslo.",
    *,
    project: str = "default",
    app: str = "default",
    asked: str = "fast",
    session: str | None = None,
    user: str | None = None,
    tags: Mapping[str, str] | None = None,
    outcome: Any = "answered",  # Any: one of the waist's words
    created_ns: int | None = None,
) -> Exchange:
    raw = encode({"model": asked, "messages": [{"role": "user", "content": text}]})
    exchange = Exchange(id, Caller(key_id="key_1", project=project), parse_chat(raw), app)
    exchange.session, exchange.user, exchange.tags = session, user, dict(tags or {})
    exchange.steps.append(StepRecord("preprocess", "clean", ns=41_234))
    exchange.target, exchange.why = "openai/small", "first of its route"
    exchange.attempts.append(Attempt(target="openai/small", status=200, ns=4_000_000))
    exchange.reply_raw, exchange.reply_text = [reply], [reply]
    exchange.usage = Usage(input_tokens=9, output_tokens=3)
    exchange.cost_nano_usd = 123_000
    exchange.outcome, exchange.finish_reason = outcome, "stop"
    exchange.total_ns, exchange.model_ns, exchange.first_token_ns = 5_000_000, 4_000_000, 1_000_000
    if created_ns is not None:
        exchange.created_ns = created_ns
    return exchange


def make_masked(
    id: str, value: str = CPF, mask: str = "<CPF_1>", *, before: str = "My number is "
) -> Exchange:
    """A prompt with a sensitive value that was masked before it was sent, and put back in the answer."""
    exchange = make_exchange(id, f"{before}{value}, thanks.", f"Noted: {mask}.")
    exchange.reply_text = [f"Noted: {value}."]
    text = exchange.request.texts[0]
    start = len(before)
    end = start + len(value)
    record = StepRecord("check", "pii", ns=10_000, outcome="changed")
    record.changes.append(text.edit([Edit(start=start, end=end, text=mask, reason="personal data")]))
    record.verdicts.append(
        Verdict(
            step="pii", rule="br.cpf", category="personal_data", severity=2, score=1.0, start=start, end=end,
            where="input", action="mask", index=0,
        )
    )  # fmt: skip
    exchange.steps.append(record)
    exchange.redactions[value] = mask
    exchange.masks[mask] = value
    exchange.sent = render_chat(exchange.request)
    return exchange


def entry_of(exchange: Exchange) -> Entry:
    """What the recorder would store, without redaction."""
    return Entry(row_of(exchange), encode_body(body_of(exchange)), tags_of(exchange.tags))
