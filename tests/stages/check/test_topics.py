"""Topics: denied and allowed ones, by words and examples, in three languages; names of competitors."""

from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.exchange import Exchange, Reply
from greenroom.stages.check.policy import Policies, PolicyConfig
from greenroom.stages.check.topics import Topic, Topics, TopicsConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.testing import make_exchange, run_filter
from tests.stages.check.requests import exchange_of, values

POLITICS = Topic(
    words=("election*", "eleiç*", "elecciones"),
    examples=("Who should I vote for?", "Em quem devo votar?", "¿Por quién debo votar?"),
    en="politics", pt="política", es="política",
)  # fmt: skip
RIVALS = Topic(words=("Globex", "Initech"), action="redact", severity=1)
COOKING = Topic(
    words=("recipe*", "receita*", "receta*"),
    examples=("How long does rice need to cook?", "Quanto tempo o arroz cozinha?", "¿Cuánto tiempo se cocina el arroz?"),
    en="cooking", pt="culinária", es="cocina",
)  # fmt: skip


async def asked(exchange: Exchange, **config: Any) -> Reply | None:
    return await Topics(TopicsConfig(**config))(exchange)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What do you think of the election?", "I can't talk about this here: politics."),
        ("O que você acha das eleições?", "Não posso falar sobre este assunto aqui: política."),
        ("¿Qué opina usted de las elecciones?", "No puedo hablar de este tema aquí: política."),
        ("Tell me who I should vote for, please", "politics"),
        ("Por favor, diga em quem eu devo votar.", "política"),
        ("Dígame por quién debo votar, por favor.", "política"),
    ],
    ids=["en word", "pt word", "es word", "en example", "pt example", "es example"],
)
async def test_a_denied_topic_is_refused_by_name_in_the_users_language(text: str, said: str) -> None:
    exchange = exchange_of(("user", text))

    reply = await asked(exchange, deny={"politics": POLITICS})

    assert reply is not None
    assert said in str(reply.refusal)
    (verdict,) = exchange.steps[-1].verdicts
    assert (verdict.rule, verdict.category, verdict.action) == ("topic.politics", "topic", "block")


@pytest.mark.parametrize(
    "text",
    [
        "How do I select rows in SQL?", "kill -9 does not stop the process", "Please vote my pull request up",
        "mata esse processo, por favor", "Como eu devo testar isto?", "Selecione as linhas da tabela.",
        "¿Cómo debo probar esto?", "Seleccione las filas de la tabla.", "", "😀",
    ],
)  # fmt: skip
async def test_other_talk_is_left_alone(text: str) -> None:
    exchange = exchange_of(("user", text))

    assert await asked(exchange, deny={"politics": POLITICS, "rivals": RIVALS}) is None

    assert exchange.steps[-1].verdicts == []


async def test_an_example_explains_itself() -> None:
    exchange = exchange_of(("user", "Olá! Em quem devo votar?"))

    await asked(exchange, deny={"politics": POLITICS})

    (verdict,) = exchange.steps[-1].verdicts
    assert "Olá! Em quem devo votar?"[verdict.start : verdict.end] == " Em quem devo votar?"
    note: Any = exchange.steps[-1].notes["like.politics"]
    assert note["example"] == "Em quem devo votar?"
    assert note["words"] == ["devo", "devo votar", "votar"]
    assert exchange.steps[-1].notes["score"] == 1.0


