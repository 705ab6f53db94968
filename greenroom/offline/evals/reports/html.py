"""The report as one HTML file: no script, nothing from elsewhere, every text escaped."""

from functools import cache
from typing import TYPE_CHECKING

from greenroom.offline.evals.reports import figures
from greenroom.offline.evals.reports.markdown import (
    CHANGE_COLUMNS,
    METRIC_COLUMNS,
    change_rows,
    facts_of,
    metric_rows,
)
from greenroom.offline.evals.reports.report import Case, Report, RunReport

if TYPE_CHECKING:
    from jinja2 import Template

MOST_CASES = 500
"""Of each run; those that failed, changed or scored low come first. The JSON report holds all."""


def to_html(report: Report) -> str:
    """The whole report, the first cases of each run included."""
    return _template().render(
        report=report, change_columns=CHANGE_COLUMNS, metric_columns=METRIC_COLUMNS, change_rows=change_rows,
        metric_rows=metric_rows, facts_of=facts_of, cases_of=cases_of, figures=figures, most=MOST_CASES,
    )  # fmt: skip


def cases_of(run: RunReport) -> list[Case]:
    """The cases that are worth a look first."""
    kinds = [one.kind for one in run.metrics if not one.kind.unit]

    def goodness(case: Case) -> tuple[bool, float]:
        values = [
            (case["values"].get(kind.name) or 0.0) * (1 if kind.higher_is_better else -1) for kind in kinds
        ]
        return case["outcome"] != "failed", sum(values)

    return sorted(run.cases, key=goodness)[:MOST_CASES]


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # only where a page is asked for

    pages = Environment(
        loader=PackageLoader("greenroom.offline.evals.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return pages.get_template("report.html")
