"""What rules look at: one figure of a window of time, and how people read it."""

from collections.abc import Callable

from greenroom.offline.alerts.settings import Metric
from greenroom.store.bucket import Bucket

PLAIN: frozenset[Metric] = frozenset(
    {
        "requests", "answered", "failed", "refused", "cancelled", "cached", "failed_share", "refused_share",
        "cached_share", "cost_usd", "cost_per_request_usd", "input_tokens", "output_tokens",
    }
)  # fmt: skip
"""Those that need no more of a bucket than its plain numbers."""
JUDGED_BY_SIZE: frozenset[Metric] = frozenset(
    {
        "failed_share", "refused_share", "cached_share", "cost_per_request_usd", "total_p50_ms",
        "total_p95_ms", "total_p99_ms", "first_token_p95_ms", "overhead_p99_ms",
    }
)  # fmt: skip
"""Those that say nothing of few requests."""

_OF: dict[str, Callable[[Bucket], float | None]] = {
    "requests": lambda one: one.requests,
    "answered": lambda one: one.answered,
    "failed": lambda one: one.failed,
    "refused": lambda one: one.refused,
    "cancelled": lambda one: one.cancelled,
    "cached": lambda one: one.cached,
    "failed_share": lambda one: _share(one.failed, one.requests),
    "refused_share": lambda one: _share(one.refused, one.requests),
    "cached_share": lambda one: _share(one.cached, one.requests),
    "cost_usd": lambda one: one.cost_nano / 1e9,
    "cost_per_request_usd": lambda one: _share(one.cost_nano / 1e9, one.priced),
    "input_tokens": lambda one: one.input_tokens,
    "output_tokens": lambda one: one.output_tokens,
    "total_p50_ms": lambda one: _ms(one.total.percentile(0.5)),
    "total_p95_ms": lambda one: _ms(one.total.percentile(0.95)),
    "total_p99_ms": lambda one: _ms(one.total.percentile(0.99)),
    "first_token_p95_ms": lambda one: _ms(one.first_token.percentile(0.95)),
    "overhead_p99_ms": lambda one: _ms(one.overhead.percentile(0.99)),
}


def figure(metric: Metric, window: Bucket, error: str | None = None) -> float | None:
    """The figure of a window; None where nothing in it has one. For `error`, how often that one came."""
    return window.errors.get(error or "", 0) if metric == "error" else _OF[metric](window)


def said(metric: Metric, value: float) -> str:
    """A figure as people read it."""
    if metric.endswith("_share"):
        return f"{100 * value:.3g} %"
    if metric.endswith("_usd"):
        return f"${value:,.2f}" if value >= 1 else f"${value:.4g}"
    if metric.endswith("_ms"):
        return f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"
    return f"{value:,.0f}"


def named(metric: Metric, error: str | None = None) -> str:
    """What a figure is called in a sentence."""
    if metric == "error":
        return f"the number of requests with the error {error}"
    return _NAMES[metric]


_NAMES: dict[Metric, str] = {
    "requests": "the number of requests",
    "answered": "the number of answered requests",
    "failed": "the number of failed requests",
    "refused": "the number of refused requests",
    "cancelled": "the number of cancelled requests",
    "cached": "the number of requests answered from the cache",
    "failed_share": "the share of requests that failed",
    "refused_share": "the share of requests that were refused",
    "cached_share": "the share of requests answered from the cache",
    "cost_usd": "the cost",
    "cost_per_request_usd": "the cost of one request",
    "input_tokens": "the number of input tokens",
    "output_tokens": "the number of output tokens",
    "total_p50_ms": "the median time of a request",
    "total_p95_ms": "the 95th percentile of the time of a request",
    "total_p99_ms": "the 99th percentile of the time of a request",
    "first_token_p95_ms": "the 95th percentile of the time to the first token",
    "overhead_p99_ms": "the 99th percentile of our own part of the time",
}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1_000 * seconds
