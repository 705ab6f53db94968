"""What calls cost, to the nano-dollar, against the figures that the providers publish.

Every answer is in the provider's own words and goes through the reader that serves it. The dollars per million
tokens beside each case are those of the price pages, and the sums are done by hand from them.
"""

import json
from datetime import UTC, datetime

import pytest

from greenroom.models.prices import PriceBook
from greenroom.usage import Usage
from greenroom.wire import openai
from greenroom.wire.anthropic_answer import from_message
from greenroom.wire.anthropic_stream import StreamTranslator

NOVEMBER = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(now=lambda: NOVEMBER)


def read(body: bytes) -> Usage:
    view = openai.decode_completion(body)
    usage = openai.read_usage(view.usage, view.service_tier)
    assert usage is not None
    return usage


def completion(usage: dict[str, object], service_tier: str = "default") -> bytes:
    message = {"role": "assistant", "content": "Yes."}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
            "service_tier": service_tier,
        }
    ).encode()


def anthropic(usage: dict[str, object]) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Yes."}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    return from_message(json.dumps(message).encode(), asked="m", created=1)


CACHED = {
    "prompt_tokens": 10_000,
    "completion_tokens": 1_000,
    "prompt_tokens_details": {"cached_tokens": 8_000, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


@pytest.mark.parametrize(
    ("model", "usage", "tier", "nano"),
    [
        # gpt-4o: 2.50 in, 10 out.
        pytest.param("gpt-4o", {"prompt_tokens": 1_000, "completion_tokens": 500}, "default",
                     1_000 * 2_500 + 500 * 10_000, id="plain"),
        # gpt-5: 1.25 in, 0.125 cached, 10 out.
        pytest.param("gpt-5", CACHED, "default", 13_500_000, id="cached-read"),
        # gpt-5-mini: 0.25 in, 2 out, thinking as output.
        pytest.param(
            "gpt-5-mini",
            {"prompt_tokens": 100, "completion_tokens": 900, "completion_tokens_details": {"reasoning_tokens": 640}},
            "default", 1_825_000, id="reasoning",
        ),
        # gpt-5 in a batch: 0.625 in, 0.0625 cached, 5 out.
        pytest.param("gpt-5", CACHED, "batch", 2_000 * 625 + 500_000 + 5_000_000, id="batch"),
        # gpt-5-mini flex: 0.125 in, 1 out.
        pytest.param("gpt-5-mini", {"prompt_tokens": 1_001, "completion_tokens": 999}, "flex", 1_124_125, id="flex"),
        # gpt-5 priority: 2.50 in, 0.25 cached, 20 out.
        pytest.param("gpt-5", CACHED, "priority", 5_000_000 + 2_000_000 + 20_000_000, id="priority"),
        # gpt-audio: text 2.50 in, 10 out; audio 32 in, 64 out.
        pytest.param(
            "gpt-audio",
            {
                "prompt_tokens": 300, "completion_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 200},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 100},
            },
            "default", 250_000 + 6_400_000 + 500_000 + 6_400_000, id="audio",
        ),
    ],
)  # fmt: skip
def test_openai(book: PriceBook, model: str, usage: dict[str, object], tier: str, nano: int) -> None:
    price = book.price("openai", model)

    assert price is not None
    assert price.cost_nano(read(completion(usage, tier))) == nano


# claude-sonnet-4-5: 3 in, 15 out; cache 0.30 read, 3.75 written for 5 minutes, 6 for an hour; batch the half;
# above 200,000 tokens of prompt 6 in, 22.50 out.
SONNET: list[tuple[str, dict[str, object], int]] = [
    ("plain", {"input_tokens": 2_000, "output_tokens": 500}, 6_000_000 + 7_500_000),
    (
        "cache-read-and-write",
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 10_000,
            "cache_creation_input_tokens": 2_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 300,
            "service_tier": "standard",
        },
        150_000 + 3_000_000 + 7_500_000 + 4_500_000,
    ),
    (
        "cache-write-for-an-hour",
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 3_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
            "output_tokens": 10,
        },
        150_000 + 3_750_000 + 12_000_000 + 150_000,
    ),
    (
        "thinking",
        {"input_tokens": 10, "output_tokens": 700, "output_tokens_details": {"thinking_tokens": 600}},
        30_000 + 10_500_000,
    ),
    (
        "batch",
        {
            "input_tokens": 101,
            "cache_read_input_tokens": 1_000,
            "output_tokens": 33,
            "service_tier": "batch",
        },
        151_500 + 150_000 + 247_500,
    ),
    ("long", {"input_tokens": 200_001, "output_tokens": 100}, 1_200_006_000 + 2_250_000),
]


