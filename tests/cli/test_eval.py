"""`greenroom eval` as a user runs it: suites of functions and of the built-in reader, exit codes, data sets."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.offline.evals.counting_model import CountingModel

FUNCTIONS = """
def good(sample): return sample.expected
def poor(sample): return sample.expected if int(sample.item["n"]) % 3 else "no idea"
def broken(sample): raise RuntimeError("out of order")
"""


@pytest.fixture(autouse=True)
def suite(folder: Path) -> Path:
    """A suite that compares two functions over 60 questions; returns the folder."""
    rows = [{"n": n, "question": f"What is {n} and {n}?", "expected": str(2 * n)} for n in range(60)]
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "own.py").write_text(FUNCTIONS)
    write(folder, "two.toml", good="own.py:good", poor="own.py:poor")
    return folder


def write(folder: Path, name: str, more: str = "", data: str = "sums.jsonl", **subjects: str) -> None:
    """A suite of these functions."""
    tables = "".join(f'[subjects.{one}]\nfunction = "{function}"\n' for one, function in subjects.items())
    (folder / name).write_text(f'data = "{data}"\n{more}\n{tables}[scorers.exact]\n')


def test_the_first_subject_is_what_others_are_compared_with(run: Run) -> None:
    found = run("eval", "run", "two.toml", "--fail-on", "exact: regression", "--json")

    assert found.code == 1
    (comparison,) = found.json["comparisons"]
    (change,) = comparison["changes"]
    assert (comparison["subject"], comparison["baseline_subject"]) == ("poor", "good")
    assert (change["difference"]["wins"], change["difference"]["losses"]) == (0, 20)
    assert change["p_holm"] < 0.001


def test_a_baseline_is_the_newest_run_of_a_name_and_improving_on_it_passes(run: Run, suite: Path) -> None:
    write(suite, "one.toml", poor="own.py:poor")
    write(suite, "new.toml", 'fail_on = ["exact: regression"]', good="own.py:good")

    first = run("eval", "run", "one.toml")
    second = run("eval", "run", "new.toml", "--baseline", "one/poor")

    assert (first.code, second.code) == (0, 0)
    assert "Result: pass" in second.out
    assert "+0.333" in second.out


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--fail-on", "exact: below 0.3"], 0, "pass"),
        (["--fail-on", "exact: below 0.9"], 1, "regression"),
        (["--fail-on", "exact: below 0.65"], 2, "inconclusive"),
        (["--fail-on", "exact: regression"], 64, "name it with --baseline"),
        (["--fail-on", "exakt: below 1"], 64, "there are: exact, errors"),
        (["--fail-on", "exact is bad"], 64, "is no rule"),
        (["--baseline", "nobody"], 64, "There is no run 'nobody'"),
        (["--budget-usd", "0"], 64, "above 0"),
        (["--report", "there/is/none.html"], 64, "no folder"),
        (["--report", "page.pdf"], 64, "must end in"),
    ],
)
def test_exit_codes_say_what_came_of_it(
    run: Run, suite: Path, options: list[str], code: int, says: str
) -> None:
    write(suite, "one.toml", poor="own.py:poor")

    found = run("eval", "run", "one.toml", *options)

    assert found.code == code
    assert says in found.out + found.err


def test_when_nothing_answers_the_line_is_at_fault(run: Run, suite: Path) -> None:
    write(suite, "one.toml", broken="own.py:broken")

    found = run("eval", "run", "one.toml")

    assert found.code == 3
    assert "RuntimeError: out of order" in found.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data = ", "bad.toml"),
        ("dat = 'a'", "dat"),
        ("data = 'gone.jsonl'\n[subjects.a]\nfunction = 'own.py:good'\n[scorers.exact]", "gone.jsonl"),
        (
            "data = 'nothing'\n[subjects.a]\nfunction = 'own.py:good'\n[scorers.exact]",
            "no data set 'nothing'",
        ),
        ("data = 'sums.jsonl'\n[subjects.a]\n[scorers.exact]", "a subject is an app, a model"),
        (
            "data = 'sums.jsonl'\n[subjects.a]\nfunction = 'own.py:gone'\n[scorers.exact]",
            "no function 'gone'",
        ),
        (
            "data = 'sums.jsonl'\n[subjects.a]\nfunction = 'own.py:good'\n[scorers.exakt]",
            "Did you mean 'exact'",
        ),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(run: Run, suite: Path, text: str, says: str) -> None:
    (suite / "bad.toml").write_text(text)

    found = run("eval", "run", "bad.toml")

    assert found.code == 64
    assert says in found.err


def test_an_app_that_is_not_there_is_said(run: Run, suite: Path) -> None:
    (suite / "bad.toml").write_text("data = 'sums.jsonl'\n[subjects.a]\napp = 'gone'\n[scorers.exact]")

    found = run("eval", "run", "bad.toml")

    assert found.code == 3
    assert "'gone'" in found.err


PROMPT = """
name = "shout"
[[messages]]
role = "user"
text = "%s {{word}}"
[variables.word]
trusted = true
[settings]
max_tokens = 1000
"""


def test_versions_of_a_prompt_are_compared_filled_as_they_would_be(run: Run, suite: Path) -> None:
    (suite / "words.csv").write_text("question,expected\n" + "".join(f"w{n},loud w{n}\n" for n in range(30)))
    (suite / "more.jsonl").write_text('{"variables": {"word": "x"}, "expected": "loud x"}\n')
    for text in ("loud", "quiet"):
        (suite / "shout.toml").write_text(PROMPT % text)
        assert run("prompts", "add", "shout.toml").code == 0
    subjects = "".join(
        f'[subjects.{one}]\napp = "full"\nprompt = "shout@{n}"\n' for n, one in ((1, "old"), (2, "new"))
    )
    rules = 'fail_on = ["contains: regression"]\nbudget_usd = 1.0\n'
    with CountingModel() as model:
        (suite / "greenroom.toml").write_text(f'{model.configuration}\n[apps.full]\nmodel = "counting/m"\n')
        for data in ("words.csv", "more.jsonl"):
            (suite / "prompts.toml").write_text(f'data = "{data}"\n{rules}{subjects}[scorers.contains]\n')
            found = run("eval", "run", "prompts.toml", "--json")
            means = [one["metrics"][0]["mean"]["value"] for one in found.json["runs"]]
            assert means == [1, 0]
        asked = dict(model.asked)
        (suite / "prompts.toml").write_text(
            'data = "words.csv"\n[subjects.a]\nprompt = "shout@7"\n[scorers.contains]'
        )
        gone = run("eval", "run", "prompts.toml")

    assert set(asked) == {
        f"{how} {word}" for how in ("loud", "quiet") for word in ("x", *(f"w{n}" for n in range(30)))
    }
    assert set(asked.values()) == {1}
    assert (gone.code, "has no version 7" in gone.err) == (3, True)


def test_reports_are_written_and_runs_listed_compared_and_removed(run: Run, suite: Path) -> None:
    run(
        "eval",
        "run",
        "two.toml",
        "--report",
        "a.html",
        "--report",
        "a.xml",
        "--report",
        "a.md",
        "--report",
        "a.json",
    )

    listed = run("eval", "list", "--json").json["data"]
    compared = run("eval", "compare", "two/poor", "two/good", "--fail-on", "exact: regression")
    reported = run("eval", "report", listed[0]["id"][:16], "--format", "junit")
    removed = run("eval", "remove", listed[0]["id"])

    assert (suite / "a.html").read_text().startswith("<!doctype html>")
    assert json.loads((suite / "a.json").read_text())["result"] == "pass"
    assert "<testsuites" in (suite / "a.xml").read_text()
    assert "poor against good" in (suite / "a.md").read_text()
    assert [one["name"] for one in listed] == ["two/poor", "two/good"]
    assert compared.code == 1
    assert 'tests="60"' in reported.out
    assert (removed.code, len(run("eval", "list", "--json").json["data"])) == (0, 1)


def test_the_reader_is_evaluated_through_the_pipeline_and_its_traces_become_data(
    run: Run, suite: Path
) -> None:
    (suite / "ask.jsonl").write_text(
        '{"question": "How do I add a provider?", "expected": "providers"}\n'
        '{"question": "Como adiciono um provedor?", "expected": "providers"}\n'
    )
    (suite / "reader.toml").write_text(
        'data = "ask.jsonl"\n[subjects.reader]\napp = "default"\n'
        "[scorers.contains]\n[scorers.grounded]\n[scorers.latency]\n[scorers.cost]\n"
    )

    found = run("eval", "run", "reader.toml", "--json")
    again = run("eval", "run", "reader.toml", "--json")
    added = run(
        "eval", "data", "add", "asked", "--traces", "--tag", "eval=reader", "--expect-reply", "--json"
    )

    (told,) = found.json["runs"]
    means = {one["kind"]["name"]: one["mean"]["value"] for one in told["metrics"]}
    assert means["contains"] == 1
    assert means["grounded"] > 0.9
    assert means["cost"] == 0
    assert again.json["runs"][0]["cached"] == 2
    assert added.json["rows"] == 2
    shown = [json.loads(line) for line in run("eval", "data", "show", "asked").out.splitlines()]
    assert {one["messages"][0]["content"] for one in shown} == {
        "How do I add a provider?", "Como adiciono um provedor?",
    }  # fmt: skip
    assert all("providers" in one["expected"] for one in shown)


def test_a_run_is_named_by_what_is_its_own(run: Run) -> None:
    run("eval", "run", "two.toml")

    ambiguous = run("eval", "report", "run_01")
    run("eval", "data", "remove", "sums")
    gone = run("eval", "report", "two/good")

    assert (ambiguous.code, gone.code) == (64, 64)
    assert "Several runs begin with" in ambiguous.err
    assert "were removed" in gone.err


def test_data_sets_have_versions_and_parts(run: Run, suite: Path) -> None:
    first = run("eval", "data", "add", "sums", "sums.jsonl", "--json").json
    same = run("eval", "data", "add", "sums", "sums.jsonl", "--json").json
    (suite / "more.csv").write_text("question,expected\nWhat is new?,this\n")
    second = run("eval", "data", "add", "sums", "more.csv", "--json").json
    parts = run("eval", "data", "split", "sums@1", "--json").json["data"]
    listed = run("eval", "data", "list", "--json").json["data"]

    assert (first["version"], same["version"], second["version"]) == (1, 1, 2)
    assert sum(one["rows"] for one in parts) == 60
    assert {one["name"] for one in listed} == {
        "sums@1", "sums@2", "sums-train@1", "sums-dev@1", "sums-test@1",
    }  # fmt: skip
    write(suite, "kept.toml", data="sums-test", good="own.py:good")
    assert run("eval", "run", "kept.toml").code == 0
    assert run("eval", "data", "remove", "sums").code == 0
    assert run("eval", "data", "show", "sums").code == 64


def test_leaks_into_training_files_are_found(run: Run, suite: Path) -> None:
    run("eval", "data", "add", "sums", "sums.jsonl")
    (suite / "train.jsonl").write_text('{"messages": [{"role": "user", "content": "what is 7 AND 7"}]}\n')
    (suite / "other.txt").write_text("Nothing to see here.\n")

    leaked = run("eval", "data", "leaks", "sums", "train.jsonl", "other.txt", "--json")
    clean = run("eval", "data", "leaks", "sums", "other.txt")

    assert leaked.code == 1
    assert [(one["kind"], one["where"]) for one in leaked.json["leaks"]] == [("exact", "train.jsonl, line 1")]
    assert clean.code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "x"), ("add", "x", "sums.jsonl", "--traces"), ("add", "x", "gone.jsonl"), ("add", "x", "own.py"),
        ("add", "a@1", "sums.jsonl"), ("add", "x", "--traces"), ("show", "gone"), ("split", "gone"),
        ("split", "gone", "--shares", "1,2"), ("leaks", "gone", "sums.jsonl"), ("leaks", "gone"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_with_data_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    found = run("eval", "data", *arguments)

    assert found.code == 64
    assert found.err.endswith(".\n")
