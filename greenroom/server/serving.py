"""Models that run here over HTTP: how each fares, where it comes from, and its end."""

from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer

Json = dict[str, Any]  # Any: JSON


class ServingAdministration(Protocol):
    """What the routes need: `lineage` runs in a worker thread, all others on the loop.

    All raise GreenroomError: ModelNotFound for what the caller may not see.
    """

    def all_status(self, caller: Caller) -> list[Json]: ...
    def status(self, name: str, caller: Caller) -> Json: ...
    def lineage(self, named: str, caller: Caller) -> Json: ...
    async def delete(self, name: str, caller: Caller, address: str) -> Json: ...


class ServingApi:
    """`DELETE /v1/models/{model}`, and what `/api/models` says of models at work."""

    def __init__(self, administration: ServingAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/v1/models/{model:path}", "DELETE", "operator",
                "Delete a model that was trained here; requests at work are answered first.", self._delete),
            Doc("/api/models/status", "GET", "viewer",
                "Show how all models fare: speed, queue, memory, restarts.", self._all_status),
            Doc("/api/models/{id:path}/status", "GET", "viewer",
                "Show how one model fares.", self._status),
            Doc("/api/models/{id:path}/lineage", "GET", "viewer",
                "Show what a trained model, or the answer with this trace's id, comes from: job, data, rows.",
                self._lineage),
        )  # fmt: skip

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None  # the route needs a role
        address = client_address(request)
        return json_answer(await self._admin.delete(request.path_params["model"], caller, address))

    async def _all_status(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer({"data": self._admin.all_status(caller)})

    async def _status(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(self._admin.status(request.path_params["id"], caller))

    async def _lineage(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await run_in_threadpool(self._admin.lineage, request.path_params["id"], caller))
