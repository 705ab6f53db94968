"""Histograms with fixed bounds: they add up over processes, minutes and groups, and give percentiles.

The bounds hold those of OpenTelemetry's GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/)
and more between them, so that a percentile is at most a fifth off, and their buckets can be told exactly.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

DURATIONS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""What OpenTelemetry counts durations of operations by, in seconds."""
FIRST_TOKENS_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
"""What it counts the time to the first token by."""
PER_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""What it counts the time for each further token by."""
TOKENS = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
"""What it counts tokens by."""


def _between(bounds: Sequence[float]) -> tuple[float, ...]:
    """The bounds, and the geometric middle of each two that follow each other."""
    return tuple(sorted({*bounds, *(round((low * high) ** 0.5, 6) for low, high in pairwise(bounds))}))


_SHORT_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005)
TOTAL = _between((*_SHORT_S, *DURATIONS_S, 163.84, 327.68, 655.36))
"""Bounds of whole requests, in seconds."""
OVERHEAD = _between((*_SHORT_S, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))
"""Bounds of the part of a request that is no model's, in seconds."""
FIRST_TOKEN = tuple(sorted({*FIRST_TOKENS_S, *DURATIONS_S, 0.002, 0.15}))
"""Bounds of the time to the first token, in seconds: all of both lists."""
PER_TOKEN = tuple(sorted({0.0005, 0.001, 0.002, 0.0035, 0.005, 0.007, *_between(PER_TOKEN_S), *DURATIONS_S}))
"""Bounds of the time for each further token, in seconds."""
SIZES = _between(TOKENS)
"""Bounds of tokens in one request."""


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
