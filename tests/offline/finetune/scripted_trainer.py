"""Stands for the process that trains: `python -m tests.offline.finetune.scripted_trainer FOLDER`.

Speaks the same files (`offline/finetune/plan.py`), trains nothing, and does what the file `script.json` beside the
job folders says: `step_s`, `steps`, and `ends`: what to do at which step, once each or again and again.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from greenroom.offline.finetune.plan import (
    COMPLETE,
    EXIT_FAILED,
    EXIT_PAUSED,
    Checkpoint,
    Event,
    Hyperparameters,
    Plan,
    Progress,
    Result,
)


def main(folder: Path) -> int:
    script: dict[str, Any] = {"steps": 6, "step_s": 0.02, "every": 2, "ends": {}}
    path = folder.parent / "script.json"
    if path.exists():
        script |= json.loads(path.read_text())
    plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
    with (folder / "starts").open("a") as starts:
        starts.write(f"{os.getpid()} {json.dumps(dict(os.environ))}\n")
    wants_pause = []
    signal.signal(signal.SIGTERM, lambda *_: wants_pause.append(True))
    done = [int(one.name) for one in (folder / "checkpoints").glob("*") if (one / COMPLETE).exists()]
    step = max(done, default=0)
    while step < script["steps"]:
        step += 1
        _progress(folder, step, script["steps"])
        end = script["ends"].get(str(step))
        mark = folder / f"ended-{step}"
        if end is not None and (end.endswith("always") or not mark.exists()):
            mark.touch()
            if end.startswith("fail"):
                _tell(
                    folder,
                    Event(
                        at=time.time(), message=f"The rows in {folder} can't be trained on.", level="error"
                    ),
                )
                return EXIT_FAILED
            if end.startswith("hang"):
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(script["step_s"])
        numbers = {
            "step": step,
            "total_steps": script["steps"],
            "phase": "training",
            "train_loss": 4.0 / step,
        }
        if step % script["every"] == 0:
            numbers |= {"valid_loss": 4.2 / step, "valid_mean_token_accuracy": 1 - 1 / (step + 1)}
        _tell(folder, Event(at=time.time(), message=f"Step {step}", type="metrics", data=numbers))
        if step % script["every"] == 0 or wants_pause:
            place = folder / "checkpoints" / str(step)
            place.mkdir(parents=True, exist_ok=True)
            metrics = {"train_loss": 4.0 / step}
            made = Checkpoint(at=time.time(), phase="training", step=step, metrics=metrics)
            (place / "checkpoint.json").write_bytes(msgspec.json.encode(made))
            (place / COMPLETE).touch()
        if wants_pause:
            return EXIT_PAUSED
    (folder / "model-Q8_0.gguf").write_bytes(b"GGUF")
    result = Result(
        at=time.time(), model="model", adapter=None, gguf={"Q8_0": "model-Q8_0.gguf"}, steps=step,
        trained_tokens=100 * step, metrics={"train_loss": 4.0 / step},
        chosen=Hyperparameters(epochs=2.0, batch_size=4, learning_rate_multiplier=1.0, beta=plan.hyperparameters.beta),
        parameters=1000, trained_parameters=10, wall_s=0.1, cpu_s=0.1, peak_memory_mb=20.0, versions={"script": "1"},
    )  # fmt: skip
    _put(folder / "result.json", result)
    return 0


def _progress(folder: Path, step: int, total: int) -> None:
    progress = Progress(
        at=time.time(), pid=os.getpid(), phase="training", step=step, total_steps=total, trained_tokens=step,
        memory_mb=10.0, peak_memory_mb=12.0,
    )  # fmt: skip
    _put(folder / "progress.json", progress)


def _put(path: Path, content: object) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(msgspec.json.encode(content))
    beside.replace(path)


def _tell(folder: Path, event: Event) -> None:
    with (folder / "events.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(event) + b"\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
