"""The page of quality: each score over time with its interval, by app, model and prompt; and the thumbs.

Knows the backend by its protocol alone.
"""

from typing import Any, Protocol
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import MalformedRequest, NotFound
from greenroom.server.pages import figures
from greenroom.server.pages.access import own_project, seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.scores import SOURCES
from greenroom.server.pages.sessions import Session
from greenroom.server.quality import QualityAdministration, read_days
from greenroom.store.scores import Score, checked

Json = dict[str, Any]  # Any: what JSON holds
_CHOICES = (7, 30, 90)
_LONGEST = 256
_WORDS = (
    ("scored", "scored"), ("abstained", "no verdict"), ("failed", "failed"), ("over", "past the number"),
    ("unpaid", "past the money"), ("empty", "without an answer"), ("gone", "gone"), ("paused", "paused"),
)  # fmt: skip
_HELPFUL = "helpful"


class Backend(QualityAdministration, Protocol):
    """What the page asks; runs in a worker thread."""

    def score(self, project: str | None, id: str, score: Score) -> Json | None:
        """Add a score to an exchange; None when this project has none of that id."""
        ...


class QualityPage:
    """`/quality` and its JSON; forms with a thumb or a comment are sent to `/quality/feedback`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/quality", doors.page(self._show)),
            Route("/quality.json", doors.twin(self._show_json)),
            Route("/quality/feedback", doors.page(self._feedback), methods=["POST"]),
        ]

    def _show(self, request: Request, session: Session) -> Response:
        asked = _Asked(request)
        found = self._backend.quality(asked.project, asked.days, asked.app, asked.model, asked.prompt)
        return self._doors.render.html(
            "quality.html",
            session=session,
            choices=[(days, asked.address(days=str(days)), days == asked.days) for days in _CHOICES],
            conditions=[(name, value, asked.address(**{name: ""})) for name, value in asked.named()],
            scores=[_score(one, place, asked) for place, one in enumerate(found["scores"])],
            rules=[_rule(one) for one in found["rules"]],
            twin=asked.address("/quality.json"),
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        asked = _Asked(request)
        return json_answer(
            self._backend.quality(asked.project, asked.days, asked.app, asked.model, asked.prompt)
        )

    async def _feedback(self, request: Request, session: Session) -> Response:
        """Score an exchange: `id`, `value`, if wanted `name`, `comment`, `correction`; back to its page."""
        form = await self._doors.posted(request, session)
        session.require("operator")
        id = form.get("id", "")
        try:
            value = float(form.get("value", ""))
        except ValueError:
            raise MalformedRequest("A score needs a number as its value.", "value") from None
        score = checked(
            Score(
                name=form.get("name") or _HELPFUL, value=value, comment=form.get("comment", ""),
                correction=form.get("correction", ""),
            )
        )  # fmt: skip
        if await run_in_threadpool(self._backend.score, seen(), id, score) is None:
            raise NotFound("No exchange has this id.")
        return redirect("/requests/" + segment(id))


class _Asked:
    """What the address asks for. Raises: MalformedRequest, NotFound."""

    def __init__(self, request: Request) -> None:
        query = request.query_params
        self._wanted = {
            name: query.get(name, "")[:_LONGEST] for name in ("project", "app", "model", "prompt", "days")
        }
        self.project = own_project(self._wanted["project"] or None)
        self.app = self._wanted["app"] or None
        self.model = self._wanted["model"] or None
        self.prompt = self._wanted["prompt"] or None
        self.days = read_days(self._wanted["days"])

    def named(self) -> list[tuple[str, str]]:
        """What it is narrowed to."""
        return [(name, value) for name, value in self._wanted.items() if value and name != "days"]

    def address(self, path: str = "/quality", **changed: str) -> str:
        """The same with something changed."""
        query = {name: value for name, value in {**self._wanted, **changed}.items() if value}
        return f"{path}?{urlencode(query)}" if query else path


def _score(one: Json, place: int, asked: _Asked) -> Json:
    unit = "share" if _is_share(one) else ""
    points = {name: [[day["at_s"], day[name]] for day in one["by_day"]] for name in ("mean", "low", "high")}
    return {
        "id": f"score-{place}",
        "name": one["name"],
        "source": SOURCES.get(one["source"], one["source"]),
        "unit": unit,
        "mean": _figure(one["mean"], unit),
        "between": _between(one, unit),
        "n": figures.count(one["n"]),
        "series": [
            {"label": one["name"], "points": points["mean"], "low": points["low"], "high": points["high"]}
        ],
        "tables": [
            {
                "title": title,
                "rows": [
                    {
                        "name": row["name"], "mean": _figure(row["mean"], unit), "n": figures.count(row["n"]),
                        "between": _between(row, unit), "address": asked.address(**{title: row["name"]}),
                    }
                    for row in rows
                ],
            }
            for title, rows in one["by"].items()
            if rows
        ],
        "requests": None if one["source"] == "sample" else f"/requests?{urlencode({'score': one['name']})}",
    }  # fmt: skip


def _is_share(one: Json) -> bool:
    bounds = [one["mean"], *(day["mean"] for day in one["by_day"])]
    return all(value is None or 0 <= value <= 1 for value in bounds)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return figures.NONE
    return figures.share(max(0.0, min(1.0, value))) if unit == "share" else f"{value:.4g}"


def _between(one: Json, unit: str) -> str:
    if one["low"] is None or one["high"] is None:
        return figures.NONE
    return f"{_figure(one['low'], unit)} to {_figure(one['high'], unit)}"


def _rule(one: Json) -> Json:
    today = [f"{figures.count(one['today'][what])} {word}" for what, word in _WORDS if one["today"].get(what)]
    money = ""
    if one["usd_a_day"] is not None:
        money = f"{figures.dollars(format(one['usd'], '.9f'))} of {figures.dollars(str(one['usd_a_day']))}"
    bounds = [f"{word} {one[word]:g}" for word in ("below", "above") if one[word] is not None]
    return {
        "name": one["name"], "scorer": one["scorer"], "apps": ", ".join(one["apps"]) or "all",
        "share": figures.share(one["share"]), "today": ", ".join(today) or "nothing yet", "money": money,
        "alert": " or ".join(bounds) or figures.NONE,
    }  # fmt: skip
