"""What each target has done as our own exchanges saw it: calls, errors, tokens, and how fast they came.

Counted when an exchange ends, so that a target of any provider has the same figures. Knows no provider.
"""

from bisect import bisect_left
from collections import deque
from statistics import median
from typing import Any

from msgspec import Struct, field

from greenroom.exchange import Exchange

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of times to the first token."""
MOST_TARGETS = 1000
"""Clients choose names of models; calls of more targets than this are counted together, as `OTHERS`."""
OTHERS = "others"
RECENT = 100
"""Exchanges that medians are of."""
_NS = 1_000_000_000


class Figures(Struct, eq=False):
    """One target since the start of the process."""

    answered: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """Calls that failed, by the error's code."""
    input_tokens: int = 0
    output_tokens: int = 0
    output_s: float = 0.0
    """In which they came: of a stream from its first content on, of a whole answer the call."""
    firsts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """Streams by the time to their first content."""
    firsts_s: float = 0.0
    recent_first_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    recent_rate: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def facts(self) -> dict[str, Any]:  # Any: JSON
        """For people. Seconds and rates are medians of the last hundred exchanges."""
        failed = sum(self.errors.values())
        return {
            "answered": self.answered,
            "failed": failed,
            "errors": dict(sorted(self.errors.items())),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "first_token_ms": _median(self.recent_first_s, 1000),
            "tokens_per_second": _median(self.recent_rate, 1),
        }


class ModelFigures:
    """Figures of all targets of one process."""

    def __init__(self) -> None:
        self.by_target: dict[str, Figures] = {}

    def took(self, exchange: Exchange) -> None:
        """Count an exchange that has ended. Cost: about a microsecond."""
        target, last = exchange.target, None
        for one in exchange.attempts:
            if one.target == target:
                last = one
            if one.error is not None:
                figures = self._of(one.target)
                figures.errors[one.error] = figures.errors.get(one.error, 0) + 1
        if last is None or last.error is not None:
            return
        figures = self._of(last.target)
        figures.answered += 1
        seconds = last.ns / _NS
        if exchange.request.stream:
            figures.firsts[bisect_left(BOUNDS_S, seconds)] += 1
            figures.firsts_s += seconds
            figures.recent_first_s.append(seconds)
            seconds = max(0, exchange.total_ns - exchange.first_token_ns) / _NS
        usage = exchange.usage
        if usage is None:
            return
        figures.input_tokens += usage.input_tokens
        figures.output_tokens += usage.output_tokens
        figures.output_s += seconds
        if usage.output_tokens > 1 and seconds > 0:
            figures.recent_rate.append(usage.output_tokens / seconds)

    def _of(self, target: str) -> Figures:
        figures = self.by_target.get(target)
        if figures is None:
            name = target if len(self.by_target) < MOST_TARGETS else OTHERS
            figures = self.by_target.setdefault(name, Figures())
        return figures


def _median(values: deque[float], times: float) -> float | None:
    return round(median(values) * times, 1) if values else None
