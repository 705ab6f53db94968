"""The report as Markdown, for a pull request's comment."""

from collections.abc import Iterable, Sequence

from greenroom.offline.evals.reports import figures
from greenroom.offline.evals.reports.report import Comparison, Report, RunReport

_SIGNS = {"pass": "✅", "regression": "❌", "inconclusive": "❔", "infrastructure": "⚠️"}


def to_markdown(report: Report) -> str:
    """All of a report but its single cases."""
    parts = [f"## {_SIGNS[report.result]} Evaluation: {report.result}"]
    parts += [f"- {_plain(reason)}" for reason in report.reasons]
    if report.verdicts:
        rows = [
            (_SIGNS[one.result], one.subject, f"`{one.rule}`", _more(one.reason, one.more_cases))
            for one in report.verdicts
        ]
        parts.append(_table(("", "subject", "rule", "found"), rows))
    for comparison in report.comparisons:
        parts.append(f"### {_plain(comparison.subject)} against {_plain(comparison.baseline_subject)}")
        parts.append(_table(CHANGE_COLUMNS, change_rows(comparison)))
    for run in report.runs:
        parts.append(f"### {_plain(run.subject)}")
        parts.append(_plain(facts_of(run)))
        parts.append(_table(METRIC_COLUMNS, metric_rows(run)))
    return "\n\n".join(parts) + "\n"


CHANGE_COLUMNS = (
    "metric",
    "was",
    "is",
    "difference",
    "95 % interval",
    "p (Holm)",
    "effect",
    "won / lost",
    "",
)
METRIC_COLUMNS = ("metric", "mean", "95 % interval", "cases", "without a value")


def change_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row for each metric of two runs."""
    return [
        (
            one.kind.name, figures.figure(one.old.value, one.kind.unit),
            figures.figure(one.new.value, one.kind.unit), figures.difference_of(one),
            figures.spread_of(one), figures.p_of(one.p_holm), figures.effect_of(one),
            f"{one.wins} / {one.losses} of {one.difference.n}", figures.standing(one),
        )
        for one in comparison.changes
    ]  # fmt: skip


def metric_rows(run: RunReport) -> list[tuple[str, ...]]:
    """A row for each metric of a run."""
    return [
        (
            one.kind.name, figures.mean_of(one),
            "–" if one.mean is None else figures.spread(one.mean, one.kind.unit),
            "0" if one.mean is None else str(one.mean.n), figures.without_value(one),
        )
        for one in run.metrics
    ]  # fmt: skip


def facts_of(run: RunReport) -> str:
    """What a run was, in a line."""
    cost = "an unknown price" if run.cost_usd is None else f"${run.cost_usd}"
    said = [f"{run.id}: {run.done} of {run.total} on {run.data}"]
    said += [f"{run.cached} answers used again", f"{cost} paid"]
    if run.latency_ms:
        said.append(f"{run.latency_ms['p50']:,.0f} ms at the median, {run.latency_ms['p95']:,.0f} at p95")
    if run.lost:
        said.append(f"{run.lost} calls made again after an end")
    return ", ".join(said) + "."


def _more(reason: str, more_cases: int) -> str:
    return f"{reason}; needs {more_cases:,} more cases" if more_cases else reason


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(map(_plain, row))} |" for row in rows]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """On one line, with nothing that ends a cell or begins a tag."""
    kept = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return kept.replace(" @", " &#64;") if not kept.startswith("@") else f"&#64;{kept[1:]}"
