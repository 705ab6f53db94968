"""The pages of users: who is remembered, their facts with evidence, and the forms that add, edit and forget.

Knows the backend by its protocol alone; doors and forms are those of the other pages.
"""

from collections.abc import Sequence
from urllib.parse import unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, MalformedRequest, NotFound
from greenroom.server.filtering import term_of
from greenroom.server.pages import figures
from greenroom.server.pages.access import own_project
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.requests.backend import Json, RequestsBackend
from greenroom.server.pages.requests.lists import lines_of
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address
from greenroom.server.users import UserAdministration, fact_id, read_fact
from greenroom.store.listing import TraceFilter

_MOST_FACTS = 500
"""Facts on one page; the rest is in the JSON."""
DAYS = (1, 7, 30, 90)
_MOST_USERS = 100
_LATEST = 20


class UserPages:
    """`/users` and `/users/{id}`, with their twins."""

    def __init__(self, people: UserAdministration, requests: RequestsBackend) -> None:
        self._people = people
        self._requests = requests
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/users", doors.page(self._list)),
            Route("/users.json", doors.twin(self._list_json)),
            Route("/users/{id:path}.json", doors.twin(self._show_json)),
            Route("/users/{id:path}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        """Users by what they cost of late, and those of whom something is remembered."""
        days = _days(request)
        rows = self._rows(own_project(_asked(request)), days)
        return self._doors.render.html(
            "users.html",
            session=session,
            rows=[_shown(row) for row in rows[:_MOST_USERS]],
            left_out=max(len(rows) - _MOST_USERS, 0),
            days=days,
            choices=DAYS,
            twin=f"/users.json?{urlencode({'days': days})}",
        )

    def _rows(self, project: str | None, days: int) -> Sequence[Json]:
        """Everyone who cost something in the last days, the dearest first, then who is remembered only."""
        known = {(one["project"], one["user"]): one for one in self._people.users(project)}
        rows = [
            {
                "project": one["project"], "user": one["user"], "requests": one["requests"],
                "cost_usd": one["cost_usd"], "tokens": one["tokens"],
                **_remembered(known.pop((one["project"], one["user"]), {})),
            }
            for one in self._requests.users(days)
            if project in (None, one["project"])
        ]  # fmt: skip
        none = {"requests": 0, "cost_usd": None, "tokens": 0}
        return rows + [
            {"project": one["project"], "user": one["user"], **none, **_remembered(one)}
            for one in known.values()
        ]

    def _list_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        project, days = own_project(_asked(request)), _days(request)
        return json_answer({"days": days, "data": self._rows(project, days)})

    async def _show(self, request: Request, session: Session) -> Response:
        """One user's facts; posted to, it changes one first."""
        user, project = _user(request), own_project(_asked(request)) or "default"
        if request.method == "POST":
            form = await self._doors.posted(request, session)
            if not session.may_write:
                raise Forbidden("This key may look, but not change. Sign in with an admin or operator key.")
            try:
                what = await run_in_threadpool(self._change, project, user, form)
            except (MalformedRequest, NotFound) as error:
                return await run_in_threadpool(self._page, session, project, user, str(error), error.status)
            await run_in_threadpool(
                self._people.note, what, project, user, session.who, client_address(request)
            )
            return redirect("/users" if form.get("do") == "forget" else _address(user, project))
        return await run_in_threadpool(self._page, session, project, user)

    def _show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        user, project = _user(request, ".json"), own_project(_asked(request)) or "default"
        return json_answer(self._kept(project, user))

    def _kept(self, project: str, user: str, *, may_be_empty: bool = False) -> Json:
        """What is remembered of a user, and the latest requests. Raises: NotFound where there is neither."""
        found = self._people.memory(project, user)
        wanted = TraceFilter(project=project, user=user, limit=_LATEST)
        latest = self._requests.browse(wanted).rows
        if not may_be_empty and not found["facts"] and not found["turns"] and not latest:
            raise NotFound("Nothing is kept of this user.")
        return {**found, "latest": latest}

    def _page(
        self, session: Session, project: str, user: str, trouble: str = "", status: int = 200
    ) -> Response:
        found = self._kept(project, user, may_be_empty=bool(trouble))
        facts = found["facts"]
        return self._doors.render.html(
            "user.html",
            status=status,
            session=session,
            user=user,
            project=project,
            turns=found["turns"],
            facts=facts[:_MOST_FACTS],
            left_out=max(len(facts) - _MOST_FACTS, 0),
            trouble=trouble,
            latest=lines_of(found["latest"]),
            requests=_requests(user, project),
            address=_address(user, project),
            twin=_address(user, project, ".json"),
        )

    def _change(self, project: str, user: str, form: dict[str, str]) -> str:
        """Do what a form says; the name of the deed."""
        deed = form.get("do", "")
        if deed == "add":
            self._people.add_fact(project, user, read_fact(form.get("text", "")[:2_000]))
        elif deed == "edit":
            self._people.edit_fact(
                project, user, fact_id(form.get("fact", "")), read_fact(form.get("text", "")[:2_000])
            )
        elif deed == "forget-fact":
            self._people.forget_fact(project, user, fact_id(form.get("fact", "")))
        elif deed == "forget":
            if form.get("sure") != "yes":
                raise MalformedRequest("Tick the box to say that all of it shall be forgotten.")
            self._people.forget(project, user)
        else:
            raise MalformedRequest("This form says nothing that can be done.")
        return {
            "add": "fact.add",
            "edit": "fact.edit",
            "forget-fact": "fact.forget",
            "forget": "user.forget",
        }[deed]


def _remembered(one: Json) -> Json:
    return {"turns": one.get("turns", 0), "facts": one.get("facts", 0)}


def _shown(row: Json) -> Json:
    return {
        **row,
        "address": _address(row["user"], row["project"]),
        "cost": figures.NONE if row["cost_usd"] is None else figures.dollars(row["cost_usd"]),
    }


def _requests(user: str, project: str) -> str:
    terms = f"{term_of('user', user)} {term_of('project', project)}"
    return f"/requests?{urlencode({'filter': terms})}"


def _days(request: Request) -> int:
    """How many days are summed; a number that is none of the choices is the usual one."""
    wanted = request.query_params.get("days", "")
    return int(wanted) if wanted in {str(one) for one in DAYS} else DAYS[1]


def _asked(request: Request) -> str | None:
    return request.query_params.get("project") or None


def _user(request: Request, ending: str = "") -> str:
    """The user from the address as it was sent. Raises NotFound for an address of another shape."""
    raw = bytes(request.scope.get("raw_path") or request.scope["path"].encode())
    parts = raw.partition(b"?")[0].decode("latin-1").split("/")
    try:
        user = unquote(parts[2].removesuffix(ending), errors="strict") if len(parts) == 3 else ""
    except UnicodeDecodeError:
        user = ""
    if not 0 < len(user) <= 128:
        raise NotFound("There is no such user.")
    return user


def _address(user: str, project: str, ending: str = "") -> str:
    return f"/users/{segment(user)}{ending}?{urlencode({'project': project})}"
