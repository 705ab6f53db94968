"""Who answers over HTTP: one small class per dialect, each turning a body into a `Reply`.

Knows the pool and the dialects; nothing of steps, keys of callers or the store. Every failure leaves here as
an `UpstreamError` whose message holds no address and no key; dispatch adds the target's name.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Protocol, Self

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import (
    MalformedRequest,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.exchange import Exchange, Reply
from greenroom.models.connection import Limits, Response
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.wire import anthropic
from greenroom.wire.anthropic_stream import StreamTranslator
from greenroom.wire.openai import decode_completion
from greenroom.wire.openai_request import refuse_repeated_keys
from greenroom.wire.plain_chat import plain
from greenroom.wire.source import Taker
from greenroom.wire.sse import EventParser, NamedEventParser

MESSAGE_LIMIT = 500
VERSION = "2023-06-01"
"""The version of Anthropic's API that is asked for when the caller asks for none."""
LOST_BEFORE = "dropped.before"
"""Where an exchange's context keeps what was lost before any provider was asked."""
_LENGTH = b"Content-Length: "


class Provider(Protocol):
    """An API that serves models."""

    name: str

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Send an OpenAI chat body and answer in the same dialect. Raises UpstreamError."""
        ...


class _ErrorDetail(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(Struct):
    error: _ErrorDetail | str | None = None
    message: str | None = None


class _MaybeError(Struct):
    error: Raw = Raw()


_error = Decoder(_ErrorBody)
_maybe_error = Decoder(_MaybeError)


class OpenAICompatible:
    """Any service that speaks `/chat/completions`."""

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str]
    ) -> None:
        self.name = name
        self._origin = Origin.parse(base_url)
        self._pool = pool
        extra = {"Authorization": f"Bearer {key}", **headers} if key else dict(headers)
        self._head = _request_head(self._origin, "/chat/completions", extra)
        self._embeddings_head = _request_head(self._origin, "/embeddings", extra)

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Send a body to `/embeddings` as it is; the answer's body. Raises UpstreamError."""
        request = b"%b%d\r\n\r\n%b" % (self._embeddings_head, len(body), body)
        response = await self._pool.request(self._origin, request, limits, whole=True)
        if response.status != 200:
            raise await _refused(response, _openai_error)
        return await response.read()

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Send the body as it is; one that came through another front without its extensions."""
        if exchange.surface != "chat":
            body = _made_plain(exchange, body)
        request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        response = await self._pool.request(self._origin, request, limits, whole=not exchange.request.stream)
        if response.status != 200:
            raise await _refused(response, _openai_error)
        if exchange.request.stream:
            _expect_events(response)
            events = OpenAIEvents(response)
            return Reply(chunks=events, source=events, close=response.close)
        data = await response.read()
        return Reply(body=data, view=_read_completion(data))


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
        self._open_head = _request_head(self._origin, "/v1/messages", extra).removesuffix(_LENGTH)
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
        sent = anthropic.to_messages(
            body, model, self._default_max_tokens, native=native, hidden=exchange.redactions
        )
        _note_lost(exchange, sent.lost)
        head = self._headed(sent.version, sent.beta) if sent.version or sent.beta else self._head
        request = b"%b%d\r\n\r\n%b" % (head, len(sent.body), sent.body)
        response = await self._pool.request(self._origin, request, limits, whole=not exchange.request.stream)
        if response.status != 200:
            raise await _refused(response, anthropic.error_from)
        created = exchange.created_ns // 1_000_000_000
        if exchange.request.stream:
            _expect_events(response)
            translator = StreamTranslator(exchange.asked, created, True, native=native)
            return Reply(chunks=_anthropic_events(response, translator, exchange), close=response.close)
        data = await response.read()
        if not data.lstrip().startswith(b"{"):
            raise UpstreamProtocol("The provider did not answer with JSON.")
        lost: list[str] = []
        answer = anthropic.from_message(data, asked=exchange.asked, created=created, native=native, lost=lost)
        _note_lost(exchange, [*sent.lost, *lost])
        return Reply(body=answer, view=_read_completion(answer))


class BuiltIn:
    """A model inside this process (the reader), called like any provider."""

    def __init__(self, name: str, upstream: Callable[[Exchange], Awaitable[Reply]]) -> None:
        self.name = name
        self._upstream = upstream

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Ask it."""
        reply = await self._upstream(exchange)
        if reply.body:
            reply.view = _read_completion(reply.body)
        return reply


