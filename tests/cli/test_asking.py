"""`ask`, `check` and `trace`: prompts through the pipeline in this process, and what is left of them."""

import json
import select
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from greenroom.store.traces import TraceStore
from tests.cli.conftest import Run

CPF = "746.819.253-73"
"""Right check digits, and none of the numbers that stand in examples everywhere: those are let through."""


def test_the_first_question_gets_a_true_and_cited_answer(run: Run) -> None:
    done = run("ask", "How do I add a provider?", "--json")

    assert done.code == 0
    assert done.json["model"]["used"] == "greenroom/reader"
    assert "[providers." in done.json["reply"]["text"]
    assert "providers.md" in {one["document"] for one in done.json["passages"] if one["cited"]}


def test_the_journey_is_shown_stage_by_stage(run: Run) -> None:
    done = run("ask", f"My CPF is {CPF}. How do I add a provider?", "--show", "stages")

    places = [done.out.index(f"\n{name}" if name != "preprocess" else name) for name in
              ("preprocess", "ground", "check", "model", "postprocess")]  # fmt: skip
    assert done.code == 0
    assert places == sorted(places)
    assert f"[-{CPF}-]{{+<CPF_1>+}}" in done.out


def test_an_unknown_app_is_a_finding(run: Run) -> None:
    done = run("ask", "Hello", "--app", "nobody")

    assert done.code == 1
    assert "'nobody'" in done.err


def test_a_text_with_personal_data_is_a_finding_that_is_not_repeated(run: Run) -> None:
    done = run("check", f"Meu CPF é {CPF}.", "--json")

    assert done.code == 1
    assert [(one["rule"], one["start"], one["end"]) for one in done.json["findings"]] == [("br.cpf", 10, 24)]
    assert CPF not in done.out


def test_a_clean_text_is_fine(run: Run) -> None:
    done = run("check", "How do I bake bread?")

    assert (done.code, done.out) == (0, "Nothing found.\n")


def test_a_text_comes_from_a_file_or_a_pipe(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "text.txt").write_text(f"CPF: {CPF}", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", StringIO(f"CPF: {CPF}"))

    assert run("check", "--file", "text.txt").code == 1
    assert run("check", "--file", "-").code == 1
    assert run("check", "--file", "missing.txt").code == 3


def test_what_was_asked_is_listed_shown_and_exported(run: Run) -> None:
    id = run("ask", f"My CPF is {CPF}. How do I add a provider?", "--json").json["id"]

    listed = run("trace", "list", "--json").json
    lines = run("trace", "list").out.splitlines()
    shown = run("trace", "show", id)
    exported = [json.loads(line) for line in run("trace", "export", "--format", "jsonl").out.splitlines()]

    assert [one["id"] for one in listed] == [id]
    assert lines[0].split("\t")[0] == id
    assert "preprocess" in shown.out
    assert [one["id"] for one in exported] == [id]
    assert CPF not in shown.out + json.dumps(exported)


def test_lists_can_be_narrowed(run: Run) -> None:
    run("ask", "How do I add a provider?")

    assert len(run("trace", "list", "--outcome", "answered", "--json").json) == 1
    assert run("trace", "list", "--outcome", "refused", "--json").json == []
    assert run("trace", "list", "--until", "2020-01-01", "--json").json == []


def test_asking_beside_a_server_leaves_its_count_of_losses_alone(run: Run, folder: Path) -> None:
    server = TraceStore(folder / "data" / "traces.db")
    server.begin()
    server.tally.value += 3  # taken, and not stored yet

    id = run("ask", "How do I make a key?", "--json").json["id"]
    run("check", "How do I make a key?")

    assert run("trace", "show", id).code == 0
    assert server.tally.value == 3
    assert server.counts()["unclean_shutdowns"] == 0
    server.begin()  # as after a kill -9: the mark of the first start is still there
    assert server.counts()["unclean_shutdowns"] == 1
    server.close()


@pytest.mark.slow
def test_tail_prints_what_ends_while_it_watches(run: Run, folder: Path) -> None:
    run("ask", "How do I make a key?")
    command = [sys.executable, "-m", "greenroom", "trace", "tail", "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as tail:
        try:
            assert tail.stdout is not None
            ids = []
            while not select.select([tail.stdout], [], [], 0.5)[
                0
            ]:  # what ended before it looked is not printed
                ids.append(run("ask", "How do I add a provider?", "--json").json["id"])
            line = json.loads(tail.stdout.readline())
        finally:
            tail.send_signal(signal.SIGINT)
        code = tail.wait(10)

    assert line["id"] in ids
    assert code == 0
