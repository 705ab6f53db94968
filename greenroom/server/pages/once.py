"""Forms that make something: sent twice, by a double click or the back button, they make it once."""

import time
from collections import OrderedDict

from starlette.concurrency import run_in_threadpool

from greenroom.server.pages.sessions import Shelf

MOST = 1_000
"""Marks that are remembered; the oldest go first."""


class Once:
    """The marks of forms that were sent; with a shelf, to any process of this server. Of one event loop."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._shelf = shelf
        self._taken = OrderedDict[str, None]()

    async def take(self, mark: str) -> bool:
        """Whether a form is sent for the first time; one without a mark never is. Raises: StoreError."""
        if not mark:
            return False
        if self._shelf is not None:
            return await run_in_threadpool(_take, self._shelf, mark)
        is_first = mark not in self._taken
        self._taken[mark] = None
        while len(self._taken) > MOST:
            self._taken.popitem(last=False)
        return is_first

    async def let_go(self, mark: str) -> None:
        """Forget a form that made nothing, so that it can be sent again."""
        self._taken.pop(mark, None)
        if self._shelf is not None:
            await run_in_threadpool(self._shelf.drop, self._shelf.name(mark))


def _take(shelf: Shelf, mark: str) -> bool:
    name = shelf.name(mark)
    with shelf.held():
        is_first = shelf.get(name) is None
        shelf.put(name, "", time.monotonic())
    return is_first
