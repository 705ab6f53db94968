import asyncio

import pytest

from greenroom.assembly.steps import STEPS
from greenroom.config import GROUND
from greenroom.contracts import Mode
from greenroom.errors import ConfigError
from greenroom.exchange import Edit, Exchange, StepRecord
from greenroom.stages.ground.entities import TYPES, Entities, EntitiesConfig
from greenroom.stages.ground.tagger import Tagger
from greenroom.testing import make_exchange

TAGGER = Tagger()


async def run(text: str, config: EntitiesConfig | None = None) -> Exchange:
    exchange = make_exchange(text)
    exchange.steps.append(StepRecord("ground", "entities"))
    await Entities(config or EntitiesConfig(), TAGGER)(exchange)
    return exchange


def named(exchange: Exchange) -> set[tuple[str, str]]:
    return {(one.text, one.type) for one in exchange.entities}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "The mayor of Chicago met Barack Obama and two managers of Microsoft on March 5, 2024.",
            {("Chicago", "LOC"), ("Barack Obama", "PER"), ("Microsoft", "ORG"), ("March 5, 2024", "DATE")},
            id="en",
        ),
        pytest.param(
            "O presidente da Petrobras, João Carlos Ribeiro, chega a Brasília em 15/03/2024.",
            {("Petrobras", "ORG"), ("João Carlos Ribeiro", "PER"), ("Brasília", "LOC"), ("15/03/2024", "DATE")},
            id="pt",
        ),
        pytest.param(
            "La ministra Carmen Ruiz viajó ayer a Sevilla para reunirse con los directivos de Telefónica.",
            {("Carmen Ruiz", "PER"), ("ayer", "DATE"), ("Sevilla", "LOC"), ("Telefónica", "ORG")},
            id="es",
        ),
    ],
)  # fmt: skip
async def test_names_and_values_are_found(text: str, expected: set[tuple[str, str]]) -> None:
    exchange = await run(text)

    assert named(exchange) == expected
    assert all(text[one.start : one.end] == one.text for one in exchange.entities)
    assert exchange.steps[-1].notes["found"] == len(expected)


@pytest.mark.parametrize("mode", ["observe", "suggest", "apply"])
async def test_it_reads_in_every_mode_and_changes_nothing(mode: Mode) -> None:
    exchange = await run("Pago R$ 20 amanhã.", EntitiesConfig(mode=mode))

    assert named(exchange) == {("R$ 20", "MONEY"), ("amanhã", "DATE")}
    assert exchange.steps[-1].changes == []
    assert exchange.request.texts[0].value == "Pago R$ 20 amanhã."


async def test_patterns_alone_look_for_no_names() -> None:
    exchange = await run("Maria Silva mora em São Paulo desde 2010.", EntitiesConfig(engine="patterns"))

    assert named(exchange) == {("2010", "DATE")}


async def test_only_the_types_asked_for_are_kept() -> None:
    config = EntitiesConfig(types=("MONEY", "LOC"))

    assert {one.type for one in (await run("Maria paid $5 in Chicago in 2010.", config)).entities} <= {
        "MONEY",
        "LOC",
    }


async def test_offsets_count_in_the_message_as_it_came() -> None:
    exchange = make_exchange("a\u200bb R$ 5")
    exchange.steps.append(StepRecord("ground", "entities"))
    text = exchange.request.texts[0]
    text.edit([Edit(start=1, end=2, text="", reason="invisible")])

    await Entities(EntitiesConfig(engine="patterns"), TAGGER)(exchange)

    (one,) = exchange.entities
    assert (one.text, one.value, text.original[one.start : one.end]) == ("R$ 5", "5 BRL", "R$ 5")


async def test_relative_words_have_a_date_where_the_users_are_known() -> None:
    exchange = make_exchange("See you tomorrow.")
    exchange.created_ns = 1_709_172_000 * 10**9  # 2024-02-29 02:00 UTC, the day before in São Paulo
    exchange.steps.append(StepRecord("ground", "entities"))

    await Entities(EntitiesConfig(engine="patterns", timezone="America/Sao_Paulo"), TAGGER)(exchange)

    assert [one.value for one in exchange.entities] == ["2024-02-29"]


async def test_a_long_text_is_read_at_its_ends() -> None:
    exchange = await run(
        "Angela Merkel spoke. " + "word after word goes by. " * 600 + "She met Emmanuel Macron."
    )

    assert {("Angela Merkel", "PER"), ("Emmanuel Macron", "PER")} <= named(exchange)
    assert "names_read" in exchange.steps[-1].notes


async def test_code_holds_no_names() -> None:
    exchange = await run("Run this:\n```\nMaria = Chicago(Microsoft)\n```\nthanks")

    assert not [one for one in exchange.entities if one.type in ("PER", "LOC", "ORG")]


async def test_many_at_once_find_what_each_finds_alone() -> None:
    texts = [f"Paulo Souza of Microsoft visited Chicago {number} times. " * 30 for number in range(8)]
    alone = [named(await run(text)) for text in texts]

    together = await asyncio.gather(*map(run, texts))

    assert [named(one) for one in together] == alone


@pytest.mark.parametrize("text", ["", " ", "\n\n", "🙂", "A" * 30_000, "a. " * 4_000])
async def test_odd_texts_are_taken(text: str) -> None:
    exchange = await run(text)

    assert all(one.text == text[one.start : one.end] for one in exchange.entities)
    assert not named(exchange) or text[0] == "A"


async def test_half_a_character_is_no_fault() -> None:
    exchange = make_exchange("x")
    exchange.steps.append(StepRecord("ground", "entities"))
    exchange.request.texts[0].value = "\ud800 She met Maria Silva on 5/6/2024."

    await Entities(EntitiesConfig(), TAGGER)(exchange)

    assert named(exchange) == {("Maria Silva", "PER"), ("5/6/2024", "DATE")}


def test_an_unknown_type_or_place_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="WEIGHT"):
        Entities(EntitiesConfig(types=("WEIGHT",)), TAGGER)
    with pytest.raises(ConfigError, match="Nowhere"):
        Entities(EntitiesConfig(timezone="Nowhere/Here"), TAGGER)


def test_it_stands_in_the_default_app_before_documents() -> None:
    assert GROUND.index("entities") < GROUND.index("documents")
    assert STEPS["entities"].config is EntitiesConfig
    assert len(set(TYPES)) == len(TYPES)
