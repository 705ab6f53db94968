"""The page of safety: what was found over time, by which rules, what policies did, and what was no danger.

Knows the backend by its protocol alone. A finding that is marked as a false alarm gets a score, which counts
and can be filtered by like any other.
"""

from typing import Any, Protocol
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.pages import figures
from greenroom.server.pages.audit import ACTIONS, read_lines
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
DAYS = (1, 7, 30, 90)
_USUAL_DAYS = 7
_FILTERS = ("project", "app", "rule", "category")
_LONGEST = 200
_FINDINGS = 30
_RULES = 20
_LINES = 7
"""Lines of a chart; what is rarer is told together."""


class Backend(Protocol):
    """What the page asks; runs in worker threads. Raises: GreenroomError."""

    def over(self, days: int, project: str | None, app: str | None) -> Json: ...
    def findings(
        self, rule: str | None, category: str | None, project: str | None, app: str | None, limit: int
    ) -> list[Json]: ...
    def mark(self, number: int, *, is_false: bool, by: str, address: str) -> Json: ...


class SafetyPage:
    """`/safety` and its JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/safety", doors.page(self._show), methods=["GET", "POST"]),
            Route("/safety.json", doors.twin(self._show_json)),
        ]

    async def _show(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(self._page, request, session)
        form = await self._doors.posted(request, session)
        session.require("operator")
        try:
            number, is_false = _marked(form)
            by, address = session.who, client_address(request)
            await run_in_threadpool(
                lambda: self._backend.mark(number, is_false=is_false, by=by, address=address)
            )
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, error)
        said = f"Finding {number} counts as a false alarm." if is_false else f"Finding {number} counts again."
        return redirect(_address(_asked(request)) + "#findings", said)

    def _page(self, request: Request, session: Session, trouble: GreenroomError | None = None) -> Response:
        asked = _asked(request)
        found, findings = self._read(asked)
        return self._doors.render.html(
            "safety.html",
            status=trouble.status if trouble else 200,
            session=session,
            asked=asked,
            found=found,
            choices=[(days, _address({**asked, "days": days})) for days in DAYS],
            charts=[
                ("by-category", "Findings by category", _series(found, "category")),
                ("by-action", "What was done", _series(found, "action")),
            ],
            rules=[_rule(one, found["found"], asked) for one in found["rules"][:_RULES]],
            left_out=max(0, len(found["rules"]) - _RULES),
            findings=[(line, one) for line, one in zip(read_lines(findings), findings, strict=True)],
            actions=ACTIONS,
            without={name: _address({**asked, name: ""}) for name in _FILTERS if asked[name]},
            here_address=_address(asked),
            audit="/audit?" + urlencode({"kind": "finding", **_set(asked)}),
            trouble=str(trouble or ""),
            twin=_address(asked, "/safety.json"),
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        found, findings = self._read(_asked(request))
        return json_answer({**found, "findings": findings})

    def _read(self, asked: Json) -> tuple[Json, list[Json]]:
        project, app = asked["project"] or None, asked["app"] or None
        found = self._backend.over(asked["days"], project, app)
        rule, category = asked["rule"] or None, asked["category"] or None
        return found, self._backend.findings(rule, category, project, app, _FINDINGS)


def _asked(request: Request) -> Json:
    query = request.query_params
    days = query.get("days", "")
    return {
        "days": int(days) if days in map(str, DAYS) else _USUAL_DAYS,
        **{name: query.get(name, "").strip()[:_LONGEST] for name in _FILTERS},
    }


def _set(asked: Json) -> dict[str, str]:
    return {name: asked[name] for name in _FILTERS if asked[name]}


def _address(asked: Json, path: str = "/safety") -> str:
    return f"{path}?{urlencode({'days': asked['days'], **_set(asked)})}"


def _marked(form: dict[str, str]) -> tuple[int, bool]:
    number, do = form.get("finding", ""), form.get("do", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19) or do not in {"false", "true"}:
        raise MalformedRequest("This form names no finding. Open the page again.")
    return int(number), do == "false"


def _series(found: Json, by: str) -> list[Json]:
    """A line for each of the most frequent, in equal steps: where nothing was found stands 0."""
    step, since = found["step_s"], found["since_s"]
    names = list(found[f"by_{by}"])[:_LINES]
    first = since // step * step
    starts = range(first, first + step * (found["days"] * 86_400 // step), step)
    counts: dict[str, dict[int, int]] = {name: {} for name in names}
    for one in found["steps"]:
        line = counts.setdefault(one[by] if one[by] in names else "others", {})
        line[one["start"]] = line.get(one["start"], 0) + one["found"]
    return [
        {"label": name.replace("_", " "), "points": [[at, line.get(at, 0)] for at in starts]}
        for name, line in counts.items()
    ]


def _rule(one: Json, whole: int, asked: Json) -> Json:
    return {
        **one,
        "share": figures.share(one["found"] / whole) if whole else figures.NONE,
        "done": ", ".join(f"{name} {figures.count(number)}" for name, number in one["actions"].items()),
        "marked": figures.share(one["false_alarms"] / one["found"]) if one["false_alarms"] else "",
        "address": _address({**asked, "rule": one["rule"]}) + "#findings",
    }
