"""A job with the real process: killed in the middle, it comes to a model that an engine can load, and its card."""

import json
import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from msgspec.json import decode

from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.house import House
from greenroom.exchange import Caller
from greenroom.offline.finetune.builtin import rows
from greenroom.offline.finetune.child import find
from greenroom.offline.finetune.runner import Runner
from greenroom.wire.finetune import NewJob

pytestmark = [
    pytest.mark.slow,
    pytest.mark.finetune,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra finetune"),
]


def test_a_killed_job_comes_to_models_with_a_card(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {"PATH": os.environ["PATH"]})
    training = Finetuning(house)
    files = house.documents.files
    upload = files.begin(1 << 20)
    upload.write("\n".join(json.dumps(row) for row in rows("train", 60)).encode())
    file = files.keep(upload, project="default", filename="train.jsonl", purpose="fine-tune").id
    ours = {
        "start": "from_scratch", "size": 1, "text_steps": 4, "checkpoints": 1,
        "hyperparameters": {"max_steps": 12, "checkpoint_every": 4},
    }  # fmt: skip
    job = training.desk.create(
        Caller(key_id="k"), NewJob(model="tiny", training_file=file, seed=3, greenroom=ours)
    )
    kept, runner, has_killed = training.tools.kept, Runner(training.tools), False
    try:
        deadline = time.monotonic() + 240
        row = kept.job(job["id"])
        while row is not None and not row.ended_ns:
            assert time.monotonic() < deadline, row
            runner.tick()
            row = kept.job(job["id"])
            child = find(training.folder / job["id"])
            if (
                not has_killed
                and child is not None
                and kept.newest_metrics(kept.jobs(None)[0][0]).get("step", 0) > 4
            ):
                os.kill(child.pid, signal.SIGKILL)
                has_killed = True
            time.sleep(0.1)
        assert row is not None
        assert (row.status, row.starts) == ("succeeded", 2)
        model = house.trained.find(row.name, "default")
        early = house.trained.find(f"{row.name}:ckpt-step-16", "default")
        for one in (model, early):
            assert (tmp_path / "data" / one.gguf).read_bytes()[:4] == b"GGUF"
        assert early.checkpoint_of == model.name
        card = decode(row.card)
        assert card["figures"]["steps"] == 12
        assert card["data"]["rows"] == 60
        assert {one["step"] for one in card["curves"] if one["phase"] == "training"} == set(range(1, 13))
        assert card["estimated"]["peak_memory_mb"]["value"] > 100
        assert "torch" in card["versions"]
    finally:
        runner.stop()
        house.stop()
