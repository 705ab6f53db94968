"""All pages of a server as routes."""

import time
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from greenroom.server.knowledge import Desk
from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.doors import Room
from greenroom.server.pages.handlers import Pages
from greenroom.server.pages.sessions import Shelves


def pages(
    backend: PagesBackend,
    desk: Desk | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
    shelves: Shelves | None = None,
    more: Sequence[Room] = (),
) -> list[BaseRoute]:
    """Return the routes; `desk` is where the collections are, if there are any to show.

    Sessions live in this process, or in `shelves` where several share them; `now` is the machine's monotonic
    clock, in seconds. `more` are pages that bring routes of their own.
    """
    return Pages(backend, desk, now, shelves, more).routes()
