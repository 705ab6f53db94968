"""What an experiment shows now: each arm, each arm against the control, the guards, and whether shares hold.

Each unit counts once, by its first value: what one user gives again and again says less of the model than
of the user, and intervals that took it for news would be too narrow. Means over all exchanges stand beside.
A score that comes late counts for the arm that answered.
"""

from collections.abc import Mapping, Sequence
from math import gcd, isfinite
from typing import Any, NamedTuple

from msgspec import Struct

from greenroom.offline.experiments.plan import CONTROL, ExperimentConfig, Side, higher_is_better
from greenroom.offline.experiments.sequential import (
    MISMATCH,
    Differences,
    Interval,
    Moments,
    asymptotic,
    share_evidence,
)
from greenroom.store.observations import Seen
from greenroom.store.scores import MEASURED

BOUNDED = "betting"
"""Intervals that hold at every sample size."""
ASYMPTOTIC = "asymptotic"
"""Intervals that hold as numbers grow."""
_LARGEST_BLOCK = 20
_WITHOUT_BOUNDS = frozenset({"cost", "latency", "tokens"})
_GIVEN = frozenset({"answered", "cached"})


class Measure(NamedTuple):
    """One metric: its name, its bounds, and which side is good."""

    metric: str
    low: float = 0.0
    high: float | None = None
    better: Side | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether intervals hold at every sample size."""
        return self.high is not None or self.metric not in _WITHOUT_BOUNDS

    @property
    def top(self) -> float:
        """The upper bound, where there are bounds."""
        return 1.0 if self.high is None else self.high

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if higher_is_better(self.metric, self.better) else -1

    def of(self, seen: Seen) -> tuple[int, float] | None:
        """A value and its place among all values of the metric; None where this exchange has none."""
        if self.metric in MEASURED:
            value = _measured(self.metric, seen)
            found = None if value is None else (seen.seq, value)
        else:
            found = seen.scores.get(self.metric)
        if found is None or not self.is_bounded:
            return found
        return found[0], min(max(found[1], self.low), self.top)


def _measured(metric: str, seen: Seen) -> float | None:
    if metric in ("refused", "failed"):
        return None if seen.outcome == "cancelled" else float(seen.outcome == metric)
    if metric == "cost":
        return None if seen.cost_nano is None else seen.cost_nano / 1e9
    if seen.outcome not in _GIVEN:
        return None
    return seen.total_us / 1000 if metric == "latency" else seen.tokens


class Comparison(Struct, kw_only=True, frozen=True, omit_defaults=False):
    """One arm against the control, by one metric. Infinite bounds are None."""

    arm: str
    metric: str
    difference: float | None
    """The arm's mean less the control's, of the values that were compared."""
    low: float | None
    high: float | None
    method: str
    verdict: str
    """`better`, `worse` or `undecided`."""


class Guarded(Struct, kw_only=True, frozen=True):
    """One guard on one arm; `is_broken`: it surely is worse than the control by more than the limit."""

    arm: str
    metric: str
    limit: float
    difference: float | None
    low: float | None
    high: float | None
    is_broken: bool


class ArmSeen(Struct, kw_only=True, frozen=True):
    """What one arm gave. Means are over all exchanges; None where there is no value."""

    arm: str
    share: float
    exchanges: int
    units: int
    valued: int
    """Units with a value of the metric."""
    mean: float | None
    """The metric's, over these units."""
    refused: float | None
    failed: float | None
    cost_usd: float | None
    latency_ms: float | None
    tokens: float | None
    is_shadow: bool = False


class Report(Struct, kw_only=True, frozen=True):
    """The whole of it."""

    arms: list[ArmSeen]
    comparisons: list[Comparison]
    guards: list[Guarded]
    share_p: float
    """Anytime-valid: below 0.001 the numbers of units don't fit the shares."""
    is_mismatched: bool
    winner: str | None
    """The arm that surely is better than the control; the best of several."""
    is_lost: bool
    """Whether every arm surely is worse."""


def report(plan: ExperimentConfig, seen: Mapping[str, Sequence[Seen]]) -> Report:
    """Everything that may be said now. `seen`: what each arm gave, in the order in which it ended."""
    shares = plan.shares
    rivals = [name for name in shares if name != CONTROL]
    measure = Measure(plan.metric, plan.low, plan.high, plan.better)
    alpha = (1 - plan.confidence) / max(1, len(rivals))
    comparisons = [_compared(measure, name, seen, shares, alpha) for name in rivals]
    guards: list[Guarded] = []
    for guard in plan.guards:
        guarded = Measure(guard.metric, guard.low, guard.high, guard.better)
        part = alpha / len(plan.guards)
        guards += [_guarded(guarded, guard.limit, name, seen, shares, part) for name in rivals]
    counts = [len({one.unit for one in seen.get(name, ())}) for name in shares]
    share_p = share_evidence(counts, list(shares.values()))
    better = [one for one in comparisons if one.verdict == "better"]
    winner = max(better, key=lambda one: measure.sign * (one.difference or 0.0), default=None)
    arms = [_arm(name, share, seen.get(name, ()), measure) for name, share in shares.items()]
    arms += [
        _arm(name, share, seen.get(name, ()), measure, is_shadow=True) for name, share in plan.shadows.items()
    ]
    return Report(
        arms=arms,
        comparisons=comparisons,
        guards=guards,
        share_p=share_p,
        is_mismatched=share_p < MISMATCH,
        winner=None if winner is None else winner.arm,
        is_lost=bool(comparisons) and all(one.verdict == "worse" for one in comparisons),
    )


