"""Conversations that several processes serve: nothing is lost, nothing old is answered, nothing forgotten returns."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.store.said import Turn
from greenroom.store.shared import SharedFile, SharedThings
from greenroom.store.turns import StoredTurns

SECRET = bytes(32)


def opened(folder: Path) -> StoredTurns:
    forgotten = SharedThings(SharedFile(folder / "shared.db", SECRET), "forgotten", 100)
    return StoredTurns(folder / "turns.db", forgotten=forgotten)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[StoredTurns, StoredTurns]]:
    one, other = opened(tmp_path), opened(tmp_path)
    yield one, other
    one.close()
    other.close()


def said(text: str) -> list[Turn]:
    return [Turn(session="s", turn=0, role="user", text=text, at="2026-01-01T00:00:00Z")]


def test_each_turn_is_there_for_the_other_at_once(pair: tuple[StoredTurns, StoredTurns]) -> None:
    for number in range(20):
        pair[number % 2].append("red", "s", "ana", said(f"turn {number}"))
        found = pair[(number + 1) % 2].recent("red", "s", "ana", 100)
        assert [(one.turn, one.text) for one in found] == [
            (place + 1, f"turn {place}") for place in range(number + 1)
        ]


def test_turns_at_the_same_time_are_all_kept(pair: tuple[StoredTurns, StoredTurns]) -> None:
    def talk(own: StoredTurns, name: str) -> None:
        for number in range(50):
            own.append("red", "s", "ana", said(f"{name}{number}"))

    threads = [threading.Thread(target=talk, args=(own, name)) for own, name in zip(pair, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    found = pair[0].whole("red", "s", 1000)
    assert sorted(one.text for one in found) == sorted(f"{name}{n}" for name in "ab" for n in range(50))
    assert sorted(one.turn for one in found) == list(range(1, 101))


def test_what_cannot_be_written_now_is_written_later(
    pair: tuple[StoredTurns, StoredTurns], tmp_path: Path
) -> None:
    blocker = sqlite3.connect(tmp_path / "turns.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    pair[0].append("red", "s", "ana", said("waits"))
    assert [one.text for one in pair[0].recent("red", "s", "ana", 9)] == ["waits"]
    blocker.execute("ROLLBACK")
    blocker.close()
    pair[1].append("red", "s", "ana", said("first"))

    deadline = time.monotonic() + 10
    while len(pair[1].recent("red", "s", "ana", 9)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [one.text for one in pair[1].recent("red", "s", "ana", 9)] == ["first", "waits"]


def test_what_was_asked_before_a_user_was_forgotten_elsewhere_is_not_kept(
    pair: tuple[StoredTurns, StoredTurns],
) -> None:
    began = time.time()
    pair[0].append("red", "s", "ana", said("early"))
    pair[1].forget("red", user="ana")
    pair[0].append("red", "s", "ana", said("late"), since=began)
    assert pair[0].recent("red", "s", "ana", 9) == []
    pair[0].append("red", "s", "ana", said("anew"), since=time.time())
    assert [one.text for one in pair[1].recent("red", "s", "ana", 9)] == ["anew"]
