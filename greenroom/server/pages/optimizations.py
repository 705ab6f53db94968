"""The pages of optimisation: runs; one with its front, its candidates, their changes; begun, ended, promoted.

Knows the backend by its protocol alone. For admins: runs spend money, and prompts are what apps say.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.prompts import address_of as prompt_address
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _FOOT = 56, 16, 14, 34
"""Margins of the drawing."""


class Optimizations(Protocol):
    """What the pages ask; all of it runs in worker threads. Raises: GreenroomError."""

    def runs(self) -> list[Json]: ...
    def show(self, id: str) -> Json: ...
    def choices(self) -> Json: ...
    def start(self, asked: Mapping[str, str], by: str, address: str) -> str: ...
    def go_on(self, id: str, by: str, address: str) -> str: ...
    def stop(self, id: str, by: str, address: str) -> None: ...


class Dot(NamedTuple):
    """One candidate in the drawing of quality against cost."""

    x: float
    y: float
    number: int
    kind: str
    """`current`, `tested`, `front` or `other`."""
    told: str


class Front(NamedTuple):
    """The drawing: what stands on which axis, its ends, and the candidates."""

    across: str
    dots: list[Dot]
    left: str
    right: str
    bottom: str
    top: str


class OptimizationPages:
    """`/optimizations`, `/optimizations/{id}`, and their twins."""

    def __init__(self, optimizations: Optimizations) -> None:
        self._optimizations = optimizations
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/optimizations", doors.page(self._list), methods=["GET", "POST"]),
            Route("/optimizations.json", doors.twin(self._list_json)),
            Route("/optimizations/{id}.json", doors.twin(self._show_json)),
            Route("/optimizations/{id}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    async def _list(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            asked = {"prompt": request.query_params.get("prompt", "")}
            return await run_in_threadpool(self._list_page, session, asked)
        form = await self._doors.posted(request, session)
        try:
            begun = await run_in_threadpool(
                self._optimizations.start, form, session.who, client_address(request)
            )
        except GreenroomError as error:
            return await run_in_threadpool(self._list_page, session, form, str(error), error.status)
        return redirect(address_of(begun), "It is begun, in a process of its own.")

    def _list_page(
        self, session: Session, asked: Mapping[str, str], trouble: str = "", status: int = 200
    ) -> Response:
        rows = [{**one, "address": address_of(one["id"])} for one in self._optimizations.runs()]
        return self._doors.render.html(
            "optimizations.html",
            status=status,
            session=session,
            rows=rows,
            is_live=any(one["state"] == "running" for one in rows),
            choices=self._optimizations.choices(),
            asked={name: asked.get(name, "") for name in FIELDS},
            trouble=trouble,
        )

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._optimizations.runs()})

    async def _show(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, id)
        form = await self._doors.posted(request, session)
        by, address = session.who, client_address(request)
        try:
            match form.get("do"):
                case "stop":
                    await run_in_threadpool(self._optimizations.stop, id, by, address)
                    return redirect(address_of(id), "It was told to end. What was paid for is kept.")
                case "go_on":
                    begun = await run_in_threadpool(self._optimizations.go_on, id, by, address)
                    return redirect(address_of(begun), "It goes on where it was.")
            raise MalformedRequest("This form says nothing that can be done.", "do")
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, id, str(error), error.status)

    def _show_json(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        return json_answer(self._optimizations.show(id))

    def _page(self, session: Session, id: str, trouble: str = "", status: int = 200) -> Response:
        found = self._optimizations.show(id)
        if found.get("run"):  # it was only begun when this address was given out
            return redirect(address_of(found["run"]))
        result, saved = found["result"], found["saved"]
        tested = result["winner"] if result else None
        return self._doors.render.html(
            "optimization.html",
            status=status,
            session=session,
            found=found,
            is_live=found["state"] == "running" and not trouble,
            decision=result["decision"] if result else None,
            parts=None if not result else [result["train"], result["dev"], result["held_back"]],
            calls=figures.count(result["calls"]) if result else "",
            candidates=[_candidate(one, tested) for one in found["candidates"]],
            front=front_of(found["candidates"], tested),
            size=(WIDTH, HEIGHT),
            saved=saved and {**saved, "address": prompt_address(saved["name"], str(saved["number"]))},
            prompt=prompt_address(found["prompt"].partition("@")[0]),
            trouble=trouble,
            address=address_of(id),
            twin=f"{address_of(id)}.json",
        )


FIELDS = ("prompt", "data", "metric", "method", "app", "model", "reflection_model", "budget_usd", "max_calls")
"""Of the form that begins a run."""


def address_of(id: str) -> str:
    """The page of a run."""
    return "/optimizations/" + segment(id)


def _candidate(one: Json, tested: int | None) -> Json:
    dev = one["dev"]
    return {
        "number": one["number"],
        "parent": one["parent"],
        "origin": "the prompt as it is" if one["origin"] == "current" else one["origin"],
        "train": figures.score(one["train"]),
        "dev": figures.NONE if dev is None else f"{dev[0]:.3f}",
        "cost": _thousand(dev),
        "tokens": figures.NONE if dev is None else f"{dev[2]:,.0f}",
        "is_front": one["is_front"],
        "is_tested": one["number"] == tested,
        "faults": one["faults"],
        "changes": one["diff"].get("changes", []),
    }


def _thousand(dev: Sequence[float | None] | None) -> str:
    """What a thousand answers cost."""
    cost = None if dev is None else dev[1]
    return figures.NONE if cost is None else figures.dollars(f"{cost / 1e6:.6f}")


def front_of(candidates: Sequence[Json], tested: int | None) -> Front | None:
    """Quality on the dev part against the cost of an answer; against tokens where a price is not known.

    None where fewer than two candidates were measured.
    """
    measured = [one for one in candidates if one["dev"] is not None]
    if len(measured) < 2:
        return None
    is_priced = all(one["dev"][1] is not None for one in measured)
    place = 1 if is_priced else 2
    across = [float(one["dev"][place]) for one in measured]
    up = [float(one["dev"][0]) for one in measured]
    xs, ys = _ends(across), _ends(up)
    dots = []
    for one, x, y in zip(measured, across, up, strict=True):
        number = one["number"]
        kind = (
            "current"
            if number == 0
            else "tested"
            if number == tested
            else "front"
            if one["is_front"]
            else "other"
        )
        price = _thousand(one["dev"]) if is_priced else f"{x:,.0f} tokens"
        told = f"Candidate {number}: {y:.3f}, {price}"
        across_px = _LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (WIDTH - _LEFT - _RIGHT)
        up_px = HEIGHT - _FOOT - (y - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - _TOP - _FOOT)
        dots.append(Dot(round(across_px, 1), round(up_px, 1), number, kind, told))
    ends = [_thousand((0, one, 0)) if is_priced else f"{one:,.0f}" for one in xs]
    title = "US dollars for 1,000 answers" if is_priced else "Tokens of an answer"
    return Front(title, dots, ends[0], ends[1], f"{ys[0]:.2f}", f"{ys[1]:.2f}")


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis, with some room beside what stands on it."""
    least, most = min(values), max(values)
    room = (most - least) * 0.12 or abs(most) * 0.1 or 0.1
    return max(0.0, least - room), most + room
