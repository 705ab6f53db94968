"""Labelled answers from a file, and a judge's verdicts on them."""

from pathlib import Path

import pytest

from greenroom.errors import InfrastructureError, MalformedRequest
from greenroom.offline.evals.asking import Asked, Json
from greenroom.offline.evals.judge import Judge, JudgeSettings
from greenroom.offline.evals.labels import judged, read_labels

ROWS = """\ufeff{"answer": "Em 1822", "label": "pass", "question": "Quando?", "reference": 1822}

{"answer": "hoje", "label": "FAIL"}
{"answer": "unclear", "label": true}
{"answer": "away", "label": 0}
"""


def file_of(folder: Path, text: str) -> Path:
    path = folder / "labels.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


async def ask(body: Json, attempt: int = 0) -> Asked:
    text = body["messages"][1]["content"]
    if "away" in text:
        return Asked(error="The model is away.", cost_nano_usd=1)
    verdict = "pass" if "1822" in text else "unsure" if "unclear" in text else "fail"
    return Asked(text=f'{{"reason": "r", "verdict": "{verdict}"}}', cost_nano_usd=1)


async def test_a_judge_is_held_against_the_labels_of_a_file(tmp_path: Path) -> None:
    labels = read_labels(file_of(tmp_path, ROWS))
    seen: list[int] = []

    told = await judged(Judge("j", JudgeSettings(model="m", rubric="r"), ask), labels, progress=seen.append)

    found = told.calibration
    assert [one.passes for one in labels] == [True, False, True, False]
    assert labels[0].sample.messages == ({"role": "user", "content": "Quando?"},)
    assert (found.both_pass, found.both_fail, found.abstained, found.errors) == (1, 1, 1, 1)
    assert (told.cost_nano_usd, seen) == (4, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"answer": "a", "label": "pass"}\n{"answer": "a", "label": "good"}',
            "line 2: 'label' must be pass or fail",
        ),
        ('{"answer": "a", "label": 2}', "line 1: 'label'"),
        ('{"answer": "a"}', "line 1: Object missing required field `label`"),
        ("[]", "line 1"),
        ("\n \n", "1 to 10,000"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(MalformedRequest, match=words):
        read_labels(file_of(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedRequest, match=r"none\.jsonl' can't be read"):
        read_labels(tmp_path / "none.jsonl")


async def test_a_model_that_can_not_be_asked_ends_it_with_the_reason(tmp_path: Path) -> None:
    async def nobody(body: Json, attempt: int = 0) -> Asked:
        raise InfrastructureError("There is no such model.")

    labels = read_labels(file_of(tmp_path, ROWS))

    with pytest.raises(InfrastructureError, match="no such model"):
        await judged(Judge("j", JudgeSettings(model="m", rubric="r"), nobody), labels)
