"""The pages of data sets: which there are, their versions and rows, rows from files and requests, an export.

Knows the backend by its protocol alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.grounding.files import Files
from greenroom.server.knowledge.upload import Form
from greenroom.server.pages import figures
from greenroom.server.pages.access import seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.forms import require_same_origin
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session, is_same
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
ROWS = 50
MOST_FILE_BYTES = 20 << 20
"""What the page says; rows take many times the memory of their file."""
_LONGEST = 600
"""Characters of a row's text on the page."""
_FILTERS = ("q", "app", "model", "outcome", "tag", "score", "limit")


class Backend(Protocol):
    """What the pages ask; runs in worker threads. Raises: GreenroomError."""

    def all(self) -> list[Json]: ...
    def show(self, named: str, project: str, start: int, limit: int = ...) -> Json: ...
    def export(self, named: str, project: str) -> tuple[str, Iterator[bytes]]: ...
    def add_file(
        self, name: str, project: str, raw: bytes, filename: str, *, extends: bool, by: str, address: str
    ) -> Json: ...
    def add_requests(
        self, name: str, project: str, filters: Mapping[str, str], *, with_reply: bool, extends: bool,
        by: str, address: str,
    ) -> Json: ...  # fmt: skip
    def split(self, name: str, project: str, by: str, address: str) -> list[Json]: ...
    def remove(self, name: str, project: str, by: str, address: str) -> None: ...


