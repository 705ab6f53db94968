"""The safetensors files of a folder: what tensors they hold and where, without reading one.

A file is a length of eight bytes, so many bytes of JSON, and the tensors. Every size is bounded before it is
believed: the head has at most 100 MB, each tensor has exactly the bytes that its shape needs, tensors follow
each other without gap or overlap, and the last one ends where the file ends. Source: the format's
description, github.com/huggingface/safetensors. Knows neither numpy nor torch.
"""

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import RequestError

HEAD_LIMIT_BYTES = 100_000_000
INDEX_LIMIT_BYTES = 100_000_000
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WIDTHS = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of a number."""

_Size = Annotated[int, Meta(ge=0, le=1 << 50)]


class _Entry(Struct):
    dtype: str
    shape: Annotated[list[_Size], Meta(max_length=8)]
    data_offsets: tuple[_Size, _Size]


class _Index(Struct):
    weight_map: dict[str, str]


class Tensor(NamedTuple):
    """Where one tensor lies."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Of its bytes in the file."""
    size_bytes: int

    @property
    def numbers(self) -> int:
        """How many it holds."""
        return math.prod(self.shape)


_heads = Decoder(dict[str, Raw])
_entry = Decoder(_Entry)
_index = Decoder(_Index)


def read_head(path: Path) -> dict[str, Tensor]:
    """The tensors of one file by name. Raises RequestError, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            first = file.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else -1
            if not 2 <= length <= min(HEAD_LIMIT_BYTES, size - 8):
                raise _refused(path, "its head has no possible size; it is another format, or cut off")
            head = file.read(length)
    except OSError as error:
        raise _refused(path, f"it can't be read: {error.strerror or error}") from None
    try:
        said = _heads.decode(head)
        said.pop("__metadata__", None)
        entries = {name: _entry.decode(value) for name, value in said.items()}
    except (DecodeError, ValidationError, RecursionError) as error:
        raise _refused(path, f"its head is not what the format asks for ({error})") from None
    return _checked(path, entries, 8 + length, size)


def tensors_of(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model's folder: of `model.safetensors`, or of the files that its index names.

    Raises: RequestError.
    """
    if (folder / SINGLE).is_file():
        return read_head(folder / SINGLE)
    if not (folder / INDEX).is_file():
        raise RequestError(
            f"There is neither '{SINGLE}' nor '{INDEX}'. Only weights in safetensors are read."
        )
    index = _read_index(folder / INDEX)
    heads = {name: read_head(folder / name) for name in sorted(set(index.values()))}
    found = {}
    for name, file in index.items():
        if name not in heads[file]:
            raise _refused(folder / INDEX, f"it says that '{file}' holds '{name}', which it does not")
        found[name] = heads[file][name]
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make up a model. Raises RequestError for an index that can't be used."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        return []
    return [folder / name for name in sorted(set(_read_index(folder / INDEX).values()))]


def _read_index(path: Path) -> Mapping[str, str]:
    try:
        if path.stat().st_size > INDEX_LIMIT_BYTES:
            raise _refused(path, "it is larger than 100 MB")
        found = _index.decode(path.read_bytes()).weight_map
    except (OSError, DecodeError, ValidationError, RecursionError) as error:
        raise _refused(path, f"it can't be read ({error})") from None
    for name in set(found.values()):
        if not name.endswith(".safetensors") or "/" in name or "\\" in name or name.startswith("."):
            raise _refused(path, f"it names '{name}', which is no safetensors file beside it")
    if not found:
        raise _refused(path, "it names no tensors")
    return found


def _checked(path: Path, entries: Mapping[str, _Entry], begin: int, size: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, entry in entries.items():
        if entry.dtype not in WIDTHS:
            raise _refused(path, f"'{name}' has the type '{entry.dtype}', which is not known")
        start, end = entry.data_offsets
        if end - start != math.prod(entry.shape) * WIDTHS[entry.dtype]:
            raise _refused(path, f"'{name}' does not have the bytes that its shape needs")
        found[name] = Tensor(path, entry.dtype, tuple(entry.shape), begin + start, end - start)
    at = begin
    for name, tensor in sorted(found.items(), key=lambda one: (one[1].begin, one[1].size_bytes)):
        if tensor.begin != at:
            raise _refused(path, f"there is a gap or an overlap before '{name}'")
        at += tensor.size_bytes
    if at != size:
        raise _refused(path, f"it should have {at:,} bytes and has {size:,}; it is cut off or added to")
    if not found:
        raise _refused(path, "it holds no tensors")
    return found


def _refused(path: Path, why: str) -> RequestError:
    return RequestError(f"The file '{path.name}' can't be used: {why}.")
