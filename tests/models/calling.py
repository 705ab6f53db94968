"""Calls of one provider, and what scripted ones answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenroom.exchange import Exchange
from greenroom.models.pool import Pool
from greenroom.models.providers import Provider
from greenroom.models.response import Limits
from greenroom.testing import make_exchange

LIMITS = Limits(connect_s=1, first_byte_s=2, idle_s=2, total_s=5)
KEY = "canary-71c3"
CONVERSE = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    }
).encode()
GEMINI = json.dumps(
    {
        "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2},
    }
).encode()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    made.start()
    yield made
    made.stop()


async def call(provider: Provider, model: str, exchange: Exchange | None = None) -> tuple[Any, Exchange]:
    """The whole answer, or the pieces of a stream."""
    exchange = exchange or make_exchange()
    reply = await provider.call(exchange, model, exchange.request.raw, LIMITS)
    if reply.chunks is None:
        return json.loads(reply.body), exchange
    pieces = [piece async for batch in reply.chunks for piece in batch]
    assert pieces[-1] == b"[DONE]"
    return [json.loads(piece) for piece in pieces[:-1]], exchange


def said(pieces: list[Any]) -> str:
    return "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces if piece["choices"])
