"""A GGUF file on the disk: whole and checked under its name, or not there.

It is written as `.NAME.part` beside it, which an interrupted export leaves and the next one writes over.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.gguf_writer import GGUFWriter
from numpy.typing import NDArray

from greenroom.errors import Conflict, StoreError
from greenroom.models.gguf import NotGGUF, read_head
from greenroom.offline.finetune.export.arrays import size_bytes

SPARE_BYTES = 64 << 20
"""What is left free on the disk."""


class Part(NamedTuple):
    """One tensor to come."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    read: Callable[[], Iterator[NDArray[np.generic]]]
    """Its bytes, some rows at a time."""


def write_gguf(
    out: Path, architecture: str, describe: Callable[[GGUFWriter], None], parts: list[Part]
) -> None:
    """Write one file. `describe` adds the metadata.

    Raises: StoreError when the disk is full or can't be written, Conflict while somebody else writes the same
    file; whatever `read` raises. Then there is no file, or the one that was there before.
    """
    half = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _room_for(out, sum(size_bytes(one.shape, one.kind) for one in parts))
        lock = os.open(half, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{out} can't be written: {error.strerror or error}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict(f"{out} is being written by another process at the moment.") from None
    try:
        _write(half, architecture, describe, parts)
        read_head(half)
        half.replace(out)
    except OSError as error:
        raise StoreError(
            f"{out} can't be written: {error.strerror or error}. Make room on that disk."
        ) from None
    except NotGGUF as error:
        raise StoreError(f"What was written to {out} {error}. Try again.") from None
    finally:
        half.unlink(missing_ok=True)
        os.close(lock)


def _write(half: Path, architecture: str, describe: Callable[[GGUFWriter], None], parts: list[Part]) -> None:
    writer = GGUFWriter(half, architecture)
    try:
        describe(writer)
        for one in parts:
            writer.add_tensor_info(
                one.name, one.shape, np.dtype(np.float32), size_bytes(one.shape, one.kind), raw_dtype=one.kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        (file,) = writer.fout
        for one in parts:
            _pad(file, writer.data_alignment)
            for rows in one.read():
                file.write(np.ascontiguousarray(rows).data)
        _pad(file, writer.data_alignment)
        file.flush()
        os.fsync(file.fileno())
    finally:
        writer.close()


def _pad(file: IO[bytes], alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _room_for(out: Path, size: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if size + SPARE_BYTES > free:
        raise StoreError(
            f"{out} will have {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free there. Make room first."
        )
