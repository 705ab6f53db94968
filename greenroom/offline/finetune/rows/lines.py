"""A training file as rows, a line at a time: whatever the bytes are, memory stays bounded by one line.

Knows bytes and JSON, nothing of what a row should hold.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from greenroom.offline.finetune.rows.problems import Problems

MOST_LINE_BYTES = 4 << 20
MOST_DEPTH = 100
"""Objects and lists inside each other; the schemas of tools need some ten."""
_MOST_DIGITS = 25
_PIECE = 1 << 20
_PACKED = {
    b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PAR1": "Parquet",
    b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip

_WHOLE_FILE = frozenset(("json_array", "json_over_lines", "csv"))
"""Seen on the first line, they say all there is to say."""

Json = dict[str, Any]  # Any: JSON


class Line(NamedTuple):
    """A row and where it stands."""

    number: int
    row: Json


class Fault(Exception):
    """A line that is no row: its kind, and a sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Lines:
    """The rows of one file. Read once; then `digest`, `bytes` and `rows` are those of the whole file."""

    def __init__(self, path: Path, problems: Problems) -> None:
        self._path = path
        self._name = path.name
        self._problems = problems
        self._digest = sha256()
        self.bytes = 0
        self.rows = 0
        """Lines that are not blank, broken ones counted."""
        self._windows = self._blank = 0
        """The first line of such a kind."""
        self._seen: set[str] = set()
        """Kinds of problems of this file."""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Line]:
        """Each row that is a JSON object; what is wrong is noted and passed over."""
        try:
            with self._path.open("rb") as file:
                yield from self._read(file)
        except OSError as error:
            self._note(0, "unreadable", f"It can't be read: {error.strerror or error}.")
            return
        if not self.rows and not self._seen:
            self._note(0, "empty_file", "There is no row in it.")
        if self._windows:
            self._note(self._windows, "crlf", "Lines end as on Windows, with CR and LF.")
        if self._blank:
            self._note(self._blank, "blank_line", "The line is empty.")

    def _read(self, file: BinaryIO) -> Iterator[Line]:
        for number, whole in enumerate(self._lines(file), 1):
            if whole is None:
                self.rows += 1
                self._note(number, "line_too_long", f"The line has more than {MOST_LINE_BYTES >> 20} MB.")
                continue
            line = self._without_mark(whole) if number == 1 else whole
            if line is None:
                return
            if line.endswith(b"\r\n"):
                self._windows = self._windows or number
            if not line.strip():
                # The last line feed ends a line and begins none.
                self._blank = self._blank or number
                continue
            self.rows += 1
            row = self._row(number, line)
            if row is not None:
                yield Line(number, row)
            if number == 1 and self._seen & _WHOLE_FILE:
                return

    def _lines(self, file: BinaryIO) -> Iterator[bytes | None]:
        """Lines with their ends; None for one that is too long, which is never held whole."""
        while True:
            line = self._piece(file, MOST_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MOST_LINE_BYTES and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = self._piece(file, _PIECE)
                yield None
            else:
                yield line

    def _piece(self, file: BinaryIO, most: int) -> bytes:
        piece = file.readline(most)
        self._digest.update(piece)
        self.bytes += len(piece)
        return piece

    def _without_mark(self, line: bytes) -> bytes | None:
        """The first line without a byte order mark; None where the file is no text of ours."""
        for head, name in _PACKED.items():
            if line.startswith(head):
                self._note(0, "compressed", f"This is a {name} file.")
                return None
        if line.startswith((b"\xff\xfe", b"\xfe\xff")) or line[1:4:2] == b"\0\0" or line[:3:2] == b"\0\0":
            self._note(1, "utf16", "The file is saved as UTF-16.")
            return None
        if line.startswith(b"\xef\xbb\xbf"):
            self._note(1, "bom", "The file begins with a byte order mark.")
            return line[3:]
        return line

    def _row(self, number: int, line: bytes) -> Json | None:
        try:
            return _row(number, line)
        except Fault as fault:
            self._note(number, fault.kind, str(fault))
            return None

    def _note(self, number: int, kind: str, message: str) -> None:
        self._seen.add(kind)
        self._problems.add(self._name, number, kind, message)


def _row(number: int, line: bytes) -> Json:
    if b"\0" in line:
        raise Fault("nul", "There are zero bytes in the line.")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Fault("not_utf8", f"Byte {error.start + 1} of the line is not UTF-8.") from None
    try:
        row = parsed(text)
    except json.JSONDecodeError as error:
        raise _broken(number, text, error) from None
    if not isinstance(row, dict):
        if number == 1 and isinstance(row, list):
            raise Fault("json_array", "The file is one JSON array.")
        raise Fault("not_an_object", "The line is JSON, but no object.")
    return row


def parsed(text: str) -> Any:  # Any: JSON
    """A JSON value that means one thing and can be written again. Raises: Fault, JSONDecodeError."""
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except RecursionError:
        raise Fault("too_deep", "The row is nested too deep.") from None
    if text.count("{") + text.count("[") > MOST_DEPTH and _depth(value) > MOST_DEPTH:
        raise Fault("too_deep", "The row is nested too deep.")
    if "\\u" in text and not _is_whole(value):
        raise Fault("lone_surrogate", "A character is half a surrogate pair.")
    return value


def _broken(number: int, text: str, error: json.JSONDecodeError) -> Fault:
    stripped = text.strip()
    if number == 1 and stripped.startswith("["):
        return Fault("json_array", "The file is one JSON array.")
    if number == 1 and stripped == "{":
        return Fault("json_over_lines", "An object goes over several lines.")
    if number == 1 and not stripped.startswith("{") and ("," in stripped or "\t" in stripped):
        return Fault("csv", "This is no JSON but looks like a table.")
    if error.msg == "Extra data" and text[error.pos :].lstrip().startswith("{"):
        return Fault("several_on_a_line", "There are several objects on the line.")
    if stripped.startswith("{") and (error.pos >= len(stripped) - 1 or "Unterminated" in error.msg):
        return Fault("cut_off", "The line ends before its object does.")
    return Fault("broken_json", f"This is not JSON at character {error.pos + 1}.")


def _object(pairs: list[tuple[str, Any]]) -> Json:  # Any: JSON
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Fault("duplicate_key", "A key stands twice in one object.")
    return made


def _constant(name: str) -> None:
    raise Fault("not_a_number", "A number is NaN or infinite.")


def _int(digits: str) -> int:
    number = int(digits) if len(digits) < _MOST_DIGITS else 1 << 64
    if not -(1 << 63) <= number < 1 << 64:
        raise Fault("broken_json", "A whole number in the line has more than 64 bits.")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise Fault("not_a_number", "A number is NaN or infinite.")
    return number


def _depth(value: Any) -> int:  # Any: JSON
    """Levels of a value, counted without recursion."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
    return deepest


def _is_whole(value: Any) -> bool:  # Any: JSON
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
