"""The pages' handlers: who may see what, and which view goes into which template.

Knows the backend by its protocol alone. Backend questions and large pages are answered in worker threads.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest
from greenroom.server.knowledge import Desk
from greenroom.server.pages.assets import Assets
from greenroom.server.pages.audit import ACTIONS, audit_address, read_audit_filters, read_lines
from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.choosing import ChoosingPage
from greenroom.server.pages.collections import CollectionPages
from greenroom.server.pages.doors import Room
from greenroom.server.pages.entrance import Entrance
from greenroom.server.pages.listing import read_rows, with_words
from greenroom.server.pages.rendering import Renderer, json_answer, redirect, segment
from greenroom.server.pages.requests.flagship import RequestPage
from greenroom.server.pages.requests.lists import RequestLists
from greenroom.server.pages.requests.sessions import SessionPages
from greenroom.server.pages.sessions import Session, Shelves
from greenroom.server.pages.usage import UsagePage
from greenroom.server.pages.users import UserPages

_LATEST = 8
_LONGEST_QUESTION = 100_000
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Pages:
    """The pages as routes. `now` is a monotonic clock in seconds."""

    def __init__(
        self,
        backend: PagesBackend,
        desk: Desk | None = None,
        now: Callable[[], float] = time.monotonic,
        shelves: Shelves | None = None,
        more: Sequence[Room] = (),
    ) -> None:
        self._more = more
        self._backend = backend
        self._desk = desk
        self._render = Renderer()
        self._entrance = Entrance(backend, self._render, now, shelves)

    def routes(self) -> list[BaseRoute]:
        """Return all routes of the pages."""
        doors = self._entrance.doors
        page, twin = doors.page, doors.twin
        return [
            *self._entrance.routes(),
            Route("/", page(self._home)),
            Route("/index.json", twin(self._home_json)),
            Route("/ask", page(self._ask), methods=["GET", "POST"]),
            *RequestLists(self._backend.requests).routes(doors),
            *RequestPage(self._backend.requests).routes(doors),
            *SessionPages(self._backend.requests).routes(doors),
            *(CollectionPages(self._desk).routes(doors) if self._desk is not None else ()),
            Route("/audit", page(self._audit)),
            Route("/audit.json", twin(self._audit_json)),
            *UsagePage(self._backend).routes(doors),
            *ChoosingPage(self._backend).routes(doors),
            *(route for room in self._more for route in room(doors)),
            *UserPages(self._backend.people, self._backend.requests).routes(doors),
            Mount("/static", Assets()),
        ]

    # Home and asking

    def _home(self, request: Request, session: Session) -> Response:
        return self._home_page(session)

    def _home_page(
        self, session: Session, *, text: str = "", app: str = "", trouble: str = "", status: int = 200
    ) -> Response:
        rows, _ = self._backend.list_traces(limit=_LATEST)
        return self._render.html(
            "home.html",
            status=status,
            session=session,
            apps=self._backend.apps(),
            about=_about(self._backend.about()),
            rows=read_rows(with_words(rows, self._backend.get_trace)),
            text=text,
            app=app,
            trouble=trouble,
        )

    def _home_json(self, request: Request, session: Session) -> Response:
        rows, _ = self._backend.list_traces(limit=_LATEST)
        about, apps = self._backend.about(), self._backend.apps()
        return json_answer({"about": about, "apps": apps, "latest": rows})

    async def _ask(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return redirect("/")
        form = await self._entrance.posted(request, session)
        if not session.may_write:
            raise Forbidden("This key may look, but not ask. Sign in with an admin or operator key.")
        text = form.get("text", "").replace("\r\n", "\n")
        app = form.get("app", "")
        try:
            if not text.strip():
                raise MalformedRequest("Write a question first.")
            if len(text) > _LONGEST_QUESTION:
                raise MalformedRequest(
                    f"This is longer than {_LONGEST_QUESTION:,} characters; use the API for it."
                )
            trace = await self._backend.ask(text, app)
        except GreenroomError as error:
            return await run_in_threadpool(
                self._home_page, session, text=text, app=app, trouble=str(error), status=error.status
            )
        await self._wait_for(trace)
        return redirect("/requests/" + segment(trace))

    async def _wait_for(self, id: str) -> None:
        """Give the trace writer, which works behind the request, a moment to store what was just asked."""
        for pause_s in _PAUSES_S:
            if await run_in_threadpool(self._backend.get_trace, id) is not None:
                return
            await asyncio.sleep(pause_s)

    # The audit log

    def _audit(self, request: Request, session: Session) -> Response:
        asked = read_audit_filters(request.query_params)
        lines, older = self._backend.list_audit(**asked)
        return self._render.html(
            "audit.html",
            session=session,
            lines=read_lines(lines),
            asked=asked,
            actions=ACTIONS,
            older=audit_address("/audit", asked, cursor=older) if older else "",
            twin=audit_address("/audit.json", asked),
        )

    def _audit_json(self, request: Request, session: Session) -> Response:
        asked = read_audit_filters(request.query_params)
        lines, older = self._backend.list_audit(**asked)
        return json_answer({"data": lines, "next": older})


def _about(facts: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Fill what the backend left out, so that the template asks no questions."""
    model = facts.get("model")
    if not isinstance(model, dict):
        model = {"name": model, "why": facts.get("why", "")}
    losses = facts.get("losses")
    return {
        "version": str(facts.get("version", "")),
        "model": str(model.get("name") or "none"),
        "why": str(model.get("why") or ""),
        "losses": {str(name): lost for name, lost in losses.items()} if isinstance(losses, dict) else {},
    }
