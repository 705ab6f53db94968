"""kill -9 of the process that trains, at random moments: `python -m benchmarks.kill_training [JOBS] [SEED] [fork]`.

Each job is killed once at a moment drawn from the time that an undisturbed run takes (every fifth: from its
start on; the others: from when its rows are read on, since loading takes longest here), every third a second
time, and is started again, as the job runner does. Told: how many finish, the steps lost by each kill against the
checkpoint interval, and how far the final losses lie from those of the undisturbed run. With `fork` processes are copies of one that has the libraries loaded, which takes a third of
the time.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from greenroom.offline.finetune import builtin
from greenroom.offline.finetune.plan import Hyperparameters, Plan, Progress, Result, Scratch

COMMAND = [sys.executable, "-m", "greenroom.offline.finetune.trainer"]
STARTS = 10
EVERY = 5
SETTINGS = Hyperparameters(batch_size=8, checkpoint_every=EVERY, max_steps=60, epochs=5.0)


def prepare(folder: Path, plan: Plan, rows: int) -> None:
    """A job's folder, ready to train."""
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    make = builtin.pairs if plan.method == "dpo" else builtin.rows
    for part, count in (("train", rows), ("valid", 40)):
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


def at(folder: Path) -> Progress:
    """Where the process is, or was when it died."""
    return msgspec.json.decode((folder / "progress.json").read_bytes(), type=Progress)


def result(folder: Path) -> Result:
    """What came out."""
    return msgspec.json.decode((folder / "result.json").read_bytes(), type=Result)


def resumed_at(folder: Path) -> list[int]:
    """Steps at which runs went on."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    return [event["data"]["step"] for event in events if event["message"].startswith("Going on from step")]


def main(jobs: int, seed: int, *, forked: bool) -> int:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        scratch = Plan(
            name="a",
            start="from_scratch",
            scratch=Scratch(size=2, steps=20),
            hyperparameters=SETTINGS,
            threads=1,
        )
        prepare(root / "scratch", scratch, 100)
        scratch_began = time.monotonic()
        assert run(root / "scratch", forked=forked) == 0
        scratch_took_s = time.monotonic() - scratch_began
        base = Plan(name="b", base=str(root / "scratch" / "model"), hyperparameters=SETTINGS, threads=1)
        plans = {
            "scratch": scratch,
            "lora": base,
            "full": replace(base, tuning="full"),
            "dpo": replace(base, method="dpo"),
        }
        undisturbed: dict[str, tuple[Result, float, float]] = {}
        worst_loss = worst_lost = 0.0
        finished = 0
        for number in range(jobs):
            kind = list(plans)[number % len(plans)]
            if kind not in undisturbed:
                if kind != "scratch":
                    prepare(root / kind, plans[kind], 100)
                began = time.monotonic()
                assert kind == "scratch" or run(root / kind, forked=forked) == 0
                came = result(root / kind)
                first = json.loads((root / kind / "events.jsonl").read_bytes().splitlines()[0])
                undisturbed[kind] = (
                    came,
                    scratch_took_s if kind == "scratch" else time.monotonic() - began,
                    came.at - first["at"],
                )
            expected, takes_s, trains_s = undisturbed[kind]
            folder = root / f"{number}"
            prepare(folder, plans[kind], 100)
            notes = []
            for _ in range(2 if number % 3 == 2 else 1):
                once_read = number % 5 != 4
                moment = chance.uniform(0, trains_s if once_read else takes_s)
                before = len(resumed_at(folder)) if (folder / "events.jsonl").exists() else 0
                code = run(folder, forked=forked, kill_after_s=moment, once_read=once_read)
                notes.append(f"{moment:.1f} s" if code == -9 else "too late")
                if code == -9 and (folder / "progress.json").exists():
                    seen = at(folder)
                    notes.append(f"{seen.phase} {seen.step}")
            codes = []
            while not codes or (codes[-1] not in (0, 70) and len(codes) < STARTS):
                codes.append(run(folder, forked=forked))
            if codes[-1] != 0:
                print(f"{number}: {kind}: FAILED with {codes}", flush=True)
                continue
            finished += 1
            if code == -9 and seen.phase in ("training", "pretraining") and seen.step:
                went_on = resumed_at(folder)[before:] or [0]
                worst_lost = max(worst_lost, seen.step - went_on[-1])
            came = result(folder)
            gaps = [
                abs(came.metrics[name] - expected.metrics[name]) / abs(expected.metrics[name])
                for name in ("train_loss", "valid_loss")
            ]
            worst_loss = max(worst_loss, *gaps)
            print(
                f"{number}: {kind}: killed at {', '.join(notes)}; losses off by {max(gaps):.2e}", flush=True
            )
    print(
        f"{finished} of {jobs} finished; most steps lost {worst_lost:g} (interval {EVERY}); "
        f"losses off by {worst_loss:.2e} at most"
    )
    return 0 if finished == jobs and worst_loss < 0.01 and worst_lost <= EVERY else 1


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    if is_forked := "fork" in sys.argv[1:]:
        os.environ["OMP_NUM_THREADS"] = "1"  # before torch: threads do not survive a fork
        from greenroom.offline.finetune.trainer import finish, tuning  # noqa: F401
    sys.exit(main(*(numbers + [20, 1][len(numbers) :]), forked=is_forked))
