"""What live traffic says of a canary now: whether it does harm, does none, or neither is certain.

A canary is watched as a whole, and in stretches that begin one after the other, each with a share of the
chance of a false alarm that makes their sum finite (6 / π² j² of it for the j-th): what breaks after hours of
sound answers is found as soon as what is broken from the start. The idea is that of e-detectors (J. Shin, A.
Ramdas and A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2022).

Times, costs and lengths are compared as shares: of answers that take longer, cost more or are shorter than
nine in ten of the current's so far, by a factor. The measure is taken from answers that ended before, so that
both sides are held to the same; and no single answer that takes a minute weighs more than another.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from math import inf, log, pi
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.offline.deploy.detector import Detector, Test
from greenroom.offline.deploy.plan import METRICS, Rules
from greenroom.store.compared import Row, Scored

Verdict = Literal["harm", "no harm", "undecided"]
STRETCH = 50
"""Exchanges of the canary from the beginning of one stretch to that of the next."""
KEPT = 4
"""Stretches that are watched at once."""
_FIRST_MEASURE = 50
"""Answers of the current before something is slow, dear or short, and before that is measured anew."""
_SLACK_US = 20_000
"""What an answer may take longer whatever the factor: below this it is the machine's noise."""
_MOST = 100_000
"""Users of a side that are told apart when they are counted."""
_GROWTH = 1.02
"""Between two steps of a histogram of times, costs or tokens."""


class MetricSeen(Struct, kw_only=True, frozen=True):
    """One metric: each side's mean over its units, and the difference, whose larger side is the worse."""

    metric: str
    margin: float
    current: float | None
    canary: float | None
    difference: float | None
    low: float
    high: float
    verdict: Verdict


class SideSeen(Struct, kw_only=True, frozen=True):
    """What one side gave; None where nothing is known."""

    side: str
    exchanges: int
    units: int
    failed: int
    refused: int
    cancelled: int
    flaws: dict[str, int]
    latency_ms: float | None
    """The median and the ninetieth percentile of whole answers, to 2 %."""
    latency_p90_ms: float | None
    cost_usd: float | None
    """The mean of an answer whose price is known."""
    tokens: float | None


class Told(Struct, kw_only=True, frozen=True):
    """All that may be said now."""

    verdict: Verdict
    reasons: list[str]
    sides: list[SideSeen]
    metrics: list[MetricSeen]


class Histogram:
    """Positive numbers in steps of 2 %."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()
        self.count = 0
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Take one."""
        self.count += 1
        self.sum += value
        self._steps[round(log(value) / log(_GROWTH)) if value > 0 else -1_000_000] += 1

    def quantile(self, part: float) -> float:
        """What this part of all lies at or below. Needs at least one."""
        left = part * self.count
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                break
        return float(_GROWTH**step) if step > -1_000_000 else 0.0


class _Side:
    def __init__(self, name: str) -> None:
        self.name = name
        self.outcomes: Counter[str] = Counter()
        self.flaws: Counter[str] = Counter()
        self.units: set[str] = set()
        self.nameless = 0
        self.times, self.costs, self.tokens = Histogram(), Histogram(), Histogram()

    @property
    def count(self) -> int:
        """Units."""
        return len(self.units) + self.nameless

    def add(self, row: Row) -> None:
        self.outcomes[row.outcome] += 1
        if row.is_named:
            if len(self.units) < _MOST:
                self.units.add(row.unit)
        else:
            self.nameless += 1
        if row.flaw is not None:
            self.flaws[row.flaw] += 1
        if row.outcome == "answered":
            self.times.add(row.total_us)
            if row.cost_nano is not None:
                self.costs.add(row.cost_nano)
            if row.output_tokens is not None:
                self.tokens.add(row.output_tokens)

    def seen(self) -> SideSeen:
        times = self.times
        return SideSeen(
            side=self.name, exchanges=sum(self.outcomes.values()), units=self.count,
            failed=self.outcomes["failed"], refused=self.outcomes["refused"],
            cancelled=self.outcomes["cancelled"], flaws=dict(sorted(self.flaws.items())),
            latency_ms=round(times.quantile(0.5) / 1e3, 1) if times.count else None,
            latency_p90_ms=round(times.quantile(0.9) / 1e3, 1) if times.count else None,
            cost_usd=self.costs.sum / self.costs.count / 1e9 if self.costs.count else None,
            tokens=round(self.tokens.sum / self.tokens.count, 1) if self.tokens.count else None,
        )  # fmt: skip


class _Measure(NamedTuple):
    """From where on an answer is slow or dear, and below what it is short."""

    slow_us: float = inf
    dear_nano: float = inf
    short: float = 0.0
    of: int = 0
    """Answers of the current it was taken from."""