async def test_names_of_others_are_taken_out_each_by_its_own_action() -> None:
    exchange = exchange_of(("user", "Is Globex cheaper than Acme?"))

    assert (
        await asked(exchange, deny={"rivals": RIVALS, "brands": Topic(words=("Acme",), action="warn")})
        is None
    )

    assert values(exchange) == ["Is [RIVALS] cheaper than Acme?"]
    assert [(one.rule, one.severity, one.action) for one in exchange.steps[-1].verdicts] == [
        ("topic.rivals", 1, "redact"), ("topic.brands", 2, "warn"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_where_it_only_looks_nothing_is_changed_or_refused(mode: str) -> None:
    exchange = exchange_of(("user", "Globex and the election"))

    assert (
        await asked(
            exchange, mode=mode, deny={"rivals": RIVALS, "politics": POLITICS}, allow={"cooking": COOKING}
        )
        is None
    )

    record = exchange.steps[-1]
    assert values(exchange) == ["Globex and the election"]
    assert [edit.applied for change in record.changes for edit in change.edits] == [False]
    assert {one.rule for one in record.verdicts} == {"topic.rivals", "topic.politics", "topic.off"}


async def test_only_the_newest_message_of_the_user_is_looked_at() -> None:
    exchange = exchange_of(
        ("system", "Never name Globex."),
        ("user", "the election?"),
        ("assistant", "No."),
        ("user", "Then good day."),
    )

    assert await asked(exchange, deny={"rivals": RIVALS, "politics": POLITICS}) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Can you help me with my tax return this year?", "I can only help with this here: cooking."),
        (
            "Você pode me ajudar com a declaração de imposto deste ano?",
            "Aqui só posso ajudar com: culinária.",
        ),
        (
            "¿Puede usted ayudar con la declaración de impuestos del año?",
            "Aquí solo puedo ayudar con: cocina.",
        ),
    ],
    ids=["en", "pt", "es"],
)
async def test_what_is_of_no_allowed_topic_is_refused_with_what_is(text: str, said: str) -> None:
    reply = await asked(exchange_of(("user", text)), allow={"cooking": COOKING})

    assert reply is not None
    assert reply.refusal == said


@pytest.mark.parametrize(
    "text",
    [
        "A recipe for cake, please", "How long does brown rice need to cook?", "Uma receita de bolo",
        "Quanto tempo cozinha o arroz integral?", "Una receta de pastel", "¿Cuánto tiempo se cocina el arroz integral?",
        "Hello!", "Olá", "¡Gracias!",
    ],
)  # fmt: skip
async def test_allowed_topics_and_greetings_pass(text: str) -> None:
    assert await asked(exchange_of(("user", text)), allow={"cooking": COOKING}) is None


async def test_a_short_message_goes_on_with_an_allowed_topic() -> None:
    before = (("user", "Uma receita de bolo, por favor"), ("assistant", "Claro."))

    assert (
        await asked(exchange_of(*before, ("user", "E sem ovos nem leite?")), allow={"cooking": COOKING})
        is None
    )
    assert await asked(exchange_of(("user", "E sem ovos nem leite?")), allow={"cooking": COOKING}) is not None


async def test_a_policy_decides_about_topics_as_about_all_else() -> None:
    exchange = exchange_of(("user", "the election"))
    policies = Policies({"soft": PolicyConfig(action="warn", rule="topic.*")})

    assert await Topics(TopicsConfig(deny={"politics": POLITICS}), policies)(exchange) is None

    assert [(one.action, one.policy) for one in exchange.steps[-1].verdicts] == [("warn", "soft")]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("Globex is cheaper.", "[RIVALS] is cheaper."),
        ("A GLOBEX é mais barata.", "A [RIVALS] é mais barata."),
        ("La Globex es más barata.", "La [RIVALS] es más barata."),
    ],
    ids=["en", "pt", "es"],
)
def test_answers_are_looked_at_too_letter_by_letter(text: str, out: str) -> None:
    topics = Topics(
        TopicsConfig(deny={"rivals": RIVALS, "prompts only": Topic(words=("cheaper",), direction=("input",))})
    )
    guard = Guard(GuardConfig(), (topics.output_detector,)).open(make_exchange("which one?"), "content")
    assert guard is not None

    assert run_filter(guard, list(text)) == out
    assert guard.verdicts[0].rule == "topic.rivals"


def test_a_denied_topic_ends_an_answer() -> None:
    topics = Topics(TopicsConfig(deny={"politics": POLITICS}))
    exchange = make_exchange("o que você acha?")
    guard = Guard(GuardConfig(), (topics.output_detector,)).open(exchange, "content")
    assert guard is not None

    out = run_filter(guard, list("Bem, as eleições foram ontem."))

    assert guard.rejected == "topic.politics"
    assert "elei" not in out
    assert "retida" in str(exchange.context["refusal"])


@pytest.mark.parametrize(
    "topic", [Topic(), Topic(words=("",)), Topic(words=("x" * 100,))], ids=["empty", "no letter", "too long"]
)
def test_a_topic_that_can_never_be_met_is_refused(topic: Topic) -> None:
    with pytest.raises(ConfigError, match=r"steps\.topics"):
        Topics(TopicsConfig(deny={"one": topic}))
