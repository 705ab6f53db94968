import json

import pytest

from greenroom.exchange import Exchange
from greenroom.gateway import again
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import finish_whole
from greenroom.stages.postprocess.polish import Polish, PolishConfig
from greenroom.stages.postprocess.rewrite import RewritingPolish, lost_meaning, polish
from greenroom.testing import EchoUpstream, make_app, make_exchange

QUESTIONS = {
    "en": "When will the invoice for my order be sent to me, please?",
    "pt": "Quando a nota fiscal do meu pedido será enviada para mim, por favor?",
    "es": "¿Cuándo me van a enviar la factura de mi pedido, por favor?",
}
ANSWERS = {
    "en": "The invoice is sent on the day after the payment, as a PDF by e-mail.",
    "pt": "A nota fiscal é enviada no dia seguinte ao pagamento, em PDF, por e-mail.",
    "es": "La factura se envía al día siguiente del pago, en PDF, por correo electrónico.",
}


async def ask(config: PolishConfig, question: str, answers: list[str]) -> tuple[str, Exchange, EchoUpstream]:
    upstream = EchoUpstream(answers)
    exchange = make_exchange(question)
    app = make_app(upstream, post=[PostEntry(polish(config), False)])
    reply, error = await again.ask(exchange, app)
    assert error is None
    return (
        json.loads(finish_whole(exchange, app, reply))["choices"][0]["message"]["content"],
        exchange,
        upstream,
    )


@pytest.mark.parametrize(("asked", "answered"), [("pt", "en"), ("es", "pt"), ("en", "es"), ("pt", "es")])
async def test_an_answer_in_another_language_is_asked_for_again(asked: str, answered: str) -> None:
    config = PolishConfig(language="enforce")

    content, exchange, upstream = await ask(config, QUESTIONS[asked], [ANSWERS[answered], ANSWERS[asked]])

    assert content == ANSWERS[asked]
    assert len(upstream.calls) == 2
    assert exchange.steps[-1].notes["asked_again"] == [
        f"the answer is not in the question's language ({asked})"
    ]


@pytest.mark.parametrize("language", ["en", "pt", "es"])
async def test_an_answer_in_the_question_s_language_is_given_at_once(language: str) -> None:
    config = PolishConfig(language="enforce")

    content, _, upstream = await ask(config, QUESTIONS[language], [ANSWERS[language]])

    assert content == ANSWERS[language]
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    "question",
    [
        "Traduza para o inglês: a nota fiscal é enviada no dia seguinte.",
        "oi",
        "Responda en inglés, por favor: ¿cuándo llega la factura?",
    ],
)
async def test_who_asks_for_another_language_or_says_little_gets_it(question: str) -> None:
    _, _, upstream = await ask(PolishConfig(language="enforce"), question, [ANSWERS["en"]])

    assert len(upstream.calls) == 1


async def test_a_model_that_goes_on_in_its_language_is_asked_only_once_more() -> None:
    config = PolishConfig(language="enforce")

    content, _, upstream = await ask(config, QUESTIONS["pt"], [ANSWERS["en"], ANSWERS["en"], ANSWERS["pt"]])

    assert content == ANSWERS["en"]
    assert len(upstream.calls) == 2


BEFORE = "Basically, it is important to note that Maria Lopes paid 1,250.00 on 3/4/2026, and that she did not cancel [1]."
AFTER = "On 3/4/2026 the customer Maria Lopes paid 1,250.00. She did not cancel [1]."


async def test_a_rewrite_that_keeps_its_meaning_is_taken() -> None:
    content, exchange, upstream = await ask(PolishConfig(rewrite=True), QUESTIONS["en"], [BEFORE, AFTER])

    assert content == AFTER
    assert json.loads(upstream.calls[1])["messages"][-2]["content"] == BEFORE
    assert exchange.steps[-1].notes["asked_again"] == ["rewritten for clarity"]


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        (AFTER.replace("1,250.00", "1,200.00"), "a number"),
        (AFTER.replace("Maria Lopes", "Maria Souza"), "a name"),
        (AFTER.replace("did not cancel", "cancelled"), "a negation"),
        (AFTER.replace(" [1]", ""), "a number"),
        ("Paid.", "its length"),
        (AFTER + " See https://x.test/a", "a link"),
        (AFTER.replace("cancel", "`cancel`"), "code"),
        (AFTER.replace("cancel", '"cancel"'), "a quotation"),
    ],
)
async def test_a_rewrite_that_changes_what_is_said_is_not_taken(after: str, lost: str) -> None:
    content, _, upstream = await ask(PolishConfig(rewrite=True), QUESTIONS["en"], [BEFORE, after])

    assert lost_meaning(BEFORE, after) == lost
    assert content == BEFORE
    assert len(upstream.calls) == 2


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (
            "O prazo não pode passar de 10 dias, disse Ana Prado.",
            "Segundo a gerente, Ana Prado, o prazo não pode passar de 10 dias.",
            None,
        ),
        ("O prazo não pode passar de 10 dias.", "O prazo pode passar de 10 dias.", "a negation"),
        ("El plazo nunca pasa de 10 días.", "El plazo pasa de 10 días.", "a negation"),
        ("El plazo nunca pasa de 10 días.", "El plazo nunca supera los 10 días.", None),
    ],
)
def test_meaning_is_held_in_portuguese_and_spanish(before: str, after: str, lost: str | None) -> None:
    assert lost_meaning(before, after) == lost


def test_answers_are_reviewed_only_where_settings_ask_for_it() -> None:
    assert type(polish(PolishConfig())) is Polish
    assert not hasattr(polish(PolishConfig()), "review")
    reviewing = polish(PolishConfig(rewrite=True, mode="observe"))
    assert isinstance(reviewing, RewritingPolish)
    assert not reviewing.awaits(make_exchange("Oi"), calls_tool=False)
    assert not RewritingPolish(PolishConfig(rewrite=True)).awaits(make_exchange("Oi"), calls_tool=True)
