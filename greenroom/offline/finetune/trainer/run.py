"""One run of the process: what every part of it shares, and the steps at which it may stop."""

import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec
from msgspec import Struct

from greenroom.offline.finetune.plan import Checkpoint, Plan
from greenroom.offline.finetune.trainer import ranks
from greenroom.offline.finetune.trainer.checkpoints import Checkpoints, Kept
from greenroom.offline.finetune.trainer.folder import Folder, Phase, TrainingRefused
from greenroom.offline.finetune.trainer.heartbeat import Heartbeat

STATE = "state.json"


class Paused(Exception):
    """SIGTERM came, and a checkpoint is written."""


class Spent(Struct, kw_only=True):
    """What a checkpoint remembers beside weights and optimizer."""

    step: int = 0
    """Of the phase."""
    tokens: int = 0
    """That were trained on, of all phases."""
    wall_s: float = 0.0
    metrics: dict[str, float] = {}
    best_loss: float | None = None
    """The lowest of the validation rows."""
    best_number: int | None = None
    """The checkpoint that has it."""
    looks_without_gain: int = 0


def must_be_finite(loss: float, step: int) -> None:
    """Raises: TrainingRefused when a loss is no number any more."""
    if not math.isfinite(loss):
        raise TrainingRefused(
            f"The loss of step {step} is no number any more: training went astray. Set learning_rate lower."
        )


class Run:
    """What the parts share. Only the first of several processes writes."""

    def __init__(self, folder: Folder, plan: Plan, heartbeat: Heartbeat, *, writes: bool = True) -> None:
        self.folder = folder
        self.plan = plan
        self.heartbeat = heartbeat
        self.checkpoints = Checkpoints(folder.checkpoints)
        self.writes = writes
        self.spent = Spent()
        self.steps_before = 0
        """Steps of the phases before this one; checkpoints are numbered through."""
        self._began_s = time.monotonic()
        self._stop = threading.Event()

    def heed_signals(self) -> None:
        """SIGTERM and SIGINT ask for a checkpoint and an end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def wall_s(self) -> float:
        """Time of all runs of this job, but for what a crash lost."""
        return self.spent.wall_s + time.monotonic() - self._began_s

    def newest(self) -> Kept | None:
        """The checkpoint to go on from; what it remembers is taken over."""
        kept = self.checkpoints.newest()
        while kept is not None:
            try:
                self.spent = msgspec.json.decode((kept.path / STATE).read_bytes(), type=Spent)
                return kept
            except (OSError, msgspec.DecodeError) as error:
                self.folder.tell(
                    f"Checkpoint {kept.path.name} can't be read ({error}); going on from the one before.",
                    "warn",
                )
                self.checkpoints.remove(kept)
                kept = self.checkpoints.newest()
        return None

    def is_in(self, phase: Phase, kept: Kept | None) -> bool:
        """Whether a checkpoint was written amid this phase."""
        return kept is not None and kept.checkpoint.phase == phase

    def begin(self, phase: Phase, *, resumed: Checkpoint | None) -> None:
        """A phase begins, or goes on."""
        self.heartbeat.enter(phase)
        if resumed is None:
            self.spent = Spent(tokens=self.spent.tokens, wall_s=self.spent.wall_s)
        else:
            self.folder.tell(f"Going on from step {resumed.step} of {phase}.", step=resumed.step)

    def number(self, step: int) -> int:
        """The number of the checkpoint after step `step` of this phase."""
        return self.steps_before + step

    def keep(self, phase: Phase, step: int, fill: Callable[[Path], None]) -> None:
        """Write a checkpoint, remove those that are no longer needed."""
        if self.writes:
            self._write(phase, step, fill)
        ranks.wait()

    def _write(self, phase: Phase, step: int, fill: Callable[[Path], None]) -> None:
        spent = msgspec.structs.replace(self.spent, step=step, wall_s=self.wall_s)

        def fill_all(path: Path) -> None:
            fill(path)
            (path / STATE).write_bytes(msgspec.json.encode(spent))

        self.checkpoints.write(self.number(step), phase, step, spent.metrics, fill_all)
        self.checkpoints.prune(self.spent.best_number)

    def look(self, step: int, metrics: dict[str, float]) -> bool:
        """Take in a look at the validation rows; True when it is the best so far."""
        loss = metrics["valid_loss"]
        self.spent.metrics = {**self.spent.metrics, **metrics}
        if self.spent.best_loss is not None and loss >= self.spent.best_loss:
            self.spent.looks_without_gain += 1
            return False
        self.spent.best_loss, self.spent.best_number = loss, self.number(step)
        self.spent.looks_without_gain = 0
        return True

    @property
    def is_patience_over(self) -> bool:
        """Whether the validation rows have gained nothing for as many looks as are allowed."""
        patience = self.plan.hyperparameters.patience
        return patience is not None and self.spent.looks_without_gain >= patience

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()
