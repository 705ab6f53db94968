"""Commands and trained models: what doctor says of their files, lineage, lists and recommendations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.assembly import trained
from greenroom.store.trained import FILE, TrainedModel, TrainedModels
from tests.cli.conftest import Run
from tests.models import tiny_gguf

NAME = "ft:tiny:acme:clerk:1"
CONFIG = '[providers.trained]\nkind = "llama"\nthreads = 1\ncontext = 1024\n'


@pytest.fixture
def store(folder: Path) -> Iterator[TrainedModels]:
    """A folder with one model whose file is whole, and one whose file is gone."""
    data = folder / "data"
    job = data / "jobs" / "ftjob-1"
    job.mkdir(parents=True)
    tiny_gguf.write(job / "model.gguf")
    (job / "plan.json").write_text("{}")
    (folder / "greenroom.toml").write_text(CONFIG)
    store = TrainedModels(data / FILE)
    for name, file in ((NAME, "model.gguf"), ("lost", "lost.gguf")):
        card = {"data": {"digest": "abc123"}}
        store.register(
            TrainedModel(
                name=name, project="acme", created_ns=1_790_000_000_000_000_000, base="tiny", job="ftjob-1",
                kind="model", gguf=f"jobs/ftjob-1/{file}", card=card,
            )
        )  # fmt: skip
    yield store
    store.close()


def test_doctor_tells_of_every_trained_file(run: Run, store: TrainedModels) -> None:
    found = {one["what"]: one for one in run("doctor", "--json").json}

    assert found[f"trained {NAME}"]["state"] == "fine"
    assert found["trained lost"]["state"] == "wrong"
    assert "model of trained" not in found


def test_lineage_says_job_and_data_also_when_the_rows_are_gone(run: Run, store: TrainedModels) -> None:
    told = run("models", "lineage", NAME)
    assert told.code == 0
    for words in ("model of the project 'acme'", "job: ftjob-1", "data: abc123", "rows: 0"):
        assert words in told.out
    assert run("models", "lineage", NAME, "--json").json["folder"] == "jobs/ftjob-1"
    assert run("models", "lineage", NAME, "--project", "other").code == 1
    missing = run("models", "lineage", "none")
    assert (missing.code, "no trained model and no trace" in missing.err) == (1, True)
    store.delete(NAME, "acme")
    assert run("models", "lineage", NAME).code == 0, "what it answered once still leads back"


def test_a_checkpoint_has_the_data_of_the_model_it_became(run: Run, store: TrainedModels) -> None:
    store.register(
        TrainedModel(
            name=f"{NAME}:ckpt-step-9", project="acme", created_ns=1, base="tiny", job="ftjob-1", kind="model",
            gguf="jobs/ftjob-1/model.gguf", checkpoint_of=NAME,
        )
    )  # fmt: skip

    found = run("models", "lineage", f"{NAME}:ckpt-step-9", "--json").json

    assert (found["checkpoint_of"], found["data"]) == (NAME, {"digest": "abc123"})


def test_lists_and_recommendations_know_it_with_its_memory(
    run: Run, store: TrainedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "is_installed", lambda: True)
    rows: dict[str, Any] = {one["id"]: one for one in run("models", "list", "--json").json["data"]}

    row = rows[f"trained/{NAME}"]
    assert (row["kind"], row["context_window"], row["trained"]["job"]) == ("target", 1024, "ftjob-1")
    assert 64 < row["trained"]["memory_mb"] < 80
    assert rows["trained/lost"]["kind"] == "file"
    arguments = ("--private", "--context", "512", "--hardware", "ram=8GB", "--json")
    recommended = run("models", "recommend", *arguments).json
    known = [one["model"] for one in recommended["others"]]
    known += [one["model"] for key in ("best", "value", "private") if (one := recommended[key])]
    assert f"trained/{NAME}" in known
