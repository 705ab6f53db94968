"""Where the time of one request went: our own steps on their own scale, the provider on its own.

A step takes microseconds and a model seconds; on one scale the steps would not be seen at all.
"""

from typing import NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.record import Record

_MOST_ROWS = 300
_LEAST_WIDTH = 0.6
"""Percent of the track that the shortest bar still takes, so that it can be seen."""


class Bar(NamedTuple):
    """One line: `x` and `width` in percent of its track, ready for an SVG attribute."""

    label: str
    tone: str
    x: str
    width: str
    time: str
    outcome: str = ""


class Lane(NamedTuple):
    """Bars that share one scale; `tick` marks the first token, in percent."""

    bars: list[Bar]
    total: str
    tick: str | None = None
    left_out: int = 0


class Waterfall(NamedTuple):
    """Own work and provider, and how they share the whole; shares in percent."""

    own: Lane
    provider: Lane
    own_width: str
    own_share: str
    provider_share: str
    first_token: str


def waterfall(record: Record) -> Waterfall:
    """Return the bars of one record.

    Steps run one after another, so each begins where the one before it ended. What remains of the measured
    overhead (reading, routing, writing) is the last bar.
    """
    timing = record.timing_ms
    worked = sum(step.ms for step in record.stages)
    own = max(timing.overhead or 0.0, worked)
    tried = sum(attempt.ms for attempt in record.model.attempts)
    waited = max((timing.total or 0.0) - own, 0.0) if record.model.is_called else 0.0
    provider = max(waited, tried)
    whole = own + provider
    return Waterfall(
        own=_own_lane(record, own, worked),
        provider=_provider_lane(record, provider),
        own_width=_percent(own, whole),
        own_share=figures.share(own / whole) if whole else figures.NONE,
        provider_share=figures.share(provider / whole) if whole else figures.NONE,
        first_token=figures.duration(timing.first_token),
    )


def _own_lane(record: Record, own: float, worked: float) -> Lane:
    bars: list[Bar] = []
    at = 0.0
    for step in record.stages[:_MOST_ROWS]:
        tone = step.stage if step.stage in TONES else "other"
        bars.append(_bar(step.step, tone, at, step.ms, own, step.outcome))
        at += step.ms
    rest = own - worked
    if rest > 0.0005:
        bars.append(_bar("everything else", "other", at, rest, own))
    return Lane(bars, figures.duration(own), left_out=max(len(record.stages) - _MOST_ROWS, 0))


TONES = frozenset({"preprocess", "ground", "check", "postprocess"})


def _provider_lane(record: Record, provider: float) -> Lane:
    bars: list[Bar] = []
    at = 0.0
    calls = [one for one in record.model.attempts if one.is_call]
    for attempt in calls[:50]:
        is_good = attempt.error is None and (attempt.status is None or attempt.status < 400)
        bars.append(
            _bar(attempt.target, "model" if is_good else "failed", at, attempt.ms, provider,
                 "" if is_good else "failed")
        )  # fmt: skip
        at += attempt.ms
    first = record.timing_ms.first_token
    tick = None
    if bars and provider and first:
        before = sum(step.ms for step in record.stages if step.stage != "postprocess")
        tick = f"{min(max((first - before) / provider * 100, 0.0), 100.0):.2f}%"
    return Lane(bars, figures.duration(provider), tick, max(len(calls) - 50, 0))


def _bar(label: str, tone: str, at: float, ms: float, whole: float, outcome: str = "") -> Bar:
    width = max(ms / whole * 100 if whole else 0.0, _LEAST_WIDTH)
    x = min(at / whole * 100 if whole else 0.0, 100.0 - width)
    return Bar(label, tone, f"{max(x, 0.0):.2f}%", f"{min(width, 100.0):.2f}%", figures.duration(ms), outcome)


def _percent(part: float, whole: float) -> str:
    if not whole:
        return "0%"
    return f"{max(part / whole * 100, 0.4 if part else 0.0):.2f}%"
