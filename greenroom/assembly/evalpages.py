"""What the pages of evaluations ask, answered from the kept runs; statistics load when somebody looks."""

from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.exchange import usd
from greenroom.server.pages.access import seen
from greenroom.store.graded import by_people
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from greenroom.offline.evals.reports.report import Report, RunReport
    from greenroom.store.evals import RunRow

Record = dict[str, Any]  # Any: JSON
FILE = "evals.db"
_LISTED = 100
_HALF = 0.5
"""From which on a person's score between 0 and 1 is a pass."""


class EvalPagesDesk:
    """Answers `Evaluations` of the pages: of the projects that may be seen."""

    def __init__(self, house: House) -> None:
        self._house = house

    def runs(self) -> list[Record]:
        """The newest runs; makes no store."""
        if not self._has_any():
            return []
        store = self._house.evals
        return [self._told(row) for row in store.runs(seen(), _LISTED)]

    def show(self, id: str, baseline: str | None) -> Record:
        """A run, what is said of it, and against which others it may be held. Raises: NotFound."""
        row = self._row(id)
        report = self._report(row, baseline)
        run = report.runs[0]
        return {
            "run": self._told(row),
            "against": [
                self._told(one)
                for one in self._house.evals.runs(row.project, _LISTED)
                if one.data == row.data and one.id != row.id
            ],
            "report": to_builtins(report),
            "words": _words(report),
            "agreement": self._agreement(run),
        }

    def compared(self, baseline: str) -> dict[str, dict[str, float | None]]:
        """The values of the baseline's cases: case → metric → value. Raises: NotFound."""
        run = self._report(self._row(baseline), None).runs[0]
        return {f"{one['id']}.{one['repeat']}": one["values"] for one in run.cases}

    def rendered(self, id: str, baseline: str | None, form: str) -> str:
        """The report as a file: html, md, xml (JUnit) or json. Raises: NotFound."""
        from greenroom.offline.evals.reports.html import to_html  # noqa: PLC0415  # only where somebody looks
        from greenroom.offline.evals.reports.junit import to_junit  # noqa: PLC0415  # as above
        from greenroom.offline.evals.reports.markdown import to_markdown  # noqa: PLC0415  # as above
        from greenroom.offline.evals.reports.report import to_json  # noqa: PLC0415  # as above

        forms = {"html": to_html, "md": to_markdown, "xml": to_junit, "json": to_json}
        if form not in forms:
            raise NotFound(f"There is no report as '{form[:20]}'. There are: {', '.join(forms)}.")
        return forms[form](self._report(self._row(id), baseline))

    def _report(self, row: "RunRow", baseline: str | None) -> "Report":
        from greenroom.offline.evals.kept import kept_run  # noqa: PLC0415  # as above
        from greenroom.offline.evals.reports.report import build  # noqa: PLC0415  # as above

        store = self._house.evals
        against = None if not baseline else kept_run(store, self._row(baseline).id, row.project)
        return build([kept_run(store, row.id, row.project)], against, ())

    def _agreement(self, run: "RunReport") -> list[Record]:
        """Each judging metric held against each score that people gave the same answers."""
        from greenroom.offline.evals.calibration import calibrate  # noqa: PLC0415  # as above

        traces = {one["trace"]: one for one in run.cases if one["trace"]}
        people = self._house.traces.look(lambda db, _: by_people(db, list(traces)))
        found = []
        for metric in (one.kind.name for one in run.metrics):
            for name in sorted({one.name for one in people}):
                pairs = [
                    (passed, said.value >= _HALF)
                    for said in people
                    if said.name == name
                    and (passed := traces[said.trace]["scores"].get(metric, {}).get("passed")) is not None
                ]
                if pairs:
                    held = calibrate(pairs)
                    found.append({"metric": metric, "people": name, "n": held.n, **to_builtins(held)})
        return found

    def _row(self, id: str) -> "RunRow":
        if not self._has_any():
            raise NotFound("There is no such run.")
        return self._house.evals.find(id, seen())

    def _told(self, row: "RunRow") -> Record:
        spent = self._house.evals.spent(row.id)
        return {
            "id": row.id, "name": row.name, "subject": row.subject, "project": row.project,
            "status": row.status, "reason": row.reason, "total": row.total,
            "started_at": stamp(row.started_ns),
            "ended_at": None if row.ended_ns is None else stamp(row.ended_ns),
            "cost_usd": None if spent.unpriced else usd(spent.nano_usd), "data": row.data,
        }  # fmt: skip

    def _has_any(self) -> bool:
        return (self._house.data / FILE).exists()


def _words(report: "Report") -> Record:
    """The figures as people read them, the same as in all reports."""
    from greenroom.offline.evals.reports import figures  # noqa: PLC0415  # as above
    from greenroom.offline.evals.reports.markdown import change_rows, facts_of, metric_rows  # noqa: PLC0415  # as above

    changes = report.comparisons[0].changes if report.comparisons else []
    return {
        "facts": facts_of(report.runs[0]),
        "metrics": metric_rows(report.runs[0]),
        "changes": [row for one in report.comparisons for row in change_rows(one)],
        "standings": [figures.standing(one) for one in changes],
    }
