import pytest

from greenroom.stages.check.insults import WordList, pattern, shipped, word_list, words_in
from greenroom.stages.check.linear import pattern_set
from greenroom.stages.check.reading import fold, readings


def seen(text: str) -> list[tuple[str, int]]:
    return [(one.category, one.severity) for one in words_in(fold(text))]


@pytest.mark.parametrize(
    ("text", "category", "severity"),
    [
        pytest.param("what the fuck is this", "profanity", 1, id="profanity en"),
        pytest.param("que merda de resposta", "profanity", 1, id="profanity pt"),
        pytest.param("vaya mierda de respuesta", "profanity", 1, id="profanity es"),
        pytest.param("You asshole", "insult", 2, id="insult en"),
        pytest.param("seu otário", "insult", 2, id="insult pt"),
        pytest.param("eres un GILIPOLLAS", "insult", 2, id="insult es"),
        pytest.param("I'll kill you", "threat", 3, id="threat en"),
        pytest.param("eu vou te matar", "threat", 3, id="threat pt"),
        pytest.param("te voy a matar", "threat", 3, id="threat es"),
        pytest.param("go kill yourself", "self-harm", 3, id="self-harm en"),
        pytest.param("vai se matar", "self-harm", 3, id="self-harm pt"),
    ],
)
def test_words_have_a_category_and_a_severity(text: str, category: str, severity: int) -> None:
    assert seen(text) == [(category, severity)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the class passed the assessment in Scunthorpe", id="inside words"),
        pytest.param("mata esse processo, o servidor morreu", id="technical pt"),
        pytest.param("kill the child process", id="technical en"),
        pytest.param("¿cómo mato el proceso padre?", id="technical es"),
        pytest.param('she said "asshole" and left', id="quoted"),
        pytest.param("what does the word bitch mean", id="the word"),
        pytest.param("o que significa otário?", id="meaning pt"),
        pytest.param("me llamaron gilipollas en clase", id="reported es"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_not_meant_is_left_out(text: str) -> None:
    assert seen(text) == []


def test_disguised_words_are_found_in_the_reading() -> None:
    found = [words_in(one.folded) for one in readings("you 4sshole, you b1tch")]

    assert any(len(one) == 2 for one in found)


def test_a_star_lets_a_word_go_on_and_a_plural_needs_none() -> None:
    words = WordList(["a\t2\tfoo*, bar"])

    assert [(one.start, one.end) for one in words(b"foolish bars barter")] == [(0, 7), (8, 12)]


def test_of_overlapping_words_the_first_and_longest_counts() -> None:
    words = WordList(["a\t1\tone two", "b\t2\tone two three, two three four"])

    assert [one.category for one in words(b"one two three four")] == ["b"]


@pytest.mark.parametrize(
    "form", ["{}", "{}s", "{}!", "{}s,", "{}_", "{}xyz", "a{}", "say {} now", "({}s)", "{}xs."]
)
def test_where_a_word_of_the_list_stands_its_pattern_matches(form: str) -> None:
    lines = shipped()
    may_stand = pattern_set([pattern(lines)])
    words = [word for line in lines if line[0] != "#" for word in line.split("\t")[2].split(", ")]

    for word in words:
        text = fold(form.format(word.rstrip("*")))
        assert not word_list()(text) or may_stand(text), text


def test_a_word_that_only_begins_like_one_of_the_list_needs_no_look_at_the_list() -> None:
    assert not pattern_set([pattern(shipped())])(fold("O assunto da reunião é a assinatura do contrato."))
