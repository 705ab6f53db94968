from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import Decision, Finding
from greenroom.exchange import Action, Exchange, Where
from greenroom.stages.check.offense import Offense, OffenseConfig, OffenseDetector
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.testing import chop, make_exchange, run_filter
from tests.stages.check.requests import exchange_of, values

THREATS = {
    "en": "You piece of shit, I will kill you",
    "pt": "Seu filho da puta, vou te matar",
    "es": "Hijo de puta, te voy a matar",
}
INSULTS = {"en": "you stupid asshole", "pt": "você é um babaca otário", "es": "eres un gilipollas, imbécil"}
HARMLESS = {
    "en": "How do I kill a child process in Python?",
    "pt": "Como mato um processo filho em Python?",
    "es": "¿Cómo mato un proceso hijo en Python?",
}
LANGUAGES = pytest.mark.parametrize("language", ["en", "pt", "es"])


@LANGUAGES
@pytest.mark.parametrize("engine", ["rules", "full"])
async def test_threats_are_refused(language: str, engine: Literal["rules", "full"]) -> None:
    exchange = exchange_of(("user", THREATS[language]))
    exchange.language = (language, 1.0)

    reply = await Offense(OffenseConfig(engine=engine))(exchange)

    assert reply is not None
    (verdict,) = exchange.steps[-1].verdicts
    assert (verdict.category, verdict.severity, verdict.action) == ("threat", 3, "block")


@LANGUAGES
async def test_insults_are_recorded_and_let_through(language: str) -> None:
    exchange = exchange_of(("user", INSULTS[language]))

    assert await Offense(OffenseConfig())(exchange) is None

    (verdict,) = exchange.steps[-1].verdicts
    assert (verdict.category, verdict.severity, verdict.action) == ("insult", 2, "warn")
    assert 0 <= verdict.start < verdict.end <= len(INSULTS[language])


@LANGUAGES
async def test_a_hard_word_in_a_harmless_question_is_nothing(language: str) -> None:
    exchange = exchange_of(("user", HARMLESS[language]))

    assert await Offense(OffenseConfig())(exchange) is None
    assert exchange.steps[-1].verdicts == []
    assert isinstance(exchange.steps[-1].notes["score"], float)


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_only_looking_on_refuses_nothing(mode: Literal["observe", "suggest"]) -> None:
    exchange = exchange_of(("user", THREATS["en"]))

    assert await Offense(OffenseConfig(mode=mode))(exchange) is None
    assert exchange.steps[-1].verdicts[0].action == "log"


async def test_what_is_refused_can_be_chosen() -> None:
    exchange = exchange_of(("user", THREATS["en"]))
    other = exchange_of(("user", INSULTS["en"]))

    assert await Offense(OffenseConfig(block=4))(exchange) is None
    assert await Offense(OffenseConfig(block=2))(other) is not None


async def test_a_policy_may_mask_the_words() -> None:
    def decide(
        exchange: Exchange, step: str, finding: Finding, where: Where, usual: Action, value: str = ""
    ) -> Decision:
        return Decision("mask")

    exchange = exchange_of(("user", "You asshole, answer me"))

    assert await Offense(OffenseConfig(), decide)(exchange) is None
    assert values(exchange) == ["You ***, answer me"]


async def test_documents_and_tools_are_data() -> None:
    exchange = exchange_of(("user", "Summarise"), ("assistant", "?"), ("tool", THREATS["en"]))

    assert await Offense(OffenseConfig())(exchange) is None
    assert exchange.steps[-1].verdicts == []


WORDS = [
    "the ",
    "asshole",
    "fuck you",
    " idiot",
    "you ",
    "ass",
    "bitch",
    "es ",
    "vou te ",
    "matar ",
    "\n",
    ". ",
    "é ",
    "x" * 40,
    " ",
]


@settings(max_examples=300)
@given(text=st.lists(st.sampled_from(WORDS), max_size=30).map("".join), cut=st.integers(0, 400))
def test_words_before_the_safe_end_are_decided(text: str, cut: int) -> None:
    one = OffenseDetector()
    prefix = text[:cut]
    end = one.safe_end(prefix)

    assert [found for found in one.find(prefix) if found.start < end] == [
        found for found in one.find(text) if found.start < end
    ]


@settings(max_examples=100)
@given(
    text=st.lists(st.sampled_from(WORDS), max_size=30).map("".join),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_guard_takes_them_out_of_an_answer_however_it_is_cut(text: str, cuts: list[int]) -> None:
    def out(pieces: list[str]) -> str:
        one = Guard(GuardConfig(offense="redact"), (OffenseDetector(),)).open(make_exchange(), "content")
        assert one is not None
        return run_filter(one, pieces)

    assert out(chop(text, cuts)) == out([text])


def test_guard_looks_for_them_only_when_asked() -> None:
    one = Guard(GuardConfig(offense="redact"), (OffenseDetector(),)).open(make_exchange(), "content")
    assert one is not None

    assert run_filter(one, list("Well, you asshole, no.")) == "Well, you [OFFENSE], no."
