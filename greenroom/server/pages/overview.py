"""The overview: is it healthy now, and what changed? And the page that says why something became dearer."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages import access, scores, strips, why
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.scores import Scored
from greenroom.server.pages.sessions import Session
from greenroom.store.bucket import Bucket
from greenroom.store.dearer import Ratios
from greenroom.store.movers import movers

Json = dict[str, Any]  # Any: what JSON holds


class Range(NamedTuple):
    """How far one looks back, in seconds, and how long a step of the charts is."""

    name: str
    title: str
    length_s: int
    step_s: int


RANGES: Final = (
    Range("1h", "hour", 3_600, 60),
    Range("24h", "24 hours", 86_400, 1_200),
    Range("7d", "7 days", 7 * 86_400, 2 * 3_600),
    Range("30d", "30 days", 30 * 86_400, 6 * 3_600),
    Range("90d", "90 days", 90 * 86_400, 86_400),
    Range("400d", "400 days", 400 * 86_400, 4 * 86_400),
)
USUAL: Final = RANGES[2]


class Backend(Protocol):
    """What the pages ask; runs in a worker thread."""

    def read(
        self, since_s: float, until_s: float, step_s: int, *, names: "Names", by: Sequence[str], detail: bool
    ) -> list[Bucket]: ...
    def totals(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        names: "Names",
        by: Sequence[str],
        detail: bool = False,
    ) -> list[Bucket]: ...
    def markers(self, since_s: float, until_s: float, app: str | None) -> list[Json]: ...
    def ratios(self, model: str) -> Ratios: ...
    def scored(self, since_day: int, until_day: int, each: int, *, names: "Names") -> list[Scored]: ...


class Names(NamedTuple):
    """What is looked at; None is everything."""

    project: str | None = None
    app: str | None = None
    model: str | None = None

    @property
    def said(self) -> dict[str, str]:
        """Those that are set."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Asked(NamedTuple):
    """Which time and what of it. The time before is as long, and ends where this one begins."""

    range: Range
    names: Names
    since_s: int
    until_s: int

    @property
    def before_s(self) -> int:
        """When the time before begins."""
        return 2 * self.since_s - self.until_s

    def address(self, path: str = "/overview", /, **changed: str | None) -> str:
        """The address of a page with the same question, but for what is changed."""
        asked: dict[str, str | None] = {**self.names.said, "range": self.range.name, **changed}
        if asked["range"] == USUAL.name:
            del asked["range"]
        kept = {name: value for name, value in asked.items() if value is not None}
        return f"{path}?{urlencode(kept)}" if kept else path


def read_asked(query: Mapping[str, str], now_s: float) -> Asked:
    """What an address asks for; unknown ranges are the usual one. Raises: NotFound for others' projects."""
    chosen = next((one for one in RANGES if one.name == query.get("range")), USUAL)
    said = {name: query.get(name, "").strip()[:500] or None for name in ("project", "app", "model")}
    names = Names(access.own_project(said["project"]), said["app"], said["model"])
    until = -int(-now_s // chosen.step_s) * chosen.step_s
    return Asked(chosen, names, until - chosen.length_s, until)


class OverviewPages:
    """`/overview`, `/overview/why` and their JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/overview", doors.page(self._show)),
            Route("/overview.json", doors.twin(self._show_json)),
            Route("/overview/why", doors.page(self._why)),
            Route("/overview/why.json", doors.twin(self._why_json)),
        ]

    def _show(self, request: Request, session: Session) -> Response:
        asked = read_asked(request.query_params, time.time())
        return self.page(asked, session)

    def page(self, asked: Asked, session: Session) -> Response:
        """The overview; reads files."""
        found = self._found(asked)
        return self._doors.render.html(
            "overview.html",
            session=session,
            asked=asked,
            ranges=[(one, asked.address(range=one.name)) for one in RANGES],
            conditions=[
                (name, value, asked.address("/overview", **{name: None}))
                for name, value in asked.names.said.items()
            ],
            twin=asked.address("/overview.json"),
            **found,
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        asked = read_asked(request.query_params, time.time())
        found = self._found(asked)
        return json_answer(
            {
                "range": asked.range.name,
                "since": asked.since_s,
                "until": asked.until_s,
                "step_s": asked.range.step_s,
                **asked.names.said,
                "qualities": [
                    {"name": one.name, "tiles": one.tiles, "charts": one.charts} for one in found["strips"]
                ],
                "movers": [one.told() for one in found["movers"]],
                "markers": found["markers"],
            }
        )

    def _found(self, asked: Asked) -> Json:
        backend, names, step_s = self._backend, asked.names, asked.range.step_s
        now = backend.read(asked.since_s, asked.until_s, step_s, names=names, by=(), detail=True)
        before = backend.totals(asked.before_s, asked.since_s, step_s, names=names, by=(), detail=True)
        by_app = backend.read(asked.since_s, asked.until_s, step_s, names=names, by=("app",), detail=False)
        changed = [
            *self._movers(asked, "app"),
            *(self._movers(asked, "model") if names.model is None else ()),
        ]
        changed.sort(key=lambda one: -one.mover.weight)
        grid = strips.Grid(asked.since_s, asked.until_s, step_s, time.time())
        lead = {name: value for name, value in names.said.items() if name != "project"}
        each = max(1, step_s // scores.DAY_S)
        scored = backend.scored(*scores.days(asked.since_s, asked.until_s), each, names=names)
        return {
            "strips": strips.strips(now, before, by_app, grid, lead, scored),
            "movers": changed[:8],
            "markers": backend.markers(asked.since_s, asked.until_s, names.app),
            "has_any": bool(now),
        }

    def _movers(self, asked: Asked, dimension: Any) -> list[why.Shown]:  # Any: one of two literals
        step_s, by = asked.range.step_s, (dimension,)
        before = self._backend.totals(asked.before_s, asked.since_s, step_s, names=asked.names, by=by)
        after = self._backend.totals(asked.since_s, asked.until_s, step_s, names=asked.names, by=by)
        if not before:
            return []  # all would be new
        found = movers(before, after, dimension)
        return [why.shown(one, asked.address, asked.since_s, asked.until_s) for one in found]

    def _why(self, request: Request, session: Session) -> Response:
        asked = read_asked(request.query_params, time.time())
        told = self._told(asked)
        return self._doors.render.html(
            "why.html",
            session=session,
            asked=asked,
            told=told,
            ranges=[(one, asked.address("/overview/why", range=one.name)) for one in RANGES],
            overview=asked.address(),
            requests="/requests?" + urlencode(why.lead(asked.names.said, asked.since_s, asked.until_s)),
            twin=asked.address("/overview/why.json"),
        )

    def _why_json(self, request: Request, session: Session) -> Response:
        asked = read_asked(request.query_params, time.time())
        told = self._told(asked)
        return json_answer(told.told())

    def _told(self, asked: Asked) -> why.Why:
        backend, names, step_s = self._backend, asked.names, asked.range.step_s
        by = ("model",)
        before = backend.totals(asked.before_s, asked.since_s, step_s, names=names, by=by)
        after = backend.totals(asked.since_s, asked.until_s, step_s, names=names, by=by)
        steps = backend.read(asked.before_s, asked.until_s, step_s, names=names, by=by, detail=False)
        return why.explain(
            before,
            after,
            backend.ratios,
            chart=strips.costs(
                steps, strips.Grid(asked.before_s, asked.until_s, step_s, time.time()), "model"
            ),
            markers=backend.markers(asked.before_s, asked.until_s, names.app),
        )
