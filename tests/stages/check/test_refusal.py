"""What users are told: every category in three languages, in the language they wrote, or the operator's own."""

import pytest

from greenroom.errors import ConfigError
from greenroom.stages.check.refusal import CATEGORIES, SENTENCES, RefusalConfig, Refusals, refusal_language
from tests.stages.check.requests import exchange_of

ASKED = {
    "en": "Can you tell me what this is for?",
    "pt": "Você pode me dizer para que isso serve?",
    "es": "¿Puede usted decirme para qué es esto, por favor?",
}


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_its_own_sentence_in_every_language(category: str) -> None:
    said = {SENTENCES.sentence(exchange_of(("user", text)), category, "x") for text in ASKED.values()}

    assert len(said) == 3
    assert all(sentence.endswith(".") and "{" not in sentence for sentence in said)


@pytest.mark.parametrize("language", ASKED)
def test_the_language_is_that_of_the_user(language: str) -> None:
    assert refusal_language(exchange_of(("user", ASKED[language]))) == language


@pytest.mark.parametrize(
    ("found", "language"),
    [("pt", "pt"), ("pt-BR", "pt"), ("es", "es"), ("en", "en"), ("unknown", "pt"), ("fr", "pt")],
)
def test_a_language_that_was_found_goes_before_and_an_unknown_one_does_not(found: str, language: str) -> None:
    exchange = exchange_of(("user", ASKED["pt"]))
    exchange.language = (found, 0.9)

    assert refusal_language(exchange) == language


def test_a_category_without_a_sentence_is_refused_in_general_words() -> None:
    exchange = exchange_of(("user", ASKED["en"]))

    assert SENTENCES.sentence(exchange, "something new") == SENTENCES.sentence(exchange, "other")


def test_the_operators_sentence_replaces_one_language_and_leaves_the_others() -> None:
    own = Refusals({"topic": RefusalConfig(es="Aquí no: {topic}.")})

    assert own.sentence(exchange_of(("user", ASKED["es"])), "topic", "política") == "Aquí no: política."
    assert own.sentence(exchange_of(("user", ASKED["en"])), "topic", "politics").startswith("I can't")
    assert SENTENCES.sentence(exchange_of(("user", ASKED["es"])), "topic", "x") != "Aquí no: x."


def test_an_unknown_category_in_the_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'injection'"):
        Refusals({"injections": RefusalConfig()})
