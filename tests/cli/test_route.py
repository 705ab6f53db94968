"""`greenroom route`: a router trained from a file or from traces, shown, and asked by a model's route."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.models.learned.world import answers

FILE = """
[providers.near]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"

[prices."near/strong"]
input_per_mtok_usd = 10
output_per_mtok_usd = 10

[prices."near/cheap"]
input_per_mtok_usd = 1
output_per_mtok_usd = 1

[models.smart]
targets = ["near/strong", "near/cheap"]
route = "learned"
router = "support"
price_of_quality = 0.01
"""
NAMES = {"sums/strong": "near/strong", "talks/cheap": "near/cheap"}


def examples(path: Path, prompts: int) -> Path:
    rows = [
        {"prompt": one.prompt, "target": NAMES[one.target], "score": one.score, "cost_usd": one.cost_usd}
        for one in answers(prompts)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_a_router_is_trained_shown_and_chooses(run: Run, folder: Path) -> None:
    made = run("route", "train", "--from", str(examples(folder / "scored.jsonl", 200)), "--out", "support")
    shown = run("route", "show", "support", "--json").json
    (folder / "greenroom.toml").write_text(FILE, encoding="utf-8")
    total = "40 coins cost 9 each and 7 are sold. How many coins are left? Calculate."
    note = "Write a kind and warm note for the party of my aunt, who is fond of boxes."
    summed, noted, foreign = (
        run("models", "explain", text, "--app", "smart", "--json").json
        for text in (total, note, "Onde fica a estação de trem mais próxima da minha casa?")
    )

    assert made.code == 0
    assert "saved at equal quality" in made.out
    assert [one["labels"] for one in shown["targets"]] == [200, 200]
    assert shown["figures"]["aiq"] > shown["figures"]["aiq_alone"]
    assert summed["order"][0] == "near/strong"
    assert noted["order"][0] == "near/cheap"
    assert "worth" in noted["weighed"]["near/cheap"]
    assert "the safe target first" in foreign["why"]


def test_examples_that_carry_no_router_end_inconclusive_and_write_nothing(run: Run, folder: Path) -> None:
    few = run("route", "train", "--from", str(examples(folder / "few.jsonl", 20)), "--out", "support")

    assert few.code == 2
    assert few.err.startswith("No router was made: A router needs two targets with 50 scored prompts each.")
    assert not list(folder.rglob("*.router"))


def test_scored_exchanges_are_examples(run: Run, folder: Path) -> None:
    run("ask", "Which steps does a pipeline have?")
    trace = run("trace", "list", "--json").json[0]["id"]
    run("trace", "score", trace, "helpful", "1")

    found = run("route", "train", "--from", "traces:score=helpful", "--out", "support")
    none = run("route", "train", "--from", "traces:score=unheard", "--out", "support")
    wrong = run("route", "train", "--from", "traces:colour=red", "--out", "support")

    assert found.code == 2
    assert "greenroom/reader: 1." in found.err
    assert none.code == 3
    assert wrong.code == 1
    assert "'colour' is no filter here" in wrong.err


def test_a_score_that_is_no_share_is_said(run: Run, folder: Path) -> None:
    run("ask", "Which steps does a pipeline have?")
    trace = run("trace", "list", "--json").json[0]["id"]
    run("trace", "score", trace, "stars", "4")

    found = run("route", "train", "--from", "traces:score=stars", "--out", "support")

    assert found.code == 1
    assert "from 0 to 1" in found.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param('router = "support"', "can't be read", id="no such router"),
        pytest.param("", "needs router", id="none named"),
        pytest.param('router = "greenroom.toml.router"', "no file of greenroom route train", id="no router"),
    ],
)
def test_a_model_without_a_router_that_can_be_read_does_not_start(
    run: Run, folder: Path, line: str, said: str
) -> None:
    (folder / "greenroom.toml").write_text(FILE.replace('router = "support"', line), encoding="utf-8")
    (folder / "greenroom.toml.router").write_bytes(b"x" * 1_000)

    found = run("models", "explain", "Hello", "--app", "smart")

    assert found.code == 3
    assert "models.smart" in found.err
    assert said in found.err


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param("price_of_quality = 0.01", "", "needs price_of_quality", id="no price"),
        pytest.param('route = "learned"', 'route = "cheapest"', "counts only with", id="another route"),
        pytest.param(
            'router = "support"', 'router = "a"\nsafe = "near/x"', "not among its targets", id="safe"
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(
    run: Run, folder: Path, before: str, after: str, said: str
) -> None:
    (folder / "greenroom.toml").write_text(FILE.replace(before, after), encoding="utf-8")

    found = run("models", "explain", "Hello", "--app", "smart")

    assert found.code == 3
    assert said in found.err


def test_a_router_that_is_not_there_can_not_be_shown(run: Run) -> None:
    found = run("route", "show", "nothing")

    assert found.code == 3
    assert "greenroom route train" in found.err


def test_the_answers_of_an_evaluation_are_examples(run: Run, folder: Path) -> None:
    (folder / "ask.jsonl").write_text(
        '{"question": "How do I add a provider?", "expected": "providers"}\n', encoding="utf-8"
    )
    (folder / "one.toml").write_text(
        'data = "ask.jsonl"\n[subjects.reader]\napp = "default"\n'
        "[scorers.contains]\n[scorers.grounded]\n[scorers.latency]\n",
        encoding="utf-8",
    )
    run("eval", "run", "one.toml")

    unsaid = run("route", "train", "--from", "eval:one/reader", "--out", "support")
    named = run("route", "train", "--from", "eval:one/reader,score=contains", "--out", "support")
    absent = run("route", "train", "--from", "eval:none", "--out", "support")

    assert unsaid.code == 1
    assert "2 scores of quality: contains, grounded" in unsaid.err
    assert named.code == 2
    assert "greenroom/reader: 1." in named.err
    assert absent.code == 1


def test_why_a_target_was_asked_stands_in_the_record(run: Run, folder: Path) -> None:
    run("route", "train", "--from", str(examples(folder / "scored.jsonl", 200)), "--out", "support")
    (folder / "greenroom.toml").write_text(FILE + "retries = 0\n", encoding="utf-8")

    run("ask", "40 coins cost 9 each and 7 are sold. How many coins are left? Calculate.", "--app", "smart")

    trace = run("trace", "list", "--json").json[0]["id"]
    model = run("trace", "show", trace, "--json").json["model"]
    assert "learned: the most worth at 0.01 USD" in model["why"]
    assert "near/cheap: " in model["why"]
    assert model["attempts"][0]["target"] == "near/strong"
