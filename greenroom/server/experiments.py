"""Experiments over HTTP: how they stand, what they show, and their end. For all projects: admins only."""

from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body


class Ending(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/experiments/{id}/stop`."""

    why: Annotated[str, Meta(max_length=500)] = ""


class Promotion(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/experiments/{id}/promote`."""

    arm: Annotated[str, Meta(min_length=1, max_length=100)]


class ExperimentAdministration(Protocol):
    """What the routes need; everything runs in a worker thread and may raise GreenroomError."""

    def experiments(self) -> list[dict[str, Any]]: ...  # Any: JSON
    def show(self, name: str) -> dict[str, Any]: ...  # Any: JSON
    def start(self, name: str, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def stop(self, name: str, why: str, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def promote(self, name: str, arm: str, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON


_ending = Decoder(Ending)
_promotion = Decoder(Promotion)
_ONE = "/api/experiments/{id}"


class ExperimentApi:
    """The routes under `/api/experiments`."""

    def __init__(self, administration: ExperimentAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/experiments", "GET", "admin", "List the experiments of the configuration.", self._list),
            Doc(_ONE, "GET", "admin",
                "Read one: its arms, differences with intervals that hold at every moment, guards, warnings.",
                self._show),
            Doc(f"{_ONE}/start", "POST", "admin", "Have a stopped one run again, counting from now.",
                self._start),
            Doc(f"{_ONE}/stop", "POST", "admin", "Stop one: all traffic goes back to the app as it is.",
                self._stop, (), Ending),
            Doc(f"{_ONE}/promote", "POST", "admin", "Have all traffic go to one arm.",
                self._promote, (), Promotion),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.experiments)})

    async def _show(self, request: Request, caller: Caller | None) -> Response:
        found = await run_in_threadpool(self._admin.show, request.path_params["id"])
        return json_answer(found)

    async def _start(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        name, where = request.path_params["id"], client_address(request)
        found = await run_in_threadpool(self._admin.start, name, caller.key_id, where)
        return json_answer(found)

    async def _stop(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _ending)
        name, where = request.path_params["id"], client_address(request)
        found = await run_in_threadpool(self._admin.stop, name, body.why, caller.key_id, where)
        return json_answer(found)

    async def _promote(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _promotion)
        name, where = request.path_params["id"], client_address(request)
        found = await run_in_threadpool(self._admin.promote, name, body.arm, caller.key_id, where)
        return json_answer(found)
