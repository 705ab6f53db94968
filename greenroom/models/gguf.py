"""The head of a GGUF file: is it one, is it whole, and what model is in it.

Every size is bounded before it is believed, nothing is kept but a few fields, and nothing after the list of
tensors is read. Little-endian, versions 2 and 3. Source: the format's description in ggml, docs/gguf.md.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

MAGIC = b"GGUF"
HEAD_LIMIT_BYTES = 128 * 1024 * 1024
"""Metadata and list of tensors together; the largest vocabularies take about 20 MB."""
TEXT_LIMIT_BYTES = 1024 * 1024
ENTRIES_LIMIT = 65_536
TENSORS_LIMIT = 1_000_000
ITEMS_LIMIT = 16_777_216
"""Of one array."""
_DEPTH_LIMIT = 2
"""Arrays in arrays."""

_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type."""
_PER_LAYER = (".attention.head_count", ".attention.head_count_kv", ".feed_forward_length")
"""Numbers that some models give for each layer."""
_LAYERS_LIMIT = 4096
_INTEGERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2),
}  # fmt: skip
"""Elements and bytes of a block by the tensor's type; of others only the place is checked."""


class NotGGUF(Exception):
    """The file can't be used; the message says why, in words that follow "the file"."""


class Head(NamedTuple):
    """What a file says of itself."""

    architecture: str
    name: str
    parameters: int
    """Numbers in all tensors."""
    context: int | None
    """Tokens it was trained for."""
    has_template: bool
    """Whether it says how a chat is written."""
    size_bytes: int
    numbers: Mapping[str, int] = MappingProxyType({})
    """What the metadata says of the architecture in whole numbers, without its name in front; of a list of
    numbers, one for each layer, the largest.
    """
    vocabulary: int | None = None
    """Rows of the table of embeddings."""
    has_output: bool = True
    """Whether the output matrix is another one than the table of embeddings."""
    experts_share: float = 0.0
    """The part of the bytes that is in experts."""


def read_head(path: Path) -> Head:
    """Read the head of a file. Raises NotGGUF."""
    try:
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise NotGGUF(f"can't be read: {error.strerror or error}") from None


def check_beginning(data: bytes) -> None:
    """Raise NotGGUF when the first bytes of a file are of something else. Four are enough."""
    if data[:4] == MAGIC[: len(data[:4])]:
        return
    beginning = data.lstrip()[:64].lower()
    if beginning.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise NotGGUF("is a web page, not a GGUF file")
    if beginning.startswith(b"version https://git-lfs"):
        raise NotGGUF("is a pointer to a large file, not the GGUF file itself; use the address for downloads")
    raise NotGGUF("is not a GGUF file: it does not begin with 'GGUF'")


