"""The price book: exact integer money, the book's own matching rules, and None for what is not known."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.models.prices import PRICES_FILE, Period, Price, PriceBook, Rates
from greenroom.usage import Usage

NOVEMBER = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
RATES = Rates(
    input=1_000_000,
    cached=100_000,
    written=1_250_000,
    written_1h=2_000_000,
    output=5_000_000,
    reasoning=5_000_000,
    input_audio=8_000_000,
    cached_audio=400_000,
    output_audio=9_000_000,
)
counts = st.integers(0, 10_000_000)


def cost(price: Price, usage: Usage, at_s: float | None = None) -> int:
    found = price.cost_nano(usage, at_s)
    assert found is not None
    return found


def at(hour: int, minute: int = 0) -> float:
    return datetime(2026, 11, 24, hour, minute, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(now=lambda: NOVEMBER)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        # 1,000 input tokens of which 400 cached, 200 output tokens, by the providers' price pages.
        ("openai", "gpt-4o", Decimal("0.0025") * 600 / 1000 + Decimal("0.00125") * 400 / 1000 + Decimal("0.01") * 200 / 1000),
        ("openai", "gpt-5-mini", (Decimal("0.25") * 600 + Decimal("0.025") * 400 + 2 * 200) / 1_000_000),
        ("anthropic", "claude-haiku-4-5-20251001", (Decimal(600) + Decimal("0.1") * 400 + 5 * 200) / 1_000_000),
        ("gemini", "models/gemini-2.5-flash", (Decimal("0.3") * 600 + Decimal("0.03") * 400 + Decimal("2.5") * 200) / 1_000_000),
    ],
)  # fmt: skip
def test_known_models_cost_what_their_price_pages_say(
    book: PriceBook, provider: str, model: str, usd: Decimal
) -> None:
    price = book.price(provider, model)

    assert price is not None
    assert price.cost_nano(Usage(input_tokens=1000, cached_tokens=400, output_tokens=200)) == usd * 10**9


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("openai", "ft:gpt-9:acme"),
        ("nobody", "gpt-4o"),
        ("ollama", "llama3"),
        ("google", "gemma-3n"),
        ("openai", "whisper-1"),
        ("openai", ""),
        ("", ""),
        ("openai", "gpt-4o" * 1000),
        ("openai", "gpt-4o\n"),
    ],
)
def test_what_is_not_known_has_no_price_and_is_never_free(book: PriceBook, provider: str, model: str) -> None:
    assert book.price(provider, model) is None


def test_the_reader_costs_nothing(book: PriceBook) -> None:
    price = book.price("greenroom", "reader")

    assert price is not None
    assert price.cost_nano(Usage(input_tokens=1000, output_tokens=1000)) == 0


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-4o-2024-11-20", "gpt-4o"),
        ("openai", "gpt-5.2-20251211", "gpt-5.2"),
        ("anthropic", "claude-opus-5-20260801", "claude-opus-5"),
        ("xai", "grok-4.3-20260101", "grok-4.3"),
        ("azure", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("fireworks", "accounts/fireworks/models/gpt-oss-120b", "gpt-oss-120b"),
    ],
)
def test_names_are_matched_as_the_book_says(book: PriceBook, provider: str, model: str, found: str) -> None:
    price = book.price(provider, model)

    assert price is not None
    assert price.model == found


def test_the_second_lookup_is_the_same_object(book: PriceBook) -> None:
    assert book.price("openai", "gpt-4o-mini") is book.price("openai", "gpt-4o-mini")


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    book = PriceBook()

    for number in range(5000):
        book.price("openai", f"made-up-{number}")

    assert len(book._found) <= 4096


def test_nothing_is_read_before_the_first_question(tmp_path: Path) -> None:
    book = PriceBook(tmp_path / "missing.json")

    with pytest.raises(FileNotFoundError):
        book.price("openai", "gpt-4o")


def test_all_who_load_the_book_share_it() -> None:
    assert PriceBook.load() is PriceBook.load()


@given(given_tokens=counts, cached=counts, made=counts, thought=counts)
def test_every_token_is_counted_once(given_tokens: int, cached: int, made: int, thought: int) -> None:
    usage = Usage(
        input_tokens=given_tokens, cached_tokens=cached, output_tokens=made, reasoning_tokens=thought
    )
    kept = min(cached, given_tokens)

    cost = Price("m", [Period(RATES)]).cost_nano(usage)

    assert cost == (given_tokens - kept) * 1000 + kept * 100 + made * 5000


@given(first=counts, more=counts, cached=counts)
def test_more_tokens_never_cost_less_and_cached_ones_never_more(first: int, more: int, cached: int) -> None:
    price = Price("m", [Period(RATES)])
    less = cost(price, Usage(input_tokens=first))

    assert cost(price, Usage(input_tokens=first + more)) >= less
    assert cost(price, Usage(input_tokens=first, cached_tokens=cached)) <= less


absurd = st.builds(
    Usage,
    **dict.fromkeys(
        (
            "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cache_write_tokens",
            "cache_write_1h_tokens", "input_audio_tokens", "cached_audio_tokens", "output_audio_tokens",
        ),
        st.one_of(st.integers(-(10**12), 10**12), st.integers(0, 100)),
    ),
)  # fmt: skip


@given(usage=absurd)
def test_no_usage_however_absurd_costs_less_than_nothing_or_more_than_the_worst(usage: Usage) -> None:
    price = Price("m", [Period(RATES)])
    found = cost(price, usage)

    assert 0 <= found <= price.worst_nano(max(usage.input_tokens, 0), max(usage.output_tokens, 0))


def test_the_worst_counts_what_is_written_for_an_hour_and_the_dearest_tier() -> None:
    dearer = Period(Rates.plain(9_000_000, 0, 9_000_000))
    price = Price("m", [Period(RATES)], tiers={"priority": [dearer]})

    assert price.worst_nano(10, 2) == 10 * 8_000 + 2 * 9_000
    assert price.worst_nano(10, 2, any_tier=True) == 10 * 9_000 + 2 * 9_000


def test_the_smallest_amounts_are_rounded_to_the_nearest() -> None:
    price = Price("m", [Period(Rates.plain(400, 0, 600))])

    assert price.cost_nano(Usage(input_tokens=1)) == 0
    assert price.cost_nano(Usage(output_tokens=1)) == 1
    assert price.cost_nano(Usage(input_tokens=1, output_tokens=1)) == 1


@pytest.mark.parametrize(("tokens", "expected"), [(100, 100), (101, 202), (1000, 2000), (1001, 3003)])
def test_above_a_tier_all_tokens_cost_more(tokens: int, expected: int) -> None:
    def per_token(nano: int) -> Rates:
        return Rates.plain(nano * 1000, nano * 1000, 0)

    price = Price("m", [Period(per_token(1), ((100, per_token(2)), (1000, per_token(3))))])

    assert price.cost_nano(Usage(input_tokens=tokens)) == expected


def test_a_price_holds_from_its_day_on() -> None:
    price = Price("m", [Period(Rates.plain(1000, 0, 0)), Period(Rates.plain(9000, 0, 0), start_s=int(at(0)))])
    usage = Usage(input_tokens=1)

    assert price.cost_nano(usage, at(0) - 1) == 1
    assert price.cost_nano(usage, at(0)) == 9


@pytest.mark.parametrize(("hour", "expected"), [(22, 1), (23, 5), (0, 5), (1, 5), (2, 1), (12, 1)])
def test_hours_may_pass_midnight(hour: int, expected: int) -> None:
    night = Period(Rates.plain(5000, 0, 0), hours=(23 * 3600, 2 * 3600))
    price = Price("m", [Period(Rates.plain(1000, 0, 0)), night], now=lambda: at(hour))

    assert price.cost_nano(Usage(input_tokens=1)) == expected


def test_fees_per_request_are_added(book: PriceBook) -> None:
    price = book.price("perplexity", "sonar")

    assert price is not None
    assert price.cost_nano(Usage()) == 12_000_000


def test_reasoning_with_a_price_of_its_own_is_not_charged_as_output_too() -> None:
    price = Price("m", [Period(Rates.plain(0, 0, 8000, 3000))])

    assert price.cost_nano(Usage(output_tokens=10, reasoning_tokens=4)) == 6 * 8 + 4 * 3


def test_the_book_says_where_it_is_from(book: PriceBook) -> None:
    assert book.edition.startswith("genai-prices 0.2.3, 2026-")
    assert "MIT License" in (PRICES_FILE.parent / "NOTICE").read_text(encoding="utf-8")


def test_every_provider_in_the_book_can_be_read(book: PriceBook) -> None:
    for provider, content in json.loads(PRICES_FILE.read_bytes())["providers"].items():
        for name in list(content["exact"])[:20]:
            found = content["models"][content["exact"][name]]
            price = book.price(provider, name)

            assert (price.model if price else None) == (found[0] if found[2] else None)
            assert book.context_window(provider, name) == found[1]


@settings(max_examples=200, deadline=None)
@given(provider=st.sampled_from(("openai", "google", "anthropic", "openrouter")), name=st.text(max_size=300))
def test_any_name_can_be_asked_for(book: PriceBook, provider: str, name: str) -> None:
    price = book.price(provider, name)

    assert price is None or cost(price, Usage(input_tokens=1)) >= 0
