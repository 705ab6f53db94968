"""The file of a batch: looked through before anything is asked, then read line by line.

A line is held at a time, whatever the size of the file. Methods block.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from greenroom.errors import GreenroomError, NotFound, StoreError
from greenroom.grounding.files import Files
from greenroom.store.batches import BatchRow
from greenroom.wire.batch_lines import Faulty, Line, read_line
from greenroom.wire.batches import MOST_BYTES, MOST_LINES

MOST_ERRORS = 100
"""That are told of one file; the look through it ends there."""
MOST_MODELS = 100
"""Names that are looked up before the first line is asked; others are when their line is."""
_SOME, _SOME_BYTES = 32, 1024 * 1024
_MARK = b"\xef\xbb\xbf"
Json = dict[str, Any]  # Any: JSON


class Checked(NamedTuple):
    """What the look through a file found."""

    total: int
    errors: list[Json]
    models: dict[str | None, int]
    """Each name with the first line that has it."""


def input_of(folder: Path, id: str) -> Path:
    """Where the input of a batch lies while it is needed."""
    return folder / f"{id}.input"


def hold(source: Path, target: Path) -> None:
    """Have the bytes of a file at hand, also when it is deleted. Raises: NotFound, StoreError."""
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError):
            os.link(source, target)
            return
        shutil.copyfile(source, target)  # a file system without links
    except FileNotFoundError:
        raise NotFound("The file was deleted just now.", "input_file_id") from None
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StoreError("The input of the batch can't be kept. See that the disk has room.") from error


def take(files: Files, row: BatchRow, folder: Path) -> None:
    """Hold the input anew where it is not there, as in a folder that was put back from a copy."""
    target = input_of(folder, row.id)
    file = None if target.exists() else files.get(row.project, row.input_file)
    if file is not None:
        with suppress(GreenroomError):  # whoever reads it says that it is gone
            hold(files.path(file), target)


def numbered(path: Path, limit_bytes: int = MOST_BYTES) -> Generator[tuple[int, bytes]]:
    """The lines that are not blank, by number from 1 on; an empty one in the place of one that is too long.

    Raises: OSError.
    """
    number = 0
    with path.open("rb") as file:
        while data := file.readline(limit_bytes + 1):
            number += 1
            if number == 1:
                data = data.removeprefix(_MARK)
            if len(data) > limit_bytes and not data.endswith(b"\n"):
                while (rest := file.readline(65_536)) and not rest.endswith(b"\n"):
                    pass
                yield number, b""
            elif data := data.strip():
                yield number, data


def some(lines: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The next lines: a few, and few where they are long; none at the end."""
    found, size = [], 0
    for number, data in lines:
        found.append((number, data))
        size += len(data)
        if len(found) == _SOME or size >= _SOME_BYTES:
            break
    return found


def check(path: Path, endpoint: str, limit_bytes: int) -> Checked:
    """Look through a whole file: form, endpoint and `custom_id` of each line. Raises: OSError."""
    if path.stat().st_size > MOST_BYTES:
        return _faulty("file_too_large", f"The file is larger than {MOST_BYTES >> 20} MB. Make several.")
    errors: list[Json] = []
    models: dict[str | None, int] = {}
    seen: set[bytes] = set()
    total = 0
    for number, data in numbered(path, limit_bytes):
        total += 1
        if total > MOST_LINES:
            return _faulty("too_many_lines", f"The file has more than {MOST_LINES:,} lines. Make several.")
        try:
            line = _checked(data, endpoint, limit_bytes, seen)
        except Faulty as error:
            errors.append({"code": error.code, "line": number, "message": str(error), "param": error.param})
            if len(errors) == MOST_ERRORS:
                break
        else:
            if len(models) < MOST_MODELS:
                models.setdefault(line.model, number)
    if not total:
        return _faulty("empty_file", "The file has no lines. Write a JSON object into each.")
    return Checked(total, errors, models)


def _checked(data: bytes, endpoint: str, limit_bytes: int, seen: set[bytes]) -> Line:
    if not data:
        raise Faulty(
            "line_too_long", f"The line is longer than the {limit_bytes:,} bytes a request may have."
        )
    line = read_line(data, endpoint)
    digest = blake2b(line.custom_id.encode(), digest_size=16).digest()
    if digest in seen:
        raise Faulty(
            "duplicate_custom_id",
            "Another line has the same 'custom_id'. Give each one of its own.",
            "custom_id",
        )
    seen.add(digest)
    return line


def _faulty(code: str, message: str) -> Checked:
    return Checked(0, [{"code": code, "line": None, "message": message, "param": "input_file_id"}], {})
