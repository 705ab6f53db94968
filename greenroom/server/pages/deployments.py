"""The page of deployments: what answers for each app, what stands before it, what both sides show, and the
buttons that change it.

Knows the backend by its protocol alone. For admins, since deployments span projects.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from msgspec import ValidationError, convert
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.deployments import NewDeployment
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
_LATEST = 50
_DONE = {
    "begin": "It stands before the app now.",
    "share": "The share was changed.",
    "promote": "It was promoted.",
    "rollback": "It was rolled back.",
}


class Backend(Protocol):
    """What the page asks; all but `begin` and `follow` run in a worker thread. Raises: GreenroomError."""

    def deployments(self) -> list[Json]:
        """Return every app with deployments: `GET /api/deployments`."""
        ...

    def history(self, app: str | None, limit: int = ...) -> list[Json]:
        """Return states that deployments came into, newest first."""
        ...

    def choices(self) -> Json:
        """Return what the form offers: `apps`, `models`, `prompts`, `suites`, `share`."""
        ...

    async def begin(self, wanted: NewDeployment, by: str, address: str) -> Json:
        """Run the gate, then begin a canary or shadow, or change the share of the one that is open."""
        ...

    def promote(
        self, app: str, why: str, force: str | None, by: str, address: str, deployment: int | None = ...
    ) -> Json:
        """Have an app answer with what is open, for good."""
        ...

    def roll_back(self, app: str, why: str, by: str, address: str, deployment: int | None = ...) -> Json:
        """Go back to the state before."""
        ...

    async def follow(self) -> None:
        """Have this process do what was decided."""
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
            Route("/deployments", doors.page(self.show), methods=["GET", "POST"]),
            Route("/deployments.json", doors.twin(self.show_json)),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """The page, and what its buttons send."""
        if request.method != "POST":
            return await run_in_threadpool(self._page, request, session)
        form = await self._doors.posted(request, session)
        session.require("admin")
        app = form.get("app", "")
        try:
            await self._do(form, app, session.who, client_address(request))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, form, error)
        return redirect("/deployments?" + urlencode({"app": app}), _DONE[form["do"]])

    async def _do(self, form: dict[str, str], app: str, by: str, address: str) -> None:
        deed, why = form.get("do", ""), form.get("why", "").strip()
        if deed == "begin":
            await self._backend.begin(_wanted(form), by, address)
        elif deed == "share":
            policy = await run_in_threadpool(self._policy, app)
            await self._backend.begin(_wanted(form, policy), by, address)
        elif deed == "promote":
            await run_in_threadpool(self._backend.promote, app, "", why or None, by, address, _meant(form))
        elif deed == "rollback":
            await run_in_threadpool(self._backend.roll_back, app, why, by, address, _meant(form))
        else:
            raise MalformedRequest("This form says nothing that can be done.")
        await self._backend.follow()

    def _policy(self, app: str) -> Json | None:
        """What the open policy of an app changes; None where it is no policy."""
        found = next((one["open"] for one in self._backend.deployments() if one["app"] == app), None)
        return None if found is None else found.get("policy")

    def _page(
        self,
        request: Request,
        session: Session,
        form: dict[str, str] | None = None,
        trouble: GreenroomError | None = None,
    ) -> Response:
        form = form or {}

        apps, events, app = self._asked(request)
        return self._doors.render.html(
            "deployments.html",
            status=trouble.status if trouble else 200,
            session=session,
            apps=[_app(one) for one in apps],
            events=[_event(one) for one in events],
            app=app,
            choices=self._backend.choices(),
            asked=form if form.get("do") == "begin" else {"app": app},
            trouble=str(trouble or ""),
            twin="/deployments.json" + (f"?{urlencode({'app': app})}" if app else ""),
        )

    def _asked(self, request: Request) -> tuple[list[Json], list[Json], str]:
        """Apps, events, and the app alone that is asked for: an unknown one has none of both."""
        app = request.query_params.get("app", "").strip()[:200]
        found = self._backend.deployments()
        apps = [one for one in found if not app or one["app"] == app]
        events = [] if app and not apps else self._backend.history(app or None, _LATEST)
        return apps, events, app

    def show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        apps, events, _ = self._asked(request)
        return json_answer({"apps": apps, "history": events})


def _wanted(form: dict[str, str], policy: Json | None = None) -> NewDeployment:
    """What the form asks for; a policy is that which stands. Raises: MalformedRequest."""
    share = form.get("share", "").strip().replace(",", ".").removesuffix("%").strip()
    body: Json = {
        "name": form.get("name", "").strip(),
        "app": form.get("app", "") or "default",
        "kind": form.get("kind") or None,
        "shadow": form.get("as") == "shadow",
        "policy": policy,
        "suite": form.get("suite") or None,
        "no_gate": form.get("no_gate", "").strip() or None,
    }
    try:
        body["share"] = float(share) / 100 if share else None
        return convert(body, NewDeployment)
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise MalformedRequest("The share must be a number of percent, like 5.", "share") from None
        message, _, place = str(error).partition(" - at `$.")
        raise MalformedRequest(f"'{place.rstrip('`')}': {message}.") from None


def _meant(form: dict[str, str]) -> int | None:
    """The deployment that a button names. Raises: MalformedRequest."""
    number = form.get("deployment", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise MalformedRequest("This form does not say which deployment it means. Open the page again.")
    return int(number)


def _app(one: Json) -> Json:
    opened, seen = one["open"], None
    if opened is not None:
        seen = opened["comparison"]
    return {
        "name": one["app"],
        "promoted": [_standing(two) for two in one["promoted"]],
        "back": _back(one),
        "may_promote": _may_promote(opened),
        "open": None if opened is None else _standing(opened),
        "sides": [] if seen is None else [_side(side) for side in seen["sides"]],
        "metrics": [] if seen is None else _metrics(seen["metrics"]),
        "verdict": "" if seen is None else seen["verdict"],
        "reasons": [] if seen is None else seen["reasons"],
    }


def _back(one: Json) -> Json | None:
    """What the button takes back, and what answers then; None where nothing stands."""
    standing = [*one["promoted"], *([one["open"]] if one["open"] else [])]
    if not standing:
        return None
    last, before = standing[-1], [two["name"] for two in standing[:-1] if two["kind"] == standing[-1]["kind"]]
    then = before[-1] if before else "what the configuration says"
    return {"id": last["id"], "what": f"{last['state']} {last['id']}", "name": last["name"], "then": then}


def _may_promote(opened: Json | None) -> bool:
    """Whether promotion needs no reason, as far as the page knows; the backend decides."""
    seen = None if opened is None else opened["comparison"]
    return opened is not None and opened["state"] == "canary" and (seen or {}).get("verdict") == "no harm"


def _standing(one: Json) -> Json:
    gate = one["gate"]
    return {
        "gate": f"evaluated by {gate['suite']}: {gate['result']}" if gate.get("suite") else "not evaluated",
        "percent": f"{100 * one['share']:g}",
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
