import asyncio

import numpy as np
import pytest

from greenroom.exchange import Exchange, StepRecord
from greenroom.stages.preprocess.embed import Embed, EmbedConfig, Newest
from greenroom.testing import WordEncoder, make_exchange


def ask(text: str) -> Exchange:
    exchange = make_exchange(text)
    exchange.steps.append(StepRecord("preprocess", "embed"))
    return exchange


def handed(exchange: Exchange) -> Newest:
    found = exchange.context["embed"]
    assert isinstance(found, Newest)
    return found


@pytest.mark.parametrize("mode", ["apply", "suggest"])
@pytest.mark.parametrize("text", ["How are you?", "Como vai você?", "¿Cómo estás?"])
async def test_nothing_is_computed_until_someone_asks_and_then_once(mode: str, text: str) -> None:
    encoder, exchange = WordEncoder(), ask(text)

    await Embed(EmbedConfig(mode=mode), encoder)(exchange)  # type: ignore[arg-type]  # a literal above
    assert encoder.calls == []
    assert exchange.steps[-1].notes == {}

    first, second = await asyncio.gather(handed(exchange).vector(), handed(exchange).vector())

    assert encoder.calls == [[text]]
    assert first is second
    assert np.isclose(np.linalg.norm(first), 1)
    notes = exchange.steps[-1].notes
    assert notes["model"] == "test/words"
    assert notes["dimensions"] == 64
    assert notes["cached"] is False
    assert isinstance(notes["ms"], float)


async def test_observe_makes_the_vector_and_hands_out_nothing() -> None:
    encoder, exchange = WordEncoder(), ask("Hello there")

    await Embed(EmbedConfig(mode="observe"), encoder)(exchange)

    assert encoder.calls == [["Hello there"]]
    assert exchange.steps[-1].notes["dimensions"] == 64
    assert "embed" not in exchange.context


async def test_without_an_encoder_there_is_nothing_and_an_inspection_says_why() -> None:
    exchange, inspected = ask("Hello"), ask("Hello")
    inspected.inspect = True

    await Embed(EmbedConfig(), None)(exchange)
    await Embed(EmbedConfig(), None)(inspected)

    assert exchange.context == inspected.context == {}
    assert exchange.steps[-1].notes == {}
    assert inspected.steps[-1].notes == {"missing": "pip install onnxruntime tokenizers"}


async def test_of_a_long_text_the_beginning_and_the_end_count() -> None:
    encoder, exchange = WordEncoder(), ask("a" * 80 + "b" * 10_000 + "c" * 80)

    await Embed(EmbedConfig(characters=100), encoder)(exchange)
    await handed(exchange).vector()

    assert encoder.calls == [["a" * 50 + " " + "c" * 50]]


async def test_another_text_has_its_own_vector() -> None:
    encoder, exchange = WordEncoder(), ask("And why?")
    await Embed(EmbedConfig(), encoder)(exchange)

    other = await handed(exchange).of("And why?\nIs it so?")

    assert not np.array_equal(other, await handed(exchange).vector())


async def test_no_user_no_vector() -> None:
    exchange = ask("x")
    exchange.request.texts = []

    await Embed(EmbedConfig(), WordEncoder())(exchange)

    assert exchange.context == {}
