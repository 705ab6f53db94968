"""Google's Gemini API, translated both ways.

Knows the pool and the dialect's codec. The key goes in a header, never in an address.
"""

from collections.abc import Mapping

from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import Told, checked_model, expect_events, refused, request_head
from greenroom.models.providers.completion import read_completion
from greenroom.models.providers.losses import is_native, note_lost
from greenroom.models.providers.streams import translated
from greenroom.models.response import Limits
from greenroom.wire.gemini_answer import from_generate_content, read_error
from greenroom.wire.gemini_embeddings import from_batch, to_batch
from greenroom.wire.gemini_request import to_generate_content
from greenroom.wire.gemini_stream import GeminiStream
from greenroom.wire.openai_embeddings import parse_embeddings
from greenroom.wire.sse import EventParser

WHOLE, STREAMED = "generateContent", "streamGenerateContent?alt=sse"
_HEADS = 256
"""Clients may ask for any name at a provider; what is remembered must not grow with that."""


class Gemini:
    """The Gemini API for developers."""

    counts_tokens = False

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str],
        api_version: str = "v1beta",
    ) -> None:  # fmt: skip
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        self._version = api_version
        self._extra = dict(headers)
        if key:
            self._extra["x-goog-api-key"] = key
        self._heads: dict[tuple[str, str], bytes] = {}
        self._head("gemini", WHOLE)  # a key or header that no head can hold is found at start

    def _head(self, model: str, verb: str) -> bytes:
        head = self._heads.get((model, verb))
        if head is None:
            named = checked_model(model if "/" in model else f"models/{model}")
            head = request_head(self._origin, f"/{self._version}/{named}:{verb}", self._extra)
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[model, verb] = head
        return head

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Translate, send, translate back. What Gemini cannot carry is noted in `context["dropped"]`."""
        head = self._head(model, STREAMED if exchange.request.stream else WHOLE)
        return await generate(self._pool, self._origin, head, exchange, model, body, limits)

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Translate to `batchEmbedContents` and back. Raises UpstreamError, or RequestError for tokens."""
        asked = parse_embeddings(body)
        made = to_batch(asked, asked.model.removeprefix("models/"))
        request = b"%b%d\r\n\r\n%b" % (self._head(asked.model, "batchEmbedContents"), len(made), made)
        response = await self._pool.request(self._origin, request, limits, whole=True)
        if response.status != 200:
            raise await refused(response, told)
        return from_batch(await response.read(), asked, asked.model)


async def generate(
    pool: Pool, origin: Origin, head: bytes, exchange: Exchange, model: str, body: bytes, limits: Limits
) -> Reply:
    """Call `generateContent` with this head, whole or streamed. Raises UpstreamError, RequestError."""
    made, lost = to_generate_content(body, model, hidden=exchange.redactions)
    note_lost(exchange, lost)
    request = b"%b%d\r\n%b\r\n%b" % (head, len(made), exchange.onward, made)
    is_stream = exchange.request.stream
    response = await pool.request(origin, request, limits, whole=not is_stream)
    if response.status != 200:
        raise await refused(response, told)
    created = exchange.created_ns // 1_000_000_000
    if is_stream:
        expect_events(response)
        translator = GeminiStream(exchange.asked, created, native=is_native(exchange))
        return Reply(chunks=translated(response, EventParser(), translator, exchange), close=response.close)
    answer, left_out = from_generate_content(
        await response.read(), asked=exchange.asked, created=created, native=is_native(exchange)
    )
    note_lost(exchange, [*lost, *left_out])
    return Reply(body=answer, view=read_completion(answer))


def told(status: int, body: bytes) -> Told:
    """What an error body of Google's says."""
    error = read_error(body)
    if error is None:
        return Told("", "")
    return Told(error.message, error.status, error.retry_after_s, error.is_auth)
