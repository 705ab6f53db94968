"""Alerts over HTTP: what stands, what was; acknowledging, silences, channels.

Who is no admin sees and changes what is of the key's project; what concerns all projects is for admins.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, client_address, json_answer, read_body

Json = dict[str, Any]  # Any: JSON
Word = Annotated[str, Meta(max_length=200)]
Why = Annotated[str, Meta(max_length=500)]
MOST_PAST = 200


class Acknowledging(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/alerts/{id}/acknowledge`."""

    why: Why = ""


class NewSilence(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/alerts/silences`. What is empty fits everything; one of the three must not be."""

    hours: Annotated[float, Meta(gt=0, le=8_760)]
    rule: Word = ""
    subject: Word = ""
    project: Word = ""
    why: Why = ""


class Testing(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/alerts/test`."""

    channel: Annotated[str, Meta(min_length=1, max_length=100)]


class AlertAdministration(Protocol):
    """What the routes and pages need; everything runs in a worker thread and may raise GreenroomError."""

    def standing(self, project: str | None) -> list[Json]: ...
    def past(self, project: str | None, before: int | None, limit: int) -> list[Json]: ...
    def show(self, id: int, project: str | None) -> Json: ...
    def acknowledge(self, id: int, why: str, project: str | None, by: str, address: str) -> Json: ...
    def silences(self, project: str | None) -> list[Json]: ...
    def silence(self, wanted: NewSilence, project: str | None, by: str, address: str) -> Json: ...
    def unsilence(self, id: int, project: str | None, by: str, address: str) -> None: ...
    def rules(self) -> list[Json]: ...
    def channels(self) -> list[Json]: ...
    def deliveries(self, limit: int = ...) -> list[Json]: ...
    def test(self, channel: str, by: str, address: str) -> Json: ...


_acknowledging = Decoder(Acknowledging)
_new_silence = Decoder(NewSilence)
_testing = Decoder(Testing)
_SILENCES = "/api/alerts/silences"
_ONE = "/api/alerts/{id}"


class AlertApi:
    """The routes under `/api/alerts`."""

    def __init__(self, administration: AlertAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes, the narrower addresses first."""
        return (
            Doc("/api/alerts", "GET", "viewer", "List the alerts that stand; with state=ended those before.",
                self._list, ("state", "before", "limit")),
            Doc("/api/alerts/rules", "GET", "admin", "List the rules, the channels, and the last deliveries.",
                self._rules),
            Doc("/api/alerts/test", "POST", "admin", "Send a made-up alert to a channel.",
                self._test, (), Testing),
            Doc(_SILENCES, "GET", "viewer", "List the silences in force.", self._silences),
            Doc(_SILENCES, "POST", "operator", "Deliver nothing of the alerts that fit, for some hours.",
                self._silence, (), NewSilence, 201),
            Doc(f"{_SILENCES}/{{id}}", "DELETE", "operator", "End a silence.", self._unsilence),
            Doc(_ONE, "GET", "viewer", "Read one alert, its history, and how its messages went.", self._show),
            Doc(f"{_ONE}/acknowledge", "POST", "operator", "Say that somebody looks after it: no reminders.",
                self._acknowledge, (), Acknowledging),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        project, query = _scope(caller), request.query_params
        state = query.get("state", "standing")
        if state == "standing":
            return json_answer({"data": await run_in_threadpool(self._admin.standing, project)})
        if state != "ended":
            raise MalformedRequest("'state' must be standing or ended.", "state")
        limit = number(query, "limit", 50, MOST_PAST)
        before = number(query, "before", 0, 2**62) or None
        found = await run_in_threadpool(self._admin.past, project, before, limit)
        after = found[-1]["id"] if len(found) == limit else None
        return json_answer({"data": found, "next_before": after})

    async def _rules(self, request: Request, caller: Caller | None) -> Response:
        def ask() -> Json:
            admin = self._admin
            return {"rules": admin.rules(), "channels": admin.channels(), "deliveries": admin.deliveries()}

        return json_answer(await run_in_threadpool(ask))

    async def _test(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _testing)
        return json_answer(
            await run_in_threadpool(self._admin.test, body.channel, caller.key_id, client_address(request))
        )

    async def _silences(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.silences, _scope(caller))})

    async def _silence(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _new_silence)
        made = await run_in_threadpool(
            self._admin.silence, body, _scope(caller), caller.key_id, client_address(request)
        )
        return json_answer(made, 201)

    async def _unsilence(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        id = id_of(request.path_params["id"], "silence")
        await run_in_threadpool(
            self._admin.unsilence, id, _scope(caller), caller.key_id, client_address(request)
        )
        return json_answer({"id": id, "object": "silence", "deleted": True})

    async def _show(self, request: Request, caller: Caller | None) -> Response:
        id = id_of(request.path_params["id"], "alert")
        return json_answer(await run_in_threadpool(self._admin.show, id, _scope(caller)))

    async def _acknowledge(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        id = id_of(request.path_params["id"], "alert")
        body = await read_body(request, _acknowledging)
        found = await run_in_threadpool(
            self._admin.acknowledge, id, body.why, _scope(caller), caller.key_id, client_address(request)
        )
        return json_answer(found)


def id_of(text: str, what: str) -> int:
    """The number of an alert or a silence. Raises: NotFound for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"There is no {what} with this id.")
    return int(text)


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number of a query. Raises: MalformedRequest."""
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise MalformedRequest(f"'{name}' must be a whole number.", name)
    return max(1, min(int(text), most))


def _scope(caller: Caller | None) -> str | None:
    """Whose alerts a caller has to do with: None for an admin, who has to do with all."""
    assert caller is not None
    return None if caller.role == "admin" else caller.project
