"""The settings: how this server fares, what it is made of, its keys, projects and budgets. For admins alone.

Knows the backend by its protocol alone. What stands in the file is shown and explained, and changed there;
keys are made, limited, renewed and revoked here. A secret is shown once, by the answer to the form that made
it.
"""

import secrets
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Conflict, GreenroomError, MalformedRequest, NotFound
from greenroom.server.keys import NewKey, NewLimits
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.once import Once
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.sessions import Session, Shelf
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
TABS = (
    ("", "Health"), ("models", "Providers and apps"), ("keys", "Keys"), ("projects", "Projects and budgets"),
)  # fmt: skip
_RATES = ("requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day", "parallel")
_MOST_KEYS = 100
"""Keys on one page; a search finds the others, and the JSON has all."""
_GRACES = {"0": 0, "1 hour": 3_600, "1 day": 86_400, "7 days": 7 * 86_400}
"""How long the earlier secret of a renewed key goes on working."""


class Backend(Protocol):
    """What the pages ask; runs in worker threads. Raises: GreenroomError."""

    def health(self) -> Json:
        """How this process fares, what was lost since the start and why, what lies on the disk."""
        ...

    def makings(self) -> Json:
        """Providers, models and apps in force; of secrets only where they come from."""
        ...

    def keys(self) -> list[Json]: ...
    def projects(self) -> list[Json]: ...
    def budgets(self) -> list[Json]: ...
    def create(self, wanted: NewKey, by: str, address: str) -> Json: ...
    def limit(self, id: str, wanted: NewLimits, by: str, address: str) -> Json: ...
    def rotate(self, id: str, grace_s: int, by: str, address: str) -> Json: ...
    def revoke(self, id: str, by: str, address: str) -> bool: ...


class SettingsPages:
    """`/settings` and what is below."""

    def __init__(self, backend: Backend, shelf: Shelf | None = None) -> None:
        self._backend = backend
        self._once = Once(shelf)
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        page, twin = doors.page, doors.twin
        return [
            Route("/settings", page(self._health)),
            Route("/settings.json", twin(self._health_json)),
            Route("/settings/models", page(self._models)),
            Route("/settings/models.json", twin(self._models_json)),
            Route("/settings/keys", page(self._keys), methods=["GET", "POST"]),
            Route("/settings/keys.json", twin(self._keys_json)),
            Route("/settings/projects", page(self._projects)),
            Route("/settings/projects.json", twin(self._projects_json)),
        ]

    def _health(self, request: Request, session: Session) -> Response:
        return self._shown("settings.html", "", session, lambda: {"health": self._backend.health()})

    def _health_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._backend.health())

    def _models(self, request: Request, session: Session) -> Response:
        return self._shown("settings_models.html", "models", session, self._backend.makings)

    def _models_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._backend.makings())

    def _projects(self, request: Request, session: Session) -> Response:
        return self._shown("settings_projects.html", "projects", session, self._money)

    def _projects_json(self, request: Request, session: Session) -> Response:
        return json_answer(self._money())

    def _money(self) -> Json:
        return {"projects": self._backend.projects(), "budgets": self._backend.budgets()}

    def _shown(
        self, template: str, tab: str, session: Session, ask: Callable[[], Json], status: int = 200
    ) -> Response:
        return self._doors.render.html(template, status=status, session=session, tabs=TABS, tab=tab, **ask())

    # Keys

    async def _keys(self, request: Request, session: Session) -> Response:
        session.require("admin")
        if request.method != "POST":
            return await self._keys_page(session, wanted=request.query_params.get("q", "").strip()[:200])
        form = await self._doors.posted(request, session)
        try:
            return await self._change(request, session, form)
        except GreenroomError as error:
            return await self._keys_page(session, trouble=str(error), form=form, status=error.status)

    def _keys_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._backend.keys()})

    async def _keys_page(
        self, session: Session, *, trouble: str = "", form: dict[str, str] | None = None,
        made: Json | None = None, status: int = 200, wanted: str = "",
    ) -> Response:  # fmt: skip
        def ask() -> Json:
            rows = sorted(self._backend.keys(), key=lambda row: (row["revoked_ns"] or 0, -row["created_ns"]))
            found = [row for row in rows if _fits(row, wanted)]
            return {
                "keys": found[:_MOST_KEYS], "left_out": max(len(found) - _MOST_KEYS, 0), "wanted": wanted,
                "working": sum(row["revoked_ns"] is None for row in rows), "all": len(rows),
                "trouble": trouble, "form": form or {}, "made": made,
                "once": secrets.token_urlsafe(12), "graces": list(_GRACES), "own": session.who,
            }  # fmt: skip

        return await run_in_threadpool(self._shown, "settings_keys.html", "keys", session, ask, status)

    async def _change(self, request: Request, session: Session, form: dict[str, str]) -> Response:
        address = client_address(request)
        id, deed = form.get("id", ""), form.get("do", "")
        backend = self._backend
        if deed in {"create", "rotate"} and not await self._once.take(form.get("once", "")):
            raise Conflict("This form was sent already. Look at the list before you send it again.")
        if deed == "create":
            made = await run_in_threadpool(backend.create, read_new_key(form), session.who, address)
            return await self._keys_page(session, made=made, status=201)
        if deed == "rotate":
            if form.get("grace") not in _GRACES:
                raise MalformedRequest("Choose how long the earlier secret goes on working.")
            grace_s = _GRACES[form["grace"]]
            made = await run_in_threadpool(backend.rotate, id, grace_s, session.who, address)
            return await self._keys_page(session, made=made)
        if deed == "limit":
            row = await run_in_threadpool(backend.limit, id, read_limits(form), session.who, address)
            return redirect("/settings/keys", f"The limits of the key {row['name']} are changed.")
        if deed == "revoke":
            if form.get("sure") != "yes":
                raise MalformedRequest("Tick the box to say that the key shall never work again.")
            if id == session.who:
                raise Conflict("You are signed in with this key. Sign in with another to revoke it.")
            if not await run_in_threadpool(backend.revoke, id, session.who, address):
                raise NotFound("There is no key with this id that is still valid.")
            return redirect("/settings/keys", "The key is revoked. Nothing answers to it any more.")
        raise MalformedRequest("This form says nothing that can be done.")


