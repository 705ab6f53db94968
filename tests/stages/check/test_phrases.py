"""Phrases on word edges: case, accents, disguises; streams however they are cut; linear time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.check.phrases import LONGEST, Entry, PhraseDetector, folded
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.testing import chop, make_exchange, run_filter

PHRASES = (
    "eleição",
    "São Paulo FC",
    "Globex",
    "vot*",
    "new york times",
    "york",
    "C++",
    "E-Commerce",
    "Москва",
    "ação",
)


def detector(*phrases: str) -> PhraseDetector:
    return PhraseDetector([Entry(one, f"topic.{one}", "OTHER", "topic") for one in phrases or PHRASES])


def found(text: str, *phrases: str) -> list[str]:
    return [text[one.start : one.end] for one in detector(*phrases).find(text)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Is Globex better? GLOBEX!", ["Globex", "GLOBEX"]),
        ("A eleicao, a ELEIÇÃO e a eleição.", ["eleicao", "ELEIÇÃO", "eleição"]),
        ("La votación: voté, votamos y vot", ["votación", "voté", "votamos", "vot"]),
        ("são paulo\nfc ganhou; SAO PAULO FC", ["são paulo\nfc", "SAO PAULO FC"]),
        ("Globexia, aGlobex, globex2", []),
        ("the New York Times of York", ["New York Times", "York"]),
        ("I like c++ and C++.", ["c++", "C++"]),
        ("our e commerce, e-commerce, ecommerce", ["e commerce", "e-commerce"]),
        ("в МОСКВА и Москве", ["МОСКВА"]),
        ("devoto, pivot", []),
        ("", []),
    ],
)
def test_phrases_are_found_on_word_edges_whatever_their_case_and_accents(text: str, spans: list[str]) -> None:
    assert found(text) == spans


@pytest.mark.parametrize(
    "text",
    ["Glo\u200bbex", "Ｇｌｏｂｅｘ", "G\u00adlobex", "𝐆𝐥𝐨𝐛𝐞𝐱", "Glóbéx", "Globe\u0301x"],
    ids=["zero width", "full width", "soft hyphen", "mathematical", "accents", "combining"],
)
def test_disguises_do_not_hide_a_name(text: str) -> None:
    assert found(f"buy {text} now") == [text]


def test_lone_surrogates_and_emoji_do_no_harm() -> None:
    assert found("\ud800 😀 Globex 😀\u200d") == ["Globex"]


@pytest.mark.parametrize("phrase", ["", "*", "…", "a" * (LONGEST + 1)])
def test_what_can_not_be_looked_for_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"letter|longer"):
        detector(phrase)


def test_without_phrases_nothing_is_found_and_nothing_held() -> None:
    none = PhraseDetector([])

    assert none.find("Globex") == []
    assert none.safe_end("Globex") == len("Globex")


TEXTS = st.lists(
    st.sampled_from(
        [*PHRASES, "Globe", "x", "são ", "paulo", "new ", "york ", "times", " ", "\n", "a palavra ", "\u200b", "\u0301",
         "vota", "ção", "é", "-", "😀", "—", "c+", "+", "1", "Ｇｌｏ", "ｂｅｘ"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12))
@settings(max_examples=300)
def test_an_answer_is_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    entries = [Entry(one, f"topic.{one}", "OTHER", "topic", action="redact") for one in PHRASES]

    def run(pieces: list[str]) -> str:
        opened = Guard(GuardConfig(), (PhraseDetector(entries),)).open(make_exchange(), "content")
        assert opened is not None
        return run_filter(opened, pieces)

    whole = run([text])

    assert run(chop(text, cuts)) == whole
    assert not any(one.isalpha() and one in found(whole) for one in PHRASES)


@given(TEXTS)
def test_what_is_held_back_is_bounded_and_a_finding_is_never_let_go_too_early(text: str) -> None:
    one = detector()
    for end in range(len(text) + 1):
        safe = one.safe_end(text[:end])
        assert 0 <= end - safe <= 256
        later = [span for span in one.find(text) if span.start < safe]
        assert [span for span in one.find(text[:end]) if span.start < safe] == later


def test_folding_keeps_places() -> None:
    text = "ÁÇ\u200bÉ—Ж"

    view, places = folded(text)

    assert view == "ace-ж".replace("-", " ")
    assert places == [0, 1, 3, 4, 5]


def test_hostile_texts_take_linear_time() -> None:
    one = PhraseDetector([Entry("a" * length, "r", "R", "topic") for length in range(1, 60)])
    short, long = "a" * 20_000, "a " * 100_000

    began = time.process_time()
    one.find(short)
    one.find(long)
    one.safe_end(long)

    assert time.process_time() - began < 2.0
