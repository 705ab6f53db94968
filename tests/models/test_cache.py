"""Answers given again: to whom, for how long, and never to another question."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.exchange import Exchange, Reply, StepRecord
from greenroom.gateway.pipeline import finish_whole
from greenroom.models.cache import CONTEXT, CONTROL, AnswerCache, Cached, Kind, Policy
from greenroom.models.likeness import likeness
from greenroom.stages.preprocess.embed import Embed, EmbedConfig
from greenroom.testing import EchoUpstream, WordEncoder, make_app, make_exchange
from tests.gateway.test_streaming import relayed, text_of

CPF = "390.533.447-05"


class Room:
    """A model behind the cache, with a clock of the test's own."""

    def __init__(self, kind: Kind = "exact", *, size_bytes: int = 100_000, threshold: float = 0.5) -> None:
        self.now = 0.0
        self.cache = AnswerCache(size_bytes, lambda: self.now)
        self.upstream = EchoUpstream()
        self.cached = Cached(self.upstream, self.cache, Policy(kind, 60.0, threshold), "a")
        self.app = make_app(self.upstream)._replace(call=self.cached, keep=self.cached.keep)
        self.embed = Embed(EmbedConfig(), WordEncoder())

    async def ask(self, exchange: Exchange) -> str:
        """The answer's text; the exchange is left as the gateway leaves it."""
        exchange.steps.append(StepRecord("preprocess", "embed"))
        await self.embed(exchange)
        if exchange.language is None:
            exchange.language = ("en", 1.0)
        reply = await self.cached(exchange)
        if exchange.request.stream:
            assert reply.chunks is not None
            text = text_of(await relayed(exchange, self.app, reply.chunks))
        else:
            answer: dict[str, Any] = json.loads(finish_whole(exchange, self.app, reply))
            text = answer["choices"][0]["message"]["content"]
        if exchange.outcome in {"answered", "cached"}:
            self.cached.keep(exchange)
        return str(text)

    async def is_asked(self, exchange: Exchange) -> bool:
        """Whether the model was asked for this."""
        before = len(self.upstream.calls)
        await self.ask(exchange)
        return len(self.upstream.calls) > before


