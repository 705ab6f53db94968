"""Jobs come to their end with nobody present: prepared, trained, started again, paused, cancelled, found again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import decode, encode

from greenroom.errors import StoreError
from greenroom.offline.finetune import ending, pace, work
from greenroom.offline.finetune.child import find
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.runner import Runner, is_run
from greenroom.store.jobs import JobRow, Page
from greenroom.store.trained import TrainedModel
from tests.offline.finetune.jobs_at_work import Studio

Make = Callable[..., Studio]
SLOW: dict[str, Any] = {"steps": 400, "step_s": 0.02}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Studio] = []

    def one(script: dict[str, Any] | None = None, **settings: Any) -> Studio:
        made.append(Studio(tmp_path / f"data{len(made)}", script, **settings))
        return made[-1]

    yield one
    for studio in made:
        studio.close()


def test_a_job_is_prepared_trained_registered_and_told(make: Make) -> None:
    studio = make()
    id = studio.add()

    row = studio.ended(id)

    assert row.status == "succeeded"
    model = studio.beside.trained.find(row.name, "default")
    assert model.gguf == f"finetune/{id}/model-Q8_0.gguf"
    assert (model.job, model.base, model.card["figures"]["steps"]) == (id, "tiny", 6)
    assert decode(row.result)["files"] == ["file-1"]
    assert studio.beside.files[0].splitlines()[2] == b"2,2.0,,2.1,0.6666666666666667"
    messages = studio.messages(id)
    assert messages[0] == "Validating training file: file-1"
    assert messages[1] == "2 rows were left out."
    assert messages[-1] == "The job has successfully completed"
    assert [message for message in messages if message.startswith("Step")] == [
        f"Step {n}" for n in range(1, 7)
    ]
    assert [one.step for one in studio.kept.checkpoints(row, Page(10))[0]] == [6, 4, 2]
    assert "# ft:tiny:" in (studio.data / "finetune" / id / "card.md").read_text()


def test_of_very_many_steps_some_are_read_for_the_file_of_results(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "MOST_STEPS", 3)
    studio = make()

    studio.ended(studio.add())

    steps = [line.partition(b",")[0] for line in studio.beside.files[0].splitlines()]
    assert steps == [b"step", b"2", b"4", b"6"]


def test_checkpoints_become_models_where_that_is_asked_for(make: Make) -> None:
    studio = make()
    id = studio.add(checkpoints=2)

    row = studio.ended(id)

    assert row.status == "succeeded"
    for step in (4, 6):
        model = studio.beside.trained.find(f"{row.name}:ckpt-step-{step}", "default")
        assert (model.gguf, model.checkpoint_of) == (f"finetune/{id}/models/{step}/model-Q8_0.gguf", row.name)
    assert [one.name for one in studio.beside.trained.all()].count(f"{row.name}:ckpt-step-2") == 0


def test_the_weights_of_a_deleted_model_go_and_its_record_stays(make: Make) -> None:
    studio = make()
    id = studio.add()
    row = studio.ended(id)
    studio.beside.trained.delete(row.name, None)
    assert (studio.data / "finetune" / id / "checkpoints").exists()

    studio.runner._tidy_at = 0.0
    studio.runner.tick()

    assert not (studio.data / "finetune" / id / "checkpoints").exists()
    assert (studio.data / "finetune" / id / "card.md").exists()


def test_what_trains_is_given_no_key_and_steps_back(make: Make) -> None:
    studio = make(SLOW)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 0)

    (start,) = studio.starts(id)
    pid = int(start.split()[0])

    assert "sk-secret" not in start
    assert "HF_HUB_OFFLINE" in start
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert os.getsid(pid) == pid


def test_an_unfit_file_fails_with_its_reason(make: Make) -> None:
    studio = make()
    studio.beside.refuse = "train.jsonl, line 3: It is no JSON."
    id = studio.add()

    row = studio.ended(id)

    assert row.status == "failed"
    assert decode(row.error) == {
        "code": "invalid_training_file",
        "message": "train.jsonl, line 3: It is no JSON.",
        "param": "training_file",
    }
    assert studio.starts(id) == []


def test_a_killed_process_is_started_again_and_goes_on(make: Make) -> None:
    studio = make({"ends": {"3": "kill", "5": "kill"}})
    id = studio.add()

    row = studio.ended(id)

    assert row.status == "succeeded"
    assert row.starts == 3
    ends = [message for message in studio.messages(id) if "SIGKILL" in message]
    assert ends[0].startswith("Training ended at step 3 of training (signal SIGKILL).")


def test_one_that_keeps_ending_at_the_same_step_fails_and_says_so(make: Make) -> None:
    studio = make({"ends": {"3": "kill always"}})
    id = studio.add()

    row = studio.ended(id)

    assert (row.status, row.starts) == ("failed", work.MOST_FAILURES)
    error = decode(row.error)
    assert error["code"] == "training_keeps_ending"
    assert "came no further than step 3 of training (last: signal SIGKILL)" in error["message"]
    assert "memory" in error["message"]


def test_one_that_says_it_is_of_no_use_is_not_started_again(make: Make) -> None:
    studio = make({"ends": {"2": "fail"}})
    id = studio.add()

    row = studio.ended(id)

    assert (row.status, row.starts) == ("failed", 1)
    assert decode(row.error)["message"] == "The rows in the job can't be trained on."


def test_a_full_disk_lets_the_job_rest(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "FULL_BYTES", 1 << 62)
    studio = make({"ends": {"2": "fail"}})
    id = studio.add()
    studio.until(lambda: studio.row(id).status == "paused")
    monkeypatch.setattr(work, "FULL_BYTES", 0)

    studio.kept.move(id, "queued", of=("paused",))

    assert studio.ended(id).status == "succeeded"
    assert any(message.startswith("The disk is full.") for message in studio.messages(id))


def test_one_that_hangs_is_killed_and_started_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "QUIET_S", 0.4)
    studio = make({"ends": {"3": "hang"}})
    id = studio.add()

    row = studio.ended(id)

    assert (row.status, row.starts) == ("succeeded", 2)
    assert any("it did not answer any more" in message for message in studio.messages(id))


def test_pausing_keeps_a_checkpoint_and_resuming_goes_on_from_it(make: Make) -> None:
    studio = make({"steps": 25, "step_s": 0.02, "every": 1000})
    id = studio.add()
    studio.until(lambda: studio.step(id) >= 3)

    studio.kept.move(id, "paused")
    studio.until(lambda: "The job is paused." in studio.messages(id))
    reached = studio.step(id)
    studio.kept.move(id, "queued", of=("paused",))
    row = studio.ended(id)

    assert (row.status, row.starts, row.failures) == ("succeeded", 2, 0)
    steps = [message for message in studio.messages(id) if message.startswith("Step")]
    assert steps == [f"Step {n}" for n in range(1, 26)]
    assert reached < 25


def test_a_cancelled_job_leaves_no_process(make: Make) -> None:
    studio = make(SLOW)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 0)
    pid = int(studio.starts(id)[0].split()[0])

    studio.kept.move(id, "cancelled")
    studio.runner.tick()

    assert find(studio.data / "finetune" / id) is None
    assert not is_alive(pid)
    assert not (studio.data / "finetune" / id / "checkpoints").exists()
    assert studio.row(id).status == "cancelled"


def test_a_job_cancelled_while_its_model_is_registered_leaves_no_model_and_no_rows(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make()
    id = studio.add()
    register = studio.beside.register

    def registered_then_cancelled(model: TrainedModel) -> None:
        register(model)
        studio.kept.move(id, "cancelled")

    monkeypatch.setattr(studio.beside, "register", registered_then_cancelled)
    studio.ended(id)
    studio.runner.tick()

    assert studio.row(id).status == "cancelled"
    assert studio.beside.trained.all() == []
    assert not (studio.data / "finetune" / id / "train.jsonl").exists()


def test_a_file_that_is_never_done_with_does_not_keep_the_others_waiting(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PREPARING_S", 1.0)
    monkeypatch.setattr(work, "MOST_FAILURES", 1)
    studio = make()
    studio.beside.hang_s = 60
    stuck = studio.add()
    studio.until(lambda: find(studio.data / "finetune" / stuck) is not None)
    studio.beside.hang_s = 0
    behind = studio.add()

    assert studio.ended(behind).status == "succeeded"
    row = studio.row(stuck)
    assert (row.status, decode(row.error)["code"]) == ("failed", "internal_error")
    assert "file 'log' in the job's folder" in decode(row.error)["message"]
    assert find(studio.data / "finetune" / stuck) is None


def test_the_files_of_a_failed_job_go_when_it_is_given_up(make: Make) -> None:
    studio = make({"ends": {"4": "fail-always"}})
    id = studio.add()
    studio.ended(id)
    folder = studio.data / "finetune" / id
    assert (folder / "checkpoints").exists()

    studio.kept.move(id, "cancelled", of=("failed",))
    studio.runner._tidy_at = 0.0
    studio.runner.tick()

    assert not (folder / "checkpoints").exists()
    assert not (folder / "train.jsonl").exists()
    assert (folder / "events.jsonl").exists()


def test_a_job_that_can_not_be_looked_after_holds_up_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    studio = make()
    broken, fine = studio.add(), studio.add()
    order = studio.beside.order

    def order_of(row: JobRow) -> object:
        if row.id == broken:
            raise StoreError("The disk is away.")
        return order(row)

    monkeypatch.setattr(studio.beside, "order", order_of)
    studio.kept.move(broken, "validating_files")
    studio.kept.move(fine, "queued", plan=encode(Plan(name="ft:tiny:fine", base_name="tiny")))
    JobFolder(studio.data / "finetune" / fine).make()
    (studio.data / "finetune" / fine / "plan.json").write_bytes(studio.row(fine).plan)

    assert studio.ended(fine).status == "succeeded"
    assert studio.row(broken).status == "validating_files"
    assert "job not looked after" in caplog.text


def test_jobs_train_one_after_another(make: Make) -> None:
    studio = make({"steps": 20, "step_s": 0.01})
    first, second = studio.add(), studio.add("other")

    studio.until(lambda: studio.row(second).status == "queued" and studio.step(first) > 3)
    assert studio.row(first).status == "running"
    assert studio.starts(second) == []

    assert studio.ended(first).ended_ns < studio.ended(second).started_ns + 1_000_000_000
    assert studio.row(second).status == "succeeded"


def test_the_next_runner_finds_what_trains_and_starts_no_second(make: Make) -> None:
    studio = make(SLOW)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 2)
    studio.runner.stop()
    studio.script(steps=30)

    other = Runner(studio.tools)
    before = studio.step(id)
    studio.until(lambda: studio.step(id) > before + 3, other)

    assert len(studio.starts(id)) == 1
    assert is_run(studio.tools)
    studio.kept.move(id, "paused")
    studio.until(lambda: "The job is paused." in studio.messages(id), other)
    other.stop()


def test_what_ended_while_nobody_watched_is_brought_to_its_end(make: Make) -> None:
    studio = make({"steps": 30, "step_s": 0.01})
    id = studio.add()
    studio.until(lambda: studio.step(id) > 2)
    studio.runner.stop()
    wait_for((studio.data / "finetune" / id / "result.json").exists)

    row = studio.ended(id, Runner(studio.tools))

    assert (row.status, len(studio.starts(id))) == ("succeeded", 1)
    assert studio.step(id) == 30


def test_after_a_restart_of_the_machine_a_job_goes_on_from_its_checkpoint(make: Make) -> None:
    studio = make({"steps": 30, "step_s": 0.02})
    id = studio.add()
    studio.until(lambda: studio.step(id) > 4)
    pid = int(studio.starts(id)[0].split()[0])
    studio.runner.stop()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: find(studio.data / "finetune" / id) is None)

    row = studio.ended(id, Runner(studio.tools))

    assert (row.status, row.starts, row.failures) == ("succeeded", 2, 0)
    steps = [message for message in studio.messages(id) if message.startswith("Step")]
    assert len(steps) <= 30 + 2  # at most one checkpoint interval is done again


def test_a_job_cancelled_while_nobody_watched_is_ended(make: Make) -> None:
    studio = make(SLOW)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 0)
    pid = int(studio.starts(id)[0].split()[0])
    studio.runner.stop()
    studio.kept.move(id, "cancelled")

    Runner(studio.tools).tick()

    wait_for(lambda: not is_alive(pid))
    assert not is_alive(pid)
    row = studio.kept.job(id)
    assert row is not None
    assert (row.status, row.starts) == ("cancelled", 1)


def test_two_runners_are_never_at_work_together(make: Make) -> None:
    studio = make(SLOW)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 0)

    assert Runner(studio.tools).tick() is False


def test_more_memory_than_is_allowed_ends_a_job(make: Make) -> None:
    studio = make(SLOW, memory_mb=64)
    id = studio.add()
    studio.until(lambda: studio.step(id) > 0)
    work_of = studio.runner._works[id]
    child = work_of._child
    assert child is not None
    child.memory_mb = lambda: 65.0  # type: ignore[method-assign]  # what the system would say

    row = studio.ended(id)

    assert decode(row.error)["code"] == "memory_exceeded"
    assert "finetune.memory_mb (64 MB)" in decode(row.error)["message"]


def test_half_a_line_of_events_waits_for_its_end_and_damage_is_passed_over(make: Make) -> None:
    studio = make({"steps": 3, "step_s": 0.2})
    id = studio.add()
    studio.until(lambda: studio.step(id) >= 1)
    with (studio.data / "finetune" / id / "events.jsonl").open("ab") as file:
        file.write(b'{"at": 1, "mess\n\xff\xfe\n')

    studio.ended(id)

    assert [one for one in studio.messages(id) if one.startswith("Step")] == ["Step 1", "Step 2", "Step 3"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_at_random_moments_jobs_finish_by_themselves(make: Make) -> None:
    studio = make({"steps": 30, "step_s": 0.01}, parallel=4)
    ids = [studio.add() for _ in range(8)]
    killed: dict[str, int] = {}

    def kill_some() -> bool:
        for place, id in enumerate(ids):
            if killed.get(id, 0) < 2 and studio.step(id) > 3 + place * 2 + killed.get(id, 0) * 5:
                child = find(studio.data / "finetune" / id)
                if child is not None:
                    os.kill(child.pid, signal.SIGKILL)
                    killed[id] = killed.get(id, 0) + 1
        return all(studio.row(id).ended_ns for id in ids)

    studio.until(kill_some, seconds=60)

    assert {studio.row(id).status for id in ids} == {"succeeded"}
    assert sum(killed.values()) >= 8
