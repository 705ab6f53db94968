"""What the pages lend to those that bring routes of their own: sessions, forms, templates."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from greenroom.server.pages.rendering import Renderer
from greenroom.server.pages.sessions import Session

Handler = Callable[[Request, Session], Response] | Callable[[Request, Session], Awaitable[Response]]
"""Answers somebody who is signed in; in a worker thread, where it may ask stores, if it is no coroutine."""
Endpoint = Callable[[Request], Awaitable[Response]]


class Doors(NamedTuple):
    """Around handlers of pages, of their JSON twins, and of what forms send."""

    page: Callable[[Handler], Endpoint]
    twin: Callable[[Handler], Endpoint]
    posted: Callable[[Request, Session], Awaitable[dict[str, str]]]
    render: Renderer


Room = Callable[[Doors], list[BaseRoute]]
"""Pages with routes of their own."""
