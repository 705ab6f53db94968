"""One call to one target, up to its first content: what it is sent, how it fails, what its health is told.

Knows providers by their contract, and nothing of other targets.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic, perf_counter_ns
from typing import NamedTuple

from msgspec import DecodeError, ValidationError

from greenroom.errors import (
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamTimeout,
)
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.models.health import Health
from greenroom.models.onward import Onward
from greenroom.models.prices import Price
from greenroom.models.providers import Provider
from greenroom.models.response import Limits
from greenroom.wire.openai import decode_chunk
from greenroom.wire.openai_request import render_chat

_USAGE_WANTED = {"stream_options": b'{"include_usage":true}'}
_PASSING = frozenset({408, 409, 500, 502, 503, 529})
"""Statuses that the same target may be asked again for."""


class Target(NamedTuple):
    """One model at one provider."""

    name: str
    """`provider/model`, as clients and traces see it."""
    provider: Provider
    model: str
    price: Price | None
    health: Health
    onward: Onward | None = None
    """Headers that tell it of the trace; None where it is to know of none."""


async def attempt(exchange: Exchange, target: Target, limits: Limits, first_token_s: float) -> Reply:
    """Call once, up to the first content, in the time that the exchange has left.

    What it may cost is reserved before. Raises UpstreamError; RequestError where it may not be spent.
    """
    health = target.health
    started = monotonic()
    noted = Attempt(target=target.name)
    exchange.attempts.append(noted)
    if len(exchange.attempts) > 1:
        left = exchange.deadline - started
        if left <= 0:
            noted.error = UpstreamTimeout.code
            raise UpstreamTimeout(f"Model '{target.name}': there was no time left to ask it.")
        limits = limits._replace(total_s=min(limits.total_s, left))
        exchange.context.pop("dropped", None)
    if exchange.purse is not None:
        exchange.purse.reserve(noted, target.price)
    exchange.context["price"] = target.price
    body = body_for(exchange, target)
    if body is not exchange.request.raw:
        exchange.sent = body
    if target.onward is not None:
        exchange.onward = target.onward(exchange)
    health.begin(started)
    try:
        began = perf_counter_ns()
        try:
            reply = await target.provider.call(exchange, target.model, body, limits)
            if reply.chunks is not None:
                reply.first = await _first(reply.chunks, reply, first_token_s)
        finally:
            noted.ns = perf_counter_ns() - began
    except UpstreamError as error:
        noted.error = error.code
        noted.status = error.upstream_status if isinstance(error, UpstreamRefused) else None
        error.args = (f"Model '{target.name}': {error}",)
        health.end()
        if is_targets_fault(error):
            health.failed(monotonic())
        else:
            health.given_up()
        raise
    except BaseException:
        health.end()
        health.given_up()
        raise
    noted.status = 200
    now = monotonic()
    health.succeeded(now, now - started)
    if reply.chunks is None:
        health.end()
    else:
        reply.close = _Closing(reply.close, noted, health)
    return reply


def body_for(exchange: Exchange, target: Target) -> bytes:
    """What a target is sent. Raises RequestError."""
    request = exchange.request
    dropped = exchange.context.get("fit.dropped", ())
    assert isinstance(dropped, frozenset | set | tuple)
    extra = _USAGE_WANTED if request.stream and not request.include_usage else None
    try:
        return render_chat(request, model=target.model, dropped=dropped, extra=extra)
    except (DecodeError, KeyError, IndexError) as error:
        raise RequestError("The request can't be written again for the model.") from error


async def _first(chunks: AsyncIterator[list[bytes]], reply: Reply, first_token_s: float) -> list[bytes]:
    """All up to the first content, so that a failure before it can still go to the next target."""
    first: list[bytes] = []
    try:
        async with asyncio.timeout(first_token_s):
            async for batch in chunks:
                first += batch
                if any(_has_content(payload) for payload in batch):
                    return first
    except TimeoutError:
        if reply.close is not None:
            reply.close()
        raise UpstreamTimeout("No content came in time.") from None
    except BaseException:
        if reply.close is not None:
            reply.close()
        raise
    raise UpstreamDisconnected("The stream ended before any content came.")


class _Closing:
    """Ends a stream once: the provider's connection, and the call in its target's health."""

    __slots__ = ("_attempt", "_close", "_health")

    def __init__(
        self,
        close: Callable[[], None] | None,
        attempt: Attempt,
        health: Health,
    ) -> None:
        self._close = close
        self._attempt = attempt
        self._health: Health | None = health

    def __call__(self) -> None:
        health, self._health = self._health, None
        if health is None:
            return
        if self._close is not None:
            self._close()
        health.end()
        if self._attempt.error is not None:  # the stream broke after its first content
            health.failed(monotonic())


def passes(error: UpstreamError) -> bool:
    """Whether the same target may do better at once."""
    if isinstance(error, UpstreamRefused):
        return error.upstream_status in _PASSING and not (error.retry_after_s or 0) > 1
    return isinstance(error, UpstreamDisconnected)


def is_targets_fault(error: UpstreamError) -> bool:
    """Whether a failure counts for the breaker."""
    if isinstance(error, UpstreamRefused):
        return error.upstream_status >= 500
    return not isinstance(error, UpstreamAuth)  # a bad key is not mended by waiting


def _has_content(payload: bytes) -> bool:
    """Whether a piece carries anything a client would see; raises what an in-band error stands for."""
    if payload == b"[DONE]":
        return True
    try:
        chunk = decode_chunk(payload)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("The stream holds an event that is not a chat completion chunk.") from None
    if chunk.is_error:
        raise UpstreamRefused("The provider sent an error inside its stream.", upstream_status=502)
    for choice in chunk.choices:
        delta = choice.delta
        if choice.finish_reason or (
            delta and (delta.content or delta.tool_calls or delta.refusal or delta.reasoning_content)
        ):
            return True
    return False
