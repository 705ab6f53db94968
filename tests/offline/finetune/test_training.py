"""The process that trains, from a plan to a model: undisturbed, paused, killed; from nothing and from a base."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from greenroom.offline.finetune.plan import EXIT_FAILED, EXIT_PAUSED, Progress, Result
from tests.offline.finetune.needs import needs_training
from tests.offline.finetune.trainings import EVERY, SCRATCH, events, prepare, steps

pytestmark = [pytest.mark.finetune, pytest.mark.slow, needs_training, pytest.mark.timeout(400)]

TRAINER = (sys.executable, "-m", "greenroom.offline.finetune.trainer")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("jobs")
    done = subprocess.run(
        [sys.executable, "-m", "tests.offline.finetune.trainings", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def result(folder: Path, name: str = "result.json") -> Result:
    return msgspec.json.decode((folder / name).read_bytes(), type=Result)


def codes(place: Path, job: str) -> list[int]:
    found: list[int] = json.loads((place / "codes.json").read_bytes())[job]
    return found


def test_a_model_from_nothing_comes_out_whole(place: Path) -> None:
    folder = place / "undisturbed"
    made = result(folder)

    assert made.steps == 30
    assert made.parameters == made.trained_parameters > 100_000
    assert (folder / made.gguf["Q8_0"]).read_bytes().startswith(b"GGUF")
    assert (folder / made.model / "model.safetensors").exists()
    template = (folder / made.model / "chat_template.jinja").read_text(encoding="utf-8")
    assert "generation %}" not in template
    progress = msgspec.json.decode((folder / "progress.json").read_bytes(), type=Progress)
    assert (progress.phase, progress.memory_mb > 50) == ("done", True)
    told = [event.data for event in events(folder) if event.type == "metrics"]
    losses = [numbers["train_loss"] for numbers in told if "train_loss" in numbers]
    assert told[0]["phase"] == "pretraining"
    assert losses[-1] < losses[0] / 2
    assert {"valid_loss", "valid_mean_token_accuracy"} <= made.metrics.keys()


def test_its_card_says_what_it_is_made_of(place: Path) -> None:
    card = json.loads((place / "undisturbed" / "card.json").read_bytes())

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


def test_a_paused_job_keeps_its_last_step_and_ends_as_if_nothing_had_been(place: Path) -> None:
    folder = place / "paused"
    went_on = [event.data["step"] for event in events(folder) if event.message.startswith("Going on")]

    assert codes(place, "paused") == [EXIT_PAUSED, 0]
    assert went_on[0] >= 3
    assert steps(folder) == list(range(1, 31))
    assert result(folder).metrics == result(place / "undisturbed").metrics


def test_a_killed_job_loses_no_more_than_an_interval_and_ends_as_if_nothing_had_been(place: Path) -> None:
    folder = place / "killed"
    killed_at = json.loads((place / "killed_at.json").read_bytes())
    went_on = [event.data["step"] for event in events(folder) if event.message.startswith("Going on")]

    assert codes(place, "killed") == [-9, 0]
    assert killed_at - EVERY <= went_on[-1] <= killed_at
    assert steps(folder) == list(range(1, 31))  # each told once
    assert result(folder).metrics == result(place / "undisturbed").metrics


@pytest.mark.parametrize("job", ["lora", "dpo"])
def test_what_trl_trains_goes_on_from_our_checkpoints_as_if_nothing_had_been(place: Path, job: str) -> None:
    assert codes(place, job) == [0, 0]
    assert "Going on from step 6 of training." in [event.message for event in events(place / job)]
    assert result(place / job).metrics == result(place / job, "before.json").metrics


def test_an_adapter_is_small_and_comes_out_alone_and_merged(place: Path) -> None:
    made = result(place / "lora")

    assert made.trained_parameters < made.parameters / 5
    assert (place / "lora" / (made.adapter_gguf or "")).read_bytes().startswith(b"GGUF")
    assert (place / "lora" / (made.adapter or "") / "adapter_model.safetensors").exists()
    assert (place / "lora" / made.gguf["Q8_0"]).read_bytes().startswith(b"GGUF")


def test_preferences_tell_how_often_the_better_answer_was_preferred(place: Path) -> None:
    made = result(place / "dpo")

    assert made.adapter is None
    assert 0 <= made.metrics["valid_preference_accuracy"] <= 1


def test_plain_text_comes_before_the_rows(place: Path) -> None:
    phases = [event.data["phase"] for event in events(place / "continued") if "train_loss" in event.data]

    assert codes(place, "continued") == [0]
    assert phases == ["pretraining"] * 3 + ["training"] * 3


def test_training_without_gain_stops_early_with_the_best_weights(place: Path) -> None:
    told = events(place / "impatient")
    seen = {event.data["step"]: event.data["valid_loss"] for event in told if "valid_loss" in event.data}
    best = min(seen, key=lambda step: seen[step])

    assert max(seen) < 30
    assert f"Step {best} was the best; its weights are taken." in [event.message for event in told]
    assert result(place / "impatient").metrics["valid_loss"] == seen[best]


def test_a_checkpoint_becomes_a_model_by_itself(place: Path) -> None:
    assert codes(place, "taken") == [0]
    assert (place / "lora" / "models" / "3" / "model-Q8_0.gguf").read_bytes().startswith(b"GGUF")
    assert (place / "lora" / "models" / "3" / "model" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("wrong-no-base", "names no base"),
        ("wrong-dpo-from-nothing", "train it by supervised rows first"),
        ("wrong-no-text", "needs a text"),
        ("wrong-pickled", "no safetensors"),
        ("wrong-too-long", "Every row is longer than 16 tokens"),
        ("wrong-mixed-up", "train.jsonl, row 1"),
    ],
)
def test_what_can_t_be_trained_is_said_and_not_to_be_tried_again(place: Path, job: str, said: str) -> None:
    last = events(place / job)[-1]

    assert codes(place, job) == [EXIT_FAILED]
    assert last.level == "error"
    assert said in last.message


def test_nothing_is_pickled(place: Path) -> None:
    pickles = {".bin", ".pt", ".pth", ".pkl", ".pickle"}

    assert [
        path for path in place.rglob("*") if path.suffix in pickles and path.parent.name != "pickled"
    ] == []


def test_a_second_process_waits_for_the_first_and_leaves_what_is_done_alone(place: Path) -> None:
    folder = place / "undisturbed"
    stamp = (folder / "result.json").stat().st_mtime_ns
    lock = os.open(folder / ".lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with subprocess.Popen([*TRAINER, str(folder)]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        os.close(lock)

        assert process.wait() == 0
    assert (folder / "result.json").stat().st_mtime_ns == stamp


def test_two_processes_learn_what_one_learns(place: Path) -> None:
    folder = prepare(place / "ranks", SCRATCH)

    done = subprocess.run(
        [*TRAINER, str(folder)],
        env={**os.environ, "GREENROOM_RANKS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert steps(folder) == list(range(1, 31))
    assert result(folder).metrics == pytest.approx(result(place / "undisturbed").metrics, rel=1e-2)


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["/no/such/folder"], ["--what"]])
def test_wrong_usage_is_code_64(arguments: list[str]) -> None:
    from greenroom.offline.finetune.trainer.__main__ import main

    assert main(arguments) == 64
