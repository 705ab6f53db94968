"""A model inside this process, called like any provider."""

from collections.abc import Awaitable, Callable

from greenroom.exchange import Exchange, Reply
from greenroom.models.providers.completion import read_completion
from greenroom.models.response import Limits


class BuiltIn:
    """A model inside this process (the reader), called like any provider."""

    def __init__(self, name: str, upstream: Callable[[Exchange], Awaitable[Reply]]) -> None:
        self.name = name
        self._upstream = upstream

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Ask it."""
        reply = await self._upstream(exchange)
        if reply.body:
            reply.view = read_completion(reply.body)
        return reply
