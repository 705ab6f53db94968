"""Drift over HTTP: how apps stand, what moved, example requests, and what is accepted."""

from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import Forbidden, MalformedRequest
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body

Json = dict[str, Any]  # Any: JSON
Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Acceptance(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/drift/accept`."""

    project: Name = "default"
    app: Name


class CanaryAcceptance(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/canaries/accept`."""

    target: Name


class DriftAdministration(Protocol):
    """What the routes need; everything runs in a worker thread and may raise GreenroomError."""

    def overview(self, project: str | None) -> Json: ...
    def show(self, project: str, app: str, metric: str) -> Json: ...
    def accept(self, project: str, app: str, by: str, address: str) -> Json: ...
    def canaries(self) -> list[Json]: ...
    def accept_canary(self, target: str, by: str, address: str) -> Json: ...


_acceptance = Decoder(Acceptance)
_canary = Decoder(CanaryAcceptance)


class DriftApi:
    """The routes under `/api/drift` and `/api/canaries`."""

    def __init__(self, administration: DriftAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/drift", "GET", "viewer",
                "Say how every app stands against its reference, metric by metric.", self._overview),
            Doc("/api/drift/metric", "GET", "viewer",
                "Show one metric of an app: its last two weeks, and example requests of both windows.",
                self._show, ("project", "app", "metric")),
            Doc("/api/drift/accept", "POST", "admin",
                "Take what an app is like now as how it is: its alerts end, and it is learnt anew.",
                self._accept, (), Acceptance),
            Doc("/api/canaries", "GET", "admin",
                "List the models that are asked the canary prompts, with their runs.", self._canaries),
            Doc("/api/canaries/accept", "POST", "admin",
                "Have a model's next runs be what it is held against.", self._accept_canary, (),
                CanaryAcceptance),
        )  # fmt: skip

    async def _overview(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        project = None if caller.role == "admin" else caller.project
        return json_answer(await run_in_threadpool(self._admin.overview, project))

    async def _show(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = request.query_params
        unknown = sorted(set(query) - {"project", "app", "metric"})
        if unknown:
            raise MalformedRequest(f"There is no parameter '{unknown[0]}'.", unknown[0])
        for name in ("app", "metric"):
            if not query.get(name):
                raise MalformedRequest(f"Say which {name}: ?app=…&metric=…", name)
        project = query.get("project") or caller.project
        if caller.role != "admin" and project != caller.project:
            raise Forbidden("This key may see its own project only.")
        found = await run_in_threadpool(self._admin.show, project, query["app"], query["metric"])
        return json_answer(found)

    async def _accept(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _acceptance)
        found = await run_in_threadpool(
            self._admin.accept, body.project, body.app, caller.key_id, client_address(request)
        )
        return json_answer(found)

    async def _canaries(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.canaries)})

    async def _accept_canary(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _canary)
        found = await run_in_threadpool(
            self._admin.accept_canary, body.target, caller.key_id, client_address(request)
        )
        return json_answer(found)
