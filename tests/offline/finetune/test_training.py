"""The process that trains, from a plan to a model: undisturbed, paused, killed; from nothing and from a base."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from greenroom.offline.finetune import builtin
from greenroom.offline.finetune.plan import (
    EXIT_FAILED,
    EXIT_PAUSED,
    Event,
    Hyperparameters,
    Plan,
    Progress,
    Result,
    Scratch,
)
from tests.offline.finetune.needs import needs_training

pytestmark = [pytest.mark.finetune, pytest.mark.slow, needs_training, pytest.mark.timeout(300)]

TRAINER = "greenroom.offline.finetune.trainer"
IN_ONE = f"""
import sys
from {TRAINER}.__main__ import main
from {TRAINER}.checkpoint import main as take
sys.exit(max(take(one.split("@")) if "@" in one else main([one]) for one in sys.argv[1:]))
"""
"""Jobs one after another in one process, FOLDER or FOLDER@CHECKPOINT: torch is loaded once."""
SETTINGS = Hyperparameters(epochs=5.0, batch_size=8, checkpoint_every=5, max_steps=30)
SCRATCH = Plan(
    name="s", start="from_scratch", scratch=Scratch(size=2, steps=10), hyperparameters=SETTINGS, threads=1
)


def prepare(folder: Path, plan: Plan, rows: int = 60) -> Path:
    folder.mkdir()
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    make = builtin.pairs if plan.method == "dpo" else builtin.rows
    parts: tuple[tuple[builtin.Part, int], ...] = (("train", rows), ("valid", 20))
    for part, count in parts:
        lines = [json.dumps(row, ensure_ascii=False) for row in make(part, count)]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def train(*folders: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IN_ONE, *map(str, folders)], capture_output=True, text=True, check=False
    )


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", TRAINER, str(folder)])


def events(folder: Path) -> list[Event]:
    path = folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=Event) for line in lines if line.endswith(b"\n")]


def progress(folder: Path) -> Progress:
    return msgspec.json.decode((folder / "progress.json").read_bytes(), type=Progress)


def result(folder: Path) -> Result:
    return msgspec.json.decode((folder / "result.json").read_bytes(), type=Result)


def until_step(folder: Path, step: int) -> None:
    """Wait until a step of the rows' training was told."""
    while not any(e.data.get("phase") == "training" and e.data["step"] >= step for e in events(folder)):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Path:
    folder = prepare(place / "undisturbed", SCRATCH)
    done = train(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_a_model_from_nothing_comes_out_whole(undisturbed: Path) -> None:
    made = result(undisturbed)

    assert made.steps == 30
    assert made.parameters == made.trained_parameters > 100_000
    assert (undisturbed / made.gguf["Q8_0"]).read_bytes().startswith(b"GGUF")
    assert (undisturbed / made.model / "model.safetensors").exists()
    assert "generation" not in (undisturbed / made.model / "chat_template.jinja").read_text().replace(
        "add_generation_prompt", ""
    )
    assert progress(undisturbed).phase == "done"
    told = [event.data for event in events(undisturbed) if event.type == "metrics"]
    assert told[0]["phase"] == "pretraining"
    losses = [numbers["train_loss"] for numbers in told if "train_loss" in numbers]
    assert losses[-1] < losses[0] / 2
    assert {"valid_loss", "valid_mean_token_accuracy"} <= made.metrics.keys()


def test_its_card_says_what_it_is_made_of(undisturbed: Path) -> None:
    card = json.loads((undisturbed / "card.json").read_bytes())

    assert card["base"] is None
    assert card["rows"] == 60
    assert card["settings"]["batch_size"] == 8
    assert "learning_rate" in card["reasons"]
    assert [numbers["step"] for numbers in card["curves"] if "valid_loss" in numbers] == [
        5,
        10,
        15,
        20,
        25,
        30,
    ]


def test_paused_and_killed_a_job_ends_as_if_nothing_had_been(undisturbed: Path, place: Path) -> None:
    folder = prepare(place / "disturbed", SCRATCH)
    process = start(folder)
    until_step(folder, 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == EXIT_PAUSED

    process = start(folder)
    paused_at = max(event.data["step"] for event in events(folder) if "train_loss" in event.data)
    until_step(folder, min(29, paused_at + 7))
    process.kill()
    process.wait()
    killed_at = max(event.data["step"] for event in events(folder) if "train_loss" in event.data)

    assert train(folder).returncode == 0
    assert result(folder).metrics == result(undisturbed).metrics
    went_on = [e.data["step"] for e in events(folder) if e.message.startswith("Going on from step")]
    assert went_on[0] >= 3
    assert killed_at - 5 <= went_on[-1] <= killed_at
    steps = [
        event.data["step"]
        for event in events(folder)
        if event.data.get("phase") == "training" and "train_loss" in event.data
    ]
    assert steps == list(range(1, 31))  # each told once


def test_answers_and_preferences_are_learned_and_go_on_from_their_checkpoints(
    undisturbed: Path, place: Path
) -> None:
    base = replace(SCRATCH, start="base", scratch=None, base=str(undisturbed / "model"))
    short = replace(SETTINGS, max_steps=8, checkpoint_every=3, batch_size=4)
    text = place / "text.txt"
    text.write_text("The lamp is in the hall.\n\nA luz está no corredor.\n", encoding="utf-8")
    jobs = {
        "lora": replace(base, hyperparameters=replace(short, packing=True, max_length=160, patience=9)),
        "dpo": replace(base, method="dpo", tuning="full", hyperparameters=short),
        "continued": replace(
            base,
            start="continued",
            hyperparameters=replace(short, max_steps=3),
            scratch=Scratch(text=str(text), steps=3),
        ),
    }
    folders = [prepare(place / name, plan, 24) for name, plan in jobs.items()]
    done = train(*folders)
    assert done.returncode == 0, done.stderr[-2000:]
    before = {folder.name: result(folder) for folder in folders}

    for folder in folders[:2]:  # as if killed after step 6
        (folder / "result.json").unlink()
        (folder / "checkpoints" / "8" / "COMPLETE").unlink()
    done = train(*folders[:2], f"{place / 'lora'}@3")

    assert done.returncode == 0, done.stderr[-2000:]
    taken = json.loads(done.stdout.splitlines()[-1])
    assert (place / "lora" / taken["Q8_0"]).read_bytes().startswith(b"GGUF")
    assert (place / "lora" / taken["model"] / "model.safetensors").exists()
    for folder in folders[:2]:
        assert result(folder).metrics == before[folder.name].metrics
        assert "Going on from step 6 of training." in [event.message for event in events(folder)]
    assert before["lora"].trained_parameters < before["lora"].parameters / 5
    assert (place / "lora" / (before["lora"].adapter_gguf or "")).read_bytes().startswith(b"GGUF")
    assert before["dpo"].adapter is None
    assert "valid_preference_accuracy" in before["dpo"].metrics
    assert {e.data.get("phase") for e in events(place / "continued") if e.type == "metrics"} == {
        "pretraining",
        "training",
    }
    pickles = {".bin", ".pt", ".pth", ".pkl", ".pickle"}
    assert [path for path in place.rglob("*") if path.suffix in pickles] == []


def test_what_can_t_be_trained_is_said_and_not_tried_again(undisturbed: Path, place: Path) -> None:
    base = str(undisturbed / "model")
    pickled = place / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_bytes((undisturbed / "model" / "config.json").read_bytes())
    (pickled / "tokenizer.json").write_bytes((undisturbed / "model" / "tokenizer.json").read_bytes())
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    wrong = {
        "no-base": (Plan(name="a"), "names no base"),
        "dpo-from-nothing": (replace(SCRATCH, method="dpo"), "train it by supervised rows first"),
        "no-text": (Plan(name="a", base=base, start="continued"), "needs a text"),
        "pickled": (Plan(name="a", base=str(pickled)), "no safetensors"),
        "too-long": (
            Plan(name="a", base=base, hyperparameters=Hyperparameters(max_length=16)),
            "Every row is longer",
        ),
        "mixed-up": (Plan(name="a", base=base, method="dpo"), "train.jsonl, row 1"),
    }
    folders = {name: prepare(place / f"wrong-{name}", plan) for name, (plan, _) in wrong.items()}
    (folders["mixed-up"] / "train.jsonl").write_text((folders["no-base"] / "train.jsonl").read_text())

    done = train(*folders.values())

    assert done.returncode == EXIT_FAILED, done.stderr[-2000:]
    for name, folder in folders.items():
        last = events(folder)[-1]
        assert (last.level, wrong[name][1] in last.message) == ("error", True), (name, last.message)


def test_a_second_process_waits_for_the_first_and_finds_all_done(undisturbed: Path, place: Path) -> None:
    folder = prepare(place / "twice", replace(SCRATCH, hyperparameters=replace(SETTINGS, max_steps=3)))
    both = [start(folder), start(folder)]

    assert [process.wait() for process in both] == [0, 0]
    assert sum(event.message == "The model is ready." for event in events(folder)) == 1


def test_a_finished_job_is_left_alone(undisturbed: Path) -> None:
    stamp = (undisturbed / "result.json").stat().st_mtime_ns

    assert train(undisturbed).returncode == 0
    assert (undisturbed / "result.json").stat().st_mtime_ns == stamp


def test_two_processes_learn_what_one_learns(undisturbed: Path, place: Path) -> None:
    folder = prepare(place / "ranks", replace(SCRATCH, hyperparameters=replace(SETTINGS, max_steps=4)))
    alone = prepare(place / "alone", replace(SCRATCH, hyperparameters=replace(SETTINGS, max_steps=4)))

    done = subprocess.run(
        [sys.executable, "-m", TRAINER, str(folder)],
        env={**os.environ, "GREENROOM_RANKS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert train(alone).returncode == 0
    assert result(folder).metrics == pytest.approx(result(alone).metrics, rel=1e-3)
    assert progress(folder).phase == "done"
