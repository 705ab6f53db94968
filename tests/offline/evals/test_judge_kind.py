"""A judge among the scorers of a suite."""

from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.asking import Asked, Json
from greenroom.offline.evals.judge import judge_kind
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.evals.scorers.registry import SCORERS, make_scorers
from greenroom.offline.evals.scorers.settings import Lent


async def ask(body: Json, attempt: int = 0) -> Asked:
    verdict = "pass" if "olá" in body["messages"][1]["content"] else "fail"
    return Asked(text=f'{{"reason": "r", "verdict": "{verdict}"}}', cost_nano_usd=3)


async def test_a_suite_has_a_judge_by_its_table() -> None:
    tables = {"kind": {"type": "judge", "model": "main", "rubric": "Kind words.", "votes": 3}}

    (judge,) = make_scorers(tables, Lent(Path()), {**SCORERS, "judge": judge_kind(ask)})
    score = await judge.score(Sample(id="1"), Output(text="olá"))

    assert (score.name, score.value, score.passed, score.cost_nano_usd) == ("kind", 1.0, True, 6)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"rubric": "r"}, "model"),
        ({"model": "m"}, "rubric"),
        ({"model": "m", "rubric": "r", "votes": 99}, "votes"),
        ({"model": "m", "rubric": "r", "lang": "pt"}, "lang"),
    ],
)
def test_a_table_that_is_no_judge_is_refused_by_its_field(table: dict[str, object], words: str) -> None:
    with pytest.raises(MalformedRequest, match=words):
        make_scorers({"judge": table}, Lent(Path()), {**SCORERS, "judge": judge_kind(ask)})
