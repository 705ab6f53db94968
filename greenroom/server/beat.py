"""Signs of life for clients that wait for the first content of a stream. Knows connections; no dialect."""

import asyncio

from greenroom.exchange import Exchange
from greenroom.gateway.gateway import BEGUN
from greenroom.server.outgoing import Outgoing

KEEP_ALIVE_S = 10.0


class Beat:
    """After ten seconds without content, sends the head and then signs of life, so that nobody hangs up."""

    def __init__(self, exchange: Exchange, out: Outgoing, head: bytes, sign: bytes) -> None:
        self._context = exchange.context
        self._out = out
        self._head = head
        self._sign = sign
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    def _tick(self) -> None:
        if not self._out.started:
            self._context[BEGUN] = True
            self._out.begin(self._head)
        self._out.send(self._sign)
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    def stop(self) -> None:
        """Send no more of them; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
