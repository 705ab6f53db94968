"""Processes under measurement: started on a chosen core, their CPU and memory read from the kernel.

Linux only. Knows nothing of what the processes do.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

CLOCK_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class EnvironmentMissing(Exception):
    """This machine lacks something the measurement needs; the message says what."""


class Cores(NamedTuple):
    """Where things run: the one measured, and everything that feeds it."""

    target: int
    peers: int

    @classmethod
    def choose(cls) -> Self:
        """The first two cores this process may use; the same one twice where there is only one."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[1] if len(allowed) > 1 else allowed[0])


class Running:
    """A child process and everything below it, in a session of its own, on one core."""

    def __init__(
        self,
        argv: Sequence[str],
        core: int,
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # inherited, so that no thread of the child is ever elsewhere
        try:
            with log.open("ab") as sink:
                self.started_at = time.monotonic()
                self.process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    env=None if environment is None else {**os.environ, **environment},
                    cwd=folder,
                    start_new_session=True,
                )
        finally:
            os.sched_setaffinity(0, before)
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        """Whether the first process of the tree still runs."""
        return self.process.poll() is None

    def stop(self, timeout_s: float = 20.0) -> None:
        """SIGTERM to the first process, SIGKILL to the whole session when that takes too long."""
        if self.alive():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole session, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self, lines: int = 12) -> str:
        """The end of what it wrote, for an error message."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                with contextlib.suppress(OSError):
                    found += [int(child) for child in (task / "children").read_text().split()]
    return found


def process_cpu_ns(pid: int) -> int:
    """CPU a process has used, in nanoseconds: all its threads, those that have ended too.

    Reads the process's own CPU clock, numbered as in clock_getcpuclockid(3); it counts the same nanoseconds
    as /proc/PID/task/*/schedstat, which forgets a thread when it ends. Raises: ProcessLookupError.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError as error:
        raise ProcessLookupError(f"No process {pid} to read a CPU clock from.") from error


def _waited_for_ns(pid: int) -> int:
    """CPU of children that have ended and were waited for (in ticks of 10 ms, all the kernel keeps)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * CLOCK_TICK_NS


def tree_cpu_ns(pid: int) -> int:
    """CPU of the whole tree under `pid` so far, ended threads and children included, kernel time included."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            total += process_cpu_ns(member) + _waited_for_ns(member)
    return total


def tree_pss_bytes(pid: int) -> int:
    """Proportional memory of the whole tree (`Pss` of smaps_rollup), in bytes."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text(encoding="utf-8").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def settle(pid: int, *, quiet_share: float = 0.03, quiet_s: float = 0.4, limit_s: float = 30.0) -> float:
    """Wait until the tree has used less than `quiet_share` of a core for `quiet_s`; return the seconds waited.

    This is how deferred work (trace writer, indexing) is counted without knowing about it.
    """
    begun = time.monotonic()
    quiet_since = begun
    step_s = 0.1
    used = tree_cpu_ns(pid)
    while (now := time.monotonic()) - begun < limit_s:
        time.sleep(step_s)
        used, before = tree_cpu_ns(pid), used
        passed_ns = (time.monotonic() - now) * 1e9
        if used - before > passed_ns * quiet_share:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= quiet_s:
            break
    return time.monotonic() - begun


def calibrate(core: int, rounds: int = 200_000) -> float:
    """CPU nanoseconds of one turn of a fixed pure-Python loop on `core`: how fast this machine is right now."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time_ns()
            value = 0
            for number in range(rounds):
                value = (value * 31 + number) & 0xFFFF
            best = min(best, (time.thread_time_ns() - begun) / rounds)
        return best
    finally:
        os.sched_setaffinity(0, before)
