"""The page of deployments: what answers for each app, what stands before it, and what both sides show.

Knows the backend by its protocol alone. Looking only: changes are made with `greenroom deploy` or the API.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds
_LATEST = 50


class Backend(Protocol):
    """What the page asks; runs in a worker thread."""

    def deployments(self) -> list[Json]:
        """Return every app with deployments: `GET /api/deployments`."""
        ...

    def history(self, app: str | None, limit: int = ...) -> list[Json]:
        """Return states that deployments came into, newest first."""
        ...


class Metric(NamedTuple):
    """One metric of an open deployment, ready to show."""

    name: str
    current: str
    canary: str
    between: str
    margin: str
    verdict: str
    left: str
    """Where the interval begins, in percent of a scale whose middle is no difference; `width` likewise."""
    width: str
    limit: str
    """Where the margin stands on it."""


class DeploymentsPage:
    """`/deployments` and its JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/deployments", doors.page(self.show)),
            Route("/deployments.json", doors.twin(self.show_json)),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """The page."""

        def build() -> Response:
            apps, events = self._backend.deployments(), self._backend.history(None, _LATEST)
            return self._doors.render.html(
                "deployments.html",
                session=session,
                apps=[_app(one) for one in apps],
                events=[_event(one) for one in events],
            )

        return await run_in_threadpool(build)

    async def show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""

        def build() -> Response:
            apps, events = self._backend.deployments(), self._backend.history(None, _LATEST)
            return json_answer({"apps": apps, "history": events})

        return await run_in_threadpool(build)


def _app(one: Json) -> Json:
    opened, seen = one["open"], None
    if opened is not None:
        seen = opened["comparison"]
    return {
        "name": one["app"],
        "promoted": [_standing(two) for two in one["promoted"]],
        "open": None if opened is None else _standing(opened),
        "sides": [] if seen is None else [_side(side) for side in seen["sides"]],
        "metrics": [] if seen is None else _metrics(seen["metrics"]),
        "verdict": "" if seen is None else seen["verdict"],
        "reasons": [] if seen is None else seen["reasons"],
    }


def _standing(one: Json) -> Json:
    return {
        "id": one["id"], "kind": one["kind"], "name": one["name"], "state": one["state"].replace("_", " "),
        "share": percent(one["share"]), "at": one["since"], "time": figures.short_clock(one["since"]),
        "who": one["who"], "why": one["why"],
    }  # fmt: skip


def _side(side: Json) -> Json:
    flaws = ", ".join(f"{name} {count}" for name, count in side["flaws"].items())
    cost = side["cost_usd"]
    return {
        **{name: figures.count(side[name]) for name in ("units", "exchanges", "failed", "refused")},
        "side": side["side"],
        "flaws": flaws or "0",
        "p50": "–" if side["latency_ms"] is None else f"{side['latency_ms']:,.0f} ms",
        "p90": "–" if side["latency_p90_ms"] is None else f"{side['latency_p90_ms']:,.0f} ms",
        "cost": "–" if cost is None else f"${cost:.6f}",
    }


def _metrics(found: Sequence[Json]) -> list[Metric]:
    """The scale reaches three margins to each side, and is the same for no two metrics of other margins."""
    return [
        Metric(
            one["metric"], percent(one["current"]), percent(one["canary"]),
            f"{percent(one['low'])} to {percent(one['high'])}", percent(one["margin"]), one["verdict"],
            *_placed(one["low"], one["high"], one["margin"]),
        )
        for one in found
    ]  # fmt: skip


def _placed(low: float, high: float, margin: float) -> tuple[str, str, str]:
    reach = 3 * max(margin, 0.01)
    left, right = (50 + 50 * min(1.0, max(-1.0, bound / reach)) for bound in (low, high))
    return f"{left:.1f}%", f"{max(right - left, 0.5):.1f}%", f"{50 + 50 * margin / reach:.1f}%"


def _event(one: Json) -> Json:
    return {
        "app": one["app"], "id": one["deployment"], "name": one["name"], "kind": one["kind"],
        "state": one["state"].replace("_", " "), "share": percent(one["share"]), "who": one["who"],
        "why": one["why"], "at": one["at"], "time": figures.short_clock(one["at"]),
    }  # fmt: skip


def percent(part: float | None) -> str:
    """A share as people read it."""
    return "–" if part is None else f"{100 * part:.3g} %"
