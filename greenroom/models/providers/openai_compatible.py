"""Services that speak `/chat/completions`: the body goes as it came, the answer comes as it went.

Knows the pool and the chat dialect.
"""

from collections.abc import Mapping
from typing import Self

from msgspec import Raw
from msgspec.json import Decoder, encode

from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import expect_events, openai_error, refused, request_head
from greenroom.models.providers.completion import read_completion
from greenroom.models.providers.losses import note_lost
from greenroom.models.response import Limits, Response
from greenroom.wire.plain_chat import plain
from greenroom.wire.quirks import Quirks, bent
from greenroom.wire.source import Taker
from greenroom.wire.sse import EventParser

_fields = Decoder(dict[str, Raw])


class OpenAICompatible:
    """Any service that speaks `/chat/completions`."""

    counts_tokens = True

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str],
        query: str = "", quirks: Quirks | None = None, always: Mapping[str, Raw] | None = None,
    ) -> None:  # fmt: skip
        """`always` are fields that every body carries, whatever the client says there."""
        self.name = name
        self._always = always
        self._origin = Origin.parse(base_url)
        self._pool = pool
        self._quirks = quirks
        extra = {"Authorization": f"Bearer {key}", **headers} if key else dict(headers)
        self._head = request_head(self._origin, "/chat/completions" + query, extra)
        self._embeddings_head = request_head(self._origin, "/embeddings" + query, extra)

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Send a body to `/embeddings` as it is; the answer's body. Raises UpstreamError."""
        request = b"%b%d\r\n\r\n%b" % (self._embeddings_head, len(body), body)
        response = await self._pool.request(self._origin, request, limits, whole=True)
        if response.status != 200:
            raise await refused(response, openai_error)
        return await response.read()

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Send the body as it is, but for what this provider is known to refuse.

        One that came through another front is sent without its extensions.
        """
        lost: list[str] = []
        if exchange.surface != "chat":
            made, lost = plain(body)
            if made != body:
                exchange.sent = body = made
            note_lost(exchange, lost)
        if self._quirks is not None:
            made, refused_too = bent(body, self._quirks)
            if made is not body:
                exchange.sent = body = made
            if refused_too:
                note_lost(exchange, [*lost, *refused_too])
        if self._always is not None:
            exchange.sent = body = encode({**_fields.decode(body), **self._always})
        request = b"%b%d\r\n%b\r\n%b" % (self._head, len(body), exchange.onward, body)
        response = await self._pool.request(self._origin, request, limits, whole=not exchange.request.stream)
        if response.status != 200:
            raise await refused(response, openai_error)
        if exchange.request.stream:
            expect_events(response)
            events = OpenAIEvents(response)
            return Reply(chunks=events, source=events, close=response.close)
        data = await response.read()
        return Reply(body=data, view=read_completion(data))


class OpenAIEvents:
    """The payloads of an OpenAI-shaped stream: pulled until its first content, pushed from there on."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._parser = EventParser()
        self._is_done = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[bytes]:
        response = self._response
        try:
            while not self._is_done:
                data = await anext(response, None)
                payloads = self.rest() if data is None else self.payloads(data)
                if payloads:
                    return payloads
                if data is None:
                    break
            await response.read()
        except BaseException:
            response.close()
            raise
        response.close()
        raise StopAsyncIteration

    @property
    def is_clean(self) -> bool:
        """Whether the next byte begins an event that counts."""
        return self._parser.is_clean and not self._is_done

    def payloads(self, data: bytes) -> list[bytes]:
        """What these bytes complete; nothing after `[DONE]`."""
        if self._is_done:
            return []
        payloads = self._parser.feed(data)
        if b"[DONE]" in payloads:
            self._is_done = True
            return payloads[: payloads.index(b"[DONE]") + 1]
        return payloads

    def rest(self) -> list[bytes]:
        """What the bytes ended in."""
        return [] if self._is_done else self._parser.flush()

    def push_to(self, taker: Taker) -> None:
        """Give the bytes of the rest to `taker`."""
        self._response.push_to(taker)

    def pause(self) -> None:
        """Stop reading."""
        self._response.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._response.resume()
