"""What an answer of each dialect costs, to the nano-dollar, by the counts its provider gave."""

import json

import pytest

from greenroom.models.prices import PriceBook
from greenroom.wire.bedrock_answer import from_converse
from greenroom.wire.cohere_answer import from_chat
from greenroom.wire.gemini_answer import from_generate_content
from greenroom.wire.openai import decode_completion, read_usage
from tests.wire import test_bedrock, test_cohere, test_gemini


def cost(made: bytes, provider: str, model: str) -> int | None:
    usage = read_usage(decode_completion(made).usage)
    price = PriceBook.load().price(provider, model)
    assert usage is not None
    assert price is not None
    return price.cost_nano(usage)


def test_gemini_with_cached_and_thought_tokens() -> None:
    counts = {
        "promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 40,
        "thoughtsTokenCount": 60,
    }  # fmt: skip
    made, _ = from_generate_content(
        test_gemini.answer({"text": "x"}, usageMetadata=counts), asked="a", created=1
    )

    # $0.30, $0.03 and $2.50 per million: 400 fresh, 600 cached, 100 written with the thoughts among them
    assert cost(made, "gemini", "gemini-3.5-flash-lite") == 400 * 300 + 600 * 30 + 100 * 2500


def test_bedrock_with_a_cache_read_and_written() -> None:
    told = {
        "output": {"message": {"content": [{"text": "x"}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 5,
            "outputTokens": 7,
            "cacheReadInputTokens": 20,
            "cacheWriteInputTokens": 10,
        },
    }
    made, _ = from_converse(json.dumps(told).encode(), asked="a", created=1)

    # $1 fresh, $0.10 read, $1.25 written, $5 out per million
    model = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert cost(made, "bedrock", model) == 5 * 1000 + 20 * 100 + 10 * 1250 + 7 * 5000


@pytest.mark.parametrize("billed", [True, False])
def test_cohere_by_what_is_billed(billed: bool) -> None:
    usage = dict(test_cohere.USAGE) if billed else {"tokens": {"input_tokens": 120, "output_tokens": 4}}
    told = {"id": "r", "finish_reason": "COMPLETE", "message": {"content": []}, "usage": usage}
    made, _ = from_chat(json.dumps(told).encode(), asked="a", created=1)

    assert cost(made, "cohere", "command-a-03-2025") == (9 if billed else 120) * 2500 + 4 * 10_000


def test_the_stream_says_the_same_counts() -> None:
    whole = test_bedrock.read()["usage"]

    assert test_bedrock.stream([test_bedrock.STREAM])[-1]["usage"] == whole
