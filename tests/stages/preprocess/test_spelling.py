"""What was meant by a word, and which words are nobody's slip."""

import pytest

from greenroom.stages.preprocess.derived import is_derived
from greenroom.stages.preprocess.lexicon import lexicon
from greenroom.stages.preprocess.spelling import (
    CODES,
    is_written_on_purpose,
    known_to,
    proposals,
    usual_slips,
)


@pytest.mark.parametrize(
    ("code", "wrong", "right"),
    [
        ("en", "definately", "definitely"), ("en", "tommorow", "tomorrow"), ("en", "acommodate", "accommodate"),
        ("en", "teh", "the"), ("en", "proose", "propose"), ("en", "theif", "thief"), ("en", "wich", "which"), ("en", "neccesary", "necessary"), ("en", "dont", "don't"),
        ("pt", "nao", "não"), ("pt", "voce", "você"), ("pt", "excessao", "exceção"),
        ("pt", "poblema", "problema"), ("pt", "familia", "família"), ("pt", "historia", "história"),
        ("es", "situacion", "situación"), ("es", "desarollo", "desarrollo"), ("es", "rapido", "rápido"),
        ("es", "escrivir", "escribir"), ("es", "nesecito", "necesito"), ("es", "manana", "mañana"),
    ],
)  # fmt: skip
def test_the_word_that_was_meant_is_among_the_first(code: str, wrong: str, right: str) -> None:
    assert right in [one.word for one in proposals(wrong, code)][:3]


@pytest.mark.parametrize("word", ["sooooo", "haaaa", "kkkkk", "hmmm", "pqp", "nooo"])
def test_stretched_words_and_laughter_are_meant(word: str) -> None:
    assert is_written_on_purpose(word)


@pytest.mark.parametrize("word", ["bettter", "currrently", "house"])
def test_a_letter_typed_thrice_within_a_word_may_be_a_slip(word: str) -> None:
    assert not is_written_on_purpose(word)


@pytest.mark.parametrize(
    "word", ["deploy", "frontend", "the", "house", "para", "pero", "kubernetes", "whatsapp"]
)
def test_words_of_any_of_the_languages_are_known_to_all(word: str) -> None:
    assert known_to(word) == {"en", "pt", "es"}


def test_a_word_that_lacks_another_language_s_accents_is_not() -> None:
    assert "es" in known_to("familia")
    assert "pt" not in known_to("familia")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("en", "minimap"), ("en", "unmerged"), ("en", "cabinet's"), ("en", "lovin"), ("en", "sugarless"),
        ("pt", "desligássemos"), ("pt", "superfofo"), ("pt", "textinho"), ("pt", "recalculamos"),
        ("es", "explícamelo"), ("es", "haciéndolo"), ("es", "perrita"), ("es", "microcuentos"), ("es", "desconectábamos"),
    ],
)  # fmt: skip
def test_words_made_by_rule_speak_for_themselves(code: str, word: str) -> None:
    assert is_derived(word, code)


@pytest.mark.parametrize(("code", "word"), [("en", "recieve"), ("pt", "informacao"), ("es", "situacion")])
def test_slips_do_not(code: str, word: str) -> None:
    assert not is_derived(word, code)


@pytest.mark.parametrize("code", CODES)
def test_what_many_misspell_is_no_word_and_what_it_means_is_one(code: str) -> None:
    words = lexicon(code)

    assert len(usual_slips(code)) > 100
    for wrong, right in usual_slips(code).items():
        assert not words.is_proper(wrong), wrong
        assert code not in known_to(wrong), wrong
        assert all(word in words for word in right.split()), right
        assert proposals(wrong, code)[0].word == right


def test_a_short_word_needs_better_reasons_than_a_long_one() -> None:
    short, long = proposals("vlans", "en"), proposals("vlanagement", "en")

    assert max((one.likelihood for one in short), default=0.0) < 0.94
    assert long[0].word == "management"


def test_a_rare_foreign_word_may_be_a_slip_but_is_no_sure_one() -> None:
    assert "pt" not in known_to("coom")
    assert proposals("coom", "pt")[0].word == "como"
    assert proposals("coom", "pt")[0].likelihood < 0.9


@pytest.mark.parametrize("word", ["chegara", "deixara", "levara"])
def test_a_past_tense_is_not_turned_into_a_future(word: str) -> None:
    assert all(one.likelihood < 0.9 for one in proposals(word, "pt"))
