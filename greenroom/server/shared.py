"""What all connections of one server share, and the look at those that take too long."""

import asyncio
from typing import TYPE_CHECKING

from greenroom.server.head import FastRoutes, Limits

if TYPE_CHECKING:
    from greenroom.server.connection import Connection


class Shared:
    """What all connections of one server share. Made once, in assembly."""

    def __init__(self, fast: FastRoutes, limits: Limits, hosts: frozenset[bytes]) -> None:
        self.fast = fast
        self.limits = limits
        self.hosts = hosts
        """Host names that are answered; anything else may be a rebound name."""
        self.connections: set[Connection] = set()
        self.draining = False
        self.room = limits.bodies_bytes
        """Bytes that bodies which are being read may still take."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start looking for connections that take too long, if not started yet."""
        if self._timer is None:
            self._timer = loop.call_later(0.5, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self.connections):
            connection.check_time(now)
        self._timer = loop.call_later(0.5, self._sweep, loop) if self.connections else None
