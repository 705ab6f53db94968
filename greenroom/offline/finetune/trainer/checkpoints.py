"""Checkpoints: written beside their place and moved there whole, found again, the old ones removed.

One counts when its file COMPLETE lists every other file with its size, and they are so. What is in it beside
the weights is safetensors and JSON: a checkpoint is never unpickled, whoever put it there.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from greenroom.offline.finetune.plan import COMPLETE, Checkpoint
from greenroom.offline.finetune.trainer.folder import Phase, sync_folder

NEWEST_KEPT = 3
"""As many as OpenAI's service keeps; the best of the validation rows stays beside them."""


class Kept(NamedTuple):
    """A checkpoint that counts, and where it lies."""

    path: Path
    checkpoint: Checkpoint


class Checkpoints:
    """The checkpoints of one job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tidy(self) -> None:
        """Remove what a killed process left half written."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.startswith(".") or not _counts(path):
                    shutil.rmtree(path, ignore_errors=True)

    def all(self) -> list[Kept]:
        """Those that count, newest first."""
        if not self._folder.is_dir():
            return []
        numbers = sorted(
            (int(path.name) for path in self._folder.iterdir() if path.name.isdecimal()), reverse=True
        )
        return [kept for number in numbers if (kept := self._kept(number)) is not None]

    def newest(self) -> Kept | None:
        """The one to go on from."""
        return next(iter(self.all()), None)

    def write(
        self, number: int, phase: Phase, step: int, metrics: dict[str, float], fill: Callable[[Path], None]
    ) -> Path:
        """Write checkpoint `number` (steps of all phases); `fill` puts the state into the folder it is given.

        Raises: OSError, as when the disk is full; nothing that counted before is lost then.
        """
        place = self._folder / str(number)
        if _counts(place):
            return place
        shutil.rmtree(place, ignore_errors=True)
        beside = self._folder / f".{number}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            fill(beside)
            card = Checkpoint(at=time.time(), phase=phase, step=step, metrics=metrics)
            (beside / "checkpoint.json").write_bytes(msgspec.json.encode(card))
            (beside / COMPLETE).write_bytes(msgspec.json.encode(_sizes(beside)))
            for path in _files(beside):
                _sync(path)
            for path in [beside, *beside.rglob("*/")]:
                sync_folder(path)
            beside.rename(place)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        sync_folder(self._folder)
        return place

    def prune(self, best: int | None) -> None:
        """Keep the newest and the best, and the last of what came before the rows' training."""
        everything = self.all()
        before = [kept for kept in everything if kept.checkpoint.phase == "pretraining"][:1]
        keep = {kept.path for kept in [*everything[:NEWEST_KEPT], *before]}
        for kept in everything:
            if kept.path not in keep and kept.path.name != str(best):
                _remove(kept.path)

    def remove(self, kept: Kept) -> None:
        """Take away one that can't be read, so that the one before it counts as the newest."""
        _remove(kept.path)

    def _kept(self, number: int) -> Kept | None:
        path = self._folder / str(number)
        if not _counts(path):
            return None
        try:
            return Kept(path, msgspec.json.decode((path / "checkpoint.json").read_bytes(), type=Checkpoint))
        except (OSError, msgspec.DecodeError):
            return None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _sizes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size for path in _files(folder) if path.name != COMPLETE
    }


def _counts(path: Path) -> bool:
    try:
        listed = msgspec.json.decode((path / COMPLETE).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return False
    return all(
        (path / name).is_file() and (path / name).stat().st_size == size for name, size in listed.items()
    )


def _remove(path: Path) -> None:
    """COMPLETE goes first: a process killed here leaves nothing that seems whole."""
    (path / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
