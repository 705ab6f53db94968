"""Trainings of all kinds in one process, since loading torch takes longest: `python -m tests.offline.finetune.trainings PLACE`.

Leaves a folder for each job in PLACE, and in `codes.json` how each ended. `killed` was killed in a copy of this process,
`paused` got SIGTERM; both were started again. `lora` and `dpo` were done, lost their last checkpoint, and were started
again; what had come out before lies in `before.json`.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from greenroom.offline.finetune import builtin
from greenroom.offline.finetune.plan import Event, Hyperparameters, Plan, Scratch

EVERY = 5
SETTINGS = Hyperparameters(epochs=5.0, batch_size=8, checkpoint_every=EVERY, max_steps=30)
SCRATCH = Plan(
    name="s", start="from_scratch", scratch=Scratch(size=2, steps=10), hyperparameters=SETTINGS, threads=1
)
SHORT = replace(SETTINGS, max_steps=8, checkpoint_every=3, batch_size=4)


def prepare(folder: Path, plan: Plan, rows: int = 60, *, as_pairs: bool | None = None) -> Path:
    """A job's folder, ready to train."""
    folder.mkdir()
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    is_dpo = plan.method == "dpo" if as_pairs is None else as_pairs
    parts: tuple[tuple[builtin.Part, int], ...] = (("train", rows), ("valid", 20))
    for part, count in parts:
        made = builtin.pairs(part, count) if is_dpo else builtin.rows(part, count)
        lines = [json.dumps(row, ensure_ascii=False) for row in made]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def events(folder: Path) -> list[Event]:
    """What was told so far, but for a line that is being written."""
    path = folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=Event) for line in lines if line.endswith(b"\n")]


def steps(folder: Path) -> list[int]:
    """Steps of the rows' training that were told."""
    return [
        event.data["step"]
        for event in events(folder)
        if event.data.get("phase") == "training" and "train_loss" in event.data
    ]


def _until(folder: Path, step: int, then: Callable[[], None]) -> None:
    while step not in steps(folder):
        time.sleep(0.01)
    then()


def _plans(place: Path) -> dict[str, Plan]:
    base = replace(SCRATCH, start="base", scratch=None, base=str(place / "undisturbed" / "model"))
    text = place / "text.txt"
    text.write_text("The lamp is in the hall.\n\nA luz está no corredor.\n", encoding="utf-8")
    return {
        "lora": replace(base, hyperparameters=replace(SHORT, packing=True, max_length=160, patience=9)),
        "dpo": replace(base, method="dpo", tuning="full", hyperparameters=SHORT),
        "continued": replace(
            base,
            start="continued",
            hyperparameters=replace(SHORT, max_steps=3),
            scratch=Scratch(text=str(text), steps=3),
        ),
        "impatient": replace(
            base,
            tuning="full",
            hyperparameters=replace(SETTINGS, learning_rate=0.5, patience=1, evaluate_every=2),
        ),
        "wrong-no-base": Plan(name="a"),
        "wrong-dpo-from-nothing": replace(SCRATCH, method="dpo"),
        "wrong-no-text": Plan(name="a", base=base.base, start="continued"),
        "wrong-pickled": Plan(name="a", base=str(_pickled(place))),
        "wrong-too-long": replace(base, hyperparameters=Hyperparameters(max_length=16)),
        "wrong-mixed-up": replace(base, method="dpo"),
    }


def _pickled(place: Path) -> Path:
    folder = place / "pickled"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((place / "undisturbed" / "model" / name).read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return folder


def main(place: Path) -> None:
    from greenroom.offline.finetune.trainer.__main__ import main as train
    from greenroom.offline.finetune.trainer.checkpoint import main as take

    codes: dict[str, list[int]] = {}

    def run(folder: Path) -> int:
        code = train([str(folder)])
        codes.setdefault(folder.name, []).append(code)
        return code

    assert run(prepare(place / "undisturbed", SCRATCH)) == 0
    paused = prepare(place / "paused", SCRATCH)
    asking = threading.Thread(target=_until, args=(paused, 3, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    asking.start()
    run(paused)
    asking.join()
    run(paused)

    killed = prepare(place / "killed", SCRATCH)
    pid = os.fork()
    if pid == 0:
        os._exit(train([str(killed)]))
    _until(killed, 13, lambda: os.kill(pid, signal.SIGKILL))
    codes["killed"] = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    (place / "killed_at.json").write_text(json.dumps(max(steps(killed))))
    run(killed)

    for name, plan in _plans(place).items():
        run(prepare(place / name, plan, 24, as_pairs=False if name == "wrong-mixed-up" else None))
    for name in ("lora", "dpo"):
        folder = place / name
        (folder / "result.json").rename(folder / "before.json")
        (folder / "checkpoints" / "8" / "COMPLETE").unlink()
        run(folder)
    codes["taken"] = [take([str(place / "lora"), "3"])]
    (place / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch: threads do not survive a fork
    main(Path(sys.argv[1]))
