"""The built-in task: parts that share nothing, rows that repeat, answers judged to the letter."""

import json

import pytest

from greenroom.offline.finetune import builtin
from greenroom.offline.finetune.builtin import PARTS, commands, pairs, rows, share_exact


def test_no_command_of_a_language_stands_in_two_parts() -> None:
    wordings = {
        part: {wording for command in commands() if command.part == part for wording in command.wordings()}
        for part in PARTS
    }

    assert not wordings["train"] & wordings["test"]
    assert not wordings["train"] & wordings["valid"]
    assert not wordings["valid"] & wordings["test"]
    assert len(wordings["train"]) > 12_000


def test_two_commands_are_never_asked_for_in_the_same_words() -> None:
    everything = [wording for command in commands() for wording in command.wordings()]

    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("part", PARTS)
def test_rows_are_the_same_for_the_same_seed_and_others_for_another(part: builtin.Part) -> None:
    assert rows(part, 50, seed=3) == rows(part, 50, seed=3)
    assert rows(part, 50, seed=3) != rows(part, 50, seed=4)


def test_every_part_speaks_all_three_languages() -> None:
    asked = [row["messages"][0]["content"] for row in rows("test", 300)]

    assert any("minutes" in question for question in asked)
    assert any("cozinha" in question for question in asked)
    assert any("cocina" in question for question in asked)


def test_an_answer_says_what_was_asked() -> None:
    command = builtin.Command("pt", "light", "kitchen", 40)

    assert json.loads(command.answer) == {"do": "light", "room": "kitchen", "to": 40}
    assert next(command.wordings()) == "Ponha a luz na cozinha em 40 por cento."


def test_more_rows_than_there_are_is_an_error_that_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match=r"has \d+ valid rows, not 100000"):
        rows("valid", 100_000)


def test_a_pair_prefers_the_right_number() -> None:
    pair = pairs("train", 1)[0]
    better, worse = (
        json.loads(pair[side][0]["content"]) for side in ("preferred_output", "non_preferred_output")
    )

    assert better == json.loads(rows("train", 1)[0]["messages"][1]["content"])
    assert worse["to"] == better["to"] + 1


def test_only_answers_right_to_the_letter_count() -> None:
    assert share_exact(['{"a":1}\n', '{"a": 1}'], ['{"a":1}', '{"a":1}']) == 0.5
