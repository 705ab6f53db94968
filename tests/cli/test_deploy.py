"""`greenroom deploy`: the gate before a canary, and what its exit codes mean to a script."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.stores import DEPLOYMENTS
from greenroom.store.deployments import DeploymentStore
from tests.cli.conftest import Run
from tests.offline.scripted_provider import ScriptedProvider, rows

SUITE = """
data = "rows.jsonl"
fail_on = ["exact: regression, min_effect=0.1"]
[subjects.any]
app = "lean"
[scorers.exact]
"""


@pytest.fixture
def place(folder: Path) -> Iterator[Path]:
    """A folder with a suite and a configuration that leads to scripted models."""
    with ScriptedProvider() as provider:
        text = provider.config().replace("[apps.lean]", '[apps.lean]\nmodel = "usual"')
        text += "\n[deploy.suites]\ndates = 'suite.toml'\n"
        (folder / "greenroom.toml").write_text(text, encoding="utf-8")
        (folder / "suite.toml").write_text(SUITE, encoding="utf-8")
        (folder / "rows.jsonl").write_text(
            "\n".join(json.dumps(one) for one in rows("told", 120)), encoding="utf-8"
        )
        yield folder


def test_a_worse_model_stops_at_the_gate_unless_somebody_says_why(run: Run, place: Path) -> None:
    stopped = run("deploy", "canary", "lab/novice", "--to", "lean", "--gate", "dates")
    nothing = run("deploy", "status", "--json")
    forced = run(
        "deploy", "canary", "lab/novice", "--to", "lean", "--gate", "suite.toml", "--force", "I must."
    )
    shown = run("deploy", "status", "lean", "--json")

    assert stopped.code == 1
    assert "worse than the current, by the suite 'suite': exact: regression" in stopped.err
    assert (nothing.code, nothing.json) == (0, [])
    assert forced.code == 0
    gate = shown.json["open"]["gate"]
    assert (gate["result"], gate["forced"], shown.json["open"]["why"]) == ("regression", "I must.", "I must.")
    assert set(gate["runs"]) == {"current", "candidate"}
    assert shown.code == 2  # a canary that nobody has seen yet


def test_an_equal_model_passes_the_gate_and_few_rows_decide_nothing(run: Run, place: Path) -> None:
    lines = (place / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    (place / "rows.jsonl").write_text("\n".join(lines[:8]), encoding="utf-8")
    undecided = run("deploy", "canary", "lab/novice", "--to", "lean", "--gate", "dates")
    (place / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    passed = run("deploy", "canary", "lab/worker", "--to", "lean", "--gate", "dates", "--promote-after", "2h")
    rules = run("deploy", "status", "lean", "--json").json["open"]["rules"]

    assert undecided.code == 2
    assert passed.code == 0
    assert "Canary 1: model 'lab/worker', 5 % since" in passed.out
    assert rules["promote_after_s"] == 7_200


def test_what_is_promoted_is_what_an_evaluation_and_a_question_meet(run: Run, place: Path) -> None:
    run("deploy", "canary", "lab/novice", "--to", "lean", "--no-gate", "a try")
    early = run("deploy", "promote", "lean")
    run("deploy", "promote", "lean", "--force", "a test")
    asked = run("ask", "When is invoice 3 due?", "--app", "lean", "--json")
    back = run("deploy", "rollback", "lean", "--why", "enough")
    history = run("deploy", "history", "lean", "--json").json

    assert early.code == 2
    assert "--force" in early.err
    assert asked.json["model"]["used"] == "lab/novice"
    assert "answers as the configuration says" in back.out
    assert [(one["state"], one["why"]) for one in history] == [
        ("rolled_back", "enough"), ("promoted", "a test"), ("canary", "a try"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 64, "Name a suite with --gate"),
        (("--no-gate", "x", "--share", "150%"), 64, "--share must lie between 0 and 100 %"),
        (("--no-gate", "x", "--promote-after", "soon"), 64, "--promote-after must be like"),
        (("--no-gate", "x", "--margin", "failed"), 64, "--margin must be like failed=0.02"),
        (("--no-gate", "x", "--margin", "wrong=0.1"), 64, "wrong"),
        (("--no-gate", "x", "--slower", "inf"), 64, "slower"),
        (("--gate", "none.toml"), 64, "can't be read"),
        (("--no-gate", "x", "--to", "nobody"), 1, "There is no app 'nobody'"),
    ],
    ids=["no-gate", "share", "promote-after", "margin", "unknown-margin", "endless", "no-suite", "no-app"],
)
def test_wrong_usage_says_what_is_wrong(
    run: Run, place: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    to = () if "--to" in options else ("--to", "lean")
    ended = run("deploy", "canary", "lab/novice", *to, *options)

    assert ended.code == code
    assert said in ended.err
    assert run("deploy", "history").out == ""


def test_harm_is_a_finding_to_who_would_promote(run: Run, place: Path) -> None:
    run("deploy", "canary", "lab/novice", "--to", "lean", "--no-gate", "a try", "--watch-only")
    store = DeploymentStore(place / "data" / DEPLOYMENTS)
    store.note(1, {"verdict": "harm", "reasons": ["failed: 9 % of the canary"], "sides": [], "metrics": []})
    store.close()

    ended = run("deploy", "promote", "lean")

    assert ended.code == 1
    assert "'lab/novice' does harm: failed: 9 % of the canary. Roll it back" in ended.err
    assert "--force" in ended.err