@pytest.mark.parametrize(("usage", "nano"), [one[1:] for one in SONNET], ids=[one[0] for one in SONNET])
def test_anthropic(book: PriceBook, usage: dict[str, object], nano: int) -> None:
    price = book.price("anthropic", "claude-sonnet-4-5-20250929")

    assert price is not None
    assert price.cost_nano(read(anthropic(usage))) == nano


@pytest.mark.parametrize(("usage", "nano"), [one[1:] for one in SONNET], ids=[one[0] for one in SONNET])
def test_anthropic_streams_cost_the_same(book: PriceBook, usage: dict[str, object], nano: int) -> None:
    price = book.price("anthropic", "claude-sonnet-4-5-20250929")
    translator = StreamTranslator("m", 1, include_usage=True)
    told = {name: value for name, value in usage.items() if not name.startswith("output")}
    said = {name: value for name, value in usage.items() if name.startswith("output")}
    pieces: list[bytes] = []
    for event in (
        {"type": "message_start", "message": {"id": "msg_1", "usage": {**told, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": said},
        {"type": "message_stop"},
    ):
        pieces += translator.feed(b"", json.dumps(event).encode())

    chunk = openai.decode_chunk(pieces[-1])
    read = openai.read_usage(chunk.usage, chunk.service_tier)
    assert price is not None
    assert read is not None
    assert price.cost_nano(read) == nano


@pytest.mark.parametrize(
    ("model", "usage", "tier", "nano"),
    [
        # gemini-2.5-flash: 0.30 in, 2.50 out with thinking, 0.03 cached; audio 1 in, 0.10 cached.
        pytest.param("gemini-2.5-flash", {"prompt_tokens": 1_234, "completion_tokens": 567}, "",
                     1_234 * 300 + 567 * 2_500, id="plain"),
        pytest.param(
            "gemini-2.5-flash",
            {
                "prompt_tokens": 5_000, "completion_tokens": 400,
                "prompt_tokens_details": {"cached_tokens": 4_000},
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
            "", 300_000 + 120_000 + 1_000_000, id="cached-and-thinking",
        ),
        pytest.param(
            "gemini-2.5-flash",
            {
                "prompt_tokens": 1_000, "completion_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 300, "audio_tokens": 600, "cached_audio_tokens": 100},
            },
            "", 200 * 300 + 200 * 30 + 100 * 100 + 500 * 1_000 + 25_000, id="audio",
        ),
        # In a batch: 0.15 in, 1.25 out, audio 0.50; what is cached costs the same.
        pytest.param(
            "gemini-2.5-flash",
            {
                "prompt_tokens": 1_000, "completion_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 200},
            },
            "batch", 700 * 150 + 100 * 30 + 200 * 500 + 100 * 1_250, id="batch",
        ),
        # gemini-2.5-pro: 1.25 in, 10 out; above 200,000 tokens 2.50 in, 15 out.
        pytest.param("gemini-2.5-pro", {"prompt_tokens": 200_000, "completion_tokens": 10}, "",
                     250_000_000 + 100_000, id="up-to-the-tier"),
        pytest.param("gemini-2.5-pro", {"prompt_tokens": 200_001, "completion_tokens": 10}, "",
                     500_002_500 + 150_000, id="above-the-tier"),
    ],
)  # fmt: skip
def test_gemini(book: PriceBook, model: str, usage: dict[str, object], tier: str, nano: int) -> None:
    price = book.price("gemini", model)

    assert price is not None
    assert price.cost_nano(read(completion(usage, tier))) == nano


@pytest.mark.parametrize(
    ("day", "nano"),
    [
        # o3: 10 in, 40 out until it became 2 in, 8 out on 10 June 2025.
        (datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC), 1_000 * 10_000 + 100 * 40_000),
        (datetime(2025, 6, 10, tzinfo=UTC), 1_000 * 2_000 + 100 * 8_000),
    ],
)
def test_a_call_costs_what_it_cost_on_its_day(book: PriceBook, day: datetime, nano: int) -> None:
    price = book.price("openai", "o3")

    assert price is not None
    assert price.cost_nano(Usage(input_tokens=1_000, output_tokens=100), day.timestamp()) == nano


def test_a_dearer_tier_without_a_published_price_has_none(book: PriceBook) -> None:
    price = book.price("anthropic", "claude-sonnet-4-5")
    usage = read(anthropic({"input_tokens": 10, "output_tokens": 10, "service_tier": "priority"}))

    assert price is not None
    assert usage.service_tier == "priority"
    assert price.cost_nano(usage) is None
