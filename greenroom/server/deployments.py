"""Deployments over HTTP: canaries, shadows, promotion, rollback. They span projects: admins only."""

from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body
from greenroom.store.scores import NAME

Why = Annotated[str, Meta(min_length=1, max_length=500)]
AppName = Annotated[str, Meta(min_length=1, max_length=200)]


class NewDeployment(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/deployments`: a canary, or a shadow. What is not said is that of `[deploy]`."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    """A model (configured, `provider/model`, trained), a prompt as `support@12`, or a policy's own name."""
    app: AppName = "default"
    kind: Literal["model", "prompt", "policy"] | None = None
    """Where the name alone leaves it open."""
    policy: dict[str, Any] | None = None  # Any: as `[apps.NAME]` and `[policies]`
    """For a policy: what it changes, as a policy's file says it."""
    share: Annotated[float, Meta(gt=0, lt=1)] | None = None
    shadow: bool = False
    """Its model gets copies, and its answers go to nobody."""
    suite: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    """The suite of `[deploy.suites]` that is run first."""
    no_gate: Why | None = None
    """Why there is no evaluation before it."""
    force: Why | None = None
    """Why it is deployed whatever the evaluation says."""
    promote_after_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    units: Annotated[int, Meta(ge=1)] | None = None
    margins: dict[str, Annotated[float, Meta(ge=0, le=1)]] | None = None
    """As `[deploy.margins]`; a metric that is not named keeps its own."""
    slower: Annotated[float, Meta(ge=1, le=1e6)] | None = None
    dearer: Annotated[float, Meta(ge=1, le=1e6)] | None = None
    shorter: Annotated[float, Meta(ge=0, le=1)] | None = None
    scores: Annotated[tuple[Annotated[str, Meta(pattern=NAME)], ...], Meta(max_length=10)] | None = None
    roll_back: bool | None = None


class Promoting(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/deployments/{id}/promote`."""

    why: Annotated[str, Meta(max_length=500)] = ""
    force: Why | None = None
    """Why it is promoted although it is not certain that it does no harm."""
    deployment: int | None = None
    """The one that is meant: 409 where another is open by now."""


class RollingBack(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/deployments/{id}/rollback`."""

    why: Annotated[str, Meta(max_length=500)] = ""
    deployment: int | None = None
    """The one that is meant: 409 where another stands last by now."""


class DeployAdministration(Protocol):
    """What the routes need; all but `begin` and `follow` run in a worker thread. May raise GreenroomError."""

    def deployments(self) -> list[dict[str, Any]]: ...  # Any: JSON
    def show(self, app: str) -> dict[str, Any]: ...  # Any: JSON
    def history(self, app: str | None, limit: int = 100) -> list[dict[str, Any]]: ...  # Any: JSON
    async def begin(self, wanted: NewDeployment, by: str, address: str) -> dict[str, Any]: ...  # Any: JSON
    def promote(
        self, app: str, why: str, force: str | None, by: str, address: str, deployment: int | None = None
    ) -> dict[str, Any]: ...  # Any: JSON
    def roll_back(
        self, app: str, why: str, by: str, address: str, deployment: int | None = None
    ) -> dict[str, Any]: ...  # Any: JSON
    async def follow(self) -> None:
        """Have this process do what was decided; the others do within a second."""


_new = Decoder(NewDeployment)
_promoting = Decoder(Promoting)
_rolling_back = Decoder(RollingBack)
_ALL = "/api/deployments"
_ONE = "/api/deployments/{id}"


class DeploymentApi:
    """The routes under `/api/deployments`."""

    def __init__(self, administration: DeployAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc(_ALL, "GET", "admin", "List the apps with deployments, and how these stand.", self._list),
            Doc(_ALL, "POST", "admin",
                "Run the gate, then begin a canary or a shadow; the same name again changes its share.",
                self._begin, (), NewDeployment, 201),
            Doc(_ONE, "GET", "admin",
                "Read one app's: what is promoted, what is open, and what the live comparison says.",
                self._show),
            Doc(f"{_ONE}/history", "GET", "admin",
                "List every state its deployments came into, newest first: who, when, why, by what evidence.",
                self._history),
            Doc(f"{_ONE}/promote", "POST", "admin", "Have the app answer with what is open, for good.",
                self._promote, (), Promoting),
            Doc(f"{_ONE}/rollback", "POST", "admin", "Go back to exactly the state before.",
                self._roll_back, (), RollingBack),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.deployments)})

    async def _history(self, request: Request, caller: Caller | None) -> Response:
        found = await run_in_threadpool(self._admin.history, request.path_params["id"])
        return json_answer({"data": found})

    async def _show(self, request: Request, caller: Caller | None) -> Response:
        found = await run_in_threadpool(self._admin.show, request.path_params["id"])
        return json_answer(found)

    async def _begin(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new)
        found = await self._admin.begin(wanted, caller.key_id, client_address(request))
        await self._admin.follow()
        return json_answer(found, 201)

    async def _promote(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body, app = await read_body(request, _promoting), request.path_params["id"]
        found = await run_in_threadpool(
            self._admin.promote,
            app,
            body.why,
            body.force,
            caller.key_id,
            client_address(request),
            body.deployment,
        )
        await self._admin.follow()
        return json_answer(found)

    async def _roll_back(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body, app = await read_body(request, _rolling_back), request.path_params["id"]
        found = await run_in_threadpool(
            self._admin.roll_back, app, body.why, caller.key_id, client_address(request), body.deployment
        )
        await self._admin.follow()
        return json_answer(found)
