"""Providers' keys at rest: sealed, bound to their name, and lost to who has not the master key."""

import base64
from pathlib import Path

import pytest

from greenroom.errors import NotFound, RequestError, StoreError
from greenroom.store.sealed import FILE_NAME, VARIABLE, SealedKeys, master_key

KEY = "sk-canary-5Qn2vT8xWzLp"
GIVEN = {VARIABLE: "a master key of some length"}


def opened(folder: Path, environment: dict[str, str] | None = None) -> SealedKeys:
    return SealedKeys(folder / "sealed.db", master_key(folder, environment or {}))


def test_a_key_comes_back_and_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.put("openai", KEY)
    store.close()
    again = opened(tmp_path)

    assert again.get("openai") == KEY
    assert [one.name for one in again.names()] == ["openai"]
    again.close()
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_another_master_key_opens_nothing_and_says_what_helps(tmp_path: Path) -> None:
    opened(tmp_path, GIVEN).put("openai", KEY)
    assert opened(tmp_path, GIVEN).get("openai") == KEY
    assert not (tmp_path / FILE_NAME).exists()

    with pytest.raises(StoreError, match="providers set-key openai"):
        opened(tmp_path, {VARIABLE: "another key of some length"}).get("openai")


def test_a_box_put_under_another_name_does_not_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.put("openai", KEY)
    with store._changing() as connection:
        connection.execute("INSERT INTO sealed SELECT 'evil', box, set_ns FROM sealed")

    with pytest.raises(StoreError, match="'evil'"):
        store.get("evil")


def test_a_changed_box_does_not_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.put("openai", KEY)
    with store._changing() as connection:
        box = bytearray(connection.execute("SELECT box FROM sealed").fetchone()[0])
        box[-1] ^= 1
        connection.execute("UPDATE sealed SET box = ?", (bytes(box),))

    with pytest.raises(StoreError):
        store.get("openai")


def test_the_same_key_sealed_twice_looks_different_and_the_newest_counts(tmp_path: Path) -> None:
    store = opened(tmp_path)
    boxes, generations = [], [store.generation()]
    for value in (KEY, KEY, "sk-new"):
        store.put("openai", value)
        with store._reading() as connection:
            boxes.append(connection.execute("SELECT box FROM sealed").fetchone()[0])
        generations.append(store.generation())

    assert len(set(boxes)) == 3
    assert generations == sorted(set(generations))
    assert store.get("openai") == "sk-new"


def test_a_key_is_forgotten(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.put("openai", KEY)
    store.remove("openai")

    assert store.get("openai") is None
    with pytest.raises(NotFound):
        store.remove("openai")


@pytest.mark.parametrize("value", ["", "two\nlines", "tab\t", "chávë", "x" * 16_385])
def test_what_is_no_key_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(RequestError):
        opened(tmp_path).put("openai", value)


@pytest.mark.parametrize("content", [b"", b"no base64!", base64.b64encode(b"short")])
def test_a_master_key_file_that_is_none_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(StoreError, match="master key"):
        master_key(tmp_path, {})


def test_a_short_master_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=VARIABLE):
        master_key(tmp_path, {VARIABLE: "short"})
