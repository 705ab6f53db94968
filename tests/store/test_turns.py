"""Conversations that outlive the process."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import StoreError
from greenroom.store.said import Turn
from greenroom.store.turns import REMEMBERED_TURNS, StoredTurns


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[StoredTurns]:
    opened = StoredTurns(tmp_path / "turns.db", sessions_in_memory=3)
    yield opened
    opened.close()


def said(*texts: str) -> list[Turn]:
    return [Turn(session="s", turn=0, role="user", text=text, at="2026-01-01T00:00:00Z") for text in texts]


def test_what_was_said_is_there_at_once_and_numbered(turns: StoredTurns) -> None:
    turns.append("red", "s", "ana", said("one", "two"))
    turns.append("red", "s", "ana", said("three"))

    found = turns.recent("red", "s", "ana", 2)

    assert [(one.turn, one.text) for one in found] == [(2, "two"), (3, "three")]
    assert turns.recent("red", "s", "ana", 0) == []


def test_another_project_or_session_sees_nothing(turns: StoredTurns) -> None:
    turns.append("red", "s", "ana", said("one"))

    assert turns.recent("blue", "s", "ana", 9) == []
    assert turns.recent("red", "t", "ana", 9) == []
    assert turns.sessions("blue", "ana") == []


def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = StoredTurns(tmp_path / "turns.db")
    first.append("red", "s", None, said("one"))
    first.close()

    second = StoredTurns(tmp_path / "turns.db")
    second.append("red", "s", None, said("two"))

    assert [(one.turn, one.text) for one in second.recent("red", "s", None, 9)] == [(1, "one"), (2, "two")]
    second.close()


def test_sessions_dropped_from_memory_are_whole_when_they_come_back(turns: StoredTurns) -> None:
    for round_ in range(4):
        for number in range(8):
            turns.append("red", f"s{number}", "ana", said(f"{round_}"))

    assert all(
        [one.text for one in turns.recent("red", f"s{number}", "ana", 9)] == ["0", "1", "2", "3"]
        for number in range(8)
    )


def test_a_long_conversation_is_kept_whole_and_memory_holds_its_end(turns: StoredTurns) -> None:
    for number in range(3 * REMEMBERED_TURNS):
        turns.append("red", "s", None, said(str(number)))

    assert [one.text for one in turns.recent("red", "s", None, 3)] == ["189", "190", "191"]
    assert len(turns.recent("red", "s", None, 1_000)) == 192


def test_forgetting_a_user_leaves_nothing_of_the_sessions(turns: StoredTurns, tmp_path: Path) -> None:
    turns.append("red", "s", "ana", said("a rare secret"))
    turns.append("red", "t", "bo", said("kept"))
    turns.flush()
    turns.append("red", "s", "ana", said("one more rare secret"))

    assert turns.forget("red", user="ana") == 2

    assert turns.recent("red", "s", "ana", 9) == []
    assert [one.text for one in turns.recent("red", "t", "bo", 9)] == ["kept"]
    turns.flush()
    assert b"rare secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_file_that_takes_nothing_for_a_while_loses_nothing(tmp_path: Path) -> None:
    turns = StoredTurns(tmp_path / "turns.db")
    turns._writer.execute("PRAGMA busy_timeout = 1")
    blocker = sqlite3.connect(tmp_path / "turns.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    turns.append("red", "s", None, said("one"))
    with pytest.raises(StoreError, match="another process"):
        turns.flush()
    assert len(turns.recent("red", "s", None, 9)) == 1

    blocker.execute("ROLLBACK")
    blocker.close()
    turns.close()
    again = StoredTurns(tmp_path / "turns.db")
    assert [one.text for one in again.recent("red", "s", None, 9)] == ["one"]
    again.close()
