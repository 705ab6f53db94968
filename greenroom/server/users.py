"""Users over HTTP: past conversations taken in, what is remembered of a user read, edited and forgotten.

A user belongs to one project: the caller's; an admin names another with `?project=`. Ids are read from the
address as it was sent, so that one with a slash in it can never be taken for another.
"""

from typing import Annotated, Any, Literal, Protocol
from urllib.parse import unquote

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import Forbidden, MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body

SESSION_LIMIT_BYTES = 8 * 1024 * 1024
_LONGEST_ID = 128


class NewTurn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Something said. Without `time` it is taken to follow the one before at once."""

    role: Literal["user", "assistant", "system", "tool"]
    text: Annotated[str, Meta(max_length=1_000_000)]
    time: str | float | None = None
    """ISO 8601, or seconds since 1970."""


class NewSession(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/sessions`: a past conversation."""

    session: Annotated[str, Meta(min_length=1, max_length=128)]
    turns: Annotated[list[NewTurn], Meta(min_length=1, max_length=10_000)]
    user: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class NewFact(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/users/{id}/memory`, and of a change: one fact as a sentence."""

    text: Annotated[str, Meta(min_length=1, max_length=2_000)]


class UserAdministration(Protocol):
    """What the routes and the pages need; everything runs in a worker thread and may raise GreenroomError."""

    def users(self, project: str | None) -> list[dict[str, Any]]: ...  # Any: JSON
    def import_session(self, project: str, wanted: NewSession) -> dict[str, Any]: ...  # Any: JSON
    def memory(self, project: str, user: str) -> dict[str, Any]: ...  # Any: JSON
    def add_fact(self, project: str, user: str, text: str) -> dict[str, Any]: ...  # Any: JSON
    def edit_fact(self, project: str, user: str, id: int, text: str) -> dict[str, Any]: ...  # Any: JSON
    def forget_fact(self, project: str, user: str, id: int) -> None: ...
    def forget_memory(self, project: str, user: str) -> dict[str, int]: ...
    def forget(self, project: str, user: str) -> dict[str, int]: ...
    def note(self, what: str, project: str, user: str, by: str, address: str) -> None: ...


_new_session = Decoder(NewSession)
_new_fact = Decoder(NewFact)
_PROJECT = ("project",)
_MEMORY = "/api/users/{id:path}/memory"
_FACT = "/api/users/{id:path}/memory/{fact}"


class UserApi:
    """The routes under `/api/users`, and `POST /api/sessions`."""

    def __init__(self, administration: UserAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes, the narrower addresses first."""
        return (
            Doc("/api/sessions", "POST", "app", "Take in a past conversation; again, only what is new of it.",
                self._import, _PROJECT, NewSession, 201),
            Doc("/api/users", "GET", "viewer", "List users of whom something is remembered.",
                self._users, _PROJECT),
            Doc(_FACT, "PATCH", "operator", "Put a new fact in the place of one, which stays as superseded.",
                self._edit, _PROJECT, NewFact),
            Doc(_FACT, "PUT", "operator", "The same as PATCH.", self._edit, _PROJECT, NewFact),
            Doc(_FACT, "DELETE", "operator", "Forget a fact, and its sentence in the turns that say it.",
                self._forget_fact, _PROJECT),
            Doc(_MEMORY, "GET", "viewer", "Read the facts remembered of a user, with their evidence.",
                self._memory, _PROJECT),
            Doc(_MEMORY, "POST", "operator", "Write a fact down.", self._add, _PROJECT, NewFact, 201),
            Doc(_MEMORY, "DELETE", "operator", "Forget a user's facts and turns.",
                self._forget_memory, _PROJECT),
            Doc("/api/users/{id:path}", "DELETE", "operator", "Forget all there is of a user.",
                self._forget, _PROJECT),
        )  # fmt: skip

    async def _import(self, request: Request, caller: Caller | None) -> Response:
        project = _project(request, caller)
        wanted = await read_body(request, _new_session, SESSION_LIMIT_BYTES)
        done = await run_in_threadpool(self._admin.import_session, project, wanted)
        await self._noted(request, caller, "session.import", wanted.user or "")
        return json_answer(done, 201)

    async def _users(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.users, _project(request, caller))})

    async def _memory(self, request: Request, caller: Caller | None) -> Response:
        user, _ = _named(request)
        return json_answer(await run_in_threadpool(self._admin.memory, _project(request, caller), user))

    async def _add(self, request: Request, caller: Caller | None) -> Response:
        user, _ = _named(request)
        project = _project(request, caller)
        text = read_fact((await read_body(request, _new_fact)).text)
        done = await run_in_threadpool(self._admin.add_fact, project, user, text)
        await self._noted(request, caller, "fact.add", user)
        return json_answer(done, 201)

    async def _edit(self, request: Request, caller: Caller | None) -> Response:
        user, fact = _named(request)
        project = _project(request, caller)
        text = read_fact((await read_body(request, _new_fact)).text)
        done = await run_in_threadpool(self._admin.edit_fact, project, user, fact_id(fact), text)
        await self._noted(request, caller, "fact.edit", user)
        return json_answer(done)

    async def _forget_fact(self, request: Request, caller: Caller | None) -> Response:
        user, fact = _named(request)
        id = fact_id(fact)
        await run_in_threadpool(self._admin.forget_fact, _project(request, caller), user, id)
        await self._noted(request, caller, "fact.forget", user)
        return json_answer({"id": id, "object": "fact", "deleted": True})

    async def _forget_memory(self, request: Request, caller: Caller | None) -> Response:
        user, _ = _named(request)
        done = await run_in_threadpool(self._admin.forget_memory, _project(request, caller), user)
        await self._noted(request, caller, "memory.forget", user)
        return json_answer(done)

    async def _forget(self, request: Request, caller: Caller | None) -> Response:
        user, _ = _named(request)
        done = await run_in_threadpool(self._admin.forget, _project(request, caller), user)
        await self._noted(request, caller, "user.forget", user)
        return json_answer(done)

    async def _noted(self, request: Request, caller: Caller | None, what: str, user: str) -> None:
        """Write a change down: who made it, from where."""
        by = "" if caller is None else caller.key_id
        address = client_address(request)
        await run_in_threadpool(self._admin.note, what, _project(request, caller), user, by, address)


def read_fact(text: str) -> str:
    """A fact as it is kept: one line. Raises MalformedRequest for none."""
    line = " ".join(text.split())
    if not line:
        raise MalformedRequest("Write the fact as a sentence.", "text")
    return line


def fact_id(text: str) -> int:
    """The number of a fact. Raises NotFound for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound("There is no fact with this id.")
    return int(text)


def _named(request: Request) -> tuple[str, str]:
    """User and fact, from the address as it was sent: `/api/users/ID[/memory[/FACT]]`."""
    shape = request.scope["route"].path.count("/")
    parts = bytes(request.scope["raw_path"]).partition(b"?")[0].decode("latin-1").split("/")
    if len(parts) != shape + 1:
        raise NotFound("There is nothing at this address. Write a slash in a user's id as %2F.")
    try:
        user = unquote(parts[3], errors="strict")
    except UnicodeDecodeError:
        raise MalformedRequest("The user's id is not UTF-8.") from None
    if not 0 < len(user) <= _LONGEST_ID:
        raise MalformedRequest(f"A user's id has 1 to {_LONGEST_ID} characters.")
    return user, parts[5] if len(parts) > 5 else ""


def _project(request: Request, caller: Caller | None) -> str:
    assert caller is not None
    wanted = request.query_params.get("project") or caller.project
    if wanted != caller.project and caller.role != "admin":
        raise Forbidden("This key belongs to another project.")
    return wanted
