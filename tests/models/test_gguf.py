"""The head of a GGUF file: read from a good one, and never a crash or a wait on a bad one."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.models.gguf import NotGGUF, read_head
from greenroom.models.pulled import all_pulled, is_name
from tests.models import tiny_gguf

DATA = tiny_gguf.content()


def test_a_good_file_says_what_it_is(tmp_path: Path) -> None:
    head = read_head(tiny_gguf.write(tmp_path / "x.gguf"))

    assert head[:6] == ("llama", "Alphabet", tiny_gguf.parameters(), 65_536, True, len(DATA))
    assert head.numbers["embedding_length"] == tiny_gguf.WIDTH
    assert (head.vocabulary, head.has_output) == (260, True)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for length in [*range(0, 400, 7), *range(400, len(DATA), 997), len(DATA) - 1]:
        path.write_bytes(DATA[:length])
        with pytest.raises(NotGGUF):
            read_head(path)


@settings(max_examples=300, deadline=2000)
@given(place=st.integers(0, 6000), new=st.binary(min_size=1, max_size=12))
def test_whatever_stands_in_the_head_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, new: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.gguf"
    path.write_bytes(DATA[:place] + new + DATA[place + len(new) :])

    try:
        head = read_head(path)
    except NotGGUF:
        return
    assert (head.size_bytes, bool(head.architecture)) == (len(DATA), True)


def test_sizes_that_are_only_claimed_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    nested = struct.pack("<QsIIQ", 1, b"k", 9, 9, 1 << 24)  # a list of lists, all of them empty
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 1, 65_536) + nested + struct.pack("<IQ", 4, 0) * 50)
    began = time.process_time()

    with pytest.raises(NotGGUF):
        read_head(path)

    assert time.process_time() - began < 0.5


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotGGUF, match="can't be read"):
            read_head(path)


def test_files_with_names_that_are_none_are_not_offered(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name in ("good.gguf", "a b.gguf", ".gguf", "-x.gguf", "half.gguf.part", "x.gguf.gguf"):
        (tmp_path / "models" / name).write_bytes(b"GGUF")
    (tmp_path / "models" / "good.json").write_bytes(b"not JSON")

    assert [(one.name, one.source.url) for one in all_pulled(tmp_path)] == [("good", "")]
    assert [name for name in ("..", "a/b", "", "a" * 101, "qwen3-0.6b") if is_name(name)] == ["qwen3-0.6b"]
