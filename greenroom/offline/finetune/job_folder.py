"""One job's folder as those see it who do not train: plan in, events, progress, checkpoints and result out.

A file that is missing, half written or of another form is no file: the process that writes may die anywhere.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder, decode, encode

from greenroom.offline.finetune.plan import COMPLETE, Checkpoint, Event, Plan, Progress, Result

T = TypeVar("T")
WEIGHTS = ("model", "models", "adapter", "checkpoints", "tokenizer", "text.txt")
"""What is large in a job's folder, and of no use once nobody has its models."""
ROWS = (
    "train.jsonl", "train.lineage.jsonl", "valid.jsonl", "valid.lineage.jsonl", "order.json", "files",
)  # fmt: skip
"""What people said, and where it came from: kept as long as a model was or may yet be made of it."""
MOST_READ = 1 << 20
"""Bytes of events taken at once; a longer line is passed over."""
_event = Decoder(Event)


class Read(NamedTuple):
    """Events, and up to which byte of the file they stand."""

    events: list[Event]
    end: int


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make it. Raises: OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def events(self, start: int) -> Read:
        """The whole lines from a byte on."""
        try:
            with (self.path / "events.jsonl").open("rb") as file:
                file.seek(start)
                data = file.read(MOST_READ)
        except OSError:
            return Read([], start)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == MOST_READ:
            return Read([], start + MOST_READ)
        found = []
        for line in data[:end].splitlines():
            try:
                found.append(_event.decode(line))
            except (DecodeError, UnicodeDecodeError):
                continue  # what a power cut left
        return Read(found, start + end)

    def last_error(self) -> str | None:
        """What the last event says, where that is an error: why starting again would not help."""
        last = None
        start = 0
        while (found := self.events(start)).end > start:
            last = found.events[-1] if found.events else last
            start = found.end
        return last.message if last is not None and last.level == "error" else None

    def progress(self) -> Progress | None:
        """Where training is."""
        return self.read("progress.json", Progress)

    def result(self) -> Result | None:
        """What came out, once all is done."""
        return self.read("result.json", Result)

    def card(self) -> dict[str, Any]:  # Any: JSON
        """What the trainer says of the model."""
        return self.read("card.json", dict[str, Any]) or {}

    def plan(self) -> Plan | None:
        """What is to be trained."""
        return self.read("plan.json", Plan)

    def checkpoints(self) -> Iterator[tuple[int, Checkpoint]]:
        """Those that count, with the steps of all phases."""
        try:
            names = [one.name for one in (self.path / "checkpoints").iterdir() if one.name.isdecimal()]
        except OSError:
            return
        for name in sorted(names, key=int):
            if (self.path / "checkpoints" / name / COMPLETE).exists():
                found = self.read(f"checkpoints/{name}/checkpoint.json", Checkpoint)
                if found is not None:
                    yield int(name), found

    def models(self, number: int) -> dict[str, str]:
        """The GGUF files made of a checkpoint, relative to the folder, by format."""
        found = (self.path / "models" / str(number)).glob("*.gguf")
        return {one.stem.rpartition("-")[2]: one.relative_to(self.path).as_posix() for one in found}

    def put(self, name: str, content: object) -> None:
        """Write a file as a whole. Raises: OSError."""
        data = content if isinstance(content, bytes) else encode(content)
        beside = self.path / f".{name}.part"
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path / name)

    def size_bytes(self) -> int:
        """What it takes on the disk."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    total += (Path(folder) / name).stat().st_size
                except OSError:
                    continue  # it was replaced just now
        return total

    def drop(self, *names: str) -> None:
        """Remove files and folders in it that are not needed any more."""
        for name in names:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def read(self, name: str, kind: type[T]) -> T | None:
        """A JSON file as its type; None where it is not there, or not whole."""
        try:
            return decode((self.path / name).read_bytes(), type=kind)
        except (OSError, DecodeError, ValidationError, UnicodeDecodeError):
            return None
