from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.ground.features import shape_of
from greenroom.stages.ground.found import Found
from greenroom.stages.ground.gazetteer import Gazetteer, folded
from greenroom.stages.ground.tagger import DATA, Tagger, sentences, shared_features, tags_of
from greenroom.stages.ground.words import words_of

TAGGER = Tagger()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Bush's U.S.-led plan didn't", ["Bush", "'s", "U.S.", "-", "led", "plan", "didn", "'t"], id="en"
        ),
        pytest.param(
            "O Banco de o Brasil, em a Sé", ["O", "Banco", "do", "Brasil", ",", "na", "Sé"], id="pt"
        ),
        pytest.param("¿Vive en L'Hospitalet?", ["¿", "Vive", "en", "L'Hospitalet", "?"], id="es"),
        pytest.param("a@b.com @ana #x 1.234,56", ["a@b.com", "@ana", "#x", "1.234,56"], id="signs"),
    ],
)
def test_a_text_is_cut_into_words(text: str, expected: list[str]) -> None:
    assert [one.text for one in words_of(text)] == expected


@given(st.text(max_size=60))
def test_words_stand_where_they_say(text: str) -> None:
    end = 0
    for one in words_of(text):
        assert end <= one.start < one.end <= len(text)
        assert not text[end : one.start].strip()
        end = one.end


def test_every_word_is_in_one_sentence() -> None:
    text = "One. Two three!\nFour\n\n" + "five " * 300

    cut = list(sentences(text, words_of(text)))

    assert [word for one in cut for word in one] == words_of(text)
    assert [len(one) for one in cut[:3]] == [2, 3, 1]
    assert max(map(len, cut)) <= 120


def test_tags_follow_spans() -> None:
    words = words_of("Ana Lima, de São Paulo")

    assert tags_of(words, [Found(0, 8, "PER"), Found(13, 22, "LOC")]) == [
        "B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "shape"),
    [("Ana", "Xx"), ("ana", "x"), ("ONU", "XX"), ("A", "X"), ("McCoy", "xX"), ("12", "d"), ("?", "?")],
)
def test_shapes_tell_capitals(word: str, shape: str) -> None:
    assert shape_of(word) == shape


def test_the_gazetteer_knows_phrases_without_case_and_accents() -> None:
    lists = Gazetteer(DATA)
    words = [folded(word) for word in ("Ela", "mora", "em", "São", "Paulo")]

    marks = lists.marks(words, [lists.begins(word) for word in words])

    assert "B-city" in marks[3]
    assert "I-city" in marks[4]


def test_features_are_one_list_a_word() -> None:
    words = words_of("Ana mora em Lisboa.")

    made = shared_features()(words)

    assert len(made) == len(words)
    assert "wana" in made[0]
    assert "-wem" in made[3]


@pytest.mark.parametrize(
    ("language", "text", "name", "kind"),
    [
        ("en", "yesterday I emailed Sarah Johnson about it", "Sarah Johnson", "PER"),
        ("pt", "ontem mandei um e-mail para a Mariana Duarte", "Mariana Duarte", "PER"),
        ("es", "ayer le escribí a Javier Morales por eso", "Javier Morales", "PER"),
        ("pt", "Vou de Curitiba a Florianópolis de ônibus.", "Curitiba", "LOC"),
        ("es", "El tren de Madrid a Valencia sale tarde.", "Valencia", "LOC"),
        ("en", "She works for Google in Dublin.", "Google", "ORG"),
        ("und", "She works for Google in Dublin.", "Dublin", "LOC"),
    ],
)
def test_names_are_found_in_each_language(language: str, text: str, name: str, kind: str) -> None:
    assert (name, kind) in {(text[one.start : one.end], one.kind) for one in TAGGER.find(text, language)}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "how do I kill a process that listens on a port?"),
        ("pt", "mata esse processo e reinicia o servidor, por favor"),
        ("es", "¿cómo escribo una función que ordene una lista?"),
        ("en", "Please summarise the text below. Thanks!"),
        ("pt", "Resuma o texto abaixo. Obrigado!"),
        ("es", "Resume el texto siguiente. ¡Gracias!"),
    ],
)
def test_ordinary_talk_names_nobody(language: str, text: str) -> None:
    assert TAGGER.find(text, language) == []


def test_models_of_the_operator_go_first(tmp_path: Path) -> None:
    (tmp_path / "entities-en.crfsuite").write_bytes((DATA / "entities-es.crfsuite").read_bytes())
    text = "La ministra Carmen Ruiz viajó a Sevilla con los directivos de Telefónica."

    assert Tagger((tmp_path,)).find(text, "en") == TAGGER.find(text, "es")


def test_time_is_linear_in_the_text() -> None:
    def spent(text: str) -> float:
        start = process_time()
        TAGGER.find(text, "en")
        return process_time() - start

    for piece in ("São Paulo ", "a", "A.", "@", "1.", "'s ", "x-"):
        spent(piece * 100)
        assert spent(piece * (40_000 // len(piece))) < 5
