"""What becomes a fact, in three languages, and what never does."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.ground.facts import fact_of, facts_in, is_statement


def told(text: str) -> list[tuple[str, str]]:
    return [(one.slot.partition("=")[0], one.value) for one in facts_in(text)]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("My name is Anna Berg and I'm 34 years old.", [("name", "anna berg"), ("age", "34")]),
        ("I've been living in Bergen for two years now.", [("home", "bergen")]),
        ("We just moved to a small town near Lyon.", [("home", "small town near lyon")]),
        ("I changed jobs: I am a driver now.", [("job", "driver")]),
        ("I work for Acme Corp.", [("employer", "acme corp")]),
        ("My dog is called Rex.", [("pet:dog", "rex")]),
        ("I'm allergic to peanuts.", [("allergy", "peanuts")]),
        ("My dance class is every Friday.", [("mine:dance class", "every friday")]),
        ("My favourite colour is green.", [("favourite:colour", "green")]),
        ("I don't like tea anymore.", [("taste", "not tea")]),
        ("I no longer live in Paris.", [("home", "not paris")]),
        ("Meu nome é João e tenho 42 anos.", [("name", "joao"), ("age", "42")]),
        ("Moro em Recife faz três anos.", [("home", "recife")]),
        ("Acabei de me mudar para Niterói.", [("home", "niteroi")]),
        ("Trabalho na prefeitura.", [("employer", "prefeitura")]),
        ("Agora sou engenheira.", [("job", "engenheira")]),
        ("Sou alérgico a camarão.", [("allergy", "camarao")]),
        ("Prefiro chá.", [("taste", "cha")]),
        ("Meu gato se chama Nino.", [("pet:gato", "nino")]),
        ("Vou viajar para Lima em maio.", [("travel", "lima em maio")]),
        ("Me llamo Rosa y vivo en Sevilla.", [("name", "rosa"), ("home", "sevilla")]),
        ("Ahora vivo en Cádiz.", [("home", "cadiz")]),
        ("Trabajo como enfermera.", [("job", "enfermera")]),
        ("Soy alérgica a los mariscos.", [("allergy", "mariscos")]),
        ("Mi perro se llama Toby.", [("pet:perro", "toby")]),
        ("Mi cita con la dentista es el martes.", [("mine:cita con la dentista", "martes")]),
    ],
)  # fmt: skip
def test_what_a_user_states_is_a_fact(text: str, facts: list[tuple[str, str]]) -> None:
    assert told(text) == facts


@pytest.mark.parametrize(
    "text",
    [
        "Where do I live?", "Onde eu moro?", "¿Dónde vivo?",
        "If I lived in Rome I would be happy.", "Imagine I live in Tokyo.", "Suppose my name is Bob.",
        "Se eu morasse em Lisboa, seria feliz.", "Imagine que moro em Tóquio.",
        "Si viviera en Roma sería feliz.", "Imagina que vivo en Tokio.",
        "Translate: I live in Paris.", "Traduza: moro em Paris.", "Traduce: vivo en París.",
        "Translate the following:\nI live in Paris.\nMy dog is called Rex.",
        'She wrote "I live in Paris".', "```\nI live in Paris.\n```", "> I live in Paris.",
        "My name is <PERSON_1>.", "Meu e-mail é <EMAIL_1>.", "Mi nombre es <PERSON_2>.",
        "My friend lives in Oslo.", "Minha cidade?", "", "?!", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_statement_of_the_user_is_no_fact(text: str) -> None:
    assert told(text) == []


def test_the_text_of_a_fact_stands_in_the_turn_and_holds_no_mask() -> None:
    text = "My name is <PERSON_1> and I live in Leeds. My cat is called Mia."

    facts = facts_in(text)

    assert [one.text for one in facts] == ["I live in Leeds", "My cat is called Mia."]
    assert all(one.text in text for one in facts)


@given(st.text(max_size=2_000))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert all(one.text in text for one in facts_in(text))
    is_statement(text)


def test_a_huge_turn_is_read_in_time() -> None:
    facts_in("I live in Rome.")  # the rules are compiled
    for text in ("I moved to " * 20_000, "my " * 50_000, "I have a dog " + "x" * 100_000, "a" * 100_000):
        began = time.perf_counter()

        facts_in(text)

        assert time.perf_counter() - began < 2.0


@pytest.mark.parametrize("text", ["I moved to Natal.", "Me mudei para Natal.", "Me mudé a Natal."])
def test_a_fact_written_by_hand_is_read_by_the_rules(text: str) -> None:
    assert fact_of(text)[:2] == ("home", "natal")


def test_a_fact_written_by_hand_may_be_of_no_kind() -> None:
    assert fact_of("Short answers, please.").slot == "note=short answers, please."
