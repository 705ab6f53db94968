"""Metrics as OTLP carries them: sums and histograms, one point for each set of attributes.

All are cumulative since `start_ns`, as Prometheus and most collectors want them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from greenroom.wire.otlp.signals import Attributes, Origin
from greenroom.wire.semconv import Metric

CUMULATIVE = 2
"""The protocol's number for sums since a start."""


class Total(NamedTuple):
    """One point of a counter."""

    attributes: Attributes
    value: int | float


class Spread(NamedTuple):
    """One point of a histogram; `counts` has one more than the metric's bounds."""

    attributes: Attributes
    counts: Sequence[int]
    sum: float


class Points(NamedTuple):
    """One metric and all its points."""

    metric: Metric
    start_ns: int
    at_ns: int
    totals: Sequence[Total] = ()
    spreads: Sequence[Spread] = ()


class Measured(NamedTuple):
    """Metrics of one origin."""

    origin: Origin
    metrics: Sequence[Points]
