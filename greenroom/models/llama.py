"""The provider of an embedded engine: its process is seen to, then it is spoken to as any OpenAI server."""

from collections.abc import Callable
from time import monotonic

from greenroom.errors import UpstreamDisconnected, UpstreamUnreachable
from greenroom.exchange import Exchange, Reply
from greenroom.models.connection import Limits
from greenroom.models.engine import Address, Engine
from greenroom.models.pool import Pool
from greenroom.models.providers import OpenAICompatible

_HEADERS = {"Connection": "close"}
"""A connection that is kept would keep one of the engine's few threads."""


class Llama:
    """One GGUF file, run by an engine of its own."""

    def __init__(self, name: str, engine: Engine, pool: Pool) -> None:
        self.name = name
        self.engine = engine
        self._pool = pool
        self._address: Address | None = None
        self._service: OpenAICompatible

    @property
    def model(self) -> str:
        """The one model it has."""
        return self.engine.settings.model

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Start the engine where need be, and ask it. Raises UpstreamError.

        A whole answer may take all the time there is: it comes at once, at its end, however long it is.
        """
        engine = self.engine
        engine.begin()
        try:
            reply = await self._ask(exchange, model, body, limits)
        except BaseException:
            engine.end()
            raise
        if reply.chunks is None:
            engine.end()
        else:
            reply.close = _Ending(reply.close, engine)
        return reply

    async def _ask(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        began = monotonic()
        address = await self.engine.address(min(limits.first_byte_s, limits.total_s))
        if address != self._address:
            self._address = address
            self._service = OpenAICompatible(self.name, address.url, address.key, self._pool, _HEADERS)
        left_s = max(0.001, limits.total_s - (monotonic() - began))
        first_byte_s = limits.first_byte_s if exchange.request.stream else left_s
        try:
            return await self._service.call(
                exchange, model, body, limits._replace(first_byte_s=first_byte_s, total_s=left_s)
            )
        except (UpstreamDisconnected, UpstreamUnreachable):
            await self.engine.settle()
            raise


class _Ending:
    """Ends a stream once, for its connection and for the engine's count."""

    __slots__ = ("_close", "_engine")

    def __init__(self, close: Callable[[], None] | None, engine: Engine) -> None:
        self._close = close
        self._engine: Engine | None = engine

    def __call__(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if self._close is not None:
            self._close()
        engine.end()
