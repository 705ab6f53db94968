"""A router's file: what was written comes back, and whatever else stands there is refused with a sentence."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from greenroom.errors import ConfigError
from greenroom.models.learned.examples import gather
from greenroom.models.learned.file import MAGIC, Trained, load, read, save
from greenroom.models.learned.training import fit, prepare
from tests.models.learned.world import answers

Array = NDArray[Any]


@pytest.fixture(scope="module")
def trained() -> Trained:
    return fit(prepare(gather(answers(60)), None, lambda _: "en")).trained


@pytest.fixture(scope="module")
def data(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("routers") / "one.router"
    save(trained, path)
    return path.read_bytes()


def signed(body: bytes) -> bytes:
    return body + sha256(body).digest()


def test_what_was_written_comes_back(trained: Trained, data: bytes) -> None:
    found = read(data)

    assert found.header.targets == trained.header.targets
    assert found.arrays.keys() == trained.arrays.keys()
    for name, one in trained.arrays.items():
        assert np.allclose(found.arrays[name], one, atol=0.01)


def test_no_word_of_a_prompt_stands_in_the_file(data: bytes) -> None:
    assert b"apples" not in data
    assert b"birthday" not in data


def test_a_write_leaves_no_second_file(trained: Trained, tmp_path: Path) -> None:
    save(trained, tmp_path / "a.router")
    save(trained, tmp_path / "a.router")

    assert [one.name for one in tmp_path.iterdir()] == ["a.router"]


def test_a_folder_that_is_not_there_is_named(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be written to .*gone"):
        save(trained, tmp_path / "gone" / "a.router")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"", "no file of greenroom route train", id="empty"),
        pytest.param(b"PK\x03\x04" + b"x" * 100, "no file of greenroom route train", id="archive"),
        pytest.param(MAGIC + b"\x03\x00" + b"\0" * 100, "version 3", id="from the future"),
        pytest.param(MAGIC + b"\x02\x00" + b"\0" * 100, "digest is wrong", id="unsigned"),
        pytest.param(signed(MAGIC + b"\x02\x00\xff\xff\xff\xff{}"), "longer than the file", id="long header"),
        pytest.param(
            signed(MAGIC + b"\x02\x00\x02\x00\x00\x00{}"), "header can't be read", id="empty header"
        ),
    ],
)
def test_what_is_no_router_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(text)


@given(at=st.integers(0, 10_000_000), value=st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(data: bytes, at: int, value: int) -> None:
    changed = bytearray(data)
    changed[at % len(data)] ^= value

    with pytest.raises(ConfigError):
        read(bytes(changed))


@given(length=st.integers(0, 10_000_000))
def test_no_file_that_was_cut_short_is_taken(data: bytes, length: int) -> None:
    with pytest.raises(ConfigError):
        read(data[: length % len(data)])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(b'"shape":[65536]', b'"shape":[65535]', "not as long", id="lengths that don't add up"),
        pytest.param(b'"name":"rarity"', b'"name":"rarety"', "'rarity' is not of the shape", id="missing"),
        pytest.param(b'"talks/cheap"', b'"sums/strong"', "names a target twice", id="two of one name"),
        pytest.param(b'"kind":"f2"', b'"kind":"O8"', "header can't be read", id="a kind that is none"),
        pytest.param(b'"prompts":60', b'"prompts":-6', "header can't be read", id="a number out of range"),
    ],
)
def test_a_signed_file_that_lies_is_refused(data: bytes, before: bytes, after: bytes, said: str) -> None:
    assert before in data

    with pytest.raises(ConfigError, match=said):
        read(signed(data[:-32].replace(before, after, 1)))


def test_what_is_no_number_is_refused(trained: Trained, tmp_path: Path) -> None:
    arrays = {**trained.arrays, "words_mean": np.array([np.nan, 0.0], np.float32)}
    save(Trained(trained.header, arrays), tmp_path / "a.router")

    with pytest.raises(ConfigError, match="'words_mean' holds what is no number"):
        load(tmp_path / "a.router")


def _first(value: float) -> Callable[[Array], Array]:
    """The same array but for its first number."""

    def changed(one: Array) -> Array:
        return np.concatenate(([value], one[1:])).astype(one.dtype)

    return changed


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        pytest.param("words_asked", _first(255), "number that prompts do not have", id="number"),
        pytest.param("words_child", _first(0), "deeper than trees grow", id="a child that is its own parent"),
        pytest.param("words_child", _first(10_000_000), "child that is none", id="child"),
        pytest.param("words_child", _first(-10_000_000), "child that is none", id="leaf"),
        pytest.param("words_roots", _first(-1), "root that is none", id="root"),
        pytest.param("words_roots", lambda one: one[:0], "root that is none", id="no trees"),
        pytest.param("words_roots", lambda one: np.repeat(one, 1000), "more trees than 200", id="too many"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(
    trained: Trained, tmp_path: Path, name: str, change: Callable[[Array], Array], said: str
) -> None:
    save(
        Trained(trained.header, {**trained.arrays, name: change(trained.arrays[name])}), tmp_path / "a.router"
    )

    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "a.router")


def test_an_array_of_another_kind_is_refused(data: bytes) -> None:
    swapped = data[:-32].replace(b'"words_child","kind":"i4"', b'"words_child","kind":"f4"', 1)

    with pytest.raises(ConfigError, match=r"not of the kind i4|holds what is no number"):
        read(signed(swapped))


def test_a_file_that_is_not_there_is_named_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="greenroom route train"):
        load(tmp_path / "none.router")
