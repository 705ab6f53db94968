"""Checkpoints and the folder of a job: whole or not at all, and nothing told twice."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from greenroom.offline.finetune.plan import COMPLETE, HEARTBEAT_S, Event, Plan
from greenroom.offline.finetune.trainer.checkpoints import Checkpoints
from greenroom.offline.finetune.trainer.folder import Folder, TrainingRefused
from greenroom.offline.finetune.trainer.heartbeat import Heartbeat


def fill(path: Path) -> None:
    (path / "model").mkdir()
    (path / "model" / "weights").write_bytes(b"12345")


def write(checkpoints: Checkpoints, *numbers: int) -> None:
    for number in numbers:
        checkpoints.write(number, "training", number, {"valid_loss": 1.0}, fill)


def numbers(checkpoints: Checkpoints) -> list[int]:
    return [int(kept.path.name) for kept in checkpoints.all()]


def test_the_newest_is_found_by_number(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 9, 10, 100)

    newest = checkpoints.newest()

    assert newest is not None
    assert newest.path.name == "100"
    assert newest.checkpoint.metrics == {"valid_loss": 1.0}


def test_one_without_its_mark_or_with_a_file_cut_short_does_not_count(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 1, 2, 3)
    (tmp_path / "3" / COMPLETE).unlink()
    (tmp_path / "2" / "model" / "weights").write_bytes(b"123")

    assert numbers(checkpoints) == [1]


def test_what_a_killed_process_left_is_tidied_away(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 1)
    (tmp_path / ".2").mkdir()
    (tmp_path / "3").mkdir()

    checkpoints.tidy()

    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_write_that_fails_leaves_what_counted(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 1)

    def full(path: Path) -> None:
        fill(path)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoints.write(2, "training", 2, {}, full)

    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_three_stay_and_the_best_and_the_last_of_the_first_part(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, "pretraining", 1, {}, fill)
    checkpoints.write(2, "pretraining", 2, {}, fill)
    write(checkpoints, 3, 4, 5, 6, 7)

    checkpoints.prune(best=4)

    assert numbers(checkpoints) == [7, 6, 5, 4, 2]


def test_half_a_line_of_events_is_taken_off_and_steps_are_not_told_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.tell_numbers("training", 5, 10, {"train_loss": 1.0})
    with (tmp_path / "events.jsonl").open("ab") as events:
        events.write(b'{"at": 1, "mess')

    folder = Folder(tmp_path)
    folder.tell_numbers("training", 5, 10, {"train_loss": 1.0})
    folder.tell_numbers("training", 5, 10, {"valid_loss": 2.0})
    folder.tell_numbers("training", 6, 10, {"train_loss": 0.5})

    events_kept = [
        msgspec.json.decode(line, type=Event)
        for line in (tmp_path / "events.jsonl").read_bytes().splitlines()
    ]
    assert [event.message for event in events_kept] == [
        "Step 5/10: training loss=1.000",
        "Step 5/10: validation loss=2.000",
        "Step 6/10: training loss=0.500",
    ]


def test_a_plan_is_read_and_a_missing_or_wrong_one_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TrainingRefused, match=r"plan\.json is missing"):
        folder.plan()

    (tmp_path / "plan.json").write_text('{"name": "a", "start": "nowhere"}')
    with pytest.raises(TrainingRefused, match=r"can't be read: Invalid enum value 'nowhere'"):
        folder.plan()

    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(Plan(name="a")))
    assert folder.plan() == Plan(name="a")


@pytest.mark.parametrize(
    ("line", "said"), [("{", "line 2 is not JSON"), ("[1]", "line 2 is not a JSON object")]
)
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"messages": []}) + "\n" + line + "\n")

    with pytest.raises(TrainingRefused, match=f"train.jsonl, {said}"):
        Folder(tmp_path).rows("train.jsonl")


def test_the_sign_of_life_comes_by_itself_and_adds_up_over_runs(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with Heartbeat(folder) as heartbeat:
        heartbeat.enter("training")
        heartbeat.at(3, 10, 640)
        first = folder.last_progress()
        time.sleep(HEARTBEAT_S * 0.6)
        second = folder.last_progress()

    assert first is not None
    assert second is not None
    assert (second.phase, second.step, second.total_steps, second.trained_tokens) == ("training", 3, 10, 640)
    assert 0 < second.at - first.at < HEARTBEAT_S
    assert second.peak_memory_mb >= second.memory_mb > 10
    assert Heartbeat(folder).cpu_s > second.cpu_s  # of the run before, and of this one
