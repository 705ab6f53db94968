"""The page that makes a fine-tuning job: a file of rows, what to start from, the estimate, and then the job.

Knows the backend by its protocol alone. Nothing is trained before the estimate was seen.
"""

from secrets import token_urlsafe
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Conflict, Forbidden, GreenroomError, MalformedRequest
from greenroom.grounding.files import Files, Upload
from greenroom.server.knowledge.upload import Form
from greenroom.server.pages import figures
from greenroom.server.pages.access import seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.forms import require_same_origin
from greenroom.server.pages.once import Once
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session, Shelf, is_same
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
_PROBLEMS = 20
_FORM = {
    "file": "", "start": "base", "base": "", "valid": "", "method": "supervised", "tuning": "", "epochs": "",
    "suffix": "", "hours": "", "consent": "not_refused",
}  # fmt: skip
"""The fields of the form, as they stand before anybody typed."""


class NewTraining(Protocol):
    """What the page asks; all of it runs in worker threads. Raises: GreenroomError."""

    @property
    def files(self) -> Files: ...
    @property
    def most_bytes(self) -> int: ...
    def offers(self) -> Json:
        """`files`, `bases` and `projects` to choose from."""
        ...

    def keep(self, upload: Upload, project: str, filename: str, by: str, address: str) -> Json: ...
    def estimate(self, body: Json) -> Json:
        """What a job would take: `estimate`, `report`, `refusal`, `name`."""
        ...

    def create(self, body: Json, by: str, address: str) -> str:
        """Make the job; its id."""
        ...


class NewTrainingPage:
    """`/finetuning/new`, its twin, and the upload of rows."""

    def __init__(self, training: NewTraining, shelf: Shelf | None = None) -> None:
        self._training = training
        self._doors: Doors
        self._once = Once(shelf)

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes; they come before those of single jobs."""
        self._doors = doors
        return [
            Route("/finetuning/new.json", doors.twin(self._new_json)),
            Route("/finetuning/new", doors.page(self._new), methods=["GET", "POST"]),
            Route("/finetuning/files", doors.page(self._upload), methods=["POST"]),
        ]

    def _new_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._training.offers())

    async def _new(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(
                self._page, session, {**_FORM, "file": request.query_params.get("file", "")[:64]}
            )
        form = await self._doors.posted(request, session)
        session.require("operator")
        asked = {name: form.get(name, "").strip() for name in _FORM}
        try:
            body = _body(asked)
            if form.get("do") == "create":
                id = await self._created(form.get("mark", ""), body, session.who, client_address(request))
                return redirect("/finetuning/" + segment(id), "The job was made.")
            found = await run_in_threadpool(self._training.estimate, body)
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, asked, trouble=error)
        return await run_in_threadpool(self._page, session, asked, found)

    async def _created(self, mark: str, body: Json, by: str, address: str) -> str:
        if not await self._once.take(mark):
            raise Conflict("This form has made its job already. The list of jobs shows it.")
        try:
            return await run_in_threadpool(self._training.create, body, by, address)
        except GreenroomError:
            await self._once.let_go(mark)  # it made none
            raise

    async def _upload(self, request: Request, session: Session) -> Response:
        require_same_origin(request)
        session.require("operator")
        training = self._training
        try:
            async with Form(training.files, training.most_bytes) as form:
                await form.read(request)
                if not is_same(form.fields.get("csrf", ""), session.csrf):
                    raise Forbidden("This form is no longer valid. Open the page again and retry.")
                upload, name = form.upload, form.filename
                project = form.fields.get("project", "").strip() or seen() or "default"
                if upload is None or not upload.size_bytes or len(project) > 128:
                    raise MalformedRequest("Choose a file that is not empty, and a project.")
                by, address = session.who, client_address(request)
                kept = await run_in_threadpool(training.keep, upload, project, name, by, address)
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, dict(_FORM), trouble=error)
        return redirect("/finetuning/new?file=" + segment(kept["id"]), f"{kept['name']} was uploaded.")

    def _page(
        self,
        session: Session,
        asked: dict[str, str],
        found: Json | None = None,
        trouble: GreenroomError | None = None,
    ) -> Response:
        offers = self._training.offers()
        return self._doors.render.html(
            "finetuning_new.html",
            status=trouble.status if trouble else 200,
            session=session,
            offers=offers,
            asked=asked,
            found=None if found is None else _found(found),
            mark=token_urlsafe(18),
            trouble=str(trouble or ""),
        )


def _body(asked: dict[str, str]) -> Json:
    """The job as `POST /v1/fine_tuning/jobs` takes it. Raises: MalformedRequest."""
    start = "from_scratch" if asked["start"] == "from_scratch" else "base"
    if start == "base" and not asked["base"]:
        raise MalformedRequest("Say what to start from: a base, or nothing.", "base")
    ours: Json = {"start": start, "data": {"consent": asked["consent"] or "not_refused"}}
    if asked["tuning"]:
        ours["tuning"] = asked["tuning"]
    if asked["epochs"]:
        ours["hyperparameters"] = {"epochs": _number(asked["epochs"], "epochs")}
    if asked["hours"]:
        ours["budget"] = {"hours": _number(asked["hours"], "hours")}
    return {
        "model": asked["base"] if start == "base" else "scratch",
        "training_file": asked["file"],
        "method": {"type": asked["method"] or "supervised"},
        "greenroom": ours,
        **({"validation_file": asked["valid"]} if asked["valid"] else {}),
        **({"suffix": asked["suffix"]} if asked["suffix"] else {}),
    }


def _number(text: str, field: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise MalformedRequest(f"'{field}' must be a number.", field) from None


def _found(found: Json) -> Json:
    """An estimate, ready to show."""
    report, estimate = found.get("report") or {}, found.get("estimate") or {}
    refusal = found.get("refusal")
    parts = [("Rows for training", report.get("train")), ("Rows for validation", report.get("valid"))]
    facts = [
        (name, f"{figures.count(part['rows'])} of {figures.count(part['rows_read'])}")
        for name, part in parts if part
    ]  # fmt: skip
    masked = report.get("masked") or {}
    return {
        "told": estimate.get("told") or "",
        "refusal": "" if refusal is None else refusal["message"],
        "facts": [
            *facts,
            *([("Tokens", figures.count(report["train"]["tokens"]))] if report.get("train") else []),
            *([("Masked", ", ".join(f"{kind} {count}" for kind, count in masked.items()))] if masked else []),
            ("Model", found.get("name") or ""),
        ],
        "notes": report.get("notes") or [],
        "problems": (report.get("problems") or [])[:_PROBLEMS],
    }
