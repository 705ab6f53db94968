"""From an exchange that has ended to the ledger's lines: who is charged, for which calls, and how much."""

from collections.abc import Mapping

import msgspec

from greenroom.exchange import Exchange
from greenroom.gateway.redact import Redactor, redact_tags
from greenroom.store.lines import ANSWER, ESTIMATED, EXTRA, UNPRICED, Account, Line, given_of
from greenroom.usage import Usage

_new = tuple.__new__  # a NamedTuple's class costs eight times as much
_encode = msgspec.json.Encoder().encode


def lines_of(exchange: Exchange) -> list[Line]:
    """A line for each call that is paid for."""
    usage, attempts = exchange.usage, exchange.attempts
    if len(attempts) > 1:
        paid = [one for one in attempts if one.usage is not None]
        if paid:
            given = given_of(paid)
            return [
                _line(exchange, one.target, one.usage, one.cost_nano_usd, ANSWER if one is given else EXTRA)
                for one in paid
                if one.usage is not None
            ]
    if usage is None:
        return []
    return [_line(exchange, exchange.target or attempts[-1].target, usage, exchange.cost_nano_usd, ANSWER)]


def at_most(lines: list[Line], reserved: int) -> list[Line]:
    """The same lines; one whose cost can't be known costs what was reserved, less what the others do cost.

    So an answer under a tier without a published price is not free to the budget that counts it.
    """
    left = max(0, reserved - sum([line.cost_nano for line in lines]))
    out = []
    for line in lines:
        is_priced = not line.flags & UNPRICED
        out.append(line if is_priced else line._replace(cost_nano=left, flags=ESTIMATED))
        left = left if is_priced else 0
    return out


def _line(exchange: Exchange, target: str, usage: Usage, cost: int | None, kind: int) -> Line:
    flags = ESTIMATED if usage.estimated else 0
    if cost is None:
        flags |= UNPRICED
        cost = 0
    return _new(Line, (
        exchange.created_ns,
        exchange.id,
        account_of(exchange, target),
        kind,
        cost,
        flags,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
        usage.service_tier,
    ))  # fmt: skip


def account_of(exchange: Exchange, target: str) -> Account:
    """Who is charged for a call. Names that hold personal data have the same stand-ins as in traces."""
    caller, user, tags = exchange.caller, exchange.user, exchange.tags
    told = "[]"
    if user or tags:
        named: Mapping[str, str] = tags
        if exchange.redactions:
            user = Redactor(exchange.redactions).name(user)
            named = redact_tags(tags, exchange.redactions)
        told = _encode(sorted([f"{name}={value}" for name, value in named.items()])).decode()
    return _new(Account, (caller.project, caller.key_id, exchange.app, target, user or "", told))
