"""Scored answers from lines, and by prompt and target."""

from pathlib import Path

import numpy as np
import pytest

from greenroom.errors import ConfigError
from greenroom.models.learned.examples import Answer, gather, group_of, read_lines


def lines(tmp_path: Path, *texts: str) -> Path:
    path = tmp_path / "examples.jsonl"
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    one = read_lines(
        lines(
            tmp_path,
            '{"prompt": "Olá", "target": "a/x", "score": 1, "cost_usd": 0.5}',
            "",
            '{"prompt": "Olá", "target": "b/y", "score": 0.25}',
        )
    )
    other = read_lines(
        lines(
            tmp_path,
            '{"prompt": "Olá", "scores": {"a/x": 1, "b/y": 0.25, "c/z": null}, "costs_usd": {"a/x": 0.5}}',
        )
    )

    assert one == other == [Answer("Olá", "a/x", 1, 0.5), Answer("Olá", "b/y", 0.25)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "line 2", id="broken"),
        pytest.param("[]", "line 2", id="a list"),
        pytest.param('{"prompt": "", "target": "a", "score": 1}', "line 2", id="no prompt"),
        pytest.param('{"prompt": "q", "target": "a", "score": 7}', r"line 2.*<= 1", id="out of range"),
        pytest.param('{"prompt": "q", "target": "a"}', "neither target and score nor scores", id="no score"),
        pytest.param('{"prompt": "q", "target": "a", "score": NaN}', "line 2", id="not a number"),
        pytest.param("[" * 5_000, "line 2", id="deep"),
        pytest.param(
            '{"prompt": "q", "target": "a", "score": 1, "output_tokens": 20000000}', "line 2", id="too long"
        ),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = lines(tmp_path, '{"prompt": "q", "target": "a", "score": 1}', text)

    with pytest.raises(ConfigError, match=said):
        read_lines(path)


def test_two_answers_of_a_target_to_one_prompt_count_as_their_mean() -> None:
    found = gather([Answer("p", "a", 1, 0.2), Answer("p", "a", 0, 0.4), Answer("q", "b", 1, None, 30)])

    assert found.scores[0, 0] == 0.5
    assert found.costs[0, 0] == pytest.approx(0.3)
    assert np.isnan(found.scores[0, 1])
    assert np.isnan(found.costs[1, 1])
    assert found.output_tokens[1] == 30


def test_no_answer_at_all_is_said() -> None:
    with pytest.raises(ConfigError, match="no scored answer"):
        gather([])


def test_prompts_about_one_passage_are_one_group() -> None:
    passage = (
        "The river rises in the hills of the north and flows for two hundred miles. It ends in the sea. " * 2
    )

    assert group_of(f"{passage} Where does it rise?") == group_of(f"{passage.upper()} How long is it?")
    assert group_of(passage) != group_of(f"Another {passage}")
