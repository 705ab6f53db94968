"""`/v1/fine_tuning` by the real `openai` client, in its strict mode, against a real server that trains by script."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.clients.keyed import client_of
from tests.server_process import ADMIN, ServerProcess, greenroom

pytestmark = pytest.mark.slow  # starts processes

ROOT = Path(__file__).parent.parent.parent
UNDER = (sys.executable, "-m", "tests.offline.finetune.scripted_server")
ROW = {"messages": [{"role": "user", "content": "Say it {}."}, {"role": "assistant", "content": "It {}."}]}
SCRATCH: Any = {"greenroom": {"start": "from_scratch", "size": 1}}  # Any: the client's own types end here


class Room:
    """A server with clients of two projects."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.admin = openai.OpenAI(
            base_url=f"{server.url}/v1", api_key=ADMIN, admin_api_key=ADMIN, max_retries=0
        )
        self.client = self.client_of(project="one")
        self.other = self.client_of(project="two")

    def client_of(self, **wanted: object) -> openai.OpenAI:
        return client_of(self.server, wanted)

    def script(self, **what: Any) -> None:
        folder = self.server.data / "finetune"
        folder.mkdir(exist_ok=True)
        (folder / "script.json").write_text(json.dumps(what))

    def file(self, text: str | None = None) -> str:
        rows = [json.dumps(ROW).replace("{}", f"number {n}") for n in range(12)]
        content = "\n".join(rows) if text is None else text
        return self.client.files.create(purpose="fine-tune", file=("rows.jsonl", content.encode())).id

    def job(self, **wanted: Any) -> FineTuningJob:
        asked: dict[str, Any] = {
            "model": "tiny",
            "training_file": self.file(),
            "extra_body": SCRATCH,
            **wanted,
        }
        return self.client.fine_tuning.jobs.create(**asked)

    def until(
        self, id: str, is_so: Callable[[FineTuningJob], bool], client: openai.OpenAI | None = None
    ) -> FineTuningJob:
        deadline = time.monotonic() + 30
        while True:
            job = (client or self.client).fine_tuning.jobs.retrieve(id)
            if is_so(job):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.05)

    def ended(self, id: str) -> FineTuningJob:
        return self.until(id, lambda job: job.finished_at is not None)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    data = tmp_path_factory.mktemp("server") / "data"
    with ServerProcess(data, under=UNDER, environment={"PYTHONPATH": str(ROOT)}) as server:
        yield Room(server)


@pytest.fixture(scope="module")
def done(room: Room) -> FineTuningJob:
    """A job that came to its end."""
    room.script()
    made = room.job(
        suffix="my model", seed=7, metadata={"team": "a"}, validation_file=None,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}},
    )  # fmt: skip
    assert made.status == "validating_files"
    return room.ended(made.id)


@pytest.fixture(autouse=True)
def fast(room: Room) -> None:
    room.script()


def ours(job: FineTuningJob) -> dict[str, Any]:
    found: dict[str, Any] = (job.model_extra or {})["greenroom"]
    return found


