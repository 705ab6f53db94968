"""The page of drift: a card an app, what moved with its test and effect, example requests, canaries.

Knows the backend by its protocol alone.
"""

from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.pages import figures
from greenroom.server.pages.access import check_project, own_project, person, seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
_MOST_RUNS = 14
_NAMES = {
    "language": "Languages", "topic": "Topics", "prompt_words": "Words of prompts",
    "answer_words": "Words of answers", "meaning": "Meaning of prompts", "prompt_length": "Length of prompts",
    "answer_length": "Length of answers", "cost": "Cost", "latency": "Latency", "refusal": "Refusals",
    "personal_data": "Personal data",
}  # fmt: skip
_BARS = {"auc": 0.15, "h": 0.2, "psi": 0.25}
"""From which effect on each kind is large; a bar shows twice that at its end."""
_STATES = {
    "stable": ("stable", "answered"), "moved": ("moved", "refused"), "learning": ("learning", "cached"),
    "too_few": ("too few requests", "open"), "same": ("same", "answered"), "changed": ("changed", "refused"),
    "baseline": ("first answers", "cached"), "failed": ("no answers", "failed"),
}  # fmt: skip


class Backend(Protocol):
    """What the page asks; runs in a worker thread."""

    def overview(self, project: str | None) -> Json: ...
    def show(self, project: str, app: str, metric: str) -> Json: ...
    def accept(self, project: str, app: str, by: str, address: str) -> Json: ...
    def canary(self, target: str, number: int) -> Json: ...
    def accept_canary(self, target: str, by: str, address: str) -> Json: ...


