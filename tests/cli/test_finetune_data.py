"""`greenroom finetune check`, `data` and `distill`, as a person at a terminal uses them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.store.traces import TraceStore
from tests.cli.conftest import Run
from tests.offline.finetune import safe_models
from tests.offline.scripted_provider import ScriptedProvider, rows
from tests.store.exchanges import entry_of, make_exchange


def conversation(question: str, answer: str) -> str:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages})


@pytest.fixture
def provider(folder: Path) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as made:
        (folder / "greenroom.toml").write_text(made.config(), encoding="utf-8")
        lines = [json.dumps(row) + "\n" for row in rows("teams", 30)]
        (folder / "teams.jsonl").write_text("".join(lines), encoding="utf-8")
        yield made


def test_a_file_is_checked_and_nothing_personal_is_printed(run: Run, folder: Path) -> None:
    lines = [
        conversation(f"Who handles ticket {at}? I am ana{at}@example.com.", f"Team {at}.") for at in range(12)
    ]
    (folder / "rows.jsonl").write_text("\n".join([*lines, lines[0]]))
    (folder / "kept.jsonl").write_text(json.dumps({"input": "Who handles ticket 3? I am eva@example.com."}))

    ran = run("finetune", "check", "rows.jsonl", "--against", "kept.jsonl", "--out", "clean")

    assert ran.code == 0, ran.err
    assert "rows.jsonl: 11 of 13 rows" in ran.out
    assert "Masked in 13 rows: 13 EMAIL" in ran.out
    assert "Left out as the same as another: 1: line 13 (rows.jsonl, line 1)" in ran.out
    assert "Left out as a question of an evaluation: 1: line 4 (kept.jsonl)" in ran.out
    assert "example.com" not in ran.out
    assert (folder / "clean" / "train.jsonl").read_text().count("<EMAIL_1>") == 11


def test_a_file_that_is_not_fit_exits_with_1_and_tells_every_line(run: Run, folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"messages": []}\n')

    ran = run("finetune", "check", "rows.jsonl")

    assert ran.code == 1
    assert "rows.jsonl, line 1: The row has 'prompt' and 'completion'." in ran.out
    assert "rows.jsonl, line 2: 'messages' is empty." in ran.out
    assert "2 faults" in ran.err
    assert run("finetune", "check", "rows.jsonl", "--json").json["counts"] == {
        "prompt_completion": 1,
        "empty_messages": 1,
    }


def test_traffic_becomes_a_file_that_can_be_checked(run: Run, folder: Path) -> None:
    (folder / "data").mkdir()
    store = TraceStore(folder / "data" / "traces.db")
    towns = [
        "Oslo",
        "Bergen",
        "Narvik",
        "Hamar",
        "Larvik",
        "Moss",
        "Molde",
        "Voss",
        "Halden",
        "Harstad",
        "Horten",
        "Alta",
    ]
    store.write(
        [
            entry_of(
                make_exchange(
                    f"t{at}", f"Is {town} by the sea?", f"So it is, {town}.", tags={"consent": said}
                )
            )
            for at, (town, said) in enumerate(zip(towns, ["true"] * 10 + ["no"] * 2, strict=True))
        ]
    )
    store.close()

    assert run("trace", "score", "t3", "right", "0", "--correction", "Yes, Hamar lies at a lake.").code == 0
    ran = run("finetune", "data", "rows.jsonl", "--json")
    checked = run("finetune", "check", "rows.jsonl", "--consent", "stated", "--json")
    pairs = run("finetune", "data", "pairs.jsonl", "--edits")
    none = run("finetune", "data", "none.jsonl", "--app", "other")

    assert ran.json == {"train": 10, "valid": 0, "skipped": {"no consent": 2}}
    assert checked.json["prepared"]["train"]["rows"] == 10
    assert "Hamar lies at a lake" in (folder / "rows.jsonl").read_text()
    assert pairs.code == 0
    assert json.loads((folder / "pairs.jsonl").read_text())["metadata"] == {"trace": "t3", "consent": "true"}
    assert (none.code, (folder / "none.jsonl").exists()) == (1, False)
    assert run("finetune", "data", "x.jsonl", "--experiment", "tone").code == 64


def test_a_stronger_model_answers_within_the_cap_and_is_paid_once(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    command = (
        "finetune", "distill", "rows.jsonl", "--data", "teams.jsonl", "--target", "lab/worker", "--app", "lean",
        "--max-tokens", "60", "--json",
    )  # fmt: skip
    short = run(*command, "--budget-usd", "0.0175")

    assert short.code == 2, short.err
    assert 0 < short.json["train"] < 30
    assert short.json["skipped"]["the money ended before"] == 30 - short.json["train"]
    assert provider.earned_nano <= 17_500_000
    asked = len(provider.asked)

    whole = run(*command, "--budget-usd", "1")
    again = run(*command, "--budget-usd", "1")

    assert (whole.code, again.code) == (0, 0)
    assert whole.json["train"] == again.json["train"] == 30
    assert len(provider.asked) == 30 > asked
    assert again.json["spent_usd"] == pytest.approx(provider.earned_nano / 1e9)
    lines = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert lines[0]["messages"][0]["content"] == "Which team handles ticket 0?"
    assert lines[0]["messages"][1]["content"].startswith("That is for ")
    assert lines[0]["metadata"]["distilled_from"] == "lab/worker"
    assert run(*command, "--budget-usd", "0.00001").code == 0, "nothing is left to pay for"


def test_prompts_of_users_who_did_not_consent_are_not_distilled(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    (folder / "data").mkdir()
    store = TraceStore(folder / "data" / "traces.db")
    store.write(
        [
            entry_of(make_exchange(id, f"Which team handles {id}?", "Mine.", tags=tags))
            for id, tags in (("agreed", {"consent": "sim"}), ("refused", {"consent": "não"}), ("silent", {}))
        ]
    )
    store.close()
    command = ("finetune", "distill", "rows.jsonl", "--target", "lab/worker", "--app", "lean", "--max-calls",
               "9", "--json")  # fmt: skip

    stated = run(*command, "--data", "traces:limit=9")
    asked = [
        json.loads(line)["metadata"]["sample"] for line in (folder / "rows.jsonl").read_text().splitlines()
    ]
    nobody = run(*command, "--data", "traces:q=silent")

    assert (stated.code, asked, stated.json["skipped"]) == (0, ["agreed"], {"no consent": 2})
    assert (nobody.code, "Nobody consented" in nobody.err, len(provider.asked)) == (64, True, 1)
    lenient = run(*command, "--data", "traces:limit=9", "--consent", "not_refused")
    assert lenient.json["train"] == 2


def test_a_price_that_is_not_known_needs_a_cap_of_calls(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    (folder / "greenroom.toml").write_text(provider.config().partition("[prices.")[0], encoding="utf-8")

    ran = run("finetune", "distill", "rows.jsonl", "--data", "teams.jsonl", "--target", "lab/worker",
              "--app", "lean", "--budget-usd", "1")  # fmt: skip

    assert ran.code == 64
    assert "--max-calls" in ran.err
    assert provider.asked == []


@pytest.mark.slow  # some hundred exchanges through the whole pipeline
def test_should_i_train_is_answered_by_an_exit_code(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    bare = [conversation(row["question"], row["expected"]) for row in rows("dates", 90)]
    told = [json.loads(line) for line in bare]
    for row, other in zip(told, rows("told", 90), strict=True):
        row["messages"].insert(0, {"role": "system", "content": other["system"]})
    (folder / "bare.jsonl").write_text("\n".join(bare))
    (folder / "told.jsonl").write_text("\n".join(map(json.dumps, told)))
    options = ("--metric", "exact", "--app", "lean", "--model", "lab/worker", "--max-tokens", "60",
               "--budget-usd", "5")  # fmt: skip

    base = str(safe_models.write(folder / "base"))

    worth = run("finetune", "should", "--data", "bare.jsonl", *options, "--cases", "24", "--base", base)
    enough = run("finetune", "should", "--data", "told.jsonl", *options, "--cases", "24", "--target", "0.7")
    few = run("finetune", "should", "--data", "bare.jsonl", *options, "--cases", "5", "--json")

    assert worth.code == 0, worth.out + worth.err
    assert "Worth trying." in worth.out
    assert "with retrieval" in worth.out
    assert "Training. It is estimated to take" in worth.out
    assert enough.code == 1, enough.out + enough.err
    assert "reaches the target of 0.7 without training" in enough.out
    assert few.code == 2, few.out + few.err
    assert few.json["weighed"]["verdict"]["advice"] == "cannot say"
    assert provider.earned_nano <= 5_000_000_000


def test_rows_that_are_not_fit_are_told_before_anybody_is_asked(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    (folder / "bad.jsonl").write_text('{"messages": []}')

    ran = run("finetune", "should", "--data", "bad.jsonl", "--metric", "exact", "--app", "lean")

    assert ran.code == 64
    assert "bad.jsonl, line 1: 'messages' is empty." in ran.err
    assert provider.asked == []
