"""kill -9 of the process that trains, at random moments: `python -m benchmarks.kill_training [JOBS] [SEED] [fork]`.

Each job is killed once, at a moment drawn from the time that an undisturbed run takes (every fifth: from its
start on; the others: from when its rows are read on, since loading takes longest here), every third a second
time, and is started again, as the job runner does. Told: how many finish, the steps lost by each kill against the
checkpoint interval, and how far the final losses lie from those of the undisturbed run. With `fork` processes
are copies of one that has the libraries loaded, which takes a third of the time.
"""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from greenroom.offline.finetune import builtin
from greenroom.offline.finetune.plan import Event, Hyperparameters, Plan, Result, Scratch

COMMAND = [sys.executable, "-m", "greenroom.offline.finetune.trainer"]
STARTS = 10
EVERY = 5
FIRST, STEPS = 20, 60
SETTINGS = Hyperparameters(batch_size=8, checkpoint_every=EVERY, max_steps=STEPS, epochs=5.0)


def prepare(folder: Path, plan: Plan, rows: int) -> None:
    """A job's folder, ready to train."""
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    make = builtin.pairs if plan.method == "dpo" else builtin.rows
    parts: tuple[tuple[builtin.Part, int], ...] = (("train", rows), ("valid", 40))
    for part, count in parts:
        lines = (json.dumps(row, ensure_ascii=False) for row in make(part, count))
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def start(folder: Path, *, forked: bool) -> int:
    """The id of a process that trains: a new one, or a copy of this one, which has the libraries loaded."""
    if not forked:
        return subprocess.Popen(
            [*COMMAND, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ).pid
    pid = os.fork()
    if pid == 0:
        from greenroom.offline.finetune.trainer.__main__ import main as train  # noqa: PLC0415 - in the copy

        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(train([str(folder)]))
    return pid


def run(folder: Path, *, forked: bool, kill_after_s: float | None = None, once_read: bool = False) -> int:
    """Train to the end, or kill the process after a while, counted from when its rows are read. The exit code."""
    told = lines(folder)
    pid = start(folder, forked=forked)
    end = None if kill_after_s is None or once_read else time.monotonic() + kill_after_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if end is None and kill_after_s is not None and lines(folder) != told:
            end = time.monotonic() + kill_after_s
        if end is not None and time.monotonic() >= end:
            os.kill(pid, signal.SIGKILL)
            end = kill_after_s = None
        time.sleep(0.01)


def lines(folder: Path) -> int:
    """Events so far."""
    events = folder / "events.jsonl"
    return events.read_bytes().count(b"\n") if events.exists() else 0


def result(folder: Path) -> Result:
    """What came out."""
    return msgspec.json.decode((folder / "result.json").read_bytes(), type=Result)


def events(folder: Path) -> list[Event]:
    """What was told, but for a line that was being written."""
    path = folder / "events.jsonl"
    whole = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=Event) for line in whole if line.endswith(b"\n")]


def steps_lost(told: list[Event]) -> int:
    """The most steps between what was reached and where the run after it went on, or began anew."""
    lost = done = 0
    begun = False
    for event in told:
        if event.type == "metrics":
            done = max(done, place(event.data["phase"], event.data["step"]))
        elif event.message.startswith("Going on from step"):
            lost = max(lost, done - place(event.message.rstrip(".").split()[-1], event.data["step"]))
        elif event.message.endswith(f" {STEPS} steps."):  # told where nothing was kept
            lost = max(lost, done if begun else 0)
            begun = True
    return lost


def place(phase: str, step: int) -> int:
    """A step numbered through; from a base there is one phase, where all are shifted alike."""
    return step + (FIRST if phase == "training" else 0)


class Times(NamedTuple):
    """Of an undisturbed run."""

    result: Result
    all_s: float
    training_s: float
    """From when its rows are read."""


class Bench:
    """Jobs of four kinds, and what they come to undisturbed."""

    def __init__(self, root: Path, seed: int, *, forked: bool) -> None:
        self._root = root
        self._chance = random.Random(seed)
        self._forked = forked
        first = Scratch(size=2, steps=FIRST)
        scratch = Plan(name="a", start="from_scratch", scratch=first, hyperparameters=SETTINGS, threads=1)
        base = Plan(name="b", base=str(root / "scratch" / "model"), hyperparameters=SETTINGS, threads=1)
        self._plans = {
            "scratch": scratch,
            "lora": base,
            "full": replace(base, tuning="full"),
            "dpo": replace(base, method="dpo"),
        }
        self._undisturbed = {kind: self._timed(kind) for kind in self._plans}

    def _timed(self, kind: str) -> Times:
        folder = self._root / kind
        prepare(folder, self._plans[kind], 100)
        began = time.monotonic()
        assert run(folder, forked=self._forked) == 0
        came = result(folder)
        return Times(came, time.monotonic() - began, came.at - events(folder)[0].at)

    def job(self, number: int) -> tuple[bool, int, float]:
        """Kill one, start it again until it ends: whether it finished, most steps lost, how far losses are off."""
        kind = list(self._plans)[number % len(self._plans)]
        expected = self._undisturbed[kind]
        folder = self._root / f"{number}"
        prepare(folder, self._plans[kind], 100)
        notes: list[str] = []
        for _ in range(2 if number % 3 == 2 else 1):
            once_read = number % 5 != 4
            moment = self._chance.uniform(0, expected.training_s if once_read else expected.all_s)
            if run(folder, forked=self._forked, kill_after_s=moment, once_read=once_read) != -signal.SIGKILL:
                notes.append("too late")
                break
            last = next((event for event in reversed(events(folder)) if event.type == "metrics"), None)
            notes.append(f"{moment:.1f} s, {last.message.partition(':')[0] if last else 'no step'}")
        if notes == ["too late"]:  # it was not killed at all: once more
            shutil.rmtree(folder)
            return self.job(number)
        codes: list[int] = []
        while not codes or (codes[-1] not in (0, 70) and len(codes) < STARTS):
            codes.append(run(folder, forked=self._forked))
        if codes[-1] != 0:
            print(f"{number}: {kind}: FAILED with {codes}", flush=True)
            return False, 0, math.inf
        came = result(folder)
        off = max(
            abs(came.metrics[name] - expected.result.metrics[name]) / abs(expected.result.metrics[name])
            for name in ("train_loss", "valid_loss")
        )
        print(f"{number}: {kind}: killed at {'; '.join(notes)}; losses off by {off:.2e}", flush=True)
        return True, steps_lost(events(folder)), off


def main(jobs: int, seed: int, *, forked: bool) -> int:
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), seed, forked=forked)
        done = [bench.job(number) for number in range(jobs)]
    finished, lost, off = (
        sum(one[0] for one in done),
        max(one[1] for one in done),
        max(one[2] for one in done),
    )
    print(
        f"{finished} of {jobs} finished; most steps lost {lost} (interval {EVERY}); losses off by {off:.2e}"
    )
    return 0 if finished == jobs and off < 0.01 and lost <= EVERY else 1


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    if is_forked := "fork" in sys.argv[1:]:
        os.environ["OMP_NUM_THREADS"] = "1"  # before torch: threads do not survive a fork
        from greenroom.offline.finetune.trainer import finish, tuning  # noqa: F401  # loaded once, before the forks
    sys.exit(main(*(numbers + [20, 1][len(numbers) :]), forked=is_forked))
