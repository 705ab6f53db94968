"""The pages of alerts: what stands, what was, silences, channels; one alert with all that became of it.

Knows the backend by its protocol alone. Forms acknowledge and silence for operators, and test channels for
admins; everything else is looking. Who is no admin has to do with the alerts of the key's project.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.server.alerts import AlertAdministration, NewSilence, id_of, number
from greenroom.server.pages import figures
from greenroom.server.pages.access import seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
PAST = 25
HOURS = (1, 8, 24, 168)
"""What a silence may last, in the form."""
_CHIPS = {"critical": "failed", "warning": "refused", "info": "cached"}
_STATES = {"firing": "failed", "silenced": "open", "acknowledged": "cached", "ended": "answered"}
_SENT = {"sent": "answered", "failed": "failed", "waiting": "refused"}


class AlertPages:
    """`/alerts`, `/alerts/{id}`, and their twins."""

    def __init__(self, backend: AlertAdministration) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/alerts", doors.page(self._all), methods=["GET", "POST"]),
            Route("/alerts.json", doors.twin(self._all_json)),
            Route("/alerts/{id}.json", doors.twin(self._one_json)),
            Route("/alerts/{id}", doors.page(self._one), methods=["GET", "POST"]),
        ]

    async def _all(self, request: Request, session: Session) -> Response:
        before = _before(request)
        if request.method != "POST":
            return await run_in_threadpool(self._list, session, before)
        form = await self._form(request, session)
        try:
            done = await run_in_threadpool(self._change, session, form, client_address(request))
        except GreenroomError as error:
            return await run_in_threadpool(self._list, session, before, str(error), error.status)
        return redirect("/alerts", done)

    def _list(self, session: Session, before: int | None, trouble: str = "", status: int = 200) -> Response:
        found = self._found(before)
        return self._doors.render.html(
            "alerts.html",
            status=status,
            session=session,
            standing=[_row(one) for one in found["standing"]],
            past=[_row(one) for one in found["ended"]],
            older=found["next_before"],
            is_first=before is None,
            silences=[{**one, "until_shown": figures.short_clock(one["until"])} for one in found["silences"]],
            rules=found["rules"],
            channels=[_channel(one) for one in found["channels"]],
            deliveries=[_delivery(one) for one in found["deliveries"]],
            hours=HOURS,
            trouble=trouble,
        )

    def _all_json(self, request: Request, session: Session) -> Response:
        before = _before(request)
        return json_answer(self._found(before))

    def _found(self, before: int | None) -> Json:
        backend, project = self._backend, seen()
        past = backend.past(project, before, PAST)
        sees_all = project is None
        return {
            "standing": backend.standing(project),
            "ended": past,
            "next_before": past[-1]["id"] if len(past) == PAST else None,
            "silences": backend.silences(project),
            "rules": backend.rules() if sees_all else [],
            "channels": backend.channels() if sees_all else [],
            "deliveries": backend.deliveries(20) if sees_all else [],
        }

    async def _one(self, request: Request, session: Session) -> Response:
        id = id_of(request.path_params["id"], "alert")
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, id)
        form = await self._form(request, session)
        try:
            done = await run_in_threadpool(
                self._change, session, {**form, "alert": str(id)}, client_address(request)
            )
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, id, str(error), error.status)
        return redirect(f"/alerts/{id}", done)

    def _page(self, session: Session, id: int, trouble: str = "", status: int = 200) -> Response:
        one = self._backend.show(id, seen())
        return self._doors.render.html(
            "alert.html",
            status=status,
            session=session,
            one=_row(one),
            figures=[(name.replace("_", " "), f"{value:,.6g}") for name, value in one["figures"].items()],
            history=[{**event, "time": figures.short_clock(event["at"])} for event in one["history"]],
            deliveries=[_delivery(two) for two in one["deliveries"]],
            hours=HOURS,
            trouble=trouble,
        )

    def _one_json(self, request: Request, session: Session) -> Response:
        id = id_of(request.path_params["id"], "alert")
        return json_answer(self._backend.show(id, seen()))

    async def _form(self, request: Request, session: Session) -> dict[str, str]:
        form = await self._doors.posted(request, session)
        if not session.may_write:
            raise Forbidden("This key may look, but not change. Sign in with an admin or operator key.")
        return form

    def _change(self, session: Session, form: dict[str, str], address: str) -> str:
        """Do what a form says; a sentence on it."""
        backend, by, deed, project = self._backend, session.who, form.get("do"), seen()
        why = form.get("why", "")[:500]
        if deed == "acknowledge":
            backend.acknowledge(id_of(form.get("alert", ""), "alert"), why, project, by, address)
            return "The alert is acknowledged: no more reminders."
        if deed == "silence":
            one = backend.show(id_of(form.get("alert", ""), "alert"), project)
            wanted = NewSilence(
                hours=_hours(form.get("hours", "")), rule=one["rule"], subject=one["subject"],
                project=one["project"], why=why,
            )  # fmt: skip
            backend.silence(wanted, project, by, address)
            return "Nothing of it is delivered while the silence lasts."
        if deed == "unsilence":
            backend.unsilence(id_of(form.get("silence", ""), "silence"), project, by, address)
            return "The silence has ended."
        if deed == "test":
            if not session.is_admin:
                raise Forbidden("Channels are tested with an admin key.")
            channel = form.get("channel", "")[:100]
            backend.test(channel, by, address)
            return f"A test went to the channel '{channel}'."
        raise MalformedRequest("This form says nothing that can be done.")


def _before(request: Request) -> int | None:
    return number(request.query_params, "before", 0, 2**62) or None


def _hours(text: str) -> float:
    if text not in {str(one) for one in HOURS}:
        raise MalformedRequest("Say for how long: one of the choices.")
    return float(text)


def _row(one: Json) -> Json:
    return {
        **one,
        "chip": _CHIPS.get(one["severity"], "open"),
        "state_chip": _STATES.get(one["state"], "open"),
        "opened": figures.short_clock(one["opened_at"]),
        "ended": figures.short_clock(one["ended_at"]) if one["ended_at"] else "",
        "until": figures.short_clock(one["silenced_until"]) if one["silenced_until"] else "",
    }


def _channel(one: Json) -> Json:
    last = one["last_sent_at"]
    return {**one, "last": figures.short_clock(last) if last else figures.NONE}


def _delivery(one: Json) -> Json:
    return {
        **one,
        "chip": _SENT.get(one["state"], "open"),
        "time": figures.short_clock(one["at"]),
        "next": figures.short_clock(one["next_at"]) if one["next_at"] else "",
    }
