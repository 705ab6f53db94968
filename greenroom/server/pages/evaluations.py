"""The pages of evaluations: runs, the report of one with its intervals, its cases, and its files.

Knows the backend by its protocol alone. Looking only: runs are made with `greenroom eval run` or `/v1/evals`.
"""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.rendering import json_answer, segment
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds
_PAGE = 50
"""Cases on one page."""
SHOWN = ("all", "lost", "won", "failed")
_TYPES = {"html": "text/html", "md": "text/markdown", "xml": "application/xml", "json": "application/json"}


class Evaluations(Protocol):
    """What the pages ask; all of it runs in worker threads. Raises: GreenroomError."""

    def runs(self) -> list[Json]: ...
    def show(self, id: str, baseline: str | None) -> Json: ...
    def compared(self, baseline: str) -> Mapping[str, Mapping[str, float | None]]: ...
    def rendered(self, id: str, baseline: str | None, form: str) -> str: ...


class Bar(NamedTuple):
    """An interval as it is drawn; places in percent of the width."""

    zero: float
    """Where no difference, or nothing, stands."""
    left: float
    width: float
    point: float
    tone: str
    """`better`, `worse` or `open`."""


class Case(NamedTuple):
    """One case, ready to show."""

    id: str
    question: str
    answer: str
    expected: str
    outcome: str
    error: str
    values: list[tuple[str, str, str]]
    """Metric, value, and `won`, `lost` or nothing."""
    reasons: list[tuple[str, str]]
    trace: str
    latency: str
    cost: str


