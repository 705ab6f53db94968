"""Exchanges of fronts: one for each question of a request, the others of a series behind the first.

Knows the gateway and the seam of fronts; no dialect.
"""

from time import perf_counter_ns

from greenroom.exchange import Exchange
from greenroom.gateway.gateway import BEGUN, Gateway
from greenroom.gateway.keys import Key
from greenroom.gateway.pipeline import App
from greenroom.server.beat import Beat
from greenroom.server.fronts import Front, Series, Translated, Turn
from greenroom.server.head import Request
from greenroom.server.outgoing import Outgoing


def opened(
    gateway: Gateway, front: Front, turn: Turn, id: str, key: Key, chat: bytes, request: Request
) -> tuple[Exchange, App]:
    """The exchange for a body that a front has read, and its app. Raises RequestError."""
    exchange, app = gateway.open(id, key.caller, chat, request.headers)
    exchange.surface = front.surface
    if turn.dropped:
        exchange.context["dropped"] = list(turn.dropped)
    return exchange, app


class Following:
    """The exchanges of a series behind its first, each begun when the one before has ended."""

    def __init__(self, gateway: Gateway, front: Front, series: Series, key: Key, request: Request) -> None:
        self._gateway = gateway
        self._front = front
        self._series = series
        self._key = key
        self._request = request

    def _opened(self, chat: bytes) -> tuple[Exchange, App]:
        gateway = self._gateway
        return opened(gateway, self._front, self._series, gateway.new_id(), self._key, chat, self._request)

    async def whole(self, cost: int | None) -> int | None:
        """Have all answered whole. `cost` and theirs, in nano-dollars, where all are known.

        Raises: GreenroomError at the first that fails.
        """
        gateway = self._gateway
        for chat in self._series.following:
            exchange, app = self._opened(chat)
            body = await gateway.whole(exchange, app, gateway.access.admit(self._key), perf_counter_ns())
            self._series.follow(exchange, body)
            more = exchange.cost_nano_usd
            cost = None if cost is None or more is None else cost + more
        return cost

    async def stream(self, out: Outgoing) -> None:
        """Have all answered into a stream that has begun, up to one that fails inside its answer.

        Raises: GreenroomError for one that fails before.
        """
        gateway = self._gateway
        for chat in self._series.following:
            exchange, app = self._opened(chat)
            exchange.context[BEGUN] = True
            events = self._series.events(exchange)
            beat = Beat(exchange, out, b"", events.keep_alive)
            stream = None
            try:
                grant = gateway.access.admit(self._key)
                stream = await gateway.begin_stream(exchange, app, grant, perf_counter_ns())
                beat.stop()
                await stream.run(Translated(out, events))
            finally:
                beat.stop()
                if stream is not None:
                    stream.finish()
            if exchange.outcome == "failed":
                return
