"""Who makes the vectors of `/v1/embeddings`: the encoder in this process, or a model of a provider.

A provider's model has no second: the vectors of two models can't be compared, so nothing falls back.
"""

import asyncio
from time import perf_counter_ns

from msgspec import DecodeError, ValidationError

from greenroom.errors import (
    ContextTooLong,
    MalformedRequest,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.exchange import Attempt, Exchange
from greenroom.models.attempt import Target
from greenroom.models.encoder import MOST, MiniLM
from greenroom.models.providers import Embeds
from greenroom.models.response import Limits
from greenroom.usage import Usage
from greenroom.wire.openai_embeddings import EmbeddingRequest, decode_answer, embeddings, render_embeddings

MOST_TOKENS = 300_000
"""Tokens of one request, as at OpenAI; 40 s of work here."""
_SLICE = 8
"""Texts encoded before the loop looks whether the client is still there."""


class LocalEmbedder:
    """`greenroom/minilm`. Costs nothing; its tokens are those of its own tokenizer."""

    def __init__(self, encoder: MiniLM) -> None:
        self._encoder = encoder

    async def __call__(self, exchange: Exchange, request: EmbeddingRequest) -> bytes:
        """The answer. Raises MalformedRequest or ContextTooLong for what the model does not take."""
        import numpy as np  # noqa: PLC0415 - 20 MiB that a gateway without embeddings can do without

        encoder = self._encoder
        if request.tokens:
            raise MalformedRequest(
                f"'{encoder.name}' takes texts: token numbers are those of another model's tokenizer.",
                "input",
            )
        size = request.dimensions or encoder.dimensions
        if size > encoder.dimensions:
            raise MalformedRequest(
                f"'{encoder.name}' has {encoder.dimensions} dimensions; {size} were asked for.", "dimensions"
            )
        counts = await asyncio.to_thread(encoder.tokens, request.texts)
        if max(counts) > MOST or sum(counts) > MOST_TOKENS:
            raise ContextTooLong(
                f"'{encoder.name}' takes {MOST} tokens a text and {MOST_TOKENS} a request. Split the texts, "
                "or send fewer at once.",
                "input",
            )
        vectors: list[bytes] = []
        for at in range(0, len(request.texts), _SLICE):
            found = await asyncio.to_thread(encoder.encode, request.texts[at : at + _SLICE])
            if size < encoder.dimensions:
                found = found[:, :size]
                found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
            vectors += [one.astype("<f4").tobytes() for one in found]
        exchange.target = encoder.name
        exchange.usage = Usage(input_tokens=sum(counts))
        exchange.cost_nano_usd = 0
        return embeddings(vectors, model=request.model, tokens=sum(counts), is_base64=request.is_base64)


class RemoteEmbedder:
    """A model at a provider that embeds."""

    def __init__(self, target: Target, provider: Embeds, limits: Limits) -> None:
        self._target = target
        self._provider = provider
        self._limits = limits

    async def __call__(self, exchange: Exchange, request: EmbeddingRequest) -> bytes:
        """The provider's own answer. Raises UpstreamError."""
        target = self._target
        attempt = Attempt(target=target.name)
        exchange.attempts.append(attempt)
        letters = sum(map(len, request.texts))
        if exchange.purse is not None:
            exchange.purse.reserve(attempt, target.price, request.tokens or letters + len(request.texts))
        began = perf_counter_ns()
        try:
            data = await self._provider.embed(render_embeddings(request, target.model), self._limits)
            view = decode_answer(data)
        except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
            attempt.error = UpstreamProtocol.code
            raise UpstreamProtocol(
                f"Model '{target.name}': The provider's answer is not a list of embeddings."
            ) from None
        except UpstreamError as error:
            attempt.error = error.code
            attempt.status = error.upstream_status if isinstance(error, UpstreamRefused) else None
            error.args = (f"Model '{target.name}': {error}",)
            raise
        finally:
            attempt.ns = exchange.model_ns = perf_counter_ns() - began
        attempt.status = 200
        if len(view.data) != request.inputs:
            attempt.error = UpstreamProtocol.code
            raise UpstreamProtocol(
                f"Model '{target.name}': The provider's answer has {len(view.data)} vectors for "
                f"{request.inputs} inputs."
            )
        exchange.target = target.name
        told = view.usage
        counted = request.tokens or letters // 4 + 1
        exchange.usage = Usage(
            input_tokens=told.prompt_tokens if told is not None else counted,
            estimated=told is None or not self._provider.counts_tokens,
        )
        if target.price is not None:
            exchange.cost_nano_usd = target.price.cost_nano(exchange.usage)
        return data