class EvaluationPages:
    """`/evaluations`, `/evaluations/{id}`, their twins, and reports as files."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/evaluations", doors.page(self._list)),
            Route("/evaluations.json", doors.twin(self._list_json)),
            Route("/evaluations/{id}.json", doors.twin(self._show_json)),
            Route("/evaluations/{id}/report.{form}", doors.twin(self._file)),
            Route("/evaluations/{id}", doors.page(self._show)),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        rows = [{**one, "address": address_of(one["id"])} for one in self._evaluations.runs()]
        is_live = any(one["status"] == "running" for one in rows)
        return self._doors.render.html("evaluations.html", session=session, rows=rows, is_live=is_live)

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._evaluations.runs()})

    def _show(self, request: Request, session: Session) -> Response:
        query = request.query_params
        id, baseline = request.path_params["id"], query.get("baseline") or None
        shown = query.get("show", "")
        shown = shown if shown in SHOWN else SHOWN[0]
        first = int(query.get("from", "")) if re.fullmatch("[0-9]{1,9}", query.get("from", "")) else 0

        found = self._evaluations.show(id, baseline)
        report, run = found["report"], found["report"]["runs"][0]
        changes = report["comparisons"][0]["changes"] if report["comparisons"] else []
        words = found["words"]
        others = self._evaluations.compared(baseline) if baseline else {}
        kinds = {one["kind"]["name"]: one["kind"] for one in run["metrics"]}
        cases = [case for one in run["cases"] if (case := _case(one, others, kinds)) and _fits(case, shown)]
        address = address_of(found["run"]["id"])
        asked = {"baseline": baseline} if baseline else {}
        return self._doors.render.html(
            "evaluation.html",
            session=session,
            run=found["run"],
            told=run,
            result=report["result"],
            reasons=report["reasons"],
            facts=words["facts"],
            metrics=list(zip(words["metrics"], _metric_bars(run["metrics"]), strict=True)),
            changes=list(
                zip(words["changes"], _change_bars(changes, words["standings"]), strict=True)
            ),
            against=found["against"],
            baseline=baseline or "",
            agreement=found["agreement"],
            cases=cases[first : first + _PAGE],
            count=len(cases),
            shown=shown,
            choices=SHOWN if baseline else ("all", "failed"),
            tabs={one: f"{address}?{urlencode({**asked, 'show': one})}#cases" for one in SHOWN},
            more=f"{address}?{urlencode({**asked, 'show': shown, 'from': str(first + _PAGE)})}#cases"
            if len(cases) > first + _PAGE else "",
            address=address,
            twin=f"{address}.json?{urlencode(asked)}",
            files={form: f"{address}/report.{form}?{urlencode(asked)}" for form in _TYPES},
        )  # fmt: skip

    def _show_json(self, request: Request, session: Session) -> Response:
        id, baseline = request.path_params["id"], request.query_params.get("baseline") or None
        return json_answer(self._evaluations.show(id, baseline))

    def _file(self, request: Request, session: Session) -> Response:
        id, form = request.path_params["id"], request.path_params["form"]
        baseline = request.query_params.get("baseline") or None
        text = self._evaluations.rendered(id, baseline, form)
        name = "".join(one for one in id if one.isalnum() or one in "_-")[:60] or "run"
        headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}.{form}"'}
        return Response(text.encode("utf-8", "replace"), 200, headers, f"{_TYPES[form]}; charset=utf-8")


def address_of(id: str) -> str:
    """The page of a run."""
    return "/evaluations/" + segment(id)


def bar(low: float, high: float, value: float, scale: tuple[float, float], tone: str) -> Bar:
    """An interval on a scale; what lies beyond it, or has no end, ends with it."""
    least, most = scale
    span = most - least

    def place(one: float) -> float:
        inside = least if one == float("-inf") else most if not isfinite(one) else one
        return round(min(100.0, max(0.0, (inside - least) / span * 100)), 2) if span > 0 else 50.0

    left = place(low)
    return Bar(place(0.0), left, max(0.6, place(high) - left), place(value), tone)


def _metric_bars(metrics: Sequence[Json]) -> list[Bar | None]:
    found: list[Bar | None] = []
    for one in metrics:
        mean = one["mean"]
        if mean is None:
            found.append(None)
            continue
        ends = [0.0, mean["value"], *(end for end in (mean["low"], mean["high"]) if isfinite(end))]
        scale = (
            (min(ends), max(ends) * 1.05 or 1.0)
            if one["kind"]["unit"]
            else (min(0.0, *ends), max(1.0, *ends))
        )
        found.append(bar(mean["low"], mean["high"], mean["value"], scale, "open"))
    return found


def _change_bars(changes: Sequence[Json], standings: Sequence[str]) -> list[Bar]:
    found = []
    for one, standing in zip(changes, standings, strict=True):
        difference = one["difference"]
        ends = [
            difference["value"],
            *(end for end in (difference["low"], difference["high"]) if isfinite(end)),
        ]
        reach = max([abs(end) for end in ends] + [one["smallest"]]) * 1.1 or 1.0
        tone = standing if standing in {"better", "worse"} else "open"
        found.append(bar(difference["low"], difference["high"], difference["value"], (-reach, reach), tone))
    return found


def _case(one: Json, others: Mapping[str, Mapping[str, float | None]], kinds: Mapping[str, Json]) -> Case:
    before = others.get(f"{one['id']}.{one['repeat']}", {})
    values = []
    for name, value in one["values"].items():
        kind, was = kinds.get(name, {"unit": "", "higher_is_better": True}), before.get(name)
        mark = ""
        if value is not None and was is not None and value != was and not kind["unit"]:
            mark = "won" if (value > was) == kind["higher_is_better"] else "lost"
        values.append((name, _value(value, kind["unit"]), mark))
    said = [(name, each["reason"] or each["error"] or "") for name, each in one["scores"].items()]
    expected = one["expected"]
    return Case(
        str(one["id"]), one["question"], one["answer"], "" if expected is None else str(expected),
        one["outcome"], one["error"] or "", values, [(name, why) for name, why in said if why],
        one["trace"] or "", figures.duration(one["latency_ms"]), figures.dollars(one["cost_usd"]),
    )  # fmt: skip


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return figures.NONE
    if unit == "ms":
        return figures.duration(value)
    return figures.dollars(f"{value:.9f}") if unit == "usd" else f"{value:.3g}"


def _fits(case: Case, shown: str) -> bool:
    if shown == "failed":
        return case.outcome == "failed"
    return shown == "all" or any(mark == shown for _, _, mark in case.values)
