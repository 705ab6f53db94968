"""The report of an evaluation as data: its runs, what changed between them, and what became of the rules."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.json import encode, format  # noqa: A004  # it formats JSON; the builtin is not used here

from greenroom.exchange import usd
from greenroom.offline.evals.comparison import Change, Metric, changes, metrics_of, value_of
from greenroom.offline.evals.gates import MOST_FAILED, Result, Rule, Verdict, judge, overall
from greenroom.offline.evals.kept import KeptRun
from greenroom.offline.evals.leaks import question_of
from greenroom.offline.evals.runner import Item
from greenroom.store.material import stamp

Json = dict[str, Any]  # Any: JSON
Case = Json
"""One sample of one run, as a report shows it."""
ASKED = 2_000
"""Characters of a question and an answer that a report shows."""


class RunReport(Struct, kw_only=True, frozen=True):
    """One run."""

    id: str
    name: str
    subject: str
    data: str
    status: str
    reason: str
    started_at: str
    total: int
    done: int
    failed: int
    cached: int
    cost_usd: str | None
    """What this run paid; None where a price is not known."""
    lost: int
    """Calls whose answers were lost with a process, and which were made again."""
    latency_ms: dict[str, float]
    """p50 and p95 of the answers."""
    metrics: list[Metric]
    cases: list[Case]


class Comparison(Struct, kw_only=True, frozen=True):
    """Two runs, metric by metric."""

    run: str
    subject: str
    baseline: str
    baseline_subject: str
    changes: list[Change]


class Report(Struct, kw_only=True, frozen=True):
    """All of it."""

    result: Result
    reasons: list[str]
    """Why, where the result is no "pass" and no rule says it."""
    runs: list[RunReport]
    comparisons: list[Comparison]
    verdicts: list[Verdict]


def build(runs: Sequence[KeptRun], baseline: KeptRun | None, rules: Sequence[Rule]) -> Report:
    """The report of runs, each compared with the baseline. Raises: MalformedRequest; ExtraMissing."""
    results: list[Result] = []
    reasons: list[str] = []
    verdicts: list[Verdict] = []
    comparisons: list[Comparison] = []
    told = []
    for kept in runs:
        metrics = metrics_of(kept)
        told.append(run_report(kept, metrics))
        grave = _trouble(kept)
        if grave is not None:
            results.append(grave[0])
            reasons.append(grave[1])
        changed: list[Change] = []
        if baseline is not None and kept.run.id != baseline.run.id:
            changed = changes(kept, baseline)
            comparisons.append(
                Comparison(
                    run=kept.run.id, subject=kept.run.subject, baseline=baseline.run.id,
                    baseline_subject=baseline.run.subject, changes=changed,
                )
            )  # fmt: skip
        is_compared = baseline is not None and kept.run.id != baseline.run.id
        own = [rule for rule in rules if is_compared or rule.kind != "regression"]
        verdicts += judge(own, kept.run.subject, metrics, changed)
    results += [one.result for one in verdicts]
    return Report(
        result=overall(results), reasons=reasons, runs=told, comparisons=comparisons, verdicts=verdicts
    )


def to_json(report: Report) -> str:
    """All of it, indented. An interval without an end has null there."""
    return format(encode(report), indent=2).decode()


def run_report(kept: KeptRun, metrics: Sequence[Metric]) -> RunReport:
    """One run as a report shows it."""
    run = kept.run
    times = sorted(one.output.latency_ms for one in run.items if one.output.outcome != "failed")
    return RunReport(
        id=run.id, name=run.name, subject=run.subject, data=kept.settings.data, status=run.status,
        reason=run.reason, started_at=stamp(run.started_ns), total=run.total, done=len(run.items),
        failed=_failed(kept), cached=sum(one.is_cached for one in run.items),
        cost_usd=None if run.unpriced else usd(run.cost_nano_usd), lost=run.lost,
        latency_ms={"p50": _quantile(times, 0.5), "p95": _quantile(times, 0.95)} if times else {},
        metrics=list(metrics), cases=[_case(one, kept) for one in run.items],
    )  # fmt: skip


def _case(item: Item, kept: KeptRun) -> Case:
    output = item.output
    return {
        "id": item.sample.id,
        "repeat": item.repeat,
        "group": item.sample.group,
        "question": question_of(item.sample)[:ASKED],
        "expected": item.sample.expected,
        "answer": output.text[:ASKED],
        "outcome": output.outcome,
        "error": output.error,
        "trace": output.trace_id,
        "latency_ms": output.latency_ms,
        "cost_usd": usd(output.cost_nano_usd),
        "values": {kind.name: value_of(item, kind) for kind in kept.settings.metrics},
        "scores": {
            one.name: {"value": one.value, "passed": one.passed, "reason": one.reason, "error": one.error}
            for one in item.scores
        },
    }


def _trouble(kept: KeptRun) -> tuple[Result, str] | None:
    """What keeps a run from telling anything."""
    run, failed = kept.run, _failed(kept)
    if run.items and failed / len(run.items) > MOST_FAILED:
        error = next(one.output.error for one in run.items if one.output.outcome == "failed")
        return "infrastructure", f"{run.subject}: {failed} of {len(run.items)} calls failed, as: {error}"
    if run.status != "finished":
        return (
            "inconclusive",
            f"{run.subject}: {len(run.items)} of {run.total} are done. {run.reason}".strip(),
        )
    return None


def _failed(kept: KeptRun) -> int:
    return sum(one.output.outcome == "failed" for one in kept.run.items)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
