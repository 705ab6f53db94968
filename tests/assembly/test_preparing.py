"""A job made ready: its plain text cleaned as its rows are; which weights a trained model's name stands for."""

import json
from pathlib import Path

import pytest
from msgspec.json import encode

from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.house import House
from greenroom.assembly.preparing import Order, prepared, weights_of, without_places
from greenroom.exchange import Caller
from greenroom.offline.finetune import desk as desks
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.plan import Hyperparameters, Plan, Result
from greenroom.store.trained import TrainedModel
from greenroom.wire.finetune import NewJob

RESULT = Result(
    at=0.0, model="model", adapter=None, gguf={}, steps=1, trained_tokens=1, metrics={}, chosen=Hyperparameters(),
    parameters=1, trained_parameters=1, wall_s=1.0, cpu_s=1.0, peak_memory_mb=1.0,
)  # fmt: skip


def model(name: str, gguf: str, checkpoint_of: str | None = None) -> TrainedModel:
    return TrainedModel(
        name=name, project="one", created_ns=1, base="tiny", job="ftjob-1", kind="model", gguf=gguf,
        checkpoint_of=checkpoint_of,
    )  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "ftjob-1").mkdir()
    (tmp_path / "ftjob-1" / "result.json").write_bytes(encode(RESULT))
    return tmp_path


def test_a_checkpoint_stands_for_its_own_weights_and_not_for_the_last(jobs: Path) -> None:
    whole = model("ft:tiny:one", "finetune/ftjob-1/model-Q8_0.gguf")
    earlier = model("ft:tiny:one:ckpt-step-4", "finetune/ftjob-1/models/4/model-Q8_0.gguf", "ft:tiny:one")

    assert weights_of(whole, jobs) == jobs / "ftjob-1" / "model"
    assert weights_of(earlier, jobs) == jobs / "ftjob-1" / "models" / "4" / "model"


def test_a_job_without_a_result_has_no_weights(tmp_path: Path) -> None:
    assert weights_of(model("ft:tiny:one", "finetune/ftjob-1/model-Q8_0.gguf"), tmp_path) is None


def test_a_plain_text_is_cleaned_before_anything_learns_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "_LIBRARIES", ())
    house = House.open(None, tmp_path / "data", {})
    training = Finetuning(house)

    def kept(name: str, text: str) -> str:
        upload = house.documents.files.begin(1 << 20)
        upload.write(text.encode())
        return house.documents.files.keep(upload, project="one", filename=name, purpose="fine-tune").id

    talk = "Is pier {0} open?", "Pier {0} is."
    rows = [
        {
            "messages": [
                {"role": role, "content": said.format(n)}
                for role, said in zip(("user", "assistant"), talk, strict=True)
            ]
        }
        for n in range(20)
    ]
    wanted = NewJob(
        model="tiny", training_file=kept("rows.jsonl", "\n".join(map(json.dumps, rows))),
        greenroom={
            "start": "from_scratch", "size": 1, "text_file": kept("book.txt", "Call ana@example.org.\n\nThe end."),
            "hyperparameters": {"max_steps": 5}, "text_steps": 5,
        },
    )  # fmt: skip
    try:
        id = training.desk.create(Caller(key_id="k", project="one"), wanted)["id"]
        folder = training.desk.folder(id)
        folder.make()
        order = training.tools.outside.order(training.desk.row(Caller(key_id="k", project="one"), id))
        assert isinstance(order, Order)

        ready = prepared(order, folder)
    finally:
        house.stop()

    assert ready.refusal is None, ready.refusal
    assert ready.plan is not None
    assert ready.plan.scratch is not None
    assert ready.plan.scratch.text is not None
    assert Path(ready.plan.scratch.text).read_text() == "Call <EMAIL_1>.\n\nThe end.\n\n"
    assert ready.plan.data["text_masked"] == {"EMAIL": 1}
    assert "masked in the plain text: EMAIL 1." in " ".join(ready.report["notes"])


def test_of_a_job_that_was_given_up_no_model_answers(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    try:
        for name, job in (("ft:a", "ftjob-1"), ("ft:a:ckpt-step-2", "ftjob-1"), ("ft:b", "ftjob-2")):
            house.trained.register(
                TrainedModel(
                    name=name,
                    project="one",
                    created_ns=1,
                    base="",
                    job=job,
                    kind="model",
                    gguf=f"{job}/{name[3:4]}.gguf",
                )
            )

        for _ in range(2):  # again changes nothing
            Finetuning(house).tools.outside.forget("ftjob-1")

        assert [one.name for one in house.trained.all()] == ["ft:b"]
    finally:
        house.stop()


def test_a_refusal_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "ftjob-1")
    folder.make()
    said = f"{folder.path}/plan.json is missing"
    assert without_places(said, folder) == "the job/plan.json is missing"

    folder.put("plan.json", Plan(name="ft:a", base="/srv/models/small", base_name="small"))

    assert (
        without_places("/srv/models/small/tokenizer.json is broken", folder)
        == "small/tokenizer.json is broken"
    )
