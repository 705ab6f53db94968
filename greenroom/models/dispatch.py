"""Targets in order: call one, and the next when it fails before its first content.

After the first content there is never a second try: half an answer must not be repeated. Knows providers by
their contract only.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter_ns
from typing import NamedTuple

from msgspec import DecodeError, ValidationError

from greenroom.errors import (
    RequestError,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamTimeout,
)
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.models.connection import Limits
from greenroom.models.prices import Price
from greenroom.models.providers import Provider
from greenroom.wire.openai import decode_chunk
from greenroom.wire.openai_request import render_chat

_USAGE_WANTED = {"stream_options": b'{"include_usage":true}'}
_CALLERS_FAULT = frozenset({400, 404, 405, 413, 415, 422})


class Target(NamedTuple):
    """One model at one provider."""

    name: str
    """`provider/model`, as clients and traces see it."""
    provider: Provider
    model: str
    price: Price | None


class Dispatch:
    """Calls the targets of a model in order. Shared by all exchanges."""

    def __init__(self, targets: Sequence[Target], limits: Limits, first_token_s: float = 10.0) -> None:
        self.targets = tuple(targets)
        self._limits = limits
        self._first_token_s = first_token_s

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer from the first target that can. Raises the last target's UpstreamError."""
        failure: UpstreamError | None = None
        for target in self.targets:
            attempt = Attempt(target=target.name)
            exchange.attempts.append(attempt)
            began = perf_counter_ns()
            try:
                body = self._body(exchange, target)
                reply = await target.provider.call(exchange, target.model, body, self._limits)
                if reply.chunks is not None:
                    reply.first = await self._first(reply.chunks, reply)
            except UpstreamError as error:
                attempt.ns = perf_counter_ns() - began
                attempt.error = error.code
                attempt.status = error.upstream_status if isinstance(error, UpstreamRefused) else None
                error.args = (f"Model '{target.name}': {error}",)
                failure = error
                if isinstance(error, UpstreamRefused) and error.upstream_status in _CALLERS_FAULT:
                    raise
                continue
            attempt.ns = perf_counter_ns() - began
            attempt.status = 200
            exchange.target = target.name
            if target.price is not None:
                exchange.context["price"] = target.price
            return reply
        assert failure is not None, "a model has at least one target"
        raise failure

    def _body(self, exchange: Exchange, target: Target) -> bytes:
        """What this target is sent."""
        request = exchange.request
        dropped = exchange.context.get("fit.dropped", ())
        assert isinstance(dropped, frozenset | set | tuple)
        extra = _USAGE_WANTED if request.stream and not request.include_usage else None
        try:
            body = render_chat(request, model=target.model, dropped=dropped, extra=extra)
        except (DecodeError, KeyError, IndexError) as error:
            raise RequestError("The request can't be written again for the model.") from error
        if body is not request.raw:
            exchange.sent = body
        return body

    async def _first(self, chunks: AsyncIterator[list[bytes]], reply: Reply) -> list[bytes]:
        """All up to the first content, so that a failure before it can still go to the next target."""
        first: list[bytes] = []
        try:
            async with asyncio.timeout(self._first_token_s):
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
