"""Jobs with a scripted process: a store, a folder and a runner as they are in a data folder."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.json import decode, encode

from greenroom.offline.finetune.outside import Tools
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.runner import Runner
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.store.jobs import JobRow, JobStore, Page, new_id
from greenroom.store.trained import TrainedModel, TrainedModels

EXPORTER = "tests.offline.finetune.scripted_exporter"
TRAINER = "tests.offline.finetune.scripted_trainer"


class Beside:
    """What running jobs needs of the rest."""

    preparer = "tests.offline.finetune.scripted_preparer"

    def __init__(self, data: Path) -> None:
        self.trained = TrainedModels(data / "trained.db")
        self.files: list[bytes] = []
        self.refuse = ""
        self.hang_s = 0

    def order(self, row: JobRow) -> object:
        return {"plan": Plan(name=row.name, base_name="tiny"), "refuse": self.refuse, "hang_s": self.hang_s}

    def register(self, model: TrainedModel) -> None:
        self.trained.register(model)

    def forget(self, job: str) -> None:
        for one in self.trained.all():
            if one.job == job:
                self.trained.delete(one.name, None)

    def jobs_of_models(self) -> set[str]:
        return {one.job for one in self.trained.all()}

    def keep_file(self, project: str, name: str, data: bytes) -> str:
        self.files.append(data)
        return f"file-{len(self.files)}"


class Studio:
    """A data folder with jobs."""

    def __init__(self, data: Path, script: dict[str, Any] | None = None, **settings: Any) -> None:
        self.data = data
        (data / "finetune").mkdir(parents=True)
        self.script(**(script or {}))
        self.kept = JobStore(data / "jobs.db")
        self.beside = Beside(data)
        config = FinetuneConfig(**settings)
        self.tools = Tools(
            self.kept, data, data / "finetune", lambda: config, {"PATH": "/bin", "OPENAI_API_KEY": "sk-secret"},
            self.beside, TRAINER, EXPORTER, 0.0, 0.01,
        )  # fmt: skip
        self.runner = Runner(self.tools)

    def script(self, **what: Any) -> None:
        (self.data / "finetune" / "script.json").write_text(json.dumps(what))

    def add(self, project: str = "default", **extra: Any) -> str:
        id = new_id()
        asked = {"model": "tiny", "training_file": "file-1", "seed": 1, "greenroom": extra}
        self.kept.add(
            JobRow(
                id=id,
                project=project,
                key="k",
                request=encode(asked),
                metadata="null",
                name=f"ft:tiny:{id[-8:]}",
            )
        )
        return id

    def row(self, id: str) -> JobRow:
        found = self.kept.job(id)
        assert found is not None
        return found

    def until(self, is_so: Callable[[], bool], runner: Runner | None = None, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            (runner or self.runner).tick()
            assert time.monotonic() < deadline, [(one.status, one.error) for one in self.kept.jobs(None)[0]]
            time.sleep(0.01)

    def ended(self, id: str, runner: Runner | None = None) -> JobRow:
        self.until(lambda: self.row(id).ended_ns > 0, runner)
        return self.row(id)

    def step(self, id: str) -> int:
        return max((decode(one.data)["step"] for one in self.kept.metrics(self.row(id))), default=0)

    def messages(self, id: str) -> list[str]:
        return [one.message for one in reversed(self.kept.events(self.row(id), Page(1000))[0])]

    def starts(self, id: str) -> list[str]:
        path = self.data / "finetune" / id / "starts"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        for row in self.kept.unfinished():
            self.kept.move(row.id, "cancelled")
        self.until(lambda: not self.runner.tick())
        self.runner.stop()
        self.kept.close()
        self.beside.trained.close()
