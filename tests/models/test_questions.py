import pytest

from greenroom.models.questions import asked_for, fit


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many people work there?", "number"), ("Quantas lojas existem?", "number"), ("¿Cuánto cuesta?", "number"),
        ("When did it open?", "time"), ("Em que ano abriu?", "time"), ("¿Cuándo abrió?", "time"),
        ("Who drew the plans?", "person"), ("Quem desenhou?", "person"), ("¿Quién dibujó?", "person"),
        ("Where is it?", "place"), ("Onde fica?", "place"), ("¿Dónde está?", "place"),
        ("Tell me more.", ""),
    ],
)  # fmt: skip
def test_questions_tell_what_they_ask_for(question: str, kind: str) -> None:
    assert asked_for(question) == kind


def test_a_sentence_with_what_was_asked_for_fits_and_a_question_never_does() -> None:
    assert fit("time", "It opened in 1921.", "When did it open?") == 1
    assert fit("time", "It opened late.", "When did it open?") == 0
    assert fit("person", "The plans were drawn by Ines Duarte.", "Who drew the plans?") == 1
    assert fit("number", "How many are there?", "How many are there?") < 0
