"""Anthropic's Messages API, translated both ways.

Knows the pool and the dialect's codec; nothing of steps, keys of callers or the store.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from greenroom.errors import UpstreamProtocol
from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import expect_events, refused, request_head
from greenroom.models.providers.completion import read_completion
from greenroom.models.providers.losses import note_lost
from greenroom.models.response import Limits, Response
from greenroom.wire.anthropic import to_messages
from greenroom.wire.anthropic_answer import error_from, from_message
from greenroom.wire.anthropic_stream import StreamTranslator
from greenroom.wire.sse import NamedEventParser

VERSION = "2023-06-01"
"""The version of Anthropic's API that is asked for when the caller asks for none."""
_LENGTH = b"Content-Length: "


class Anthropic:
    """Anthropic's Messages API, translated both ways.

    What came through another front keeps its extensions, and the caller's `anthropic-version` and
    `anthropic-beta` go along.
    """

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str],
        default_max_tokens: int = 4096,
    ) -> None:  # fmt: skip
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        self._default_max_tokens = default_max_tokens
        extra = dict(headers)
        if key:
            extra["x-api-key"] = key
        self._pinned = frozenset(name.lower() for name in headers)
        self._open_head = request_head(self._origin, "/v1/messages", extra).removesuffix(_LENGTH)
        self._head = self._headed(VERSION, None)

    def _headed(self, version: str | None, beta: str | None) -> bytes:
        """The head with the caller's headers; those of the configuration stand above them."""
        lines = [
            b"%b: %b\r\n" % (name.encode(), value.encode("latin-1"))
            for name, value in (("anthropic-version", version or VERSION), ("anthropic-beta", beta))
            if value is not None and name not in self._pinned
        ]
        return b"".join((self._open_head, *lines, _LENGTH))

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Translate, send, translate back. What Anthropic cannot carry is noted in `context["dropped"]`."""
        native = exchange.surface != "chat"
        sent = to_messages(body, model, self._default_max_tokens, native=native, hidden=exchange.redactions)
        note_lost(exchange, sent.lost)
        head = self._headed(sent.version, sent.beta) if sent.version or sent.beta else self._head
        request = b"%b%d\r\n%b\r\n%b" % (head, len(sent.body), exchange.onward, sent.body)
        response = await self._pool.request(self._origin, request, limits, whole=not exchange.request.stream)
        return await anthropic_reply(response, exchange, sent.lost, native=native)


async def anthropic_reply(
    response: Response, exchange: Exchange, lost: Sequence[str], *, native: bool
) -> Reply:
    """The answer, whole or streamed; `lost` is what the question could not carry. Raises: UpstreamError."""
    if response.status != 200:
        raise await refused(response, error_from)
    created = exchange.created_ns // 1_000_000_000
    if exchange.request.stream:
        expect_events(response)
        translator = StreamTranslator(exchange.asked, created, True, native=native)
        return Reply(chunks=_events(response, translator, exchange), close=response.close)
    data = await response.read()
    if not data.lstrip().startswith(b"{"):
        raise UpstreamProtocol("The provider did not answer with JSON.")
    lost_back: list[str] = []
    answer = from_message(data, asked=exchange.asked, created=created, native=native, lost=lost_back)
    note_lost(exchange, [*lost, *lost_back])
    return Reply(body=answer, view=read_completion(answer))


async def _events(
    response: Response, translator: StreamTranslator, exchange: Exchange
) -> AsyncIterator[list[bytes]]:
    """The pieces of a stream as they come, `[DONE]` the last; its own losses are noted at its end."""
    parser = NamedEventParser()
    try:
        async for data in response:
            payloads = [one for event, body in parser.feed(data) for one in translator.feed(event, body)]
            if payloads:
                yield payloads
            if translator.done:
                note_lost(exchange, translator.lost, more=True)
                yield [b"[DONE]"]
                await response.read()
                return
        translator.finish()
    finally:
        response.close()
