"""Masks that several processes give: one number, one value; nothing readable in the file."""

import sqlite3
from pathlib import Path

import pytest

from greenroom.errors import StoreError
from greenroom.store.masks import MOST_VALUES, StoredMasks
from greenroom.store.shared import SharedFile, SharedThings

SECRET = bytes(range(32))


def two(path: Path, clock: list[float]) -> tuple[StoredMasks, StoredMasks]:
    """Two processes' view of one file."""
    return tuple(StoredMasks(SharedFile(path, SECRET), 100.0, lambda: clock[0]) for _ in range(2))  # type: ignore[return-value]


def test_the_same_number_whoever_asks_and_never_two_values_for_one(tmp_path: Path) -> None:
    one, other = two(tmp_path / "shared.db", [0.0])

    assert one.number("p", "s", "EMAIL", "ann@example.org") == 1
    assert other.number("p", "s", "EMAIL", "bob@example.org") == 2
    assert other.number("p", "s", "EMAIL", "ann@example.org") == 1
    assert one.number("p", "s", "EMAIL", "bob@example.org") == 2
    assert one.number("p", "s", "PHONE", "+55 11 91234-5678") == 1
    assert one.number("p", "s", "EMAIL", "eve@example.org", taken={"<EMAIL_3>", "<EMAIL_4>"}) == 5
    assert (
        other.known("p", "s")
        == one.known("p", "s")
        == {
            "<EMAIL_1>": "ann@example.org",
            "<EMAIL_2>": "bob@example.org",
            "<EMAIL_5>": "eve@example.org",
            "<PHONE_1>": "+55 11 91234-5678",
        }
    )
    assert other.known("p", "another") == {}
    assert other.known("another", "s") == {}


def test_a_forgotten_conversation_leaves_nothing_behind_in_anyones_memory(tmp_path: Path) -> None:
    clock = [0.0]
    one, other = two(tmp_path / "shared.db", clock)
    one.number("p", "s", "EMAIL", "ann@example.org")
    assert other.known("p", "s") == {"<EMAIL_1>": "ann@example.org"}
    clock[0] = 101.0

    assert other.number("p", "s", "EMAIL", "bob@example.org") == 1
    assert one.known("p", "s") == {"<EMAIL_1>": "bob@example.org"}


def test_one_in_use_is_not_forgotten(tmp_path: Path) -> None:
    clock = [0.0]
    one, other = two(tmp_path / "shared.db", clock)
    one.number("p", "s", "EMAIL", "ann@example.org")
    for moment in (70.0, 140.0, 210.0):
        clock[0] = moment
        assert other.known("p", "s") == {"<EMAIL_1>": "ann@example.org"}
    assert one.number("p", "s", "EMAIL", "ann@example.org") == 1


def test_numbers_go_on_when_the_oldest_values_go(tmp_path: Path) -> None:
    one, other = two(tmp_path / "shared.db", [0.0])
    for number in range(MOST_VALUES + 3):
        assert one.number("p", "s", "EMAIL", f"p{number}@example.org") == number + 1

    known = other.known("p", "s")
    assert len(known) == MOST_VALUES
    assert "<EMAIL_3>" not in known
    assert other.number("p", "s", "EMAIL", "p0@example.org") == MOST_VALUES + 4


def test_a_number_given_in_vain_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    one, other = two(path, [0.0])
    one.number("p", "s", "EMAIL", "ann@example.org")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError):
        one.number("p", "s", "EMAIL", "bob@example.org")
    blocker.execute("ROLLBACK")
    blocker.close()

    assert other.number("p", "s", "EMAIL", "eve@example.org") == 2
    assert one.number("p", "s", "EMAIL", "bob@example.org") == 3


def test_the_file_tells_nothing_to_who_has_no_key(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    file = SharedFile(path, SECRET)
    StoredMasks(file).number("project", "session-name", "EMAIL", "ann@example.org")
    things = SharedThings(file, "session", 2)
    things.put(b"a" * 16, "gr-a-key-of-somebody", 1.0)
    assert things.get(b"a" * 16) == "gr-a-key-of-somebody"
    assert SharedThings(file, "try", 2).get(b"a" * 16) is None
    for name, at in ((b"b" * 16, 2.0), (b"c" * 16, 3.0)):
        things.put(name, "x", at)
    assert things.get(b"a" * 16) is None  # the oldest went
    things.drop(b"b" * 16)
    assert things.get(b"b" * 16) is None
    file.close()

    written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    for text in (b"ann@example.org", b"session-name", b"gr-a-key-of-somebody"):
        assert text not in written
    other = StoredMasks(SharedFile(path, bytes(32)))
    assert other.known("project", "session-name") == {}
