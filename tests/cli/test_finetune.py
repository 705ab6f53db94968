"""`greenroom finetune` without a server: jobs made, run, looked at, paused and cancelled."""

import json
from pathlib import Path

import pytest

from greenroom.offline.finetune import desk, outside
from tests.cli.conftest import Run

ROW = {"messages": [{"role": "user", "content": "Say {}."}, {"role": "assistant", "content": "It is {}."}]}


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "TRAINER", "tests.offline.finetune.scripted_trainer")
    monkeypatch.setattr(desk, "_LIBRARIES", ())


@pytest.fixture
def rows(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(ROW).replace("{}", str(n)) for n in range(12)))
    return path


@pytest.mark.slow  # starts processes
def test_a_job_is_made_and_run_by_waiting_for_it(run: Run, rows: Path) -> None:
    ran = run("finetune", "create", str(rows), "--from-scratch", "--suffix", "mine", "--wait")

    assert (ran.code, ran.out.startswith("ft:scratch:default:mine:")) == (0, True)
    assert ran.err.splitlines()[0] == "validating files"
    assert ran.err.splitlines()[-1].startswith("succeeded, loss 0.667, validation 0.700")
    (job,) = run("finetune", "list", "--json").json["data"]
    shown = run("finetune", "show", job["id"], "--json").json
    assert (shown["status"], shown["events"][0]["message"]) == (
        "succeeded",
        "The job has successfully completed",
    )
    assert run("finetune", "cancel", job["id"]).code == 1


@pytest.mark.slow  # starts processes
def test_a_job_that_waits_for_a_server_is_paused_resumed_and_watched(run: Run, rows: Path) -> None:
    made = run("finetune", "create", str(rows), "--from-scratch")
    id = made.out.strip()

    assert (made.code, "No server runs here" in made.err) == (0, True)
    assert run("finetune", "pause", id).out == f"{id} is paused.\n"
    assert run("finetune", "show", id).code == 2
    assert run("finetune", "resume", id).out == f"{id} is validating files.\n"
    watched = run("finetune", "watch", id, "--json")
    assert (watched.code, watched.json["status"]) == (0, "succeeded")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "rows.jsonl"], 64, "Say what to start from"),
        (["create", "rows.jsonl", "--base", "x", "--size", "3"], 64, "from_scratch only"),
        (["create", "nosuch.jsonl", "--from-scratch"], 1, "can't be read"),
        (["cancel", "ftjob-none"], 1, "There is no job 'ftjob-none'"),
    ],
)
def test_what_can_not_be_is_said_with_its_code(
    run: Run, rows: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = run("finetune", *arguments)

    assert (ran.code, said in ran.err) == (code, True), ran.err


def test_without_the_extra_a_job_is_refused_with_the_command_that_installs_it(
    run: Run, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "_LIBRARIES", ("no_such_library",))

    ran = run("finetune", "create", str(rows), "--from-scratch")

    assert (ran.code, "make install-finetune" in ran.err) == (3, True)
