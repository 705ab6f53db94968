"""The way in: who is at the browser, and what stands around every handler of a page."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import cast
from urllib.parse import quote, unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, StoreError
from greenroom.server.pages.access import enter
from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.compression import squeeze
from greenroom.server.pages.cookies import cookie, drop_cookie, set_cookie
from greenroom.server.pages.doors import Doors, Endpoint, Handler
from greenroom.server.pages.forms import local_path, own_address, read_form, require_same_origin
from greenroom.server.pages.rendering import Redirect, Renderer, json_answer, redirect, said
from greenroom.server.pages.sessions import IDLE_S, Session, Shelves, gate_of, is_same
from greenroom.server.routing import client_address

log = logging.getLogger("greenroom.server")

_RECHECK_S = 1.0
"""How long a key is taken for good before it is looked up again, so that a revoked one ends its session."""
UNATTENDED = "x-greenroom-unattended"
"""The header of what a page asks by itself, with nobody at the keys: it keeps no session alive."""
_NO_SUCH_KEY = "No page of this server opens with this key. Keys of apps open none."


class Entrance:
    """Signing in and out, and the doors around handlers. `now` is a monotonic clock in seconds."""

    def __init__(
        self, backend: PagesBackend, render: Renderer, now: Callable[[], float], shelves: Shelves | None
    ) -> None:
        self._backend = backend
        self._render = render
        self._now = now
        self._sessions, self._brake, self._login_tokens = gate_of(now, shelves)

    @property
    def doors(self) -> Doors:
        """What pages with routes of their own are lent."""
        return Doors(self.page, self.twin, self.posted, self._render)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of signing in and out."""
        return [
            Route("/login", self.open(self._login), methods=["GET", "POST"]),
            Route("/logout", self.page(self._logout), methods=["GET", "POST"]),
        ]

    # Doors

    def open(self, handler: Endpoint) -> Endpoint:
        """Around what anybody may see."""

        async def endpoint(request: Request) -> Response:
            try:
                answer = await handler(request)
            except GreenroomError as error:
                answer = self._error_page(error, None)
            return await squeeze(request, answer)

        return endpoint

    def page(self, handler: Handler) -> Endpoint:
        """Around pages: who is not signed in is sent to do so; an error is a page too."""
        handle = _coroutine(handler)

        async def endpoint(request: Request) -> Response:
            try:
                session = await self._session(request)
            except GreenroomError as error:  # who it is can't be looked up now
                return self._error_page(error, None)
            if session is None:
                return self._to_login(request)
            notice = unquote(cookie(request, "said") or "")
            said.set(notice)
            try:
                enter(session.person, request.url.path, request.method)
                answer = await handle(request, session)
            except (GreenroomError, sqlite3.Error) as error:
                answer = self._error_page(_told(error), session)
            if notice:
                drop_cookie(request, answer, "said")
            if isinstance(answer, Redirect) and answer.said:
                set_cookie(request, answer, "said", quote(answer.said[:400]))
            return await squeeze(request, answer)

        return endpoint

    def twin(self, handler: Handler) -> Endpoint:
        """Around JSON twins and streams: who is not signed in gets a 401; an error is JSON."""
        handle = _coroutine(handler)

        async def endpoint(request: Request) -> Response:
            try:
                session = await self._session(request)
            except GreenroomError as error:
                return _json_error(error.status, error.code, str(error))
            if session is None:
                return _json_error(401, "not_signed_in", "Sign in at /login first, or use /api with a key.")
            try:
                enter(session.person, request.url.path, request.method)
                answer = await handle(request, session)
            except (GreenroomError, sqlite3.Error) as error:
                told = _told(error)
                answer = _json_error(told.status, told.code, str(told))
            return await squeeze(request, answer)

        return endpoint

    async def _session(self, request: Request, *, is_seen: bool = True) -> Session | None:
        name = cookie(request, "session")
        is_seen = is_seen and UNATTENDED not in request.headers
        session = self._sessions.get(name, is_seen=is_seen)
        if session is None or self._now() - session.checked_at < _RECHECK_S:
            return self._tied(request, session)
        person = await run_in_threadpool(self._backend.verify_key, session.key)
        if person is None:
            self._sessions.close(name)
            return None
        session.person = person
        session.checked_at = self._now()
        return self._tied(request, session)

    def _tied(self, request: Request, session: Session | None) -> Session | None:
        """Let what lasts longer than an answer ask whether its session lives, and not keep it alive."""

        async def lives() -> bool:
            return await self._session(request, is_seen=False) is not None

        request.state.session_lives = lives
        return session

    def _to_login(self, request: Request) -> Response:
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            # A strict cookie stays away when a link on another site leads here; our own page brings it.
            return self._render.html("again.html", address=own_address(request))
        wanted = own_address(request) if request.method == "GET" else "/"
        path = "/login" if wanted == "/" else f"/login?{urlencode({'next': wanted})}"
        return redirect(path)

    async def posted(self, request: Request, session: Session) -> dict[str, str]:
        """Return the fields of a form. Raises: Forbidden when it is from elsewhere or lacks its token."""
        require_same_origin(request)
        form = await read_form(request)
        if not is_same(form.get("csrf", ""), session.csrf):
            raise Forbidden("This form is no longer valid. Open the page again and retry.")
        return form

    # Signing in and out

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            if await self._session(request) is not None:
                return redirect(local_path(request.query_params.get("next", "/")))
            return self._login_page(request, request.query_params.get("next", "/"))
        require_same_origin(request)
        form = await read_form(request)
        wanted = local_path(form.get("next", "/"))
        if not self._login_tokens.fits(cookie(request, "login"), form.get("csrf", "")):
            return self._login_page(request, wanted, "The form was too old. Please try again.", 403)
        address = client_address(request)
        wait_s = self._brake.begin(address)
        if wait_s > 0:
            seconds = int(wait_s) + 1
            answer = self._login_page(request, wanted, f"Too many wrong keys. Try again in {seconds} s.", 429)
            answer.headers["retry-after"] = str(seconds)
            return answer
        key = form.get("key", "").strip()
        person = await run_in_threadpool(self._backend.verify_key, key) if key else None
        if key:
            await run_in_threadpool(self._backend.note_login, key, address)
        if person is None:
            return self._login_page(request, wanted, _NO_SUCH_KEY, 403)
        self._brake.succeeded(address)
        self._sessions.close(cookie(request, "session"))
        fresh, _ = self._sessions.open(key, person)
        answer = redirect(wanted)
        set_cookie(request, answer, "session", fresh)
        drop_cookie(request, answer, "login")
        return answer

    def _login_page(self, request: Request, wanted: str, trouble: str = "", status: int = 200) -> Response:
        value = cookie(request, "login") or self._login_tokens.fresh()
        answer = self._render.html(
            "login.html",
            status=status,
            session=None,
            csrf=self._login_tokens.token(value),
            wanted=local_path(wanted),
            trouble=trouble,
            idle_hours=int(IDLE_S // 3600),
        )
        set_cookie(request, answer, "login", value)
        return answer

    async def _logout(self, request: Request, session: Session) -> Response:
        if request.method != "POST":
            return redirect("/")
        await self.posted(request, session)
        self._sessions.close(cookie(request, "session"))
        answer = redirect("/login")
        drop_cookie(request, answer, "session")
        return answer

    def _error_page(self, error: GreenroomError, session: Session | None) -> Response:
        return self._render.html(
            "error.html", status=error.status, session=session, code=error.status, sentence=str(error)
        )


def _coroutine(handler: Handler) -> Callable[[Request, Session], Awaitable[Response]]:
    if iscoroutinefunction(handler):
        return handler
    plain = cast("Callable[[Request, Session], Response]", handler)  # what is no coroutine is the other kind

    async def threaded(request: Request, session: Session) -> Response:
        return await run_in_threadpool(plain, request, session)

    return threaded


def _told(error: GreenroomError | sqlite3.Error) -> GreenroomError:
    """The error to show; one of a store that did not say itself what it means for it is told here."""
    if isinstance(error, GreenroomError):
        return error
    log.error("a store failed under a page", exc_info=error)
    return StoreError(
        f"A store of this server could not be used: {error}. Run `greenroom db check` to see which, and what "
        f"to do."
    )


def _json_error(status: int, code: str, message: str) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return json_answer({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
