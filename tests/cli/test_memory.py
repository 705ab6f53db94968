"""`memory`: what is remembered of users, from the command line."""

from pathlib import Path

from greenroom.assembly.memories import KeptMemories, hear
from greenroom.stages.ground.history import SaidTurn
from greenroom.store.turns import StoredTurns
from tests.cli.conftest import Run


def said(folder: Path, *texts: str) -> None:
    store = StoredTurns(folder / "data" / "turns.db", hear=hear)
    for number, text in enumerate(texts):
        KeptMemories(store).remember(
            "default", "s", "ana", [SaidTurn("user", text, float(number))], since=9e9
        )
    store.close()


def test_users_and_their_facts_are_listed(run: Run, folder: Path) -> None:
    said(folder, "I live in Leeds.", "I moved to York.")

    assert run("memory", "list").out == "ana\t1\t2\n"
    assert run("memory", "list", "--json").json[0]["user"] == "ana"
    listed = run("memory", "list", "ana")
    assert listed.code == 0
    assert "I moved to York.\tno\t1" in listed.out
    assert [one["superseded"] for one in run("memory", "list", "ana", "--json").json["facts"]] == [
        False,
        True,
    ]
    assert run("memory", "list", "bo").code == 1


def test_a_fact_is_added_and_forgotten_and_then_the_user(run: Run, folder: Path) -> None:
    said(folder, "My cat is called Mia.")

    added = run("memory", "add", "ana", "I live in York.", "--json").json
    assert run("memory", "forget", "ana", "--fact", str(added["id"])).out == "Forgotten: facts 1.\n"
    assert run("memory", "forget", "ana", "--json").json == {
        "facts": 1,
        "turns": 1,
        "responses": 0,
        "spans": 0,
        "traces": 0,
    }
    assert run("memory", "list", "ana").code == 1
    assert run("memory", "forget", "ana").code == 1


def test_what_cannot_be_done_is_said(run: Run) -> None:
    assert run("memory", "add", "ana", "My mail is ana@example.com.").code == 1
    assert run("memory", "add", "ana", "  ").code == 1
    assert run("memory", "add", "x" * 200, "I live in York.").code == 64
    assert run("memory", "forget", "ana", "--fact", "7").code == 1
