"""The folder of one job, as the process that trains sees it: rows in, events and files out.

Files that others read while this process lives are replaced as a whole, never changed in place.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from greenroom.errors import GreenroomError
from greenroom.offline.finetune.plan import Event, Plan, Progress, Result

Level = Literal["info", "warn", "error"]
Phase = Literal["pretraining", "training"]
Row = dict[str, Any]  # Any: rows are JSON, as OpenAI's clients upload them


class TrainingRefused(GreenroomError):
    """Training can't go on, and starting it again would not help. The message says what to change."""

    code = "training_refused"


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`: a reader, also after a power cut, finds all of it or what was there before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Folder:
    """One job's folder. `writes` is false in processes beside the first: they read, and tell nothing."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self._writes = writes
        self._told: dict[tuple[str, bool], int] = {}  # the last step told, of each phase and of validation
        if writes:
            self._mend_events()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def plan(self) -> Plan:
        """The plan. Raises: TrainingRefused when there is none, or it can't be read."""
        path = self.path / "plan.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except FileNotFoundError:
            raise TrainingRefused(f"{path} is missing; a job's folder begins with its plan.") from None
        except (msgspec.DecodeError, OSError) as error:
            raise TrainingRefused(f"{path} can't be read: {error}") from error

    def rows(self, name: str) -> list[Row]:
        """The rows of `train.jsonl` or `valid.jsonl`; none when the file is missing.

        Raises: TrainingRefused, naming file and line.
        """
        path = self.path / name
        return list(self._rows(path)) if path.exists() else []

    def _rows(self, path: Path) -> Iterator[Row]:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = msgspec.json.decode(line)
                except msgspec.DecodeError as error:
                    raise TrainingRefused(f"{path.name}, line {number} is not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise TrainingRefused(f"{path.name}, line {number} is not a JSON object.")
                yield row

    def tell(self, message: str, level: Level = "info", **data: Any) -> None:  # Any: JSON
        """Append an event for people."""
        self._append(Event(at=time.time(), message=message, level=level, data=data))

    def tell_numbers(self, phase: Phase, step: int, total: int, numbers: dict[str, float]) -> None:
        """Append an event of numbers; what was told before a crash is not told again."""
        kind = (phase, "valid_loss" in numbers)
        if step <= self._told.get(kind, -1):
            return
        self._told[kind] = step
        which, loss = (
            ("validation", numbers["valid_loss"]) if kind[1] else ("training", numbers["train_loss"])
        )
        self._append(
            Event(
                at=time.time(),
                message=f"Step {step}/{total}: {which} loss={loss:.3f}",
                type="metrics",
                data={"phase": phase, "step": step, "total_steps": total, **numbers},
            )
        )

    def write_progress(self, progress: Progress) -> None:
        """Replace `progress.json`; not synced to disk, since only the living ask for it."""
        if self._writes:
            beside = self.path / f".progress.{os.getpid()}"
            beside.write_bytes(msgspec.json.encode(progress))
            beside.replace(self.path / "progress.json")

    def last_progress(self) -> Progress | None:
        """What a run before this one wrote last, if it left something readable."""
        try:
            return msgspec.json.decode((self.path / "progress.json").read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None

    def write_json(self, name: str, content: Any) -> None:  # Any: a Struct or JSON
        """Put a JSON file into the folder."""
        if self._writes:
            write_whole(self.path / name, msgspec.json.format(msgspec.json.encode(content), indent=1))

    def result(self) -> Result | None:
        """The result of a run that has ended."""
        try:
            return msgspec.json.decode((self.path / "result.json").read_bytes(), type=Result)
        except FileNotFoundError:
            return None

    def curves(self) -> list[dict[str, Any]]:  # Any: JSON
        """The numbers told so far, oldest first."""
        return [event.data for event in self._events() if event.type == "metrics"]

    def _events(self) -> Iterator[Event]:
        path = self.path / "events.jsonl"
        if path.exists():
            with path.open("rb") as lines:
                for line in lines:
                    yield msgspec.json.decode(line, type=Event)

    def _append(self, event: Event) -> None:
        if self._writes:
            descriptor = os.open(self.path / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, msgspec.json.encode(event) + b"\n")
            finally:
                os.close(descriptor)

    def _mend_events(self) -> None:
        """Take off half a line that a full disk or a power cut left, and see which step was told last."""
        path = self.path / "events.jsonl"
        if not path.exists():
            return
        whole = path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            os.truncate(path, end)
        for numbers in self.curves():
            kind = (numbers["phase"], "valid_loss" in numbers)
            self._told[kind] = max(numbers["step"], self._told.get(kind, -1))