def _fits(row: Json, wanted: str) -> bool:
    """Whether each word stands in what is told of a key."""
    told = " ".join((row["name"], row["project"], row["role"], row["shown"], row["id"])).lower()
    return all(word in told for word in wanted.lower().split())


def read_new_key(form: dict[str, str]) -> NewKey:
    """Return the key that a form wants. Raises: MalformedRequest naming the field."""
    apps = [one.strip() for one in form.get("apps", "").replace("\n", ",").split(",") if one.strip()]
    wanted: Json = {
        "name": form.get("name", "").strip(),
        "project": form.get("project", "").strip() or "default",
        "role": form.get("role", "app"),
        "apps": apps,
        **_numbers(form),
    }
    try:
        return msgspec.convert(wanted, NewKey)
    except msgspec.ValidationError as error:
        raise _refused(error) from None


def read_limits(form: dict[str, str]) -> NewLimits:
    """Return the limits that a form wants; an empty field takes one away. Raises: MalformedRequest."""
    try:
        return msgspec.convert(_numbers(form), NewLimits)
    except msgspec.ValidationError as error:
        raise _refused(error) from None


def _numbers(form: dict[str, str]) -> Json:
    found: Json = {name: _number(form.get(name, ""), name, whole=True) for name in _RATES}
    found["budget_usd"] = _number(form.get("budget_usd", ""), "budget_usd", whole=False)
    if form.get("budget_period"):
        found["budget_period"] = form["budget_period"]
    return found


def _number(text: str, name: str, *, whole: bool) -> float | int | None:
    plain = text.strip().replace(",", "").replace("\u202f", "")
    if not plain:
        return None
    try:
        return int(plain) if whole else float(plain)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise MalformedRequest(
            f"{_words(name)}: write {kind}, or leave the field empty for no limit."
        ) from None


def _refused(error: msgspec.ValidationError) -> MalformedRequest:
    said = str(error)
    field = said.rpartition("`$.")[2].rstrip("`")
    return MalformedRequest(f"{_words(field)}: {said.partition(' - at')[0].lower()}.")


def _words(name: str) -> str:
    words = name.replace("_usd", " in USD").replace("_", " ")
    return words[:1].upper() + words[1:]
