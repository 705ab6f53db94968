"""Anthropic's Messages API in front of any provider: `/v1/messages` and `/v1/messages/count_tokens`.

Knows heads, exchanges and the seam of fronts; the dialect itself is in `wire`.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from greenroom.exchange import Caller, ChatRequest, Exchange, Surface
from greenroom.gateway.access import Limits
from greenroom.server.fronts import Envelope, Events, Failure, Turn
from greenroom.server.head import Request
from greenroom.server.ratelimits import anthropic_headers
from greenroom.wire.messages_answer import to_message
from greenroom.wire.messages_error import envelope, type_of
from greenroom.wire.messages_request import Asked, read_messages
from greenroom.wire.messages_stream import MessageEvents
from greenroom.wire.openai import encode

MESSAGES = b"/v1/messages"
COUNT_TOKENS = b"/v1/messages/count_tokens"
_CHARACTERS_PER_TOKEN = 4


class Count(NamedTuple):
    """How many tokens a request is, and how far off that may be (±)."""

    tokens: int
    error: int


Counter = Callable[[ChatRequest, str], Awaitable[Count]]
"""Counts the tokens of a request for the model of an app."""


class AnthropicEnvelope:
    """Errors as Anthropic's clients read them, and the id of a request as they call it."""

    def error(self, failure: Failure, id: str) -> bytes:
        """The body."""
        return envelope(type_of(failure.status), failure.message, id, failure.code, failure.param)

    def id_header(self, id: str) -> bytes:
        """What becomes `request_id` of the client's errors."""
        return b"request-id: %b\r\n" % id.encode()

    def limit_headers(self, limits: Limits | None) -> bytes:
        """Anthropic's names, with the moments at which all may be used again."""
        return anthropic_headers(limits)


ANTHROPIC = AnthropicEnvelope()


class Messages:
    """The front of `/v1/messages`."""

    surface: Surface = "messages"
    envelope: Envelope = ANTHROPIC

    async def read(self, request: Request, caller: Caller) -> Turn:
        """Read a body, with the caller's version of the API. Raises RequestError."""
        return MessagesTurn(asked(request))


def asked(request: Request, *, counting: bool = False) -> Asked:
    """What a request asks. Raises RequestError."""
    headers = request.headers
    return read_messages(
        request.body,
        version=headers.get(b"anthropic-version"),
        beta=headers.get(b"anthropic-beta"),
        counting=counting,
    )


class MessagesTurn:
    """One request, and the way back of its answer."""

    def __init__(self, read: Asked) -> None:
        self.chat = read.chat
        self.dropped = read.dropped

    async def whole(self, exchange: Exchange, body: bytes) -> bytes:
        """The Message for a `chat.completion`."""
        return to_message(body, exchange.id, exchange.passages)

    def events(self, exchange: Exchange) -> Events:
        """What writes the stream."""
        return MessageEvents(exchange.id, exchange.asked, lambda: _about(exchange), lambda: exchange.passages)


def _about(exchange: Exchange) -> int:
    """About how many tokens went in, for the beginning of a stream; its end says how many were billed."""
    for record in exchange.steps:
        if record.step == "fit":
            tokens = record.notes.get("tokens")
            return tokens if isinstance(tokens, int) else 0
    return len(exchange.request.messages) // _CHARACTERS_PER_TOKEN


def count_body(count: Count) -> bytes:
    """The body of a count; what it may be off by stands beside it."""
    body: dict[str, object] = {"input_tokens": count.tokens}
    if count.error:
        body["greenroom"] = {"estimated": True, "error": count.error}
    return encode(body)