def _firsts(measure: Measure, seen: Sequence[Seen]) -> list[tuple[int, float]]:
    """The first value of every unit, in the order in which they came."""
    values = sorted([(*found, one.unit) for one in seen if (found := measure.of(one)) is not None])
    firsts: dict[str, tuple[int, float]] = {}
    for place, value, unit in values:
        firsts.setdefault(unit, (place, value))
    return list(firsts.values())


def _differences(
    measure: Measure, name: str, seen: Mapping[str, Sequence[Seen]], shares: Mapping[str, float]
) -> tuple[Differences | None, tuple[Moments, Moments]]:
    """The arm against the control: bets where there are bounds, else both arms' moments."""
    treatment, control = _firsts(measure, seen.get(name, ())), _firsts(measure, seen.get(CONTROL, ()))
    if not measure.is_bounded:
        return None, (_moments(control), _moments(treatment))
    made = Differences(*blocks(shares[name], shares[CONTROL]))
    span = measure.top - measure.low
    merged = sorted([*((*one, True) for one in treatment), *((*one, False) for one in control)])
    for _, value, is_treatment in merged:
        made.add((value - measure.low) / span, is_treatment=is_treatment)
    return made, (_moments(control), _moments(treatment))


def _moments(values: Sequence[tuple[int, float]]) -> Moments:
    moments = Moments()
    for _, value in values:
        moments.add(value)
    return moments


def blocks(treatment: float, control: float) -> tuple[int, int]:
    """How many values of each arm make a block, so that few are left waiting: the shares in small numbers."""
    ratio = treatment / control
    if ratio >= 1:
        first, second = min(_LARGEST_BLOCK, round(ratio)), 1
    else:
        first, second = 1, min(_LARGEST_BLOCK, round(1 / ratio))
    common = gcd(first, second)
    return first // common, second // common


def _compared(
    measure: Measure, name: str, seen: Mapping[str, Sequence[Seen]], shares: Mapping[str, float], alpha: float
) -> Comparison:
    made, (control, treatment) = _differences(measure, name, seen, shares)
    found = asymptotic(control, treatment, alpha) if made is None else _scaled(made.interval(alpha), measure)
    sure = 1 if found.low > 0 else -1 if found.high < 0 else 0
    has_values = bool(control.count and treatment.count)
    return Comparison(
        arm=name,
        metric=measure.metric,
        difference=found.difference if has_values else None,
        low=_finite(found.low),
        high=_finite(found.high),
        method=ASYMPTOTIC if made is None else BOUNDED,
        verdict=("undecided", "better", "worse")[sure * measure.sign],
    )


def _guarded(
    measure: Measure,
    limit: float,
    name: str,
    seen: Mapping[str, Sequence[Seen]],
    shares: Mapping[str, float],
    alpha: float,
) -> Guarded:
    """All of α on the side that is bad."""
    made, (control, treatment) = _differences(measure, name, seen, shares)
    if made is None:
        found = asymptotic(control, treatment, 2 * alpha)
    else:
        found = _scaled(Interval(made.mean, made.lower(alpha), made.upper(alpha)), measure)
    return Guarded(
        arm=name,
        metric=measure.metric,
        limit=limit,
        difference=found.difference if control.count and treatment.count else None,
        low=_finite(found.low),
        high=_finite(found.high),
        is_broken=found.high < -limit if measure.sign > 0 else found.low > limit,
    )


def _scaled(found: Interval, measure: Measure) -> Interval:
    span = measure.top - measure.low
    return Interval(*(bound * span for bound in found))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _arm(
    name: str, share: float, seen: Sequence[Seen], measure: Measure, *, is_shadow: bool = False
) -> ArmSeen:
    firsts = _firsts(measure, seen)
    means: dict[str, Any] = {  # Any: floats by field
        field: _mean([value for one in seen if (value := _measured(metric, one)) is not None])
        for field, metric in (
            ("refused", "refused"), ("failed", "failed"), ("cost_usd", "cost"), ("latency_ms", "latency"),
            ("tokens", "tokens"),
        )
    }  # fmt: skip
    return ArmSeen(
        arm=name,
        share=round(share, 9),
        exchanges=len(seen),
        units=len({one.unit for one in seen}),
        valued=len(firsts),
        mean=_mean([value for _, value in firsts]),
        is_shadow=is_shadow,
        **means,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
