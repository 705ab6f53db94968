"""What words are about, and which turns a question is held to mean."""

from typing import NamedTuple

import pytest

from greenroom.grounding.concepts import ask, index_terms
from greenroom.grounding.recall import candidates, match, rank, terms_of


class Turn(NamedTuple):
    at: float
    kind: int
    size: int


def postings(*turns: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, text in enumerate(turns, 1):
        for term in index_terms(text):
            found.setdefault(term, []).append(place)
    return found


def places(question: str, *turns: str, kinds: str = "") -> list[int]:
    """Places by rank; `kinds` has a letter a turn: s(tatement), q(uestion) or a(nswer)."""
    asked = ask(question)
    matches = match(asked, postings(*turns), len(turns))
    known = {
        place: Turn(place, "sqa".index(kinds[place - 1]) if kinds else 0, 5)
        for place in candidates(matches)
        if place <= len(turns)
    }
    return [hit.place for hit in rank(matches, known) if hit.score >= 0.35]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Where is my home?", "I just moved to Galway."),
        ("What do I do for a living?", "I was hired as a nurse."),
        ("Which food can I not eat?", "I am allergic to milk."),
        ("Onde fica minha casa?", "Acabei de me mudar para Natal."),
        ("Qual é a minha profissão?", "Fui contratada como arquiteta."),
        ("Quanto posso gastar na obra?", "Meu orçamento para a reforma é de 900 reais."),
        ("¿Dónde está mi casa?", "Acabo de mudarme a Gijón."),
        ("¿Cuál es mi profesión?", "Me contrataron como enfermera."),
        ("¿Qué no puedo comer?", "Soy alérgica a la leche."),
        ("Where do I live?", "Moro em Recife."),
    ],
)
def test_a_question_in_other_words_finds_what_was_said(question: str, said: str) -> None:
    assert places(question, "Explain photosynthesis.", "Hello there.", said) == [3]


@pytest.mark.parametrize(
    "question", ["What brand is my car?", "Qual é a marca do meu carro?", "¿De qué marca es mi coche?"]
)
def test_nothing_is_found_where_nothing_was_said(question: str) -> None:
    assert places(question, "I live in Leeds.", "Moro em Recife.", "Vivo en Lima.") == []


def test_a_name_is_not_the_stem_of_another_word() -> None:
    assert places("¿Cómo se llama mi madre?", "Trabajé diez años en Madrid.") == []


def test_of_equals_the_newer_comes_first() -> None:
    assert places("When is the launch?", "The launch is in May.", "Hi.", "Hm.", "The launch is in June.") == [
        4,
        1,
    ]


def test_a_question_is_no_answer_to_itself() -> None:
    assert places("Where do I live?", "Where do I live?", kinds="q") == []


def test_an_answer_is_asked_for_as_such() -> None:
    turns = ("Recommend a book on bees.", "Try Laline Paull.")

    assert 2 in places("Which book on bees did you recommend?", *turns, kinds="qa")


@pytest.mark.parametrize(
    ("question", "is_past"),
    [
        ("Where did I live before?", True), ("Where do I live?", False),
        ("Onde eu morava antes?", True), ("Onde moro?", False),
        ("¿Dónde vivía antes?", True), ("¿Dónde vivo?", False),
    ],
)  # fmt: skip
def test_a_question_for_what_was_is_known(question: str, is_past: bool) -> None:
    assert ask(question).is_past is is_past


def test_what_came_later_is_not_asked_for() -> None:
    assert "rome" not in terms_of(ask("Where did I live before Rome?"))


def test_a_question_is_bounded() -> None:
    assert len(ask("word" + " other7 words%d" * 5_000).groups) <= 24
    assert ask("").groups == ()
