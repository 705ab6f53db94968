"""Rules over what was counted: which fire now, about what, in which words. Reads rollups and nothing else.

Burn rates: the pairs of windows of Beyer and others, "The Site Reliability Workbook", O'Reilly 2018,
chapter 5: 2 % of 30 days' error budget within an hour, 5 % within six, 10 % within three days.
"""

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

from greenroom.offline.alerts.metrics import JUDGED_BY_SIZE, PLAIN, figure, named, said
from greenroom.offline.alerts.settings import By, Metric, RuleConfig
from greenroom.store.alerts import Notice, Severity
from greenroom.store.bucket import Bucket

HOUR_S, DAY_S = 3600.0, 86_400.0


class Pair(NamedTuple):
    """A long window that says it matters, and a short one that says it still goes on."""

    long_s: float
    short_s: float
    times: float
    """How many times faster than the budget lasts 30 days."""
    severity: Severity


PAIRS = (
    Pair(HOUR_S, 300.0, 14.4, "critical"),
    Pair(6 * HOUR_S, 1800.0, 6.0, "critical"),
    Pair(3 * DAY_S, 6 * HOUR_S, 1.0, "warning"),
)
DAYS_BEFORE = 7
"""What is usual is the median of the same window on so many days before, or a week ago if that was more."""
LEAST_DAYS = 3
"""Of them, those that must have had enough requests."""


class Reader(Protocol):
    """`Rollups.read`."""

    def __call__(
        self, since_s: float, until_s: float, step_s: int, *, project: str | None, app: str | None,
        model: str | None, by: By | None, detail: bool,
    ) -> list[Bucket]: ...  # fmt: skip


