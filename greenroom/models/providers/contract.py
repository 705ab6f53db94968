"""What a provider is to those who call it.

Knows exchanges and limits; nothing of dialects or sockets.
"""

from typing import Protocol, runtime_checkable

from greenroom.exchange import Exchange, Reply
from greenroom.models.response import Limits


class Provider(Protocol):
    """An API that serves models."""

    name: str

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Send an OpenAI chat body and answer in the same dialect. Raises UpstreamError."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A provider whose models make vectors too."""

    counts_tokens: bool
    """Whether its answers say how many tokens were read; else they hold an estimate."""

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Send a body of OpenAI's `/embeddings`; the answer in the same dialect. Raises UpstreamError."""
        ...
