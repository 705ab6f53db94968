"""Vertex AI: Gemini models in Gemini's dialect, Claude models in Anthropic's, with Google Cloud's tokens.

Knows how Vertex's addresses are made, and the codecs of both dialects.
"""

from collections.abc import Mapping

from msgspec import Raw
from msgspec.json import Decoder

from greenroom.errors import RequestError, UpstreamAuth
from greenroom.exchange import Exchange, Reply
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.providers.anthropic import anthropic_reply
from greenroom.models.providers.calls import checked_model, request_head
from greenroom.models.providers.gemini import STREAMED, WHOLE, generate
from greenroom.models.providers.google_token import Source, Tokens
from greenroom.models.providers.losses import is_native, note_lost
from greenroom.models.response import Limits
from greenroom.wire.anthropic import to_messages
from greenroom.wire.openai import encode

ANTHROPIC_VERSION = "vertex-2023-10-16"
DEFAULT_MAX_TOKENS = 4096
EMPTY: Mapping[str, str] = {}
_fields = Decoder(dict[str, Raw])


def address(region: str) -> str:
    """Where Vertex listens for a region. Source: google-genai 3.6.1."""
    if region == "global":
        return "https://aiplatform.googleapis.com"
    if region in {"us", "eu"}:
        return f"https://aiplatform.{region}.rep.googleapis.com"
    return f"https://{region}-aiplatform.googleapis.com"


class Vertex:
    """The models of one project in one region. Names may say their publisher: `anthropic/claude-…`."""

    def __init__(
        self, name: str, base_url: str, source: Source, pool: Pool, headers: Mapping[str, str],
        *, project: str, region: str, api_version: str = "v1beta1",
    ) -> None:  # fmt: skip
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        self._headers = dict(headers)
        self._tokens = Tokens(source, pool)
        self._base = f"/{api_version}/projects/{project}/locations/{region}/publishers"
        request_head(self._origin, self._base, self._headers)  # what no head can hold is found at start

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Translate, send, translate back. What the dialect cannot carry is noted in `context["dropped"]`."""
        publisher, _, plain = checked_model(model).rpartition("/")
        if not publisher:
            publisher = "anthropic" if plain.startswith("claude") else "google"
        onward = exchange.onward
        token = await self._tokens.get()
        exchange.onward = onward  # meanwhile another target may have been asked beside this one
        try:
            if publisher == "google":
                head = self._head(token, publisher, plain, STREAMED if exchange.request.stream else WHOLE)
                return await generate(self._pool, self._origin, head, exchange, plain, body, limits)
            if publisher == "anthropic":
                return await self._claude(token, exchange, plain, body, limits)
        except UpstreamAuth:
            self._tokens.forget()
            raise
        raise RequestError(
            f"Models of {publisher[:40]!r} on Vertex are not called from here: only Gemini and Claude.",
            "model",
        )

    def _head(
        self, token: str, publisher: str, model: str, verb: str, more: Mapping[str, str] = EMPTY
    ) -> bytes:
        extra = {**more, **self._headers, "Authorization": f"Bearer {token}"}
        return request_head(self._origin, f"{self._base}/{publisher}/models/{model}:{verb}", extra)

    async def _claude(self, token: str, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        native = is_native(exchange)
        sent = to_messages(body, model, DEFAULT_MAX_TOKENS, native=native, hidden=exchange.redactions)
        note_lost(exchange, sent.lost)
        fields = _fields.decode(sent.body)
        fields.pop("model")  # it stands in the address
        fields["anthropic_version"] = Raw(encode(ANTHROPIC_VERSION))
        made = encode(fields)
        is_stream = exchange.request.stream
        verb = "streamRawPredict" if is_stream else "rawPredict"
        beta = {"anthropic-beta": sent.beta} if sent.beta else {}
        head = self._head(token, "anthropic", model, verb, beta)
        request = b"%b%d\r\n%b\r\n%b" % (head, len(made), exchange.onward, made)
        response = await self._pool.request(self._origin, request, limits, whole=not is_stream)
        return await anthropic_reply(response, exchange, sent.lost, native=native)
