"""Where the money of one request went: what each kind of tokens cost, and calls that gave nothing."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.requests.backend import CostPart


class Part(NamedTuple):
    """One part of the whole; `x` and `width` in percent, ready for an SVG attribute."""

    name: str
    tone: str
    tokens: str
    usd: str
    share: str
    x: str
    width: str


class Money(NamedTuple):
    """The whole and its parts, the dearest first."""

    usd: str
    parts: list[Part]
    per_answer_token: str


_TONES = {"input": "input", "cached input": "cached", "cache writes": "written", "output": "output",
          "reasoning": "reasoning"}  # fmt: skip


def money(trace: dict[str, Any], costs: Sequence[CostPart]) -> Money | None:  # Any: JSON of a record
    """Return the parts; None where nothing was paid or nothing is known."""
    whole = _decimal(trace.get("cost_usd"))
    if not whole:
        return None
    lost = [
        (one.get("target", ""), _decimal(one.get("cost_usd"))) for one in trace["model"].get("attempts", ())
    ]
    abandoned = sum((usd for _, usd in lost), Decimal(0))
    answer = whole - abandoned
    named: list[tuple[str, str, int | None, Decimal]] = [
        (one.name, _TONES.get(one.name, "input"), one.tokens, answer * Decimal(one.share)) for one in costs
    ]
    if not named:
        named = [("the answer", "output", None, answer)]
    if abandoned:
        named.append(("calls without an answer", "failed", None, abandoned))
    parts = []
    at = 0.0
    for name, tone, tokens, usd in named:
        share = float(usd / whole)
        parts.append(
            Part(name, tone, figures.count(tokens), figures.dollars(str(usd)), figures.share(share),
                 f"{at * 100:.2f}%", f"{max(share * 100, 0.4):.2f}%")
        )  # fmt: skip
        at += share
    used = trace.get("usage") or {}
    out = used.get("output_tokens") or 0
    return Money(figures.dollars(str(whole)), parts, figures.dollars(str(whole / out * 1000)) if out else "")


def _decimal(text: Any) -> Decimal:  # Any: JSON
    try:
        found = Decimal(text) if isinstance(text, str) else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
