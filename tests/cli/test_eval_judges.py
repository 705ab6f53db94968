"""Model judges from the command line: calibrated, and as scorers of a suite."""

import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.cli.app import run
from tests.clients.labelling_model import LabellingModel
from tests.scripted import Json


class JudgingModel(LabellingModel):
    """Passes what names the year, prefers the first of two answers, and says nothing of what is unclear."""

    def said(self, body: Json) -> str:
        usual = super().said(body)
        text = body["messages"][-1]["content"]
        if "response_format" not in body:
            return usual
        if "unclear" in json.dumps(body):
            return "I can't tell."
        is_pair = "«BEGIN first answer" in text
        verdict = "first" if is_pair else "pass" if "1822" in text else "fail"
        return json.dumps({"reason": "r", "verdict": verdict})


def greenroom(folder: Path, *tokens: str) -> int:
    return run(["--config", str(folder / "greenroom.toml"), "--data", str(folder / "data"), *tokens])


def labels_of(folder: Path, count: int, wrong: int) -> list[str]:
    """Of `count` answers the judge is right but for `wrong`, half of them good ones."""
    rows = [
        {
            "answer": "Em 1822." if n % 2 else "Em 1500.",
            "label": "pass" if bool(n % 2) ^ (n < wrong) else "fail",
        }
        for n in range(count)
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "rubric.txt").write_text("A resposta deve dizer 1822.", encoding="utf-8")
    return ["eval", "calibrate", str(folder / "labels.jsonl"), "--rubric", str(folder / "rubric.txt")]


@pytest.mark.parametrize(
    ("count", "wrong", "code"), [(80, 4, 0), (80, 40, 1), (8, 1, 2)], ids=["agrees", "does not", "too few"]
)
def test_calibration_ends_with_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, wrong: int, code: int
) -> None:
    with JudgingModel() as model:
        (tmp_path / "greenroom.toml").write_text(model.config, encoding="utf-8")

        ended = greenroom(tmp_path, *labels_of(tmp_path, count, wrong), "--model", "main", "--json")

    told = json.loads(capsys.readouterr().out)
    assert ended == code
    assert told["agreement"] == pytest.approx(1 - wrong / count)
    assert told["judge"]["prompt_version"] == "1"
    assert float(told["cost_usd"]) == pytest.approx(count * 0.002)


def test_an_observed_rate_is_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with JudgingModel() as model:
        (tmp_path / "greenroom.toml").write_text(model.config, encoding="utf-8")
        greenroom(tmp_path, *labels_of(tmp_path, 60, 6), "--model", "main", "--observed", "140/200")

    # 27 of 30 either way: (0.7 + 0.9 - 1) / 0.8.
    assert "Pass rate 140 of 200; corrected 0.75 (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--model", "none"], 3, "'none'"),
        (["--model", "main", "--observed", "9/3"], 64, "--observed"),
        (["--model", "main", "--votes", "99"], 64, "--votes"),
        (["--model", "main", "--rubric", "nowhere.txt"], 64, "nowhere.txt"),
    ],
)
def test_what_can_not_be_calibrated_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, words: str
) -> None:
    tokens = labels_of(tmp_path, 4, 0)
    if "--rubric" in more:
        tokens = tokens[:3]
    with JudgingModel() as model:
        (tmp_path / "greenroom.toml").write_text(model.config, encoding="utf-8")

        assert greenroom(tmp_path, *tokens, *more) == code

    assert words in capsys.readouterr().err


def test_a_suite_is_scored_by_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = ["1822", "1500", "unclear"]
    rows = "\n".join(json.dumps({"question": one}) for one in questions)
    (tmp_path / "years.jsonl").write_text(rows, encoding="utf-8")
    judge = 'model = "main"\nrubric = "Says 1822."\n'
    subjects = 'data = "years.jsonl"\n[subjects.echo]\nmodel = "main"\n'
    (tmp_path / "first.toml").write_text(
        f'{subjects}[scorers.year]\ntype = "judge"\n{judge}', encoding="utf-8"
    )
    (tmp_path / "own.py").write_text("def answer(sample):\n    return 'another 1822'\n", encoding="utf-8")
    (tmp_path / "second.toml").write_text(
        'data = "years.jsonl"\n[subjects.own]\nfunction = "own.py:answer"\n'
        f'[scorers.better]\ntype = "judge_pair"\nbaseline = "first/echo"\n{judge}',
        encoding="utf-8",
    )
    with JudgingModel() as model:
        (tmp_path / "greenroom.toml").write_text(model.config, encoding="utf-8")
        greenroom(tmp_path, "eval", "run", str(tmp_path / "first.toml"), "--json")
        first = json.loads(capsys.readouterr().out)
        greenroom(tmp_path, "eval", "run", str(tmp_path / "second.toml"), "--json")
        second = json.loads(capsys.readouterr().out)

    year, better = metric(first, "year"), metric(second, "better")
    assert (year["mean"]["value"], year["mean"]["n"], year["errors"]) == (0.5, 2, 1)
    assert (better["mean"]["value"], better["errors"]) == (0.5, 1)  # it prefers a place, which is no verdict


def metric(report: dict[str, Any], name: str) -> dict[str, Any]:  # Any: JSON
    found: list[dict[str, Any]] = report["runs"][0]["metrics"]
    return next(one for one in found if one["kind"]["name"] == name)