class Live:
    """Both sides of one canary, row by row."""

    def __init__(self, rules: Rules, share: float, canary: str = "canary") -> None:
        self._rules = rules
        self._share = min(max(share, 0.001), 0.999)
        self._sides = (_Side("current"), _Side(canary))
        self._measure = _Measure()
        self._metrics = (*METRICS, *rules.scores)
        self._alpha = (1 - rules.confidence) / (2 * len(self._metrics))
        """Half of the chance for the whole, half for all stretches; an equal part for each metric."""
        self._whole = Detector(self._share, self._alpha)
        self._stretches: list[Detector] = []
        self._begun = 0

    @property
    def units(self) -> int:
        """Of the canary."""
        return self._sides[1].count

    def take(self, rows: Sequence[Row], scores: Sequence[Scored] = (), *, is_old: bool = False) -> None:
        """Take what is new; `is_old` for what is caught up with: no stretch watches it."""
        for row in rows:
            side = self._sides[row.is_canary]
            values = self._values(row)
            side.add(row)
            if row.is_canary:
                self._begin_stretch(sum(side.outcomes.values()), is_old=is_old)
            for metric, value in values.items():
                self._add(metric, row.unit, value, is_canary=row.is_canary, may_return=row.is_named)
            if self._sides[0].times.count - self._measure.of >= _FIRST_MEASURE:
                self._measure = self._taken()
        for one in scores:
            value = 1 - min(max(one.value, 0.0), 1.0)
            self._add(one.name, one.unit, value, is_canary=one.is_canary, may_return=one.is_named)

    def harms(self) -> dict[str, Test]:
        """Metrics by which the canary surely is worse by more than their margin, and where that is seen."""
        found = {}
        for metric in self._metrics:
            margin = self._rules.margins.of(metric)
            for detector in (self._whole, *self._stretches):
                test = detector.tests.get(metric)
                if test is not None and test.is_harm(margin, detector.alpha):
                    found[metric] = test
                    break
        return found

    def is_harmless(self) -> bool:
        """Whether it surely does no harm, by each metric that has values; those that were asked for must.

        All must be certain, so none has a part of α. What a stretch or few users show is a harm all the same.
        """
        tests = self._whole.tests
        is_certain = "failed" in tests and all(
            test.is_no_harm(self._rules.margins.of(metric), 1 - self._rules.confidence)
            for metric, test in tests.items()
            if self._rules.margins.of(metric) < 1
        )
        return is_certain and not self._missing() and not self.harms()

    def told(self) -> Told:
        """All of it, for people. Cost: some 20 ms."""
        harms = self.harms()
        metrics = [self._metric(name, harms) for name in self._metrics if name in self._whole.tests]
        reasons = [
            f"{metric}: {_part(test.sides[1].mean)} of the {self._sides[1].name}, "
            f"{_part(test.sides[0].mean)} of the current; surely more than "
            f"{_part(self._rules.margins.of(metric))} worse"
            for metric, test in harms.items()
        ]
        verdict: Verdict = "harm" if harms else "no harm" if self.is_harmless() else "undecided"
        if verdict == "undecided":
            undecided = [one.metric for one in metrics if one.verdict == "undecided"]
            open_ = ", ".join((*undecided, *self._missing())) if metrics else ""
            reasons.append(f"not certain yet: {open_}" if open_ else "nothing was answered yet")
        return Told(
            verdict=verdict, reasons=reasons, sides=[one.seen() for one in self._sides], metrics=metrics
        )

    def _missing(self) -> list[str]:
        """Scores that were asked for, and of which none came."""
        is_off = self._rules.margins.score >= 1
        return [] if is_off else [name for name in self._rules.scores if name not in self._whole.tests]

    def _metric(self, name: str, harms: Collection[str]) -> MetricSeen:
        test, margin = self._whole.tests[name], self._rules.margins.of(name)
        bounds = test.bounds(1 - self._rules.confidence)
        current, canary = test.sides
        no_harm = margin >= 1 or test.is_no_harm(margin, 1 - self._rules.confidence)
        return MetricSeen(
            metric=name, margin=margin,
            current=current.mean if current.count else None, canary=canary.mean if canary.count else None,
            difference=bounds.difference, low=bounds.low, high=bounds.high,
            verdict="harm" if name in harms else "no harm" if no_harm else "undecided",
        )  # fmt: skip

    def _begin_stretch(self, exchanges: int, *, is_old: bool) -> None:
        if exchanges % STRETCH != 1:
            return
        self._begun += 1
        if not is_old:
            alpha = self._alpha * 6 / (pi * self._begun) ** 2
            self._stretches = [*self._stretches[1 - KEPT :], Detector(self._share, alpha)]

    def _add(self, metric: str, unit: str, value: float, *, is_canary: bool, may_return: bool) -> None:
        self._whole.add(metric, unit, value, is_canary=is_canary, may_return=may_return)
        for one in self._stretches:
            one.add(metric, unit, value, is_canary=is_canary, may_return=may_return)

    def _values(self, row: Row) -> dict[str, float]:
        """What a row counts in each metric; 1 is bad. A client that left early says nothing."""
        measure, outcome = self._measure, row.outcome
        values: dict[str, float] = {}
        if outcome == "cancelled":
            if row.total_us > measure.slow_us:
                values["slow"] = 1.0
            return values
        values["failed"] = float(outcome == "failed")
        values["refused"] = float(outcome == "refused")
        if outcome != "answered":
            return values
        values["flawed"] = float(row.flaw is not None)
        if measure.of:
            values["slow"] = float(row.total_us > measure.slow_us)
            if row.cost_nano is not None and measure.dear_nano < inf:
                values["dear"] = float(row.cost_nano > measure.dear_nano)
            if row.output_tokens is not None and measure.short > 1:
                values["short"] = float(row.output_tokens < measure.short)
        return values

    def _taken(self) -> _Measure:
        current, rules = self._sides[0], self._rules
        dear = current.costs.quantile(0.9) * rules.dearer if current.costs.count >= _FIRST_MEASURE else 0.0
        tokens = current.tokens
        return _Measure(
            current.times.quantile(0.9) * rules.slower + _SLACK_US,
            dear or inf,
            tokens.quantile(0.1) * rules.shorter if tokens.count >= _FIRST_MEASURE else 0.0,
            current.times.count,
        )


def _part(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.3g} %"
