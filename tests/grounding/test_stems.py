import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.grounding.stems import STOP_WORDS, language_of, tokens


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        pytest.param("pt", "informações", "informacao", id="pt plural without accents"),
        pytest.param("pt", "previsível", "previsiveis", id="pt adjective"),
        pytest.param("es", "organizaciones", "organización", id="es plural"),
        pytest.param("en", "providers", "provider", id="en plural"),
        pytest.param("en", "CAFÉS", "cafe", id="case and accents"),
    ],
)
def test_forms_of_a_word_share_a_stem(language: str, one: str, other: str) -> None:
    assert tokens(one, language) == tokens(other, language)


def test_identifiers_stand_whole_and_split() -> None:
    found = tokens("Set x-request-id and CPF_1", "en")

    assert {"x-request-id", "request", "id", "cpf_1", "cpf", "1"} <= set(found)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I add a provider?", "en"),
        ("Como eu adiciono um provedor?", "pt"),
        ("¿Cómo agrego un proveedor?", "es"),
        ("quais modelos existem", "pt"),
        ("que es un modelo y para que sirve", "es"),
    ],
)
def test_function_words_tell_the_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_stop_words_are_left_out_with_and_without_accents() -> None:
    assert tokens("não nao é também tambem", "pt") == []
    assert "nao" in STOP_WORDS["pt"]


def test_text_without_spaces_is_cut_into_pairs() -> None:
    assert tokens("東京都", "en") == ["東京", "京都"]


@settings(max_examples=150)
@given(st.text(max_size=200))
def test_tokens_hold_nothing_that_full_text_search_could_read_as_syntax(text: str) -> None:
    for token in tokens(text):
        assert token
        assert not set(token) & set(" \"'*^():{}+~,;\0\n")


@settings(max_examples=80)
@given(st.text(max_size=100), st.sampled_from(["en", "pt", "es"]))
def test_case_never_matters(text: str, language: str) -> None:
    assert tokens(text.upper().lower(), language) == tokens(text.upper().lower().casefold(), language)
