"""The route `learned`: the target that is worth most first, and the safe one where there is no evidence."""

import json
import timeit
from time import process_time

import pytest

from greenroom.exchange import Caller, Exchange
from greenroom.models.health import Health
from greenroom.models.learned.features import form
from greenroom.models.learned.file import Trained
from greenroom.models.learned.predictor import Predictor
from greenroom.models.learned.route import LearnedRoute
from greenroom.models.prices import Period, Price, Rates
from greenroom.models.routing import Candidate, Order, Router
from greenroom.wire.openai_request import parse_chat
from tests.models.learned.test_teaching import SUM, TALK
from tests.models.learned.world import answers, taught, usual

STRONG, CHEAP, NEW = "sums/strong", "talks/cheap", "z/new"


def price(usd_per_mtok: float) -> Price:
    pico = int(usd_per_mtok * 1_000_000)
    return Price("m", [Period(Rates.plain(pico, pico, pico))])


PRICES = {STRONG: price(10), CHEAP: price(1), NEW: price(1)}


@pytest.fixture(scope="module")
def trained() -> Trained:
    return usual()


def exchange(content: object, **fields: object) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return Exchange("1", Caller(key_id="k"), parse_chat(json.dumps(body).encode()), "m")


async def order(
    trained: Trained,
    asked: Exchange,
    *,
    prices: dict[str, Price | None] | None = None,
    worth: float = 0.01,
    safe: str = STRONG,
    language: str = "en",
    targets: tuple[str, ...] = (STRONG, CHEAP, NEW),
) -> Order:
    route = LearnedRoute(
        Predictor(trained, None), targets, prices or {**PRICES}, safe=safe, price_of_quality=worth,
        language_of=lambda _: language,
    )  # fmt: skip
    candidates = [Candidate(name, None, Health(name), 1.0) for name in targets]
    router = Router("learned", candidates, learned=route)
    await route.foresee(asked)
    return router.order(asked, 0.0)


async def test_each_kind_of_prompt_goes_where_it_is_answered_well(trained: Trained) -> None:
    assert (await order(trained, exchange(SUM))).names[0] == STRONG
    assert (await order(trained, exchange(TALK))).names[0] == CHEAP


async def test_it_says_what_was_weighed(trained: Trained) -> None:
    found = await order(trained, exchange(SUM))

    assert found.why == "learned: the most worth at 0.01 USD for a good answer"
    assert "% good, 0.00" in str(found.weighed[STRONG])
    assert found.weighed[NEW] == "0 of 50 labels"
    assert found.names == (STRONG, CHEAP, NEW)


async def test_where_quality_is_worth_little_the_cheap_target_answers_sums_too(trained: Trained) -> None:
    assert (await order(trained, exchange(SUM), worth=0.0001)).names[0] == CHEAP


async def test_a_limit_of_the_answer_makes_it_cheaper(trained: Trained) -> None:
    short = await order(trained, exchange(SUM, max_tokens=1), worth=0.0005)

    assert short.names[0] == STRONG
    assert (await order(trained, exchange(SUM), worth=0.0005)).names[0] == CHEAP


@pytest.mark.parametrize(
    ("content", "language", "reason"),
    [
        pytest.param("zxqv wplfrob quuxity narl", "en", "prompts like this were not learned from", id="unlike"),
        pytest.param(TALK, "pt", "too few prompts in 'pt'", id="language"),
        pytest.param("", "und", "no text", id="empty"),
        pytest.param(
            [{"type": "text", "text": TALK}, {"type": "image_url", "image_url": {"url": "data:,"}}],
            "en", "images", id="image",
        ),
    ],
)  # fmt: skip
async def test_without_evidence_the_safe_target_is_first_and_it_is_said(
    trained: Trained, content: object, language: str, reason: str
) -> None:
    found = await order(trained, exchange(content), language=language, safe=STRONG)

    assert found.names == (STRONG, CHEAP, NEW)
    assert found.why.startswith("learned: the safe target first, since ")
    assert reason in found.why


async def test_a_target_without_a_price_is_not_reckoned_and_one_left_is_no_choice(trained: Trained) -> None:
    found = await order(trained, exchange(TALK), prices={STRONG: price(10), CHEAP: None, NEW: None})

    assert found.names[0] == STRONG
    assert "fewer than two targets" in found.why
    assert found.weighed[CHEAP] == "no known price"


async def test_a_dominant_target_is_asked_whatever_is_said() -> None:
    better = {STRONG: {"sum": 0.9, "talk": 0.9}, CHEAP: {"sum": 0.4, "talk": 0.4}}
    dominated = taught(answers(60, 1, better, dict.fromkeys(better, 0.001)))

    for text in (SUM, TALK):
        found = await order(dominated, exchange(text), safe=CHEAP, prices=dict.fromkeys(PRICES, price(1)))
        assert found.names[0] == STRONG
        assert "better than the others and not dearer" in found.why


def test_a_prompt_of_nothing_but_choices_keeps_nobody_waiting() -> None:
    took = min(timeit.repeat(lambda: form("A. x\n" * 400), timer=process_time, number=1))

    assert took < 0.04  # each with each: 0.12 s