def _read(file: BinaryIO, size: int) -> Head:
    check_beginning(file.read(64))
    file.seek(4)
    reader = _Reader(file, size)
    version = reader.number("<I")
    if version not in {2, 3}:
        raise NotGGUF(f"is GGUF of version {version}, or of the other byte order; versions 2 and 3 are read")
    tensors, entries = reader.number("<Q"), reader.number("<Q")
    if tensors > TENSORS_LIMIT or entries > ENTRIES_LIMIT:
        raise NotGGUF("claims more tensors or metadata than any model has")
    texts, numbers = _metadata(reader, entries)
    architecture = texts.get("general.architecture", "")
    if not architecture or not tensors:
        raise NotGGUF("holds no model: it names no architecture, or has no tensors")
    found = _tensors(reader, tensors)
    end = found.end
    alignment = numbers.get("general.alignment", 32)
    if not 1 <= alignment <= 1 << 20:
        raise NotGGUF("claims an alignment that no file has")
    begin = -(-reader.position // alignment) * alignment
    if begin + end > size:
        raise NotGGUF(f"is cut off: it has {size:,} bytes of at least {begin + end:,}")
    return Head(
        architecture=architecture,
        name=texts.get("general.name", ""),
        parameters=found.parameters,
        context=numbers.get(f"{architecture}.context_length"),
        has_template="tokenizer.chat_template" in texts,
        size_bytes=size,
        numbers={
            name.removeprefix(f"{architecture}."): value
            for name, value in numbers.items()
            if name.startswith(f"{architecture}.")
        },
        vocabulary=found.vocabulary,
        has_output=found.has_output,
        experts_share=found.expert_parameters / max(1, found.parameters),
    )


def _metadata(reader: "_Reader", entries: int) -> tuple[dict[str, str], dict[str, int]]:
    """Texts and integers; all else is passed over."""
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for _ in range(entries):
        key, kind = reader.text(), reader.number("<I")
        if kind == _STRING:
            texts[key] = reader.text()
        elif kind in _INTEGERS:
            numbers[key] = reader.number(_INTEGERS[kind])
        elif kind == _ARRAY and key.endswith(_PER_LAYER):
            numbers[key] = reader.largest()
        else:
            reader.skip_value(kind)
    return texts, numbers


class _Tensors(NamedTuple):
    parameters: int
    expert_parameters: int
    end: int
    """Where the last byte of known place ends after the head."""
    vocabulary: int | None
    has_output: bool


def _tensors(reader: "_Reader", count: int) -> _Tensors:
    """What the list of tensors says."""
    parameters = experts = end = 0
    vocabulary, has_output = None, False
    for _ in range(count):
        name = reader.text()
        dimensions = reader.number("<I")
        if not 1 <= dimensions <= 8:
            raise NotGGUF("has a tensor of impossible shape")
        elements = size = 1
        for _ in range(dimensions):
            size = reader.number("<Q")
            elements *= size
        kind, offset = reader.number("<I"), reader.number("<Q")
        if elements > 1 << 50 or offset > 1 << 50:
            raise NotGGUF("has a tensor of impossible size")
        parameters += elements
        experts += elements if "_exps." in name else 0
        vocabulary = size if name == "token_embd.weight" else vocabulary
        has_output = has_output or name == "output.weight"
        per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
        end = max(end, offset + -(-elements // per_block) * block_bytes)
    return _Tensors(parameters, experts, end, vocabulary, has_output)


class _Reader:
    """Takes values off a file, never more than the head may have."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.position = 4

    def take(self, count: int) -> bytes:
        self._count(count)
        data = self._file.read(count)
        if len(data) < count:
            raise NotGGUF("is cut off in its head")
        return data

    def number(self, form: str) -> int:
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        assert isinstance(found, int)
        return found

    def text(self) -> str:
        length = self.number("<Q")
        if length > TEXT_LIMIT_BYTES:
            raise NotGGUF("has a text in its head that is longer than 1 MB")
        return self.take(length).decode("utf-8", "replace")

    def largest(self) -> int:
        """The largest number of a list, 0 of an empty one. Raises NotGGUF for a list of anything else."""
        item, count = self.number("<I"), self.number("<Q")
        if count > _LAYERS_LIMIT or item not in _INTEGERS:
            raise NotGGUF("has a list of heads that no model has")
        return max((self.number(_INTEGERS[item]) for _ in range(count)), default=0)

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind == _STRING:
            length = self.number("<Q")
            if length > TEXT_LIMIT_BYTES:
                raise NotGGUF("has a text in its head that is longer than 1 MB")
            self._skip(length)
        elif kind == _ARRAY:
            item, count = self.number("<I"), self.number("<Q")
            if count > ITEMS_LIMIT or depth >= _DEPTH_LIMIT:
                raise NotGGUF("has a list in its head that is longer or deeper than any model's")
            if item in _SIZES:
                self._skip(count * _SIZES[item])
            else:
                for _ in range(count):
                    self.skip_value(item, depth + 1)
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        else:
            raise NotGGUF("has a value of unknown type in its head")

    def _skip(self, count: int) -> None:
        self._count(count)
        self._file.seek(count, os.SEEK_CUR)

    def _count(self, count: int) -> None:
        self.position += count
        if self.position > HEAD_LIMIT_BYTES:
            raise NotGGUF("has a head larger than 128 MB")
        if self.position > self._size:
            raise NotGGUF("is cut off in its head")
