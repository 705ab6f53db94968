"""Histograms with fixed bounds: they add up over processes, minutes and groups, and give percentiles.

The bounds hold those of OpenTelemetry's GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/)
and more between them, so that percentiles are nearer and their buckets can still be told exactly. A
percentile is off by less than its bucket is wide: 1.41 times for whole requests, up to 2.5 times elsewhere.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

from greenroom.wire.semconv import (
    DURATION_BOUNDS,
    FIRST_TOKEN_BOUNDS,
    PER_TOKEN_BOUNDS,
    STEP_BOUNDS,
    TOKEN_BOUNDS,
)


def _between(bounds: Iterable[float]) -> tuple[float, ...]:
    """The bounds, and the geometric middle of each two that follow each other."""
    some = sorted(bounds)
    return tuple(sorted({*some, *(round((low * high) ** 0.5, 6) for low, high in pairwise(some))}))


_SHORT_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005)
TOTAL = _between((*_SHORT_S, *DURATION_BOUNDS, 163.84, 327.68, 655.36))
"""Bounds of whole requests, in seconds."""
OVERHEAD = tuple(sorted({*STEP_BOUNDS, *_SHORT_S, 0.02, 0.15, 0.5, 0.75, 2.5, 5.0, 10.0}))
"""Bounds of the part of a request that is no model's, in seconds."""
FIRST_TOKEN = tuple(sorted({*FIRST_TOKEN_BOUNDS, *DURATION_BOUNDS, 0.002, 0.15}))
"""Bounds of the time to the first token, in seconds."""
PER_TOKEN = tuple(sorted({0.0005, 0.001, 0.002, 0.0035, 0.005, 0.007, *_between(PER_TOKEN_BOUNDS)}))
"""Bounds of the time for each further token, in seconds."""
SIZES = _between(TOKEN_BOUNDS)
"""Bounds of tokens in one request."""
STEP = tuple(STEP_BOUNDS)
"""Bounds of one of our own steps, in seconds."""


class Histogram:
    """How often values fell up to each bound, and their sum. The last count is of all that lie above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(
        self, bounds: tuple[float, ...], counts: Sequence[int] | None = None, total: float = 0.0
    ) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1) if counts is None else list(counts)
        self.total = total

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Their mean; None without values."""
        count = self.count
        return self.total / count if count else None

    def put(self, value: float, times: int = 1) -> None:
        """Count a value, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def add(self, other: "Histogram") -> None:
        """Take in what another one counted. Its bounds are these."""
        if any(other.counts):
            self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
            self.total += other.total

    def percentile(self, q: float) -> float | None:
        """The value that a share `q` (0 to 1) of all values lie at or below; None without values.

        Even within a bucket, as Prometheus' `histogram_quantile` has it; above the last bound it is this.
        """
        count = self.count
        if not count:
            return None
        wanted, seen = q * count, 0
        for place, here in enumerate(self.counts):
            if here and seen + here >= wanted:
                if place == len(self.bounds):
                    return float(self.bounds[-1])
                low = self.bounds[place - 1] if place else 0.0
                return low + (self.bounds[place] - low) * max(0.0, wanted - seen) / here
            seen += here
        return float(self.bounds[-1])

    def up_to(self, bounds: Sequence[float]) -> list[int]:
        """How many values lie at or below each of some of its bounds, and last, how many there are.

        Raises: ValueError for a bound that is none of its own.
        """
        sums, seen = [], 0
        for here in self.counts:
            seen += here
            sums.append(seen)
        return [*(sums[self.bounds.index(one)] for one in bounds), seen]
