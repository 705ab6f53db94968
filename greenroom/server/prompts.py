"""Prompts over HTTP: listed, read, stored as new versions, labelled, compared, rolled back, linted.

Prompts belong to the operator, as apps do, and not to a project: whoever changes one changes what all its
apps say.
"""

from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller
from greenroom.prompts.files import MOST_BYTES
from greenroom.prompts.version import (
    Examples,
    Language,
    Message,
    OutputSchema,
    PromptVersion,
    Settings,
    Techniques,
    Variable,
)
from greenroom.server.routing import Doc, client_address, json_answer, read_body

if TYPE_CHECKING:
    from greenroom.prompts.lint import Finding

Record = dict[str, Any]  # Any: JSON


class NewPromptVersion(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/prompts/{id}/versions`."""

    messages: Annotated[tuple[Message, ...], Meta(min_length=1, max_length=100)]
    description: str = ""
    language: Language = "en"
    variables: dict[str, Variable] = {}
    partials: dict[str, str] = {}
    examples: Examples | None = None
    techniques: Techniques = Techniques()
    settings: Settings = Settings()
    output: OutputSchema | None = None
    note: str = ""
    """Why this version was made."""
    force: bool = False
    """Store it though the lint finds errors."""
    after: Annotated[int, Meta(ge=0)] | None = None
    """The newest version must still be this one, else nothing is stored (409)."""
    label: str | None = None
    """A label that is to stand for it at once."""


class LabelMove(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/prompts/{id}/labels/{label}`."""

    version: int | str
    """A number, or another label."""
    note: str = ""


class LabelRollback(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/prompts/{id}/labels/{label}/rollback`."""

    note: str = ""


class PromptAdministration(Protocol):
    """What the routes need; runs in a worker thread. Raises: PromptNotFound, PromptInvalid, Conflict."""

    def prompts(self) -> list[Record]: ...
    def show(self, name: str, selector: str | None) -> Record: ...
    def add(
        self, version: PromptVersion, *, force: bool, by: str, address: str = "", after: int | None = None,
        label: str | None = None,
    ) -> Record: ...  # fmt: skip
    def promote(
        self, name: str, selector: str | int, label: str, *, by: str, address: str = "", note: str = ""
    ) -> Record: ...
    def unlabel(self, name: str, label: str, *, by: str, address: str = "") -> Record: ...
    def rollback(self, name: str, label: str, *, by: str, address: str = "", note: str = "") -> Record: ...
    def diff(self, name: str, before: str, after: str) -> Record: ...
    def lint_stored(self, reference: str) -> "tuple[PromptVersion, list[Finding]]": ...


_new = Decoder(NewPromptVersion)
_move = Decoder(LabelMove)
_back = Decoder(LabelRollback)
_OWN = frozenset({"force", "after", "label"})


class PromptApi:
    """The routes under `/api/prompts`."""

    def __init__(self, administration: PromptAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        one, label = "/api/prompts/{id}", "/api/prompts/{id}/labels/{label}"
        return (
            Doc("/api/prompts", "GET", "operator", "List prompts with their labels.", self._list),
            Doc(one, "GET", "operator",
                "Read a version (a number or a label; without it production, else the newest), with the "
                "versions and moved labels of its prompt.", self._show, ("version",)),
            Doc(f"{one}/versions", "POST", "admin",
                "Store a new version; errors of the lint refuse it unless it is forced.",
                self._add, (), NewPromptVersion, 201),
            Doc(f"{one}/diff", "GET", "operator", "Compare two versions word by word.",
                self._diff, ("from", "to")),
            Doc(f"{one}/lint", "GET", "operator", "Hold a version to the rules.", self._lint, ("version",)),
            Doc(label, "POST", "admin", "Let a label stand for a version.", self._promote, (), LabelMove),
            Doc(label, "DELETE", "admin", "Take a label away.", self._unlabel),
            Doc(f"{label}/rollback", "POST", "admin",
                "Let a label stand for the version it stood for before.",
                self._rollback, (), LabelRollback),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.prompts)})

    async def _show(self, request: Request, caller: Caller | None) -> Response:
        name, selector = request.path_params["id"], request.query_params.get("version")
        return json_answer(await run_in_threadpool(self._admin.show, name, selector))

    async def _add(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new, MOST_BYTES)
        given = msgspec.structs.asdict(wanted)
        try:
            version = msgspec.convert(
                {"name": request.path_params["id"], **{k: v for k, v in given.items() if k not in _OWN}},
                PromptVersion,
            )
        except msgspec.ValidationError as error:
            raise MalformedRequest(f"{error}.", "name") from None

        def store() -> Record:
            return self._admin.add(
                version, force=wanted.force, by=caller.key_id, address=client_address(request),
                after=wanted.after, label=wanted.label,
            )  # fmt: skip

        return json_answer(await run_in_threadpool(store), 201)

    async def _diff(self, request: Request, caller: Caller | None) -> Response:
        query = request.query_params
        for wanted in ("from", "to"):
            if not query.get(wanted):
                raise MalformedRequest("Name two versions or labels: ?from=1&to=2.", wanted)
        found = await run_in_threadpool(
            self._admin.diff, request.path_params["id"], query["from"], query["to"]
        )
        return json_answer(found)

    async def _lint(self, request: Request, caller: Caller | None) -> Response:
        name, selector = request.path_params["id"], request.query_params.get("version")
        version, findings = await run_in_threadpool(
            self._admin.lint_stored, f"{name}@{selector}" if selector else name
        )
        return json_answer({"name": version.name, "number": version.number, "findings": findings})

    async def _promote(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _move)
        path = request.path_params

        def move() -> Record:
            return self._admin.promote(
                path["id"], wanted.version, path["label"], by=caller.key_id, address=client_address(request),
                note=wanted.note,
            )  # fmt: skip

        return json_answer(await run_in_threadpool(move))

    async def _unlabel(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        path = request.path_params

        def take() -> Record:
            by, address = caller.key_id, client_address(request)
            return self._admin.unlabel(path["id"], path["label"], by=by, address=address)

        return json_answer(await run_in_threadpool(take))

    async def _rollback(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        has_body = bool(await request.body())
        wanted = await read_body(request, _back) if has_body else LabelRollback()
        path = request.path_params

        def back() -> Record:
            return self._admin.rollback(
                path["id"], path["label"], by=caller.key_id, address=client_address(request), note=wanted.note
            )

        return json_answer(await run_in_threadpool(back))
