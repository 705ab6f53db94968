"""The look at a job before it runs, in its own process with the real libraries."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.finetune import survey as surveys
from greenroom.offline.finetune.survey import survey

pytestmark = [
    pytest.mark.finetune,
    pytest.mark.slow,
    pytest.mark.timeout(240),  # loading the libraries, on a busy machine
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "transformers", "peft")),
        reason="the extra 'finetune' is not installed",
    ),
]


def job(folder: Path, rows: int) -> Path:
    """A model from nothing; the last row is the longest."""
    plan = {"name": "a", "start": "from_scratch", "tuning": "full", "scratch": {"size": 2}}
    (folder / "plan.json").write_text(json.dumps(plan))
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"Até {n}?"},
                {"role": "assistant", "content": "sim " * (n + 1)},
            ]
        }
        for n in range(rows)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def test_it_counts_as_the_run_will_and_tries_the_machine(tmp_path: Path) -> None:
    found = survey(job(tmp_path, 12), threads=1)

    lengths = list(found.tokens.lengths)
    assert found.tokens.is_counted
    assert lengths == sorted(lengths)
    assert len(lengths) == 12
    assert 12 <= found.tokens.learned < sum(lengths) == found.tokens.text_tokens
    assert found.tokens.vocabulary is not None
    assert 256 < found.tokens.vocabulary <= 1024
    assert found.speed.flops > 1e8
    assert found.speed.start_mb > 50
    assert {one.name for one in tmp_path.iterdir()} == {"plan.json", "train.jsonl"}, "nothing is written"


def test_a_job_that_can_not_be_run_is_refused_as_the_run_would(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"a job's folder begins with its plan"):
        survey(tmp_path)


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "PATIENCE_S", 0.05)

    with pytest.raises(InfrastructureError, match="took more than"):
        survey(job(tmp_path, 1))
