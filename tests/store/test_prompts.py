"""The store of prompts: versions never change, labels move with a history, and many may write at once."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenroom.errors import Conflict, PromptNotFound, StoreError
from greenroom.store.prompts import NewVersion, PromptStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prompts.db"


@pytest.fixture
def store(path: Path) -> Iterator[PromptStore]:
    made = PromptStore(path)
    yield made
    made.close()


def new(body: str, number: int = 0, name: str = "p") -> NewVersion:
    return NewVersion(name=name, body=body, number=number)


def add(store: PromptStore, *bodies: str) -> list[int]:
    return [one.number for body in bodies for one in store.add([new(body)], who="ana")]


def test_versions_are_numbered_and_the_same_again_is_no_new_one(store: PromptStore) -> None:
    assert add(store, "a", "b", "b", "a") == [1, 2, 2, 3]
    assert [(one.number, one.body, one.created_by) for one in store.versions()] == [
        (1, "a", "ana"), (2, "b", "ana"), (3, "a", "ana")
    ]  # fmt: skip


@pytest.mark.parametrize("deed", ["UPDATE versions SET body = 'x'", "DELETE FROM versions"])
def test_a_version_cannot_be_changed_even_in_the_file(store: PromptStore, path: Path, deed: str) -> None:
    add(store, "a")

    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(deed)


def test_a_number_that_is_taken_by_another_body_is_refused_and_nothing_is_stored(store: PromptStore) -> None:
    add(store, "a")

    with pytest.raises(Conflict, match="'p@1' is stored with another content"):
        store.import_all([new("z", name="q"), new("b", 1)], {}, who="ana")

    assert [one.name for one in store.versions()] == ["p"]


def test_an_import_keeps_numbers_and_may_be_done_twice(store: PromptStore) -> None:
    wanted = [new("a", 3), new("b", 7)]

    first = store.import_all(wanted, {"p": {"live": 7}}, who="ana")
    again = store.import_all(wanted, {"p": {"live": 7}}, who="ana")

    assert [(one.number, one.is_new) for one in first + again] == [
        (3, True),
        (7, True),
        (3, False),
        (7, False),
    ]
    assert store.labels() == {"p": {"live": 7}}
    assert len(store.moves("p")) == 1
    assert add(store, "c") == [8]


def test_a_writer_who_has_not_seen_the_newest_is_told(store: PromptStore) -> None:
    add(store, "a", "b")

    with pytest.raises(Conflict, match="newest version of 'p' is 2, not 1"):
        store.add([new("c")], who="bo", after=1)


def test_labels_move_and_go_back_step_by_step(store: PromptStore) -> None:
    add(store, "a", "b", "c")
    for number in (1, 2, 3):
        store.move("p", "live", number, who="ana")

    assert store.rollback("p", "live", who="bo", note="too long") == (3, 2)
    assert store.rollback("p", "live", who="bo") == (2, 1)
    with pytest.raises(Conflict, match="nothing to go back to"):
        store.rollback("p", "live", who="bo")

    assert store.labels() == {"p": {"live": 1}}
    newest = store.moves("p")[1]
    assert (newest.before, newest.after, newest.who, newest.note) == (3, 2, "bo", "rollback: too long")


def test_after_a_rollback_a_new_promotion_goes_back_to_what_stood_before_it(store: PromptStore) -> None:
    add(store, "a", "b", "c")
    store.move("p", "live", 1, who="x")
    store.move("p", "live", 2, who="x")
    store.rollback("p", "live", who="x")
    store.move("p", "live", 3, who="x")

    assert store.rollback("p", "live", who="x") == (3, 1)


@pytest.mark.parametrize(
    ("name", "label", "number", "said"),
    [
        ("q", "live", 1, "no prompt 'q'"),
        ("p", "live", 9, "no version 9"),
        ("p", "gone", None, "no label 'gone'"),
    ],
)
def test_what_is_not_there_is_named(
    store: PromptStore, name: str, label: str, number: int | None, said: str
) -> None:
    add(store, "a")

    with pytest.raises(PromptNotFound, match=said):
        store.move(name, label, number, who="x")


def test_writers_at_once_get_a_number_each(store: PromptStore, path: Path) -> None:
    def write(place: int) -> list[int]:
        own = PromptStore(path)
        numbers = add(own, *(f"{place}.{turn}" for turn in range(10)))
        own.close()
        return numbers

    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(number for found in pool.map(write, range(4)) for number in found)

    assert numbers == list(range(1, 41))


def test_another_process_s_change_raises_the_generation(store: PromptStore, path: Path) -> None:
    before = store.generation()
    source = (
        "import sys; from pathlib import Path; from greenroom.store.prompts import *;"
        "s = PromptStore(Path(sys.argv[1])); s.add([NewVersion(name='p', body='a')], who='x')"
    )
    subprocess.run([sys.executable, "-c", source, str(path)], check=True)

    assert store.generation() > before
    assert [one.body for one in store.versions()] == ["a"]


def test_a_file_that_is_no_database_is_told(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreError, match=r"prompts\.db"):
        PromptStore(path)
