"""The pages of comparisons: models held against each other on the same samples, measure by measure.

Knows the backend by its protocol alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, segment
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds
_TITLES = {"latency_ms": "Latency", "cost_usd": "Cost of an answer", "refused": "Refused"}
_FORMS = {"latency_ms": "{:,.0f} ms", "cost_usd": "${:.6f}", "refused": "{:.1%}"}
_TOLD = {"better": "answered", "worse": "failed"}
"""The chip of what is told apart."""


class Backend(Protocol):
    """What the pages ask; runs in worker threads."""

    def list(self) -> list[Json]: ...
    def show(self, id: str) -> Json:
        """One run, with `comparison`: None while it is not at its end. Raises: NotFound."""
        ...


class Bar(NamedTuple):
    """One model by one measure; places in percent of the width."""

    model: str
    value: str
    interval: str
    left: str
    width: str
    middle: str
    against: str
    p: str
    told: str
    chip: str


class Measure(NamedTuple):
    """One measure of all models."""

    title: str
    better: str
    bars: list[Bar]


class ComparisonPages:
    """`/compare` and `/compare/{run}`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/compare", doors.page(self._list)),
            Route("/compare.json", doors.twin(self._list_json)),
            Route("/compare/{run}.json", doors.twin(self._show_json)),
            Route("/compare/{run}", doors.page(self._show)),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        rows = [{**one, "address": "/compare/" + segment(one["id"])} for one in self._backend.list()]
        return self._doors.render.html("comparisons.html", session=session, rows=rows)

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._backend.list()})

    def _show(self, request: Request, session: Session) -> Response:
        run = self._backend.show(request.path_params["run"])
        found = run["comparison"]
        return self._doors.render.html(
            "comparison.html",
            session=session,
            run=run,
            found=found,
            measures=[] if found is None else _measures(found),
            facts=[] if found is None else [_facts(one) for one in found["standings"]],
            twin=f"/compare/{segment(run['id'])}.json",
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        id = request.path_params["run"]
        return json_answer(self._backend.show(id))


def _measures(found: Json) -> list[Measure]:
    """Every measure that some model has, the one that decides first."""
    names = list(
        dict.fromkeys(one["name"] for standing in found["standings"] for one in standing["measures"])
    )
    return [_measure(name, found) for name in names]


def _measure(name: str, found: Json) -> Measure:
    own = [
        (standing["model"], one)
        for standing in found["standings"]
        for one in standing["measures"]
        if one["name"] == name
    ]
    known = [one["estimate"] for _, one in own if one["estimate"]]
    low = min((one["low"] for one in known), default=0.0)
    high = max((one["high"] for one in known), default=1.0)
    is_high = own[0][1]["higher_is_better"]
    bars = [_bar(model, name, one, min(low, 0.0), max(high, 1e-12)) for model, one in own]
    return Measure(_TITLES.get(name, name), "more is better" if is_high else "less is better", bars)


def _bar(model: str, name: str, one: Json, low: float, high: float) -> Bar:
    form = _FORMS.get(name, "{:.3f}")
    estimate, against, told = one["estimate"], one["against"], one["told"] or ""
    if estimate is None:
        return Bar(model, figures.NONE, "", "0%", "0%", "0%", "", "", "", "open")
    left, middle, right = (
        100 * (estimate[at] - low) / (high - low) for at in ("low", "value", "high")
    )  # fmt: skip
    return Bar(
        model,
        form.format(estimate["value"]),
        f"{form.format(estimate['low'])} to {form.format(estimate['high'])}",
        f"{left:.1f}%",
        f"{max(right - left, 0.4):.1f}%",
        f"{middle:.1f}%",
        "" if against is None else _signed(form, against["value"]),
        "" if one["p_holm"] is None else "< 0.001" if one["p_holm"] < 0.001 else f"{one['p_holm']:.3f}",
        told,
        _TOLD.get(told, "open"),
    )


def _signed(form: str, value: float) -> str:
    return ("−" if value < 0 else "+") + form.format(abs(value))


def _facts(one: Json) -> Sequence[str]:
    """A model's row of figures: name, answers, failures, p50, p95, tokens in and out, cost, problem."""
    cost = one["cost_nano"]
    return (
        one["model"],
        figures.count(one["asked"]),
        figures.count(one["failed"]),
        figures.duration(one["latency_p50_ms"]),
        figures.duration(one["latency_p95_ms"]),
        f"{one['input_tokens']:,.0f}",
        f"{one['output_tokens']:,.0f}",
        figures.NONE if cost is None else figures.dollars(f"{cost / 1e9:.9f}"),
        one["problem"],
    )