class Rule:
    """One rule at work."""

    def __init__(self, name: str, table: RuleConfig) -> None:
        self.name = name
        self.table = table

    def look(self, read: Reader, now_s: float) -> list[Notice]:
        """What fires at a moment, one notice for each subject. Raises: StoreError."""
        match self.table.kind:
            case "threshold":
                return list(self._threshold(read, now_s))
            case "burn_rate":
                return list(self._burn_rate(read, now_s))
            case "absence":
                return list(self._absence(read, now_s))
            case "anomaly":
                return list(self._anomaly(read, now_s))

    def _threshold(self, read: Reader, now_s: float) -> Iterable[Notice]:
        table = self.table
        bound = table.above if table.above is not None else table.below
        assert bound is not None
        for group, window in self._windows(read, now_s, table.over_s).items():
            value = self._figure(window)
            if value is None or not (value > bound if table.above is not None else value < bound):
                continue
            which = "above" if table.above is not None else "below"
            yield self._notice(
                group,
                f"{self._of(group)} was {said(table.metric, value)} in {_span(table.over_s)}, "
                f"{which} {said(table.metric, bound)} ({window.requests:,} requests).",
                {table.metric: value, "bound": bound, "requests": window.requests},
            )

    def _burn_rate(self, read: Reader, now_s: float) -> Iterable[Notice]:
        table, budget = self.table, 1 - self.table.objective
        found: dict[str, Notice] = {}
        for pair in PAIRS:
            short = self._windows(read, now_s, pair.short_s)
            if not short:
                continue
            for group, window in self._windows(read, now_s, pair.long_s).items():
                rates = [
                    self._burnt(one, budget)
                    for one in (window, short.get(group, Bucket(since_s=0, step_s=0)))
                ]
                if group in found or min(rates) <= pair.times or window.requests < table.least:
                    continue
                found[group] = self._notice(
                    group,
                    f"{_about(group, table)}the error budget of {said('failed_share', budget)} is spent "
                    f"{rates[0]:.3g} times as fast as it may be, over {_span(pair.long_s)} "
                    f"({getattr(window, table.bad):,} of {window.requests:,} requests {table.bad}).",
                    {"burn_rate": rates[0], "burn_rate_short": rates[1], "bound": pair.times,
                     "requests": window.requests},
                    pair.severity,
                )  # fmt: skip
        return found.values()

    def _burnt(self, window: Bucket, budget: float) -> float:
        return getattr(window, self.table.bad) / window.requests / budget if window.requests else 0.0

    def _absence(self, read: Reader, now_s: float) -> Iterable[Notice]:
        table = self.table
        here = self._windows(read, now_s, table.over_s)
        expected = self._windows(read, now_s - DAY_S, table.over_s)
        if not expected:  # no yesterday: the window before this one
            expected = self._windows(read, now_s - table.over_s, table.over_s)
        for group, before in expected.items():
            if before.requests >= table.least and group not in here:
                yield self._notice(
                    group,
                    f"{_about(group, table)}no request came in {_span(table.over_s)}; at that time before "
                    f"there were {before.requests:,}.",
                    {"requests": 0, "before": before.requests},
                )

    def _anomaly(self, read: Reader, now_s: float) -> Iterable[Notice]:
        table = self.table
        here = self._windows(read, now_s, table.over_s)
        if not here:
            return
        days = [self._windows(read, now_s - day * DAY_S, table.over_s) for day in range(1, DAYS_BEFORE + 1)]
        for group, window in here.items():
            value = figure(table.metric, window, table.error)
            before = [
                figure(table.metric, one[group], table.error) for one in days if self._counts(one, group)
            ]
            known = [one for one in before if one is not None]
            if value is None or window.requests < table.least or len(known) < LEAST_DAYS:
                continue
            week_ago = figure(table.metric, days[-1][group], table.error) if group in days[-1] else None
            usual = max(median(known), week_ago or 0.0)
            if value > table.times * usual and value - usual > table.least_change:
                yield self._notice(
                    group,
                    f"{self._of(group)} was {said(table.metric, value)} in {_span(table.over_s)}; at this "
                    f"time of day it is usually {said(table.metric, usual)}.",
                    {table.metric: value, "usual": usual, "requests": window.requests},
                )

    def _counts(self, windows: dict[str, Bucket], group: str) -> bool:
        return group in windows and windows[group].requests >= self.table.least

    def _figure(self, window: Bucket) -> float | None:
        if self.table.metric in JUDGED_BY_SIZE and window.requests < self.table.least:
            return None
        return figure(self.table.metric, window, self.table.error)

    def _windows(self, read: Reader, until_s: float, over_s: float) -> dict[str, Bucket]:
        """The sums of a window by group; without groups one that is there even when nothing came."""
        table = self.table
        found = read(
            until_s - over_s, until_s, _step(over_s), project=table.project, app=table.app,
            model=table.model, by=table.by, detail=self._metric not in PLAIN,
        )  # fmt: skip
        sums: dict[str, Bucket] = {}
        for one in found:
            group = (getattr(one, table.by) or "") if table.by is not None else ""
            if group in sums:
                sums[group].add(one)
            else:
                sums[group] = one
        if table.by is None and table.kind == "threshold" and not sums:
            sums[""] = Bucket(since_s=int(until_s - over_s), step_s=int(over_s))
        return sums

    @property
    def _metric(self) -> Metric:
        return self.table.metric if self.table.kind in ("threshold", "anomaly") else "requests"

    def _of(self, group: str) -> str:
        name = f"{_about(group, self.table)}{named(self.table.metric, self.table.error)}"
        return name[:1].upper() + name[1:]

    def _notice(
        self, group: str, summary: str, figures: dict[str, float], severity: Severity | None = None
    ) -> Notice:
        table = self.table
        project = group if table.by == "project" else table.project or ""
        subject = group if table.by in ("app", "model") else table.app or table.model or ""
        return Notice(
            rule=self.name, kind=table.kind, project=project, subject=subject,
            severity=severity or table.severity, summary=summary[:1].upper() + summary[1:], figures=figures,
            path=_path(table, group),
        )  # fmt: skip


def _about(group: str, table: RuleConfig) -> str:
    """Whose figure it is, at the head of a sentence: "App support: "."""
    told = [
        f"{name} {value}"
        for name in ("app", "model", "project")
        if (value := group if table.by == name else getattr(table, name))
    ]
    return f"{', '.join(told)}: " if told else ""


def _path(table: RuleConfig, group: str) -> str:
    wanted = {
        name: group if table.by == name else getattr(table, name) for name in ("app", "model", "project")
    }
    outcome = {"failed_share": "failed", "failed": "failed", "error": "failed", "refused_share": "refused"}
    wanted["outcome"] = outcome.get(table.metric) if table.kind != "burn_rate" else table.bad
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"/requests?{query}" if query else "/requests"


def _step(over_s: float) -> int:
    """How finely a window is read, in seconds: no more than some hundred steps."""
    return 60 if over_s <= 2 * HOUR_S else 600 if over_s <= DAY_S else 3600


def _span(seconds: float) -> str:
    for unit, name in ((DAY_S, "day"), (HOUR_S, "hour"), (60.0, "minute")):
        count = seconds / unit
        if count >= 1 and count == int(count):
            return f"{int(count)} {name}s" if count != 1 else f"1 {name}"
    return f"{seconds / 60:.1f} minutes"
