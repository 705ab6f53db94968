"""Dialects in front of the pipeline: how each reads a request, and writes an answer, a stream and an error.

The pipeline speaks chat completions. A front reads a body of its own dialect into a chat body and writes what
comes back in its own form; `/v1/chat/completions` itself has no front and pays for none. Knows the seam: the
dialects are in `wire`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from greenroom.exchange import Caller, Exchange, Surface
from greenroom.gateway.access import Grant, Limits
from greenroom.gateway.pipeline import App
from greenroom.gateway.relay import Outlet
from greenroom.server.head import Request
from greenroom.server.ratelimits import openai_headers
from greenroom.wire import openai
from greenroom.wire.source import Source

COMMENT = b": ka\n\n"
"""What keeps a connection alive, in dialects that have no event for it."""


class Failure(NamedTuple):
    """What went wrong with a request, in OpenAI's words."""

    status: int
    message: str
    type: str
    code: str | None
    param: str | None = None


class Envelope(Protocol):
    """How a dialect says that a request failed, and what it calls the id of a request."""

    def error(self, failure: Failure, id: str) -> bytes:
        """The body."""
        ...

    def id_header(self, id: str) -> bytes:
        """Header lines beside `x-request-id`, each ending in CRLF."""
        ...

    def limit_headers(self, limits: Limits | None) -> bytes:
        """Where a key stands in its limits, as header lines."""
        ...


class Events(Protocol):
    """Writes the events of one stream. Sans-io, and made before anything is known of the answer."""

    keep_alive: bytes
    """A whole event, or a comment, that means nothing and may stand between any two events."""

    def feed(self, payload: bytes) -> bytes:
        """The events, framed, that one payload of the chat stream stands for: often one, sometimes none.

        Payloads are `chat.completion.chunk` objects, then `[DONE]`; or an error body, after which nothing
        comes: the failure has to be said in-band. Never raises for what the gateway writes.
        """
        ...


class Turn(Protocol):
    """One request that a front has read, and the way back of its answer."""

    chat: bytes
    """The body for the pipeline: chat completions with the neutral extensions."""
    dropped: list[str]
    """Fields that a chat body cannot carry, by name."""

    async def whole(self, exchange: Exchange, body: bytes) -> bytes:
        """The body to send for a whole `chat.completion`."""
        ...

    def events(self, exchange: Exchange) -> Events:
        """What writes the stream."""
        ...


@runtime_checkable
class Series(Turn, Protocol):
    """A turn that asks several questions, which are answered one after the other in one answer.

    Each is an exchange of its own, with its own record. `events` is asked for each of them, in order; `whole`
    for the first, when all others are there.
    """

    following: Sequence[bytes]
    """The bodies for the pipeline behind the first."""

    def follow(self, exchange: Exchange, body: bytes) -> None:
        """Take the whole answer to the next of them."""
        ...


@runtime_checkable
class KeptTurn(Turn, Protocol):
    """A turn of a conversation that the server keeps."""

    is_background: bool
    """Whether it goes on without its client."""

    def begin(self, exchange: Exchange, app: App) -> App:
        """Put into the exchange what a chat body can't say, and give the app to run it with.

        Raises: RequestError where the app can't do what was asked for.
        """
        ...

    async def leave(self, exchange: Exchange, app: App, grant: Grant, began_ns: int) -> "bytes | Follow":
        """Start it in the background: the body to send now, or what follows its events. Raises Overloaded."""
        ...

    def end(self, exchange: Exchange) -> None:
        """The exchange has ended, however it did. Called once, unless it was left in the background."""
        ...


class Follow(Protocol):
    """Sends the events of an answer that is made elsewhere."""

    async def run(self, out: Outlet) -> None:
        """Send all of them as they come. Raises CancelledError when the client is gone."""
        ...


class Front(Protocol):
    """One dialect. Shared by all requests."""

    surface: Surface
    envelope: Envelope

    async def read(self, request: Request, caller: Caller) -> Turn:
        """Read a body. Raises RequestError, which names the field as this dialect calls it."""
        ...


class _OpenAIEnvelope:
    def error(self, failure: Failure, id: str) -> bytes:
        return openai.error_body(failure.message, failure.type, failure.code, failure.param)

    def id_header(self, id: str) -> bytes:
        return b""

    def limit_headers(self, limits: Limits | None) -> bytes:
        return openai_headers(limits)


OPENAI = _OpenAIEnvelope()
"""The envelope of every route of OpenAI's."""


class Translated:
    """An outlet that takes a chat stream and sends it on as the events of a front."""

    def __init__(self, out: Outlet, events: Events) -> None:
        self._out = out
        self._feed = events.feed
        self._keep_alive = events.keep_alive

    def send(self, data: bytes) -> None:
        """Send what whole events of the chat stream, and the comments between them, stand for."""
        feed, keep_alive = self._feed, self._keep_alive
        made = b"".join(
            [
                keep_alive if event.startswith(b":") else feed(event[6:])
                for event in data.split(b"\n\n")
                if event
            ]
        )
        if made:
            self._out.send(made)

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises CancelledError when it is gone."""
        await self._out.drained()

    def writer(self) -> Callable[[bytes], object]:
        """The same for an event that is framed as one chunk already."""
        return self._send_chunk

    def _send_chunk(self, chunk: bytes) -> None:
        self.send(chunk[chunk.index(b"\n") + 1 : -2])

    def throttle(self, source: Source | None) -> None:
        """Pause `source` while the client does not read, until None is given."""
        self._out.throttle(source)