class DataSetPages:
    """`/datasets` and what is below; uploads lie in `files` while they are read."""

    def __init__(self, backend: Backend, files: Files, most_bytes: int) -> None:
        self._backend = backend
        self._files = files
        self._most_bytes = min(most_bytes, MOST_FILE_BYTES)
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/datasets", doors.page(self._list), methods=["GET", "POST"]),
            Route("/datasets.json", doors.twin(self._list_json)),
            Route("/datasets/upload", doors.page(self._upload), methods=["POST"]),
            Route("/datasets/{name:path}.jsonl", doors.page(self._export)),
            Route("/datasets/{name:path}.json", doors.twin(self._show_json)),
            Route("/datasets/{name:path}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    async def _list(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(self._list_page, session)
        form = await self._doors.posted(request, session)
        session.require("operator")
        name, project = form.get("name", "").strip(), _project(form.get("project", ""))
        filters = {key: form.get(key, "").strip() for key in _FILTERS}
        try:
            made = await run_in_threadpool(
                lambda: self._backend.add_requests(
                    name, project, filters, with_reply=form.get("with_reply") == "yes",
                    extends=form.get("as") != "new", by=session.who, address=client_address(request),
                )
            )  # fmt: skip
        except GreenroomError as error:
            return await run_in_threadpool(self._list_page, session, form, error)
        return redirect(_address(made["name"], project), _said(made))

    async def _upload(self, request: Request, session: Session) -> Response:
        require_same_origin(request)
        session.require("operator")
        fields: dict[str, str] = {}
        try:
            async with Form(self._files, self._most_bytes) as form:
                await form.read(request)
                fields = form.fields
                if not is_same(fields.get("csrf", ""), session.csrf):
                    raise Forbidden("This form is no longer valid. Open the page again and retry.")
                upload, filename = form.upload, form.filename
                if upload is None or not upload.size_bytes:
                    raise MalformedRequest("Choose a file that is not empty.")
                name, project = fields.get("name", "").strip(), _project(fields.get("project", ""))

                def add() -> Json:
                    upload.finish()
                    return self._backend.add_file(
                        name, project, upload.path.read_bytes(), filename, extends=fields.get("as") != "new",
                        by=session.who, address=client_address(request),
                    )  # fmt: skip

                made = await run_in_threadpool(add)
        except GreenroomError as error:
            return await run_in_threadpool(self._list_page, session, fields, error)
        return redirect(_address(made["name"], project), _said(made))

    def _list_page(
        self, session: Session, form: Mapping[str, str] | None = None, trouble: GreenroomError | None = None
    ) -> Response:
        rows = [{**one, "address": _address(one["name"], one["project"])} for one in self._backend.all()]
        return self._doors.render.html(
            "datasets.html",
            status=trouble.status if trouble else 200,
            session=session,
            rows=rows,
            asked=form or {},
            project=seen() or "default",
            is_narrow=seen() is not None,
            trouble=str(trouble or ""),
        )

    def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._backend.all()})

    async def _show(self, request: Request, session: Session) -> Response:
        name, project = _name(request), _project(request.query_params.get("project", ""))
        if request.method != "POST":
            return await run_in_threadpool(self._page, request, session, name, project)
        form = await self._doors.posted(request, session)
        session.require("operator")
        by, address = session.who, client_address(request)
        try:
            if form.get("do") == "split":
                parts = await run_in_threadpool(self._backend.split, name, project, by, address)
                kept = ", ".join(f"{one['name']} ({one['rows']:,} rows)" for one in parts)
                return redirect(_address(name, project), f"Kept: {kept}.")
            if form.get("do") == "delete":
                await run_in_threadpool(self._backend.remove, name, project, by, address)
                return redirect("/datasets", f"The data set {name} was erased.")
            raise MalformedRequest("This form says nothing that can be done.")
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, name, project, error)

    def _page(
        self,
        request: Request,
        session: Session,
        name: str,
        project: str,
        trouble: GreenroomError | None = None,
    ) -> Response:
        start = _start(request)
        found = self._backend.show(name, project, start, ROWS)
        one = f"{found['name']}@{found['version']}"
        before, after = max(0, start - ROWS), start + ROWS
        return self._doors.render.html(
            "dataset.html",
            status=trouble.status if trouble else 200,
            session=session,
            found=found,
            rows=[_row(row) for row in found["data"]],
            versions=[
                {**two, "address": _address(f"{two['name']}@{two['version']}", project)}
                for two in found["all_versions"]
            ],
            address=_address(found["name"], project),
            export=_address(one, project, ".jsonl"),
            twin=_address(one, project, ".json"),
            earlier=_address(one, project, start=before) if start else "",
            later=_address(one, project, start=after) if after < found["rows"] else "",
            trouble=str(trouble or ""),
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        name, project = _name(request), _project(request.query_params.get("project", ""))
        start = _start(request)
        return json_answer(self._backend.show(name, project, start, ROWS))

    def _export(self, request: Request, session: Session) -> Response:
        name, project = _name(request), _project(request.query_params.get("project", ""))
        filename, lines = self._backend.export(name, project)
        kept = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return StreamingResponse(
            lines, 200, {**HEADERS, "content-disposition": kept}, "application/jsonl; charset=utf-8"
        )


def _project(said: str) -> str:
    """The project that is meant: one's own, or "default", unless another is named."""
    return said.strip()[:128] or seen() or "default"


def _name(request: Request) -> str:
    return str(request.path_params["name"]).removesuffix("@")


def _start(request: Request) -> int:
    said = request.query_params.get("from", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0


def _address(name: str, project: str, kind: str = "", start: int = 0) -> str:
    asked: dict[str, str | int] = {} if project == (seen() or "default") else {"project": project}
    if start:
        asked["from"] = start
    if not kind and name.endswith((".json", ".jsonl")):
        name += "@"  # or the page would be taken for its twin
    return f"/datasets/{segment(name)}{kind}" + (f"?{urlencode(asked)}" if asked else "")


def _said(made: Json) -> str:
    added = f"{figures.count(made['added'])} rows added" if made["added"] else "Nothing new"
    return " ".join(
        [f"{added}: {made['name']}@{made['version']} has {figures.count(made['rows'])}.", *made["notes"]]
    )


def _row(row: Json) -> Json:
    """A row in words: what is asked, what is expected, and the request it comes from, if it does."""
    messages = row.get("messages") or []
    asked = messages[-1].get("content") if messages else row.get("variables")
    id = str(row.get("id", ""))
    return {
        "id": id,
        "request": "/requests/" + segment(id) if len(id) == 32 and id.isalnum() else "",
        "group": str(row.get("group") or ""),
        "asked": _text(asked),
        "before": len(messages) - 1 if len(messages) > 1 else 0,
        "expected": _text(row.get("expected")),
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())[:_LONGEST]
    if isinstance(value, list):
        return " ".join(_text(one.get("text") if isinstance(one, dict) else one) for one in value)[:_LONGEST]
    return str(value)[:_LONGEST]
