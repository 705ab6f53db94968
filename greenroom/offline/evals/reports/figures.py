"""How reports write figures, the same in all forms."""

from greenroom.offline.evals.comparison import FEWEST, Change, Metric
from greenroom.offline.evals.statistics import Estimate

_MINUS = "−"
LARGEST = 100
"""Effects beyond it are of differences that are all alike: their size says nothing more."""


def figure(value: float, unit: str) -> str:
    """A value of a metric: 0.812, 1,240 ms, $0.0012."""
    if unit == "ms":
        return _signed(f"{value:,.0f} ms")
    if unit == "usd":
        return f"{_MINUS if value < 0 else ''}${abs(value):.3g}"
    return _signed(f"{value:.3f}")


def spread(found: Estimate, unit: str) -> str:
    """An interval: 0.771 to 0.846."""
    return f"{figure(found.low, unit)} to {figure(found.high, unit)}"


def mean_of(metric: Metric) -> str:
    """A metric's mean, or a dash."""
    return "–" if metric.mean is None else figure(metric.mean.value, metric.kind.unit)


def without_value(metric: Metric) -> str:
    """What has no value, and why; empty where all have one."""
    counts = ((metric.failed, "failed"), (metric.errors, "not judged"), (metric.abstained, "abstained"))
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def difference_of(change: Change) -> str:
    """New minus old with its sign."""
    value = figure(change.difference.value, change.kind.unit)
    return value if change.difference.value < 0 else f"+{value}"


def spread_of(change: Change) -> str:
    """The interval of a difference."""
    unit = change.kind.unit
    return f"{figure(change.difference.low, unit)} to {figure(change.difference.high, unit)}"


def effect_of(change: Change) -> str:
    """The effect size with its name."""
    name = "g" if change.difference.test == "mcnemar" else "d"
    effect = change.difference.effect
    if abs(effect) > LARGEST:
        return f"{name} {f'> {LARGEST}' if effect > 0 else f'< {_MINUS}{LARGEST}'}"
    return f"{name} = {_signed(f'{effect:.2f}')}"


def p_of(value: float) -> str:
    """A p value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def standing(change: Change, alpha: float = 0.05) -> str:
    """What a change amounts to, in a word or a few."""
    if change.p_holm < alpha:
        return "better" if change.worsening < 0 else "worse"
    if change.is_bounded or (change.difference.error == 0 and change.difference.groups >= FEWEST):
        return "no change that matters"
    more = change.needed - change.difference.n
    return f"not decided: needs {more:,} more cases" if more > 0 else "not decided"


def _signed(text: str) -> str:
    return text.replace("-", _MINUS) if any(one in "123456789" for one in text) else text.replace("-", "")
