"""The provider of an embedded engine: its process is seen to, then it is spoken to as any OpenAI server."""

from collections.abc import Callable
from time import monotonic

from msgspec import Raw
from msgspec.json import encode

from greenroom.errors import UpstreamDisconnected, UpstreamUnreachable
from greenroom.exchange import Exchange, Reply
from greenroom.models.adapters import Stand
from greenroom.models.engine import Address, Engine
from greenroom.models.pool import Pool
from greenroom.models.providers import OpenAICompatible
from greenroom.models.response import Limits

_HEADERS = {"Connection": "close"}
"""A connection that is kept would keep one of the engine's few threads."""


class Llama:
    """One GGUF file, run by an engine of its own."""

    def __init__(self, name: str, engine: Engine, pool: Pool, model: str = "") -> None:
        """`model` is what it is called after the slash, where that is not its engine's name for it."""
        self.name = name
        self.model = model or engine.settings.model
        """The one model it has."""
        self._engine = engine
        self._pool = pool
        self._address: Address | None = None
        self._place: int | None = None
        self._service: OpenAICompatible

    @property
    def engine(self) -> Engine:
        """What runs it now."""
        return self._engine

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Start the engine where need be, and ask it. Raises UpstreamError.

        A whole answer may take all the time there is: it comes at once, at its end, however long it is. Where
        the process had ended before the request came to it, the next one is asked.
        """
        began = monotonic()
        try:
            return await self._call(exchange, body, limits)
        except _EndedBefore:
            left_s = max(0.001, limits.total_s - (monotonic() - began))
            return await self._call(exchange, body, limits._replace(total_s=left_s))

    async def _call(self, exchange: Exchange, body: bytes, limits: Limits) -> Reply:
        began = monotonic()
        wait_s = min(limits.first_byte_s, limits.total_s)
        engine, place = await self._running(wait_s)
        address: Address | None = None
        engine.begin()
        try:
            address = await engine.address(max(0.001, wait_s - (monotonic() - began)))
            engine.enter(address)
            left_s = max(0.001, limits.total_s - (monotonic() - began))
            reply = await self._ask(engine, address, place, exchange, body, limits, left_s)
        except BaseException:
            engine.end(address)
            raise
        if reply.chunks is None:
            engine.end(address)
        else:
            reply.close = _Ending(reply.close, engine, address)
        return reply

    async def _running(self, wait_s: float) -> tuple[Engine, int | None]:
        """The engine, and the place of the adapter in it, if it is one."""
        return self._engine, None

    def _at(self, address: Address, place: int | None) -> OpenAICompatible:
        if address != self._address or place != self._place:
            self._address, self._place = address, place
            always = None if place is None else {"lora": Raw(encode([{"id": place, "scale": 1.0}]))}
            self._service = OpenAICompatible(
                self.name, address.url, address.key, self._pool, _HEADERS, always=always
            )
        return self._service

    async def _ask(
        self, engine: Engine, address: Address, place: int | None, exchange: Exchange, body: bytes,
        limits: Limits, left_s: float,
    ) -> Reply:  # fmt: skip
        first_byte_s = limits.first_byte_s if exchange.request.stream else left_s
        within = limits._replace(first_byte_s=first_byte_s, total_s=left_s)
        try:
            return await self._at(address, place).call(exchange, self.model, body, within)
        except UpstreamDisconnected:
            await engine.settle(address)
            raise
        except UpstreamUnreachable as error:
            if await engine.settle(address):
                raise _EndedBefore(*error.args) from None
            raise


class _EndedBefore(UpstreamUnreachable):
    """The process had ended when the request was to be sent to it."""


class Adapter(Llama):
    """An adapter over a base, answered by the engine that the base has for all of them."""

    def __init__(self, name: str, model: str, stand: Stand, pool: Pool) -> None:
        super().__init__(name, stand.engine, pool, model)
        self._stand = stand

    @property
    def engine(self) -> Engine:
        """What runs it now."""
        return self._stand.engine

    async def _running(self, wait_s: float) -> tuple[Engine, int | None]:
        return await self._stand.running(self.model, wait_s)


class _Ending:
    """Ends a stream once, for its connection and for the engine's count."""

    __slots__ = ("_address", "_close", "_engine")

    def __init__(self, close: Callable[[], None] | None, engine: Engine, address: Address) -> None:
        self._close = close
        self._engine: Engine | None = engine
        self._address = address

    def __call__(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if self._close is not None:
            self._close()
        engine.end(self._address)
