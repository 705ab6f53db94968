"""For how long what a project recorded is kept, set over HTTP."""

from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body


class Retention(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/projects/{id}`."""

    retention_days: Annotated[int, Meta(ge=1, le=36_500)] | None
    """null: what the configuration says holds again."""


class RetentionAdministration(Protocol):
    """What the route needs; runs in a worker thread and may raise GreenroomError."""

    def set_days(
        self, project: str, days: int | None, by: str, address: str
    ) -> dict[str, Any]: ...  # Any: JSON


_retention = Decoder(Retention)


class RetentionApi:
    """`PATCH /api/projects/{id}`."""

    def __init__(self, administration: RetentionAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The route."""
        return (
            Doc("/api/projects/{id}", "PATCH", "admin",
                "Say for how many days what a project recorded is kept; null as the configuration says.",
                self._set, (), Retention),
        )  # fmt: skip

    async def _set(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _retention)
        address = client_address(request)
        found = await run_in_threadpool(
            self._admin.set_days, request.path_params["id"], body.retention_days, caller.key_id, address
        )
        return json_answer(found)
