"""The sign of life: a thread that replaces `progress.json` every second, whatever the training is at."""

import contextlib
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Literal, Self

from greenroom.offline.finetune.plan import HEARTBEAT_S, Progress
from greenroom.offline.finetune.trainer.folder import Folder

BEAT_S = HEARTBEAT_S / 2
MIB = 2**20


def resident_mib() -> float:
    """Memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the peak is the nearest that can be known
        return peak_mib()
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def peak_mib() -> float:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024


class Heartbeat:
    """Tells where the training is. Totals of CPU time and peak memory go on from the runs before this one.

    `starter` is the process that must outlive this one: when it is gone, so is this one.
    """

    def __init__(self, folder: Folder, *, starter: int | None = None) -> None:
        self._folder = folder
        self._starter = starter
        before = folder.last_progress()
        self._cpu_before_s = before.cpu_s if before else 0.0
        self._peak_before_mb = before.peak_memory_mb if before else 0.0
        self._phase: Literal["loading", "pretraining", "training", "exporting", "done"] = "loading"
        self._step = self._total = self._tokens = 0
        self._stop = threading.Event()
        self._writing = threading.Lock()  # of the file: the thread and the training both replace it
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._write()

    @property
    def cpu_s(self) -> float:
        """CPU time of all runs of this job so far."""
        return self._cpu_before_s + time.process_time()

    @property
    def peak_memory_mb(self) -> float:
        return max(self._peak_before_mb, peak_mib())

    def enter(self, phase: Literal["loading", "pretraining", "training", "exporting", "done"]) -> None:
        """A phase begins."""
        self._phase = phase
        self._step = self._total = 0
        self._write()

    def at(self, step: int, total: int, tokens: int) -> None:
        """A step is done; `tokens` counts all that were trained on so far."""
        self._step, self._total, self._tokens = step, total, tokens

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            if self._starter is not None and os.getppid() != self._starter:
                os._exit(1)  # another start would find this one still at work on the same files
            self._write()

    def _write(self) -> None:
        with self._writing, contextlib.suppress(OSError):  # a full disk is told where it loses something
            self._folder.write_progress(self._progress())

    def _progress(self) -> Progress:
        memory_mb = resident_mib()
        return Progress(
            at=time.time(),
            pid=os.getpid(),
            phase=self._phase,
            step=self._step,
            total_steps=self._total,
            trained_tokens=self._tokens,
            memory_mb=round(memory_mb, 1),
            peak_memory_mb=round(max(memory_mb, self.peak_memory_mb), 1),
            cpu_s=round(self.cpu_s, 2),
        )
