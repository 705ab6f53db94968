"""The pages: signing in, asking, and looking at what happened to every request, stage by stage.

Rendered here, readable without JavaScript; nothing in them comes from another server.
"""

import time
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from greenroom.server.knowledge import Desk
from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.doors import Room
from greenroom.server.pages.handlers import Pages
from greenroom.server.pages.sessions import MOST_ADDRESSES, MOST_SESSIONS, Shelves

__all__ = ["MOST_ADDRESSES", "MOST_SESSIONS", "PagesBackend", "Shelves", "pages"]


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
