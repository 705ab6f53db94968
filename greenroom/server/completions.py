"""OpenAI's legacy completions in front of any provider: `/v1/completions`.

Knows exchanges and the seam of fronts; the dialect itself is in `wire`.
"""

from greenroom.exchange import Caller, Exchange, Surface
from greenroom.server.fronts import COMMENT, OPENAI, Envelope, Events, Turn
from greenroom.server.head import Request
from greenroom.usage import Usage
from greenroom.wire.completions_answer import CompletionEvents, Told, to_completion
from greenroom.wire.completions_request import Asked, read_completions

COMPLETIONS = b"/v1/completions"


class Completions:
    """The front of `/v1/completions`."""

    surface: Surface = "completions"
    envelope: Envelope = OPENAI

    async def read(self, request: Request, caller: Caller) -> Turn:
        """Read a body. Raises RequestError."""
        return CompletionsTurn(read_completions(request.body))


class CompletionsTurn:
    """One request: the first prompt, those that follow, and the way back of their answers."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.chat, *self.following = asked.chats
        self.dropped = asked.dropped
        self._told: list[Told] = []
        self._events: CompletionEvents | None = None

    def follow(self, exchange: Exchange, body: bytes) -> None:
        """Take the whole answer to one of the prompts that follow."""
        self._told.append(Told(exchange.id, body, exchange.usage or Usage()))

    async def whole(self, exchange: Exchange, body: bytes) -> bytes:
        """The `text_completion` with the choices of all prompts."""
        first = Told(exchange.id, body, exchange.usage or Usage())
        made, lost = to_completion(self._asked, [first, *self._told])
        if lost:
            dropped = exchange.context.get("dropped")
            exchange.context["dropped"] = [*(dropped if isinstance(dropped, list) else ()), *lost]
        return made

    def events(self, exchange: Exchange) -> Events:
        """What writes the pieces of one prompt's answer, into the one stream of all."""
        if self._events is None:
            self._events = CompletionEvents(self._asked, exchange.id)
        return _PromptEvents(self._events, exchange)


class _PromptEvents:
    keep_alive = COMMENT

    def __init__(self, events: CompletionEvents, exchange: Exchange) -> None:
        self._events = events
        self._exchange = exchange

    def feed(self, payload: bytes) -> bytes:
        """The events that one payload stands for."""
        return self._events.feed(payload, self._exchange.usage)