@pytest.mark.parametrize("again", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("first", [False, True], ids=["whole", "streamed"])
async def test_an_equal_request_is_answered_without_the_model(first: bool, again: bool) -> None:
    room = Room()
    model = make_exchange("Bom dia, São Paulo.", stream=first)
    said = await room.ask(model)
    exchange = make_exchange("Bom dia, São Paulo.", stream=again)

    assert await room.ask(exchange) == said == "Bom dia, São Paulo."
    assert len(room.upstream.calls) == 1
    assert (exchange.outcome, exchange.context[CONTEXT], exchange.cost_usd) == ("cached", "hit", "0")
    assert exchange.usage is not None
    assert model.usage is not None
    assert exchange.usage.output_tokens == model.usage.output_tokens


@pytest.mark.parametrize(
    "other",
    [
        make_exchange("Hello!"),
        make_exchange("Hello", temperature=0.5),
        make_exchange("Hello", system="Be brief."),
        make_exchange("Hello", project="another"),
        make_exchange("Hello", max_tokens=5),
        make_exchange("Hello", n=2),
        make_exchange("Hello", tools=[{"type": "function", "function": {"name": "f"}}]),
    ],
    ids=["text", "parameter", "system", "project", "limit", "choices", "tools"],
)
async def test_a_request_that_differs_is_asked(other: Exchange) -> None:
    room = Room()
    await room.ask(make_exchange("Hello"))

    assert await room.is_asked(other)


async def test_who_asks_and_how_it_is_sent_make_no_difference() -> None:
    room = Room()
    exchange = make_exchange("Hello")
    exchange.user = "ana"
    await room.ask(exchange)

    assert not await room.is_asked(make_exchange("Hello", stream=True, metadata={"a": "b"}))


async def test_an_answer_is_let_go_when_its_time_is_over() -> None:
    room = Room()
    await room.ask(make_exchange())
    kept = next(iter(room.cache._kept.values()))
    room.now = kept.until - 0.001
    assert not await room.is_asked(make_exchange())
    room.now = kept.until

    assert await room.is_asked(make_exchange())


async def test_the_least_recently_used_go_when_the_room_is_full() -> None:
    room = Room(size_bytes=3 * 1700)
    for text in "abc":
        await room.ask(make_exchange(text * 1000))
    assert not await room.is_asked(make_exchange("a" * 1000))
    await room.ask(make_exchange("d" * 1000))

    assert not await room.is_asked(make_exchange("a" * 1000))
    assert await room.is_asked(make_exchange("b" * 1000))
    assert room.cache.held_bytes <= room.cache.size_bytes


async def test_what_is_larger_than_the_room_is_not_kept() -> None:
    room = Room(size_bytes=1000)
    await room.ask(make_exchange("x" * 2000))

    assert len(room.cache) == 0


@pytest.mark.parametrize(
    ("control", "asks", "keeps"),
    [("no-cache", True, True), ("no-store", True, False), ("max-age=3", False, True)],
)
async def test_the_client_may_ask_anew_or_have_nothing_kept(control: str, asks: bool, keeps: bool) -> None:
    room = Room()
    await room.ask(make_exchange())
    exchange = make_exchange()
    exchange.context[CONTROL] = control
    assert await room.is_asked(exchange) is asks

    fresh = make_exchange("fresh")
    fresh.context[CONTROL] = control
    await room.ask(fresh)
    assert (not await room.is_asked(make_exchange("fresh"))) is keeps


class CutShort(EchoUpstream):
    async def __call__(self, exchange: Exchange) -> Reply:
        reply = await super().__call__(exchange)
        reply.body = reply.body.replace(b'"stop"', b'"length"')
        assert reply.view is not None
        reply.view.choices[0].finish_reason = "length"  # type: ignore[attr-defined]  # openai's Completion
        return reply


async def test_an_answer_cut_short_is_not_kept() -> None:
    room = Room()
    room.cached.call = CutShort()
    await room.ask(make_exchange())

    assert len(room.cache) == 0


async def test_what_is_kept_of_a_user_or_project_is_forgotten() -> None:
    room = Room()
    for user, project in (("ana", "p"), ("rui", "p"), ("ana", "q")):
        exchange = make_exchange(f"{user} {project}", project=project)
        exchange.user = user
        await room.ask(exchange)

    assert room.cache.forget("p", "ana") == 1
    assert room.cache.forget("q") == 1
    assert len(room.cache) == 1
    assert room.cache.forget(None) == 1
    assert room.cache.held_bytes == 0


# by meaning


async def test_a_prompt_that_asks_the_same_is_answered_and_says_so() -> None:
    room = Room("semantic")
    await room.ask(make_exchange("How do I reset my password?"))
    exchange = make_exchange("How can I reset my password, please?")

    assert await room.ask(exchange) == "How do I reset my password?"
    assert exchange.context[CONTEXT] == "semantic"
    assert "a like request" in exchange.why


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("How do I reset my password?", "How do I not reset my password?"),
        ("Convert 50 EUR to USD.", "Convert 50 USD to EUR."),
        ("Convert 50 EUR to USD.", "Convert 500 EUR to USD."),
        ("How do I turn on two-factor login?", "How do I turn off two-factor login?"),
        ("Explain `map` to me.", "Explain `filter` to me."),
        ("Install version 3.1 here.", "Install version 3.2 here."),
        ("Is it 5 > 3?", "Is it 5 < 3?"),
        ("Say thanks in Japanese: どうも", "Say thanks in Japanese: はい"),
        ("please", "thanks"),
    ],
)
async def test_a_prompt_that_only_looks_alike_is_asked(one: str, two: str) -> None:
    room = Room("semantic", threshold=0.0)
    await room.ask(make_exchange(one))

    assert await room.is_asked(make_exchange(two))


async def test_nothing_is_found_by_meaning_across_contexts() -> None:
    room = Room("semantic", threshold=0.0)
    asked = "How do I reset my password?"
    await room.ask(make_exchange(asked))
    again = "How can I reset my password?"

    assert await room.is_asked(make_exchange(again, system="Answer in French."))
    assert await room.is_asked(make_exchange(again, project="another"))
    assert await room.is_asked(make_exchange(again, temperature=0))


async def test_personal_data_and_other_languages_are_not_found_by_meaning() -> None:
    room = Room("semantic", threshold=0.0)
    for text, again in (
        ("Is <CPF_1> valid?", "Is a <CPF_1> valid?"),
        ("Bom dia, a todos", "Bom dia a todos"),
    ):
        for said in (text, again):
            exchange = make_exchange(said)
            if "CPF" in said:
                exchange.masks["<CPF_1>"] = CPF
            else:
                exchange.language = ("pt", 1.0)
            assert await room.is_asked(exchange)


async def test_a_prompt_with_an_image_is_not_found_by_meaning() -> None:
    room = Room("semantic", threshold=0.0)
    for name in ("a", "b"):
        picture = {"type": "image_url", "image_url": {"url": f"https://example.com/{name}.png"}}
        said = [{"type": "text", "text": "What is this?"}, picture]
        assert await room.is_asked(make_exchange(messages=[{"role": "user", "content": said}]))


async def test_a_kept_answer_that_ran_out_is_not_found_by_meaning() -> None:
    room = Room("semantic", threshold=0.0)
    await room.ask(make_exchange("How do I reset my password?"))
    room.now = float("inf")

    assert await room.is_asked(make_exchange("How can I reset my password?"))
    assert not room.cache._alike or all(room.cache._alike.values())


@given(st.text(max_size=200))
def test_likeness_takes_any_text_and_agrees_with_itself(text: str) -> None:
    like = likeness(text)

    assert like.agrees(likeness(text)) is bool(like.words)
