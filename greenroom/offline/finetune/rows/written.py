"""Rows written to files, all or nothing; whole conversations on one side of a split."""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from msgspec.json import Encoder

from greenroom.errors import InfrastructureError
from greenroom.offline.finetune.rows.recorded import Example

_encode = Encoder().encode
_RANGE = 1 << 64


class Written(NamedTuple):
    """How many rows went where."""

    train: int
    valid: int


def write(examples: Iterable[Example], train: Path, valid: Path | None, share: float) -> Written:
    """Write rows, nothing where there is none; `share` (0 to 1) of the conversations go to `valid`.

    Which side a conversation is on depends on the hash of its name: rows that come later move none. Raises:
    InfrastructureError.
    """
    counts = [0, 0]
    paths = [train] if valid is None else [train, valid]
    beside = [path.with_name(path.name + ".part") for path in paths]
    try:
        files = [path.open("wb") for path in beside]
        try:
            for one in examples:
                side = int(valid is not None and _place(one.conversation) < share)
                files[side].write(_encode(one.row) + b"\n")
                counts[side] += 1
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        finally:
            for file in files:
                file.close()
        if counts[0]:
            for path, target in zip(beside, paths, strict=True):
                path.replace(target)
    except OSError as error:
        raise InfrastructureError(f"'{train}' can't be written: {error.strerror or error}.") from None
    finally:
        for path in beside:
            path.unlink(missing_ok=True)
    return Written(*counts)


def _place(conversation: str) -> float:
    """Where a name lies between 0 and 1."""
    digest = sha256(b"conversation " + conversation.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / _RANGE
