"""A job looked at until it ends: a bar with the losses at a terminal, a line at each tenth otherwise.

Where no server runs the jobs of the data folder, whoever watches does.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from msgspec.json import decode

from greenroom.cli.output import printable
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE

if TYPE_CHECKING:
    from greenroom.assembly.finetuning import Finetuning
    from greenroom.store.jobs import JobRow

LOOK_S = 0.3
_STEPS = 10
"""Lines for a phase where there is no terminal."""
_ENDS = {"succeeded": FINE, "failed": FINDINGS, "cancelled": INCONCLUSIVE}


class Look(NamedTuple):
    """How a job stands."""

    state: str
    phase: str
    step: int
    total: int
    said: str
    """The newest losses, and when it should be done."""


def watch_job(training: "Finetuning", id: str, *, quiet: bool) -> int:
    """Until the job ends or rests; the exit code. Ctrl-C ends the watching alone."""
    from greenroom.offline.finetune.runner import Runner  # noqa: PLC0415  # only where a job is watched

    runner = Runner(training.tools, only=id)
    try:
        with _display(quiet=quiet) as tell:
            while True:
                runner.tick()
                row = training.tools.kept.job(id)
                if row is None:
                    return FINDINGS
                tell(_look(training, row))
                if row.status in _ENDS:
                    return _ENDS[row.status]
                if row.status == "paused" and not is_at_work(training, id):
                    return INCONCLUSIVE
                time.sleep(LOOK_S)
    finally:
        runner.stop()


def settle(training: "Finetuning", id: str) -> None:
    """See that a job which was paused or cancelled has no process left, where no server does."""
    from greenroom.offline.finetune.runner import Runner  # noqa: PLC0415  # as above

    runner = Runner(training.tools, only=id)
    try:
        runner.tick()
        while is_at_work(training, id):
            time.sleep(LOOK_S)
            runner.tick()
    finally:
        runner.stop()


def is_at_work(training: "Finetuning", id: str) -> bool:
    """Whether a process works for a job."""
    from greenroom.offline.finetune.child import is_held  # noqa: PLC0415  # as above

    folder = training.folder / id
    return folder.is_dir() and is_held(folder)


def _look(training: "Finetuning", row: "JobRow") -> Look:
    progress = training.desk.folder(row.id).progress() if row.status == "running" else None
    parts = []
    newest = training.tools.kept.newest_metrics(row)
    for name, short in (("train_loss", "loss"), ("valid_loss", "validation")):
        if name in newest:
            parts.append(f"{short} {newest[name]:.3f}")
    if row.status == "running" and row.finish_ns:
        left_s = max(0, row.finish_ns / 1e9 - time.time())
        parts.append(f"{left_s / 60:.0f} min left" if left_s > 90 else f"{left_s:.0f} s left")
    if row.error:
        parts = [decode(row.error)["message"]]
    if progress is None:
        done = int(row.status == "succeeded")
        return Look(row.status, "", done, done, ", ".join(parts))
    return Look(row.status, progress.phase, progress.step, progress.total_steps, ", ".join(parts))


@contextmanager
def _display(*, quiet: bool) -> Iterator[Callable[[Look], None]]:
    if quiet:
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console  # noqa: PLC0415  # rich costs 100 ms and is for people only
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415  # as above

        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", markup=False),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bars:
            task = bars.add_task("", total=None, said="")

            def tell(look: Look) -> None:
                name = look.phase or look.state.replace("_", " ")
                said = printable(look.said)
                bars.update(task, description=name, total=look.total or None, completed=look.step, said=said)

            yield tell


class _Lines:
    """A line when the state or phase changes, and at each tenth of a phase."""

    def __init__(self) -> None:
        self._last = ("", "", -1)

    def __call__(self, look: Look) -> None:
        tenth = look.step * _STEPS // look.total if look.total else 0
        if (look.state, look.phase, tenth) == self._last:
            return
        self._last = (look.state, look.phase, tenth)
        where = f"{look.phase}: {look.step} of {look.total}" if look.phase and look.total else look.phase
        said = ", ".join(part for part in (where or look.state.replace("_", " "), look.said) if part)
        print(printable(said), file=sys.stderr, flush=True)
