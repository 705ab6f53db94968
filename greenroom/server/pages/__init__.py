"""The pages: signing in, asking, and looking at what happened to every request, stage by stage.

Rendered here, readable without JavaScript; nothing in them comes from another server.
"""

import time
from collections.abc import Callable

from starlette.routing import BaseRoute

from greenroom.server.knowledge import Desk
from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.handlers import Pages

__all__ = ["PagesBackend", "pages"]


def pages(
    backend: PagesBackend, desk: Desk | None = None, *, now: Callable[[], float] = time.monotonic
) -> list[BaseRoute]:
    """Return the routes; `desk` is where the collections are, if there are any to show.

    Sessions live in this process; `now` is its monotonic clock, in seconds.
    """
    return Pages(backend, desk, now).routes()
