"""`greenroom prompts`, as a person and a build use it."""

from pathlib import Path

import pytest

from greenroom.prompts import dumps
from tests.cli.conftest import Run
from tests.prompts.making import prompt

GOOD = dumps(prompt("support", "Keep answers short.", "{{question}}", description="Orders."))
BETTER = GOOD.replace("short", "under three sentences")
BAD = GOOD.replace("{{question}}", "{{question}} {{count}}")


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "support.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_prompt_is_added_changed_compared_promoted_and_rolled_back(run: Run, file: Path) -> None:
    assert run("prompts", "add", "support.toml", "--label", "production").out == (
        "Stored support@1, labelled production.\n"
    )
    assert run("prompts", "add", "support.toml").out == "Nothing new: it is support@1.\n"
    file.write_text(BETTER, encoding="utf-8")
    assert run("prompts", "add", "support.toml", "--json").json["number"] == 2

    assert run("prompts", "diff", "support", "production", "latest").out == (
        "@ messages[0].text\nKeep answers [-short-]{+under three sentences+}.\n"
    )
    named = run("prompts", "diff", "support@production", "support@latest", "--json").json
    assert named == run("prompts", "diff", "support", "production", "latest", "--json").json
    assert run("prompts", "promote", "support").out == (
        "'production' of support: from version 1 to version 2.\n"
    )
    assert run("prompts", "rollback", "support", "--json").json["version"] == 1
    assert run("prompts", "list", "--json").json[0]["labels"] == {"production": 1}
    moves = run("prompts", "show", "support", "--json").json["prompt"]["moves"]
    assert [(one["before"], one["after"]) for one in moves] == [(2, 1), (1, 2), (None, 1)]
    changes = run("audit", "list", "--kind", "change", "--json").json
    assert {one["what"] for one in changes} == {"prompt.version", "prompt.label", "prompt.rollback"}


def test_errors_are_refused_unless_forced_and_the_label_is_told(run: Run, file: Path) -> None:
    file.write_text(BAD, encoding="utf-8")

    refused = run("prompts", "add", "support.toml")
    forced = run("prompts", "add", "support.toml", "--force", "--label", "live")
    linted = run("prompts", "lint", "support", "--json")

    assert (refused.code, forced.code, linted.code) == (1, 0, 1)
    assert "'{{count}}' is not declared" in refused.err
    rules = {one["rule"] for one in linted.json[0]["findings"]}
    assert rules == {"undeclared-variable", "label-unlinted"}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (GOOD, 0, "1 prompt: nothing found."),
        (BAD, 1, "1 prompt: 1 errors, 0 warnings."),
        (GOOD.replace("Keep answers short.", "Be brief. Be thorough."), 0, "1 prompt: 0 errors, 1 warnings."),
    ],
)
def test_lint_of_a_file_fails_a_build_on_errors_alone(
    run: Run, file: Path, text: str, code: int, said: str
) -> None:
    file.write_text(text, encoding="utf-8")

    ran = run("prompts", "lint", "support.toml")

    assert ran.code == code
    assert ran.out.splitlines()[-1] == said
    assert not (file.parent / "data" / "prompts.db").exists()


def test_secrets_are_found_by_the_lint_and_not_shown(run: Run, file: Path) -> None:
    secret = "sk-proj-4fJ8kQ2mZ9xT7vB1nR6wY3sD5hL0pC8aE4uG7iK2"
    file.write_text(GOOD.replace("Keep", f"Use {secret}. Keep"), encoding="utf-8")

    ran = run("prompts", "lint", "support.toml")

    assert ran.code == 1
    assert "secret-in-template" in ran.out
    assert secret not in ran.out


def test_export_and_import_carry_versions_and_labels_to_another_folder(run: Run, file: Path) -> None:
    run("prompts", "add", "support.toml", "--label", "production")
    file.write_text(BETTER, encoding="utf-8")
    run("prompts", "add", "support.toml")

    assert run("prompts", "export", "out", "--form", "json").code == 0
    assert run("--data", "other", "prompts", "import", "out").out == (
        "Stored 2 versions; 0 were there already.\n"
    )
    assert run("--data", "other", "prompts", "import", "out").out == (
        "Stored 0 versions; 2 were there already.\n"
    )

    here, there = (run(*where, "prompts", "show", "support@2") for where in ((), ("--data", "other")))
    assert here.out == there.out
    assert run("--data", "other", "prompts", "list", "--json").json[0]["labels"] == {"production": 1}
    assert run("prompts", "lint", "out").out == "2 prompts: nothing found.\n"


def test_show_fills_a_prompt_and_says_what_each_part_costs(run: Run, file: Path) -> None:
    run("prompts", "add", "support.toml")

    ran = run("prompts", "show", "support", "--set", "question=Is 5 < 6?")

    assert "<question>Is 5 < 6?</question>" in ran.out
    assert "variable\tquestion\t2\n" in ran.out


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("show", "nobody"), 1, "There is no prompt 'nobody'."),
        (("show", "a b"), 1, "'a b' is no prompt"),
        (("show", "support@9"), 1, "no version 9"),
        (("show", "support", "--set", "question"), 64, "write NAME=VALUE"),
        (("show", "support", "--set", "q=1"), 1, "has no variable 'q'"),
        (("diff", "support", "1", "beta"), 1, "no label 'beta'"),
        (("diff", "support@1", "other@2"), 64, "which two versions"),
        (("diff", "support", "1"), 64, "which two versions"),
        (("rollback", "support", "beta"), 1, "no label 'beta'"),
        (("promote", "support", "latest"), 1, "'latest' always stands for the newest"),
        (("promote", "support", "2x"), 1, "is no label"),
        (("lint", "gone.toml"), 64, "no file or folder gone.toml"),
        (("import", "gone"), 1, "gone: a prompt's file ends in"),
        (("add", "gone.toml"), 1, "gone.toml can't be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    run: Run, file: Path, command: tuple[str, ...], code: int, said: str
) -> None:
    run("prompts", "add", "support.toml")

    ran = run("prompts", *command)

    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_question_that_does_not_fill_the_app_s_prompt_says_what_is_missing(run: Run, file: Path) -> None:
    (file.parent / "greenroom.toml").write_text('[apps.support]\nprompt = "support"\n', encoding="utf-8")
    run("prompts", "add", "support.toml")

    ran = run("ask", "Hello", "--app", "support")

    assert ran.code == 1
    assert ran.err == "The prompt 'support@1' needs a value for the variable 'question' (string).\n"