def test_a_job_from_the_file_to_the_model_and_what_it_told(room: Room, done: FineTuningJob) -> None:
    job = done

    assert (job.status, job.seed, job.metadata) == ("succeeded", 7, {"team": "a"})
    assert job.fine_tuned_model == f"ft:tiny:one:my-model:{job.id[-8:]}"
    assert (job.trained_tokens, job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == (600, 2, 4)
    assert job.method is not None
    assert job.method.supervised is not None
    events = list(room.client.fine_tuning.jobs.list_events(job.id, limit=5))
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    assert events[0].message == "The job has successfully completed"
    told: Any = next(one.data for one in events if one.type == "metrics")  # Any: JSON
    assert told["train_loss"] == pytest.approx(4 / 6)
    checkpoints = list(room.client.fine_tuning.jobs.checkpoints.list(job.id, limit=2))
    assert [one.step_number for one in checkpoints] == [6, 4, 2]
    assert checkpoints[0].metrics.train_loss == pytest.approx(4 / 6)
    (file,) = job.result_files
    assert room.client.files.content(file).text.startswith("step,train_loss,train_accuracy,valid_loss")
    assert ours(job)["card"]["data"]["rows"] == 12
    assert job.fine_tuned_model in {one.id for one in room.client.models.list()}


def test_jobs_are_listed_by_page_and_metadata(room: Room) -> None:
    ids = [room.job(metadata={"run": str(n % 2)}).id for n in range(3)]

    listed = [one.id for one in room.client.fine_tuning.jobs.list(limit=1, metadata={"run": "0"})]

    assert listed == [ids[2], ids[0]]
    assert [one.id for one in room.client.fine_tuning.jobs.list(limit=2)][:3] == ids[::-1]
    for id in ids:
        room.client.fine_tuning.jobs.cancel(id)
    assert list(room.other.fine_tuning.jobs.list()) == []


def test_a_job_of_another_project_is_not_there(room: Room) -> None:
    job = room.job()
    theirs = room.other.fine_tuning.jobs

    for call in (
        theirs.retrieve,
        theirs.cancel,
        theirs.pause,
        theirs.resume,
        theirs.list_events,
        theirs.checkpoints.list,
    ):
        with pytest.raises(openai.NotFoundError):
            call(job.id)
    with pytest.raises(openai.NotFoundError, match="There is no file"):
        theirs.create(model="tiny", training_file=job.training_file, extra_body=SCRATCH)
    room.client.fine_tuning.jobs.cancel(job.id)


def test_an_unfit_file_is_told_with_line_and_remedy(room: Room) -> None:
    broken = "\n".join([json.dumps(ROW)] * 3 + ['{"messages": [}'])

    job = room.ended(room.job(training_file=room.file(broken)).id)

    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert job.error.message.startswith("rows.jsonl, line 4: ")
    assert ours(job)["report"]["problems"]


@pytest.mark.parametrize(
    ("wanted", "field", "said"),
    [
        ({"training_file": "file-none"}, "training_file", "There is no file 'file-none'."),
        ({"suffix": "x" * 65}, "suffix", "64"),
        ({"method": {"type": "reinforcement"}}, "method.type", "Use 'dpo'"),
        ({"method": {"type": "dpo"}}, "method.type", "needs a base"),
        ({"extra_body": {"greenroom": {"strat": 1}}}, "greenroom", "strat"),
        ({"extra_body": {"greenroom": {"start": "base", "size": 3}}}, "greenroom.size", "from_scratch only"),
        ({"extra_body": {"greenroom": {"start": "continued"}}}, "greenroom.text_file", "is needed"),
        (
            {"extra_body": {"greenroom": {"start": "from_scratch", "tuning": "lora"}}},
            "greenroom.start",
            "full",
        ),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", ">= 1"),
    ],
)
def test_what_can_not_be_is_refused_by_its_field(room: Room, wanted: Any, field: str, said: str) -> None:
    with pytest.raises(openai.APIStatusError, match=said) as refused:
        room.job(**wanted)

    assert refused.value.status_code in {400, 404}
    assert refused.value.param == field


def test_a_file_of_another_purpose_and_a_folder_as_base_are_refused(room: Room) -> None:
    file = room.client.files.create(purpose="user_data", file=("rows.jsonl", b"{}")).id
    with pytest.raises(openai.BadRequestError, match="uploaded for 'user_data'"):
        room.job(training_file=file)

    job = room.ended(room.job(model=str(room.server.data), extra_body={}).id)

    assert job.error is not None
    assert job.error.code == "model_not_found"


def test_pause_resume_and_cancel(room: Room) -> None:
    room.script(steps=1000, step_s=0.02)
    jobs = room.client.fine_tuning.jobs
    id = room.job().id
    room.until(id, lambda job: (ours(job)["progress"] or {}).get("step", 0) > 2)

    paused = jobs.pause(id)
    assert (paused.status, ours(paused)["state"]) == ("queued", "paused")
    room.until(id, lambda _: jobs.list_events(id).data[0].message == "The job is paused.")
    jobs.resume(id)
    job = room.until(id, lambda job: job.estimated_finish is not None and ours(job)["starts"] == 2)
    assert job.estimated_finish is not None
    assert abs(job.estimated_finish - time.time() - 20) < 60
    assert jobs.cancel(id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="was cancelled and can't be paused"):
        jobs.pause(id)
    with pytest.raises(openai.BadRequestError, match="was cancelled and can't be resumed"):
        jobs.resume(id)


def test_permissions_let_another_project_ask_the_model(room: Room, done: FineTuningJob) -> None:
    model = done.fine_tuned_model
    assert model is not None
    permissions = room.admin.fine_tuning.checkpoints.permissions
    assert model not in {one.id for one in room.other.models.list()}

    (given,) = permissions.create(model, project_ids=["two"])

    assert given.project_id == "two"
    assert [one.project_id for one in permissions.list(model)] == ["two"]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert permissions.retrieve(model, project_id="two").data[0].id == given.id
    until(lambda: model in {one.id for one in room.other.models.list()})
    assert permissions.delete(given.id, fine_tuned_model_checkpoint=model).deleted
    until(lambda: model not in {one.id for one in room.other.models.list()})
    with pytest.raises(openai.PermissionDeniedError):
        room.other.fine_tuning.checkpoints.permissions.create(model, project_ids=["two"])
    with pytest.raises(openai.NotFoundError):
        permissions.list("ft:none")


def test_graders_are_run_and_validated(room: Room) -> None:
    graders = room.client.fine_tuning.alpha.graders
    same: Any = {
        "type": "string_check", "name": "same", "operation": "eq", "input": "{{sample.output_text}}",
        "reference": "{{item.a}}",
    }  # fmt: skip
    like: Any = {
        "type": "text_similarity", "name": "like", "evaluation_metric": "rouge_l", "input": "{{sample.output_text}}",
        "reference": "{{item.a}}",
    }  # fmt: skip
    both: Any = {
        "type": "multi", "name": "both", "graders": {"same": same, "like": like}, "calculate_output": "same + like / 2",
    }  # fmt: skip

    assert graders.run(grader=same, model_sample="blue", item={"a": "blue"}).reward == 1.0
    ran = graders.run(grader=both, model_sample="a blue sky", item={"a": "a red sky"})
    assert ran.sub_rewards == {"same": 0.0, "like": pytest.approx(2 / 3)}
    assert ran.reward == pytest.approx(1 / 3)
    assert not any(value is True for value in ran.metadata.errors.model_dump().values())
    assert graders.validate(grader=same).grader is not None
    with pytest.raises(openai.BadRequestError, match=r"grader\[0\]"):
        graders.validate(grader={**same, "operation": "near"})  # type: ignore[arg-type]  # it is wrong


def test_a_killed_server_leaves_training_alone_and_finds_it_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    extra: dict[str, Any] = {"under": UNDER, "environment": {"PYTHONPATH": str(ROOT)}}
    with ServerProcess(data, **extra) as server:
        room = Room(server)
        room.script(steps=80, step_s=0.02)
        id = room.job().id
        room.until(id, lambda job: (ours(job)["progress"] or {}).get("step", 0) > 2)
        pid = json.loads((data / "finetune" / id / "child.json").read_bytes())["pid"]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()

    os.kill(pid, 0)
    with ServerProcess(data, **extra) as server:
        admin = openai.OpenAI(base_url=f"{server.url}/v1", api_key=room.client.api_key, max_retries=0)
        job = room.until(id, lambda job: job.finished_at is not None, admin)

    assert (job.status, ours(job)["starts"]) == ("succeeded", 1)
    assert len((data / "finetune" / id / "starts").read_text().splitlines()) == 1


def test_the_command_line_sees_the_jobs_beside_the_server(room: Room, done: FineTuningJob) -> None:
    id = done.id

    shown = greenroom(room.server.data, "finetune", "show", id, "--json")

    assert (shown.returncode, json.loads(shown.stdout)["status"]) == (0, "succeeded")
    again = greenroom(room.server.data, "finetune", "cancel", id)
    assert (again.returncode, "can't be cancelled" in again.stderr) == (1, True)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
