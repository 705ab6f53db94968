"""Which weights a trained model's name stands for when training starts from it."""

from pathlib import Path

import pytest
from msgspec.json import encode

from greenroom.assembly.preparing import weights_of
from greenroom.offline.finetune.plan import Hyperparameters, Result
from greenroom.store.trained import TrainedModel

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
