"""What running jobs needs from the rest of Greenroom; assembly provides it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.store.jobs import JobRow, JobStore
from greenroom.store.trained import TrainedModel

TRAINER = "greenroom.offline.finetune.trainer"
EXPORTER = "greenroom.offline.finetune.trainer.checkpoint"
Json = dict[str, Any]  # Any: JSON


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a job comes to nothing, as clients are told it."""

    code: str
    message: str
    param: str | None = None


class Ready(Struct, frozen=True, kw_only=True):
    """`prepared.json`: what preparing a job came to."""

    plan: Plan | None = None
    report: Json = {}
    """What the data gate did."""
    estimate: Json = {}
    refusal: Refusal | None = None


class Outside(Protocol):
    """Called in the runner's thread; may block."""

    preparer: str
    """The module that turns a job's `order.json` into `plan.json`, rows and `prepared.json`."""

    def order(self, row: JobRow) -> object:
        """What the preparing process has to know. Raises: RequestError where a file is gone."""
        ...

    def register(self, model: TrainedModel) -> None:
        """Have a model answer. Doing it again changes nothing. Raises: RequestError, Conflict, StoreError."""
        ...

    def forget(self, job: str) -> None:
        """Have no model of a job answer any more. Doing it again changes nothing."""
        ...

    def jobs_of_models(self) -> set[str]:
        """The jobs whose models, or models of checkpoints, are still there."""
        ...

    def keep_file(self, project: str, name: str, data: bytes) -> str:
        """Keep a file of results; its id. Raises: RequestError when the project has no room."""
        ...


class Tools(NamedTuple):
    """What all jobs of a process share."""

    kept: JobStore
    data: Path
    """The data folder; files of models are named relative to it."""
    folder: Path
    """Where the jobs' folders lie."""
    settings: Callable[[], FinetuneConfig]
    environment: Mapping[str, str]
    outside: Outside
    trainer: str
    """The module that trains in a folder."""
    exporter: str = EXPORTER
    """The module that makes a model of a checkpoint."""
    seen_s: float = 0.7
    """Until every process of a server has seen a model that was registered; the job has succeeded then."""
    first_wait_s: float = 1.0
    """Before a process that ended is started again; twice as long each time it gets no further."""
