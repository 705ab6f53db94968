"""`/v1/batches`: made, listed, read, cancelled. Bodies and queries in, JSON out."""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec.json import Decoder
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, Note, json_answer, noted, read_body
from greenroom.wire.batches import NewBatch
from greenroom.wire.evals import read_query

BATCHES = b"/v1/batches"
Json = dict[str, Any]  # Any: JSON
_ONE = "/v1/batches/{batch_id}"
_new = Decoder(NewBatch)


class BatchAdministration(Protocol):
    """What the routes need from the rest. Raises: RequestError, StoreError."""

    async def create(self, caller: Caller, wanted: NewBatch) -> Json: ...
    async def get(self, caller: Caller, id: str) -> Json: ...
    async def list(self, caller: Caller, limit: int, after: str | None) -> Json: ...
    async def cancel(self, caller: Caller, id: str) -> Json: ...


class BatchRoutes:
    """Answers for batches; each belongs to the project of the key that made it."""

    def __init__(self, batches: Callable[[], BatchAdministration], note: Note) -> None:
        self._made = batches
        self._note = note

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/v1/batches", "POST", "app", "Begin a batch of requests.", self._create, (), NewBatch),
            Doc("/v1/batches", "GET", "app", "List batches, newest first.", self._list, ("limit", "after")),
            Doc(_ONE, "GET", "app", "Read a batch and its counts.", self._get),
            Doc(_ONE + "/cancel", "POST", "app", "Cancel a batch.", self._cancel),
        )

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        made = await self._made().create(caller, await read_body(request, _new))
        await noted(self._note, request, caller, "batch.create", id=made["id"])
        return json_answer(made)

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_query(request.query_params)
        return json_answer(await self._made().list(caller, query.limit, query.after))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await self._made().get(caller, request.path_params["batch_id"]))

    async def _cancel(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        ended = await self._made().cancel(caller, request.path_params["batch_id"])
        await noted(self._note, request, caller, "batch.cancel", id=ended["id"])
        return json_answer(ended)
