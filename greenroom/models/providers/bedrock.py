"""Amazon Bedrock's Converse API, translated both ways.

Knows the pool and the dialect's codec. Calls are signed by `Signer`, or carry a Bedrock API key as bearer.
"""

from collections.abc import Mapping
from urllib.parse import quote

from greenroom.errors import UpstreamRefused
from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import expect_events, refused, request_head
from greenroom.models.providers.completion import read_completion
from greenroom.models.providers.losses import is_native, note_lost
from greenroom.models.providers.sigv4 import Signer
from greenroom.models.providers.streams import translated
from greenroom.models.response import Limits
from greenroom.wire.bedrock_answer import ConverseStream, error_from, from_converse
from greenroom.wire.bedrock_request import to_converse
from greenroom.wire.eventstream import EventStreamParser

_TYPE = {"Content-Type": "application/json"}


class Bedrock:
    """Models of Amazon Bedrock in one region; a model is a model's id, an inference profile or its ARN."""

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str],
        signer: Signer | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        self._signer = signer
        self._extra = dict(headers)
        if key:
            self._extra["Authorization"] = f"Bearer {key}"
        request_head(self._origin, "/", self._extra)  # what no head can hold is found at start

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Translate, send, translate back. What Converse cannot carry is noted in `context["dropped"]`."""
        made, lost = to_converse(body, model, hidden=exchange.redactions)
        note_lost(exchange, lost)
        is_stream = exchange.request.stream
        path = f"/model/{quote(model, safe='')}/{'converse-stream' if is_stream else 'converse'}"
        extra, onward = self._extra, exchange.onward  # before any wait: another target may be asked meanwhile
        if self._signer is not None:
            url = f"{self._origin.scheme}://{self._origin.netloc}{self._origin.path}{path}"
            signed = await self._signer.headers(url, made, dict(_TYPE))
            extra = {**extra, **{one: value for one, value in signed.items() if one not in _TYPE}}
        head = request_head(self._origin, path, extra)
        request = b"%b%d\r\n%b\r\n%b" % (head, len(made), onward, made)
        response = await self._pool.request(self._origin, request, limits, whole=not is_stream)
        if response.status != 200:
            error = await refused(response, lambda _, data: error_from(data))
            if isinstance(error, UpstreamRefused) and error.upstream_code is None:
                kind = response.headers.get(b"x-amzn-errortype", b"").partition(b":")[0]
                error.upstream_code = kind.decode("ascii", "replace") or None
            raise error
        created = exchange.created_ns // 1_000_000_000
        if is_stream:
            expect_events(response, b"application/vnd.amazon.eventstream")
            translator = ConverseStream(exchange.asked, created, native=is_native(exchange))
            chunks = translated(response, EventStreamParser(), translator, exchange)
            return Reply(chunks=chunks, close=response.close)
        answer, left_out = from_converse(
            await response.read(), asked=exchange.asked, created=created, native=is_native(exchange)
        )
        note_lost(exchange, [*lost, *left_out])
        return Reply(body=answer, view=read_completion(answer))
