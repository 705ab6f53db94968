"""Host names to addresses: asked beside the event loop, one question a name, answers kept a while.

The loop's own threads are few and shared: a name server that does not answer would take them all, and hold up
every other name and every file. Here a name that hangs holds up whoever wants that name, and nobody else.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

KEEP_S = 30.0
"""So long an answer is taken without asking again; older ones count only while no new one can be had."""
KEPT_NAMES = 1024

Lookup = Callable[[str], Sequence[str]]


class _Known(NamedTuple):
    addresses: tuple[str, ...]
    until: float


def look_up(host: str) -> list[str]:
    """The addresses of a host, best first, from the system. Raises: OSError. Blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Names:
    """Addresses by name. Belongs to one event loop."""

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of `host`, best first. Raises: OSError; waits as long as the system does."""
        if _is_address(host):
            return (host,)
        loop = asyncio.get_running_loop()
        known = self._known.get(host)
        if known is not None and loop.time() < known.until:
            return known.addresses
        asked = self._asked.get(host)
        if asked is None:
            asked = self._asked[host] = loop.create_future()
            threading.Thread(target=self._ask, args=(host, loop), name="greenroom-names", daemon=True).start()
        try:
            return await asyncio.shield(asked)  # others may wait for the same answer
        except OSError:
            if known is not None:
                return known.addresses
            raise

    def _ask(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own: at most one a name."""
        found: tuple[str, ...] | OSError
        try:
            found = tuple(self._lookup(host)) or OSError("The name has no address.")
        except (OSError, UnicodeError) as error:
            found = OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._told, host, loop.time(), found)

    def _told(self, host: str, now: float, found: tuple[str, ...] | OSError) -> None:
        asked = self._asked.pop(host)
        if isinstance(found, OSError):
            asked.set_exception(found)
            asked.exception()  # nobody may be waiting any more
            return
        if len(self._known) >= KEPT_NAMES:
            self._known.pop(next(iter(self._known)))
        self._known[host] = _Known(found, now + KEEP_S)
        asked.set_result(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
