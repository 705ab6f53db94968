"""Rows on their way: written beside their place, read again by number, moved there when all is well.

A file beside them, `train.lineage.jsonl`, says where each row came from: {"row", "line", "trace"?}.
"""

import os
import re
from array import array
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from msgspec.json import Decoder, Encoder

from greenroom.offline.finetune.rows.form import texts_of
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.prepared import Part

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_encode = Encoder().encode
_decode = Decoder(Json).decode


class Staged:
    """The rows of one file that passed so far. Raises: OSError."""

    def __init__(self, path: Path, source: Path) -> None:
        self.source = source
        self.source_digest = ""
        self.rows_read = 0
        self.lines = array("Q")
        """Where each row stood in the source."""
        self._path = path
        self._beside = path.with_name(path.name + ".part")
        self._file = self._beside.open("w+b")
        self._starts = array("Q", [0])
        self._tokens = array("Q")
        self._traces: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, line: int, body: Json, tokens: int, trace: object) -> None:
        """A row from this line."""
        raw = _encode(body) + b"\n"
        self._file.write(raw)
        self._starts.append(self._starts[-1] + len(raw))
        self._tokens.append(tokens)
        if isinstance(trace, str) and _ID.fullmatch(trace):
            self._traces[len(self)] = trace
        self.lines.append(line)

    def read(self, number: int) -> Json:
        """A row again."""
        return _decode(self._raw(number))

    def _raw(self, number: int) -> bytes:
        self._file.seek(self._starts[number])
        return self._file.read(self._starts[number + 1] - self._starts[number])

    def keep(self, stays: Callable[[int], bool]) -> int:
        """How many rows stay."""
        return sum(map(stays, range(len(self))))

    def finish(self, stays: Callable[[int], bool]) -> Part:
        """Put the rows that stay in their place."""
        digest, rows, chars, tokens, longest = sha256(), 0, 0, 0, 0
        whole = self._path.with_name(self._path.name + ".whole")
        lineage = self._path.with_name(f"{self._path.stem}.lineage.jsonl")
        with whole.open("wb") as out, lineage.open("wb") as origin:
            for number in filter(stays, range(len(self))):
                raw = self._raw(number)
                out.write(raw)
                digest.update(raw)
                rows += 1
                chars += sum(map(len, texts_of(_decode(raw))))
                tokens += self._tokens[number]
                longest = max(longest, self._tokens[number])
                from_where = {"row": rows, "line": self.lines[number]}
                trace = self._traces.get(number)
                origin.write(_encode({**from_where, "trace": trace} if trace else from_where) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        whole.replace(self._path)
        return Part(
            path=str(self._path), source=self.source.name, source_digest=self.source_digest,
            digest=digest.hexdigest(), rows_read=self.rows_read, rows=rows, chars=chars, tokens=tokens,
            longest_tokens=longest,
        )  # fmt: skip

    def discard(self) -> None:
        """Leave nothing half-done behind."""
        self._file.close()
        self._beside.unlink(missing_ok=True)
        self._path.with_name(self._path.name + ".whole").unlink(missing_ok=True)
