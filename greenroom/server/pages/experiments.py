"""The pages of experiments: which there are; one with its arms, intervals, guards; their end and beginning.

Knows the backend by its protocol alone. For admins, as the API's routes are.
"""

from math import isfinite
from typing import Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.evaluations import Bar, bar
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
CONTROL = "control"
_LONGEST = 500
_SHARES = frozenset({"refused", "failed"})


class Experiments(Protocol):
    """What the pages ask; all of it runs in worker threads. Raises: GreenroomError."""

    def experiments(self) -> list[Json]: ...
    def show(self, name: str) -> Json: ...
    def start(self, name: str, by: str, address: str) -> Json: ...
    def stop(self, name: str, why: str, by: str, address: str) -> Json: ...
    def promote(self, name: str, arm: str, by: str, address: str) -> Json: ...


class Compared(NamedTuple):
    """An arm against the control by one metric, ready to show."""

    arm: str
    metric: str
    difference: str
    between: str
    drawn: Bar
    word: str
    """What it amounts to: a verdict, or whether a guard holds."""
    tone: str
    limit: str = ""


class ExperimentPages:
    """`/experiments`, `/experiments/{name}`, and their twins."""

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/experiments", doors.page(self._list)),
            Route("/experiments.json", doors.twin(self._list_json)),
            Route("/experiments/{name}.json", doors.twin(self._show_json)),
            Route("/experiments/{name}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        rows = [{**one, "address": address_of(one["name"])} for one in self._experiments.experiments()]
        return self._doors.render.html("experiments.html", session=session, rows=rows)

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._experiments.experiments()})

    async def _show(self, request: Request, session: Session) -> Response:
        name = request.path_params["name"]
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, name)
        form = await self._doors.posted(request, session)
        try:
            said = await run_in_threadpool(self._change, name, form, session.who, client_address(request))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, name, str(error), error.status)
        return redirect(address_of(name), said)

    def _change(self, name: str, form: dict[str, str], by: str, address: str) -> str:
        match form.get("do"):
            case "start":
                self._experiments.start(name, by, address)
                return "It runs again, and counts from now."
            case "stop":
                self._experiments.stop(name, form.get("why", "").strip()[:_LONGEST], by, address)
                return "It is stopped: all traffic goes to the app as it is."
            case "promote" if form.get("sure") == "yes":
                arm = form.get("arm", "")
                self._experiments.promote(name, arm, by, address)
                return f"All traffic goes to '{arm[:100]}'."
            case "promote":
                raise MalformedRequest("Tick the box to say that all traffic shall go to this arm.", "sure")
        raise MalformedRequest("This form says nothing that can be done.", "do")

    def _show_json(self, request: Request, session: Session) -> Response:
        name = request.path_params["name"]
        return json_answer(self._experiments.show(name))

    def _page(self, session: Session, name: str, trouble: str = "", status: int = 200) -> Response:
        found = self._experiments.show(name)
        is_running = found["state"] == "running"
        return self._doors.render.html(
            "experiment.html",
            status=status,
            session=session,
            found=found,
            is_live=is_running and not trouble,
            arms=[_arm(one, found["metric"]) for one in found["arms"]],
            comparisons=[_compared(one) for one in found["comparisons"]],
            guards=[_guarded(one) for one in found["guards"]],
            promotable=[
                one["arm"] for one in found["arms"] if one["arm"] != CONTROL and not one["is_shadow"]
            ],
            trouble=trouble,
            address=address_of(name),
            twin=f"{address_of(name)}.json",
        )


def address_of(name: str) -> str:
    """The page of an experiment."""
    return "/experiments/" + segment(name)


def _arm(one: Json, metric: str) -> Json:
    return {
        "name": one["arm"],
        "is_shadow": one["is_shadow"],
        "share": figures.share(one["share"]),
        "exchanges": figures.count(one["exchanges"]),
        "units": figures.count(one["units"]),
        "valued": figures.count(one["valued"]),
        "mean": amount(metric, one["mean"]),
        "refused": amount("refused", one["refused"]),
        "failed": amount("failed", one["failed"]),
        "cost": amount("cost", one["cost_usd"]),
        "latency": amount("latency", one["latency_ms"]),
        "tokens": amount("tokens", one["tokens"]),
    }


def _compared(one: Json) -> Compared:
    verdict = one["verdict"]
    tone = verdict if verdict in {"better", "worse"} else "open"
    word = {"better": "surely better", "worse": "surely worse"}.get(verdict, "not decided")
    return Compared(one["arm"], one["metric"], *_said(one), _drawn(one, 0.0, tone), word, tone)


def _guarded(one: Json) -> Compared:
    tone = "worse" if one["is_broken"] else "open"
    word = "broken" if one["is_broken"] else "holds so far"
    limit = amount(one["metric"], one["limit"])
    return Compared(
        one["arm"], one["metric"], *_said(one), _drawn(one, one["limit"], tone), word, tone, limit
    )


def _said(one: Json) -> tuple[str, str]:
    """The difference, and between what it surely lies."""
    metric, low, high = one["metric"], one["low"], one["high"]
    ends = f"{signed(metric, low)} to {signed(metric, high)}"
    return signed(metric, one["difference"]), ends if low is not None or high is not None else "anything"


def _drawn(one: Json, limit: float, tone: str) -> Bar:
    known = [value for value in (one["difference"], one["low"], one["high"]) if value is not None]
    reach = max([abs(value) for value in known if isfinite(value)] + [limit], default=0.0) * 1.15 or 1.0
    low = float("-inf") if one["low"] is None else one["low"]
    high = float("inf") if one["high"] is None else one["high"]
    return bar(low, high, one["difference"] or 0.0, (-reach, reach), tone)


def amount(metric: str, value: float | None) -> str:
    """A value of a metric with its unit."""
    if value is None:
        return figures.NONE
    if metric in _SHARES:
        return figures.share(value)
    if metric == "cost":
        return figures.dollars(f"{value:.9f}")
    if metric == "latency":
        return figures.duration(value)
    return f"{value:,.0f}" if metric == "tokens" else f"{value:.3f}"


def signed(metric: str, value: float | None) -> str:
    """A difference with its sign; what has no end is said to be open."""
    if value is None:
        return "open"
    return f"{'−' if value < 0 else '+'}{amount(metric, abs(value))}"
