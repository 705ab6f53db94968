"""The pages of fine-tuning: all jobs; one with its curves, what it told, its checkpoints and its card.

Knows the backend by its protocol alone. While a job is at work its page brings itself up to date.
"""

from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.server.pages import figures
from greenroom.server.pages.curves import HEIGHT, WIDTH, charts
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
LIVING = frozenset({"validating_files", "queued", "running"})
_DEEDS = ("pause", "resume", "cancel")
_FIGURES = (
    ("train_loss", "Training loss"), ("valid_loss", "Validation loss"),
    ("trained_tokens", "Tokens trained on"), ("steps", "Steps"), ("wall_s", "Seconds"),
    ("cpu_s", "Seconds of processor"), ("peak_memory_mb", "Memory at most, MB"),
)  # fmt: skip


class Training(Protocol):
    """What the pages ask; all of it runs in worker threads. Raises: GreenroomError."""

    def list(self) -> list[Json]:
        """The newest jobs of all projects."""
        ...

    def show(self, id: str) -> Json:
        """A job, with `events`, `checkpoints`, `points` and `summary`. Raises: NotFound."""
        ...

    def change(self, id: str, deed: str, by: str, address: str) -> None:
        """Pause, resume or cancel one."""
        ...


class FinetuningPages:
    """`/finetuning`, `/finetuning/{id}`, and their twins."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/finetuning", doors.page(self._list)),
            Route("/finetuning.json", doors.twin(self._list_json)),
            Route("/finetuning/{id}.json", doors.twin(self._show_json)),
            Route("/finetuning/{id}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        rows = [_row(one) for one in self._training.list()]
        is_live = any(one["status"] in LIVING for one in rows)
        return self._doors.render.html("finetuning.html", session=session, rows=rows, is_live=is_live)

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._training.list()})

    async def _show(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, id)
        form = await self._doors.posted(request, session)
        if not session.may_write:
            raise Forbidden("This key may look, but not change. Sign in with an admin or operator key.")
        try:
            deed = form.get("do", "")
            if deed not in _DEEDS:
                raise MalformedRequest("This form says nothing that can be done.")
            if deed == "cancel" and form.get("sure") != "yes":
                raise MalformedRequest("Tick the box to say that the job shall end for good.")
            address = client_address(request)
            await run_in_threadpool(self._training.change, id, deed, session.who, address)
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, id, str(error), error.status)
        return redirect("/finetuning/" + segment(id))

    def _show_json(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        return json_answer(self._training.show(id))

    def _page(self, session: Session, id: str, trouble: str = "", status: int = 200) -> Response:
        job = self._training.show(id)
        ours = job["greenroom"]
        state = ours["state"]
        return self._doors.render.html(
            "finetuning_job.html",
            status=status,
            session=session,
            job=job,
            row=_row(job["summary"]),
            state=state,
            is_live=state in LIVING,
            may=_may(state, is_planned=ours["start"] is not None),
            charts=charts(job["points"]),
            width=WIDTH,
            height=HEIGHT,
            facts=_facts(job),
            problems=(ours["report"] or {}).get("problems") or [],
            events=[one for one in job["events"] if one["type"] == "message"][:50],
            checkpoints=job["checkpoints"],
            card=_card(ours["card"]),
            trouble=trouble,
            address="/finetuning/" + segment(id),
            twin="/finetuning/" + segment(id) + ".json",
        )


def _row(one: Json) -> Json:
    done = one["done"]
    where = ""
    if one["phase"]:
        where = f"{one['phase']}, step {figures.count(one['step'])} of {figures.count(one['total_steps'])}"
    return {
        **one,
        "state": one["status"].replace("_", " "),
        "address": "/finetuning/" + segment(one["id"]),
        "width": None if done is None else f"{done * 100:.1f}%",
        "where": where,
    }


def _may(state: str, *, is_planned: bool) -> list[str]:
    if state == "paused" or (state == "failed" and is_planned):
        return ["resume", "cancel"]
    if state == "failed":
        return ["cancel"]
    return ["pause", "cancel"] if state in LIVING else []


def _facts(job: Json) -> list[tuple[str, str]]:
    ours = job["greenroom"]
    progress = ours["progress"] or {}
    estimate = ours["estimate"] or {}
    found = [
        ("Model", ours["name"]),
        ("Base", ours["base"] or ("none, from scratch" if ours["start"] == "from_scratch" else job["model"])),
        ("Method", ", ".join(one for one in (job["method"]["type"], ours["tuning"]) if one)),
        ("Files", ", ".join(one for one in (job["training_file"], job["validation_file"]) if one)),
        ("Memory now", f"{progress['memory_mb']:,.0f} MB" if progress else ""),
        ("Estimated", str(estimate.get("told") or "")),
        ("Ready at", figures.clock(job["summary"]["finish_at"]) if job["summary"].get("finish_at") else ""),
        ("Started", "" if ours["starts"] < 2 else f"{ours['starts']} times"),
    ]
    return [(name, value) for name, value in found if value]


def _card(card: Json | None) -> Json | None:
    """What of a card stands on the page; the rest is in the JSON."""
    if card is None:
        return None
    got = card["figures"]
    return {
        "figures": [(title, _figure(got[name])) for name, title in _FIGURES if got.get(name) is not None],
        "settings": [(name, _figure(value)) for name, value in card["settings"].items()],
        "data": [(name, _short(value)) for name, value in card["data"].items() if value and name != "files"],
        "versions": ", ".join(f"{name} {value}" for name, value in card["versions"].items()),
    }


def _short(value: object) -> str:
    said = _figure(value)
    return f"{said[:16]}…" if len(said) == 64 and said.isalnum() else said  # a digest


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_figure, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return figures.count(value) if isinstance(value, int) else str(value)
