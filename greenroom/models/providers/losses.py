"""What a provider could not carry, noted in the exchange: `x-greenroom-dropped` and the record tell it."""

from collections.abc import Sequence

from greenroom.exchange import Exchange

LOST_BEFORE = "dropped.before"
"""Where an exchange's context keeps what was lost before any provider was asked."""


def note_lost(exchange: Exchange, lost: Sequence[str], *, more: bool = False) -> None:
    """Name what this target can't carry, behind what the front could not; `more` adds to what it named."""
    context = exchange.context
    by_front = context.setdefault(LOST_BEFORE, context.get("dropped", []))
    assert isinstance(by_front, list)
    before = context.get("dropped", []) if more else by_front
    assert isinstance(before, list)
    names = list(dict.fromkeys([*before, *lost]))
    if names:
        context["dropped"] = names
    else:
        context.pop("dropped", None)


def is_native(exchange: Exchange) -> bool:
    """Whether the exchange came through another front, which understands the neutral extensions."""
    return exchange.surface != "chat"