def _made_plain(exchange: Exchange, body: bytes) -> bytes:
    made, lost = plain(body)
    _note_lost(exchange, lost)
    if made != body:
        exchange.sent = made
    return made


def _note_lost(exchange: Exchange, lost: Sequence[str], *, more: bool = False) -> None:
    """Name what this target can't carry, behind what the front could not; `more` adds to what it named."""
    context = exchange.context
    by_front = context.setdefault(LOST_BEFORE, context.get("dropped", []))
    assert isinstance(by_front, list)
    before = context.get("dropped", []) if more else by_front
    assert isinstance(before, list)
    names = list(dict.fromkeys([*before, *lost]))
    if names:
        context["dropped"] = names
    else:
        context.pop("dropped", None)


def _request_head(origin: Origin, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {origin.path}{path} HTTP/1.1",
        f"Host: {origin.netloc}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "Accept-Encoding: identity",
        "User-Agent: greenroom",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    for line in lines:
        if "\r" in line or "\n" in line or not line.isascii():
            raise ValueError("a provider's key or header has a line break or a character outside ASCII")
    return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


def _expect_events(response: Response) -> None:
    if not response.headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        response.close()
        raise UpstreamProtocol("The provider did not answer with a stream of events.")


def _read_completion(data: bytes) -> object:
    try:
        view = decode_completion(data)
        if data.count(b'"content"') > len(view.choices) or data.count(b'"choices"') > 1:
            # We read the last of two, a client may read the first: what was not looked at must not go out.
            refuse_repeated_keys(data)
        return view
    except MalformedRequest:
        raise UpstreamProtocol("The provider's answer says one thing twice.") from None
    except RecursionError:
        raise UpstreamProtocol("The provider's answer is nested too deeply.") from None
    except (ValidationError, DecodeError, UnicodeDecodeError):
        message = _embedded_error(data)
        if message is not None:
            raise UpstreamRefused(message, upstream_status=502) from None
        raise UpstreamProtocol("The provider's answer is not a chat completion.") from None


def _embedded_error(data: bytes) -> str | None:
    """The message of `{"error": …}` inside an answer that says 200."""
    try:
        if bytes(_maybe_error.decode(data).error) in {b"", b"null"}:
            return None
        return _openai_error(200, data)[0]
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


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


async def _anthropic_events(
    response: Response, translator: StreamTranslator, exchange: Exchange
) -> AsyncIterator[list[bytes]]:
    parser = NamedEventParser()
    try:
        async for data in response:
            payloads = [one for event, body in parser.feed(data) for one in translator.feed(event, body)]
            if payloads:
                yield payloads
            if translator.done:
                _note_lost(exchange, translator.lost, more=True)
                yield [b"[DONE]"]
                await response.read()
                return
        translator.finish()
    finally:
        response.close()


async def _refused(response: Response, read: Callable[[int, bytes], tuple[str, str]]) -> UpstreamError:
    """The error that a status other than 200 stands for."""
    status = response.status
    try:
        data = await response.read()
    except UpstreamDisconnected:
        data = b""
    wait = _retry_after(response.headers)
    if status in {401, 403}:
        return UpstreamAuth("The provider does not accept the key it is configured with.")
    if status < 200 or 300 <= status < 400 or 200 < status < 300:
        return UpstreamProtocol(f"The provider answered with status {status}, which is not an answer.")
    message, code = read(status, data[:65_536])
    if status >= 500:
        message = f"The provider answered with status {status}."
    return UpstreamRefused(
        message[:MESSAGE_LIMIT] or f"The provider answered with status {status}.",
        upstream_status=status,
        upstream_code=code or None,
        retry_after_s=wait,
    )


def _openai_error(status: int, data: bytes) -> tuple[str, str]:
    """Message and code of an OpenAI-shaped error body, or empty strings."""
    try:
        body = _error.decode(data)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if isinstance(body.error, _ErrorDetail):
        return body.error.message, str(body.error.code or "")
    return body.error or body.message or "", ""


def _retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    milliseconds = headers.get(b"retry-after-ms")
    plain = headers.get(b"retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if plain is not None and plain.strip().replace(b".", b"", 1).isdigit():
            return float(plain)
        if plain is not None:
            return max(0.0, parsedate_to_datetime(plain.decode("latin-1")).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
    return None
