"""`greenroom audit`: the log listed, exported and verified."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CPF = "390.533.447-05"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves its data for the others."""
    return tmp_path_factory.mktemp("audit") / "data"


@pytest.fixture
def asked(run: Run, folder: Path, kept: Path) -> Run:
    """A key made, and two questions asked, each with a finding."""
    if kept.exists():
        shutil.copytree(kept, folder / "data")
        return run
    run("keys", "create", "bot")
    run("ask", f"meu CPF é {CPF}")
    run("ask", "e o e-mail maria@exemplo.com.br")
    shutil.copytree(folder / "data", kept)
    return run


def test_findings_and_changes_stand_in_one_list(asked: Run) -> None:
    rows = asked("audit", "list", "--json").json

    assert [(one["kind"], one.get("rule") or one["what"]) for one in rows] == [
        ("finding", "email"), ("finding", "br.cpf"), ("change", "key.create"),
    ]  # fmt: skip
    assert CPF not in json.dumps(rows)
    assert len(rows[1]["value"]) == 32
    assert "br.cpf\tlocal\tinput\tmask" in asked("audit", "list").out


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--kind", "change"), 1),
        (("--rule", "br.*"), 1),
        (("--action", "mask"), 2),
        (("--project", "other"), 0),
        (("--limit", "2"), 2),
        (("--since", "2100-01-01"), 0),
        (("--until", "2100-01-01"), 3),
    ],
)
def test_the_list_is_narrowed(asked: Run, words: tuple[str, ...], count: int) -> None:
    assert len(asked("audit", "list", "--json", *words).json) == count


def test_the_export_has_a_line_for_each_with_its_hash(asked: Run) -> None:
    lines = [json.loads(line) for line in asked("audit", "export").out.splitlines()]

    assert len(lines) == 3
    assert lines[0]["previous"] == lines[1]["hash"]


def test_an_untouched_log_holds_and_its_hash_can_be_noted(asked: Run) -> None:
    done = asked("audit", "verify")
    health = asked("audit", "verify", "--json").json

    assert done.code == 0
    assert "2 findings and 1 changes" in done.out
    assert health["holds"]
    assert asked("audit", "verify", "--noted", health["last"]).code == 0
    assert asked("audit", "verify", "--noted", "0" * 64).code == 1


@pytest.mark.parametrize(
    ("file", "statements", "said"),
    [
        ("traces.db", ("DROP TRIGGER findings_stay", "UPDATE findings SET action = 'log' WHERE number = 2"), "finding 2"),
        ("traces.db", ("DROP TRIGGER findings_are_kept", "DELETE FROM findings WHERE number = 1"), "finding 1"),
        ("keys.db", ("DROP TRIGGER audit_stays", "UPDATE audit SET who = 'x'"), "change 1"),
        ("keys.db", ("DROP TRIGGER audit_stays", "UPDATE audit SET after = '{'"), "change 1"),
    ],
)  # fmt: skip
def test_the_first_line_that_does_not_hold_is_named(
    asked: Run, folder: Path, file: str, statements: tuple[str, ...], said: str
) -> None:
    connection = sqlite3.connect(folder / "data" / file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()

    done = asked("audit", "verify")

    assert done.code == 1
    assert said in done.err
    assert asked("audit", "verify", "--json").json["holds"] is False


def test_an_empty_log_holds(run: Run) -> None:
    assert run("audit", "verify").code == 0
    assert run("audit", "list", "--json").json == []