class DriftPage:
    """`/drift` and its JSON; `/drift/canary` shows the answers of one run."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/drift", doors.page(self._show), methods=["GET", "POST"]),
            Route("/drift.json", doors.twin(self._show_json)),
            Route("/drift/canary", doors.page(self._canary)),
            Route("/drift/canary.json", doors.twin(self._canary_json)),
        ]

    async def _show(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(self._page, request, session)
        form = await self._doors.posted(request, session)
        session.require("operator")
        address, who = client_address(request), _who(session)
        try:
            if form.get("sure") != "yes":
                raise MalformedRequest("Tick the box to say that this is how it is now.")
            if form.get("do") == "accept":
                project = form.get("project", "")
                check_project(project)
                await run_in_threadpool(self._backend.accept, project, form.get("app", ""), who, address)
            elif form.get("do") == "accept-canary":
                session.require("admin")  # a model is everybody's
                await run_in_threadpool(self._backend.accept_canary, form.get("target", ""), who, address)
            else:
                raise MalformedRequest("This form says nothing that can be done.")
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, str(error), error.status)
        return redirect("/drift")

    def _page(self, request: Request, session: Session, trouble: str = "", status: int = 200) -> Response:
        asked = _asked(request)
        found = self._backend.overview(seen())
        detail = self._backend.show(*asked) if asked is not None else None
        return self._doors.render.html(
            "drift.html",
            status=status,
            session=session,
            trouble=trouble,
            watch=found["watch"],
            window_h=found["window_h"],
            looks=found["looks"],
            pinned=found["pinned"],
            apps=[_app(one, asked) for one in found["apps"]],
            detail=None if detail is None else _detail(detail),
            canaries=[_canary(one) for one in found["canaries"]],
            twin="/drift.json" if asked is None else "/drift.json?" + _query(*asked),
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        asked = _asked(request)
        if asked is not None:
            return json_answer(self._backend.show(*asked))
        return json_answer(self._backend.overview(seen()))

    def _canary(self, request: Request, session: Session) -> Response:
        session.require("admin")
        found = self._backend.canary(*_run_asked(request))
        twin = f"/drift/canary.json?{urlencode({'target': found['target'], 'run': found['number']})}"
        return self._doors.render.html(
            "canary.html", session=session, found=found, twin=twin, time=figures.short_clock(found["at"]),
            state=_STATES[found["state"]],
        )  # fmt: skip

    def _canary_json(self, request: Request, session: Session) -> Response:
        session.require("admin")
        return json_answer(self._backend.canary(*_run_asked(request)))


def _asked(request: Request) -> tuple[str, str, str] | None:
    """Project, app and metric of the address; None where none is asked for. Raises: NotFound."""
    query = request.query_params
    app, metric = query.get("app", ""), query.get("metric", "")
    if not app or not metric:
        return None
    return own_project(query.get("project")) or "default", app, metric


def _who(session: Session) -> str:
    """Whose key it is, for the audit log."""
    found = person()
    return session.role if found is None else found.key


def _run_asked(request: Request) -> tuple[str, int]:
    number = request.query_params.get("run", "")
    if not number.isdecimal() or len(number) > 15:
        raise MalformedRequest("Say which run: ?target=…&run=7", "run")
    return request.query_params.get("target", ""), int(number)


def _query(project: str, app: str, metric: str) -> str:
    return urlencode({"project": project, "app": app, "metric": metric})


def _app(one: Json, asked: tuple[str, str, str] | None) -> Json:
    stream = one["project"], one["app"]
    word, chip = _STATES[one["state"]]
    days, hours = divmod(one["missing_h"], 24)
    return {
        "project": one["project"], "name": one["app"], "state": word, "chip": chip, "word": one["state"],
        "at": one["at"], "time": figures.short_clock(one["at"]), "readings": one["readings"],
        "least": one["least"],
        "missing": f"{days} days" if days > 1 else f"{days * 24 + hours} hours",
        "metrics": [
            {
                "name": _NAMES.get(two["metric"], two["metric"]), "about": two["about"],
                "address": f"/drift?{_query(*stream, two['metric'])}#metric",
                "is_asked": asked == (*stream, two["metric"]), "was": two["was"] or figures.NONE,
                "now": two["now"] or figures.NONE, "effect": _effect(two), "p": _p(two["p"]),
                "width": f"{min(100.0, 50 * abs(two['effect']) / _BARS[two['kind']]):.1f}%",
                "chip": "refused" if two["open_since"] else "cached" if two["is_over"] else "answered",
                "verdict": "moved" if two["open_since"] else "seen once" if two["is_over"] else "as before",
                "since": "" if two["open_since"] is None else figures.short_clock(two["open_since"]),
            }
            for two in one["metrics"]
        ],
    }  # fmt: skip


def _effect(one: Json) -> str:
    if one["kind"] == "auc":
        return f"AUC {0.5 + abs(one['effect']):.2f}"
    return f"{'h' if one['kind'] == 'h' else 'PSI'} {abs(one['effect']):.2f}"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _detail(one: Json) -> Json:
    history = one["history"]
    scale, unit = _unit(one["metric"])
    values = [
        {
            "label": label,
            "points": [[two["at_s"], two[name] * scale] for two in history if two[name] is not None],
        }
        for name, label in (("new", "the window"), ("old", "the same hours before"))
    ]  # fmt: skip
    return {
        "title": f"{_NAMES.get(one['metric'], one['metric'])} of {one['app']}",
        "told": one["told"][:1].upper() + one["told"][1:],
        "unit": unit,
        "note": "" if unit else "in characters",
        "figures": values if any(two["points"] for two in values) else [],
        "effects": [{"label": "effect", "points": [[two["at_s"], two["effect"]] for two in history]}],
        "sides": [
            ("Now", [_example(two) for two in one["examples"]["new"]]),
            ("Before", [_example(two) for two in one["examples"]["old"]]),
        ],
    }


def _unit(metric: str) -> tuple[float, str]:
    """By what a figure is multiplied to be shown, and its unit."""
    if metric in ("language", "refusal", "personal_data"):
        return 1.0, "share"
    return {"cost": (1e-9, "USD"), "latency": (1e-3, "ms")}.get(metric, (1.0, ""))


def _example(one: Json) -> Json:
    return {**one, "time": figures.short_clock(one["at"])}


def _canary(one: Json) -> Json:
    runs = one["runs"]
    state, chip = _STATES[runs[0]["state"]] if runs else ("not asked yet", "open")
    points = [
        [_seconds(run["at"]), run["now"]] for run in reversed(runs) if run["now"] is not None
    ]  # fmt: skip
    return {
        "target": one["target"], "state": state, "chip": chip, "has_baseline": any(
            run["is_baseline"] for run in runs
        ),
        "series": [{"label": "likeness to its first answers", "points": points}] if points else [],
        "runs": [
            {
                "address": f"/drift/canary?{urlencode({'target': one['target'], 'run': run['number']})}",
                "at": run["at"], "time": figures.short_clock(run["at"]), "state": _STATES[run["state"]][0],
                "chip": _STATES[run["state"]][1], "answered": f"{run['answered']} of {run['asked']}",
                "likeness": figures.score(run["now"]), "before": figures.score(run["before"]),
                "p": figures.NONE if run["now"] is None else _p(run["p"]),
                "slower": figures.NONE if run["slower"] is None else f"× {run['slower']:.2f}",
                "cost": figures.dollars(None if run["cost_usd"] is None else f"{run['cost_usd']:.9f}"),
                "why": run["why"],
            }
            for run in runs[:_MOST_RUNS]
        ],
    }  # fmt: skip


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
