"""Cohere's v2 API, translated both ways; embeddings go to its surface for OpenAI clients as they are.

Knows the pool and the dialect's codec.
"""

from collections.abc import Mapping

from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import expect_events, refused, request_head
from greenroom.models.providers.completion import read_completion
from greenroom.models.providers.losses import note_lost
from greenroom.models.providers.openai_compatible import OpenAICompatible
from greenroom.models.providers.streams import translated
from greenroom.models.response import Limits
from greenroom.wire.cohere_answer import CohereStream, error_from, from_chat
from greenroom.wire.cohere_request import to_chat
from greenroom.wire.sse import EventParser


class Cohere:
    """Cohere's models."""

    counts_tokens = True

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str]
    ) -> None:
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        extra = {"Authorization": f"Bearer {key}", **headers} if key else dict(headers)
        self._head = request_head(self._origin, "/v2/chat", extra)
        self._compatible = OpenAICompatible(name, f"{base_url}/compatibility/v1", key, pool, headers)

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Send a body to `/embeddings` as it is; the answer's body. Raises UpstreamError."""
        return await self._compatible.embed(body, limits)

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Translate, send, translate back. What Cohere cannot carry is noted in `context["dropped"]`."""
        made, lost = to_chat(body, model, hidden=exchange.redactions)
        note_lost(exchange, lost)
        request = b"%b%d\r\n%b\r\n%b" % (self._head, len(made), exchange.onward, made)
        is_stream = exchange.request.stream
        response = await self._pool.request(self._origin, request, limits, whole=not is_stream)
        if response.status != 200:
            raise await refused(response, lambda _, data: error_from(data))
        created = exchange.created_ns // 1_000_000_000
        if is_stream:
            expect_events(response)
            translator = CohereStream(exchange.asked, created)
            return Reply(
                chunks=translated(response, EventParser(), translator, exchange), close=response.close
            )
        answer, left_out = from_chat(await response.read(), asked=exchange.asked, created=created)
        note_lost(exchange, [*lost, *left_out])
        return Reply(body=answer, view=read_completion(answer))
