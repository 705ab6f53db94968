"""Keys and projects over HTTP: made, listed, limited, rotated, revoked. Secrets are shown once, when made."""

from typing import Annotated, Any, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import NotFound
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, Role, client_address, json_answer, read_body
from greenroom.store.keys import Period

LONGEST_GRACE_S = 30 * 86_400

_Rate = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
_Parallel = Annotated[int, Meta(ge=1, le=1_000_000)]
_Usd = Annotated[float, Meta(ge=0, le=1_000_000_000)]


class NewKey(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/keys`."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    project: Annotated[str, Meta(min_length=1, max_length=128)] = "default"
    role: Role = "app"
    apps: Annotated[list[str], Meta(max_length=64)] = []
    requests_per_minute: _Rate | None = None
    requests_per_day: _Rate | None = None
    tokens_per_minute: _Rate | None = None
    tokens_per_day: _Rate | None = None
    parallel: _Parallel | None = None
    budget_usd: _Usd | None = None
    budget_period: Period = "total"


class NewLimits(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/keys/{id}`: what is not named stays, null takes a limit away."""

    requests_per_minute: _Rate | UnsetType | None = UNSET
    requests_per_day: _Rate | UnsetType | None = UNSET
    tokens_per_minute: _Rate | UnsetType | None = UNSET
    tokens_per_day: _Rate | UnsetType | None = UNSET
    parallel: _Parallel | UnsetType | None = UNSET
    budget_usd: _Usd | UnsetType | None = UNSET
    budget_period: Period | UnsetType = UNSET


class Rotation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/keys/{id}/rotate`."""

    grace_s: Annotated[int, Meta(ge=0, le=LONGEST_GRACE_S)] = 86_400
    """How long the earlier secret goes on working."""


class KeyAdministration(Protocol):
    """What the routes need; everything runs in a worker thread. Raises: NotFound, Conflict."""

    def keys(self) -> list[dict[str, Any]]: ...  # Any: JSON
    def create(self, wanted: NewKey, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def limit(self, id: str, wanted: NewLimits, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def rotate(self, id: str, grace_s: int, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def revoke(self, id: str, by: str, address: str) -> bool: ...
    def projects(self) -> list[dict[str, Any]]: ...  # Any: JSON


_new_key = Decoder(NewKey)
_new_limits = Decoder(NewLimits)
_rotation = Decoder(Rotation)


class KeyApi:
    """The routes under `/api/keys`, and `/api/projects`."""

    def __init__(self, administration: KeyAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/keys", "GET", "admin", "List keys, without their secrets.", self._list),
            Doc("/api/keys", "POST", "admin", "Create a key; its secret is shown once.",
                self._create, (), NewKey, 201),
            Doc("/api/keys/{id}", "PATCH", "admin", "Change limits of a key; null takes one away.",
                self._limit, (), NewLimits),
            Doc("/api/keys/{id}", "DELETE", "admin", "Revoke a key.", self._revoke),
            Doc("/api/keys/{id}/rotate", "POST", "admin",
                "Give a key a new secret, shown once; the earlier one works on for a while.",
                self._rotate, (), Rotation),
            Doc("/api/projects", "GET", "admin",
                "List projects: their keys, what they used and what it cost.", self._projects),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.keys)})

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new_key)
        made = await run_in_threadpool(self._admin.create, wanted, caller.key_id, client_address(request))
        return json_answer(made, 201)

    async def _limit(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new_limits)
        id, address = request.path_params["id"], client_address(request)
        changed = await run_in_threadpool(self._admin.limit, id, wanted, caller.key_id, address)
        return json_answer(changed)

    async def _rotate(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _rotation)
        id, address = request.path_params["id"], client_address(request)
        made = await run_in_threadpool(self._admin.rotate, id, wanted.grace_s, caller.key_id, address)
        return json_answer(made)

    async def _revoke(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        id = request.path_params["id"]
        if not await run_in_threadpool(self._admin.revoke, id, caller.key_id, client_address(request)):
            raise NotFound("There is no key with this id that is still valid.")
        return json_answer({"id": id, "object": "key", "deleted": True})

    async def _projects(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.projects)})
