"""Fine-tuning of a house: what the routes, the pages and the command line ask, and the runner of the jobs.

All of it is made when it is first needed: a server that nobody asks to train loads and opens nothing of it.
"""

import asyncio
import logging
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.json import decode

from greenroom.assembly.house import House
from greenroom.errors import ModelNotFound, NotFound
from greenroom.exchange import Caller
from greenroom.gateway.access import may_use
from greenroom.gateway.keys import Key
from greenroom.store.jobs import JobRow
from greenroom.store.trained import TrainedModel

if TYPE_CHECKING:
    from greenroom.assembly.preparing import Order
    from greenroom.offline.finetune.desk import JobDesk
    from greenroom.offline.finetune.grading import Grading
    from greenroom.offline.finetune.outside import Tools
    from greenroom.offline.finetune.runner import Runner
    from greenroom.wire.finetune import GraderRun

log = logging.getLogger("greenroom.finetune")

FOLDER = "finetune"
"""Of the jobs, in the data folder."""
FILE = "jobs.db"
LOOK_S = 1.0
"""How often a server without jobs looks whether another process has made one."""
_TAG = {"grader": "run"}
"""Of exchanges in which a grader asks a model."""


class Finetuning:
    """Jobs of one house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._starter: asyncio.Task[None] | None = None

    @property
    def folder(self) -> Path:
        """Where the jobs' folders lie."""
        return self.house.data.absolute() / FOLDER

    @cached_property
    def desk(self) -> "JobDesk":
        """What is asked of jobs. Raises: StoreError."""
        from greenroom.offline.finetune.desk import JobDesk  # noqa: PLC0415  # only where somebody trains

        house = self.house
        return JobDesk(
            house.jobs, lambda: house.trained, house.documents.files, self.folder,
            lambda: house.config.finetune,
        )  # fmt: skip

    @cached_property
    def tools(self) -> "Tools":
        """What running jobs takes. Raises: StoreError."""
        from greenroom.offline.finetune import outside  # noqa: PLC0415  # as above

        house = self.house
        return outside.Tools(
            house.jobs, house.data.absolute(), self.folder, lambda: house.config.finetune, house.environment,
            Surroundings(house, self.folder), outside.TRAINER,
        )  # fmt: skip

    @cached_property
    def runner(self) -> "Runner":
        """What runs the jobs of this data folder, if nobody else does. Raises: StoreError."""
        from greenroom.offline.finetune.runner import Runner  # noqa: PLC0415  # as above

        return Runner(self.tools)

    def start(self) -> None:
        """Run jobs from when there are any, where this process does what one alone must."""
        if self.house.is_first:
            self._starter = asyncio.get_running_loop().create_task(self._begin())

    async def _begin(self) -> None:
        while True:
            if (self.house.data / FILE).exists():
                break
            await asyncio.sleep(LOOK_S)
        runner = await asyncio.to_thread(lambda: self.runner)
        runner.start()

    async def stop(self) -> None:
        """Run no more. What trains goes on, and is found by the next start."""
        if self._starter is not None:
            self._starter.cancel()
        if "runner" in vars(self):
            await asyncio.to_thread(self.runner.stop)

    # graders

    def validate_grader(self, caller: Caller, grader: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        """A grader again, if it is right. Raises: RequestError."""
        return self._grading(caller).validate(grader)

    async def run_grader(self, caller: Caller, asked: "GraderRun") -> dict[str, Any]:  # Any: JSON
        """What a grader gives for an answer; models are asked as the caller's key. Raises: RequestError."""
        return await self._grading(caller).run(asked)

    def _grading(self, caller: Caller) -> "Grading":
        from greenroom.offline.evals.keyed import Asking, KeyedAsker  # noqa: PLC0415  # as above
        from greenroom.offline.evals.row import Means  # noqa: PLC0415  # as above
        from greenroom.offline.finetune.grading import Grading  # noqa: PLC0415  # as above

        gateway = self.house.gateway

        def find_key() -> Key | None:
            return gateway.access.find_id(caller.key_id)

        def check(model: str) -> None:
            may_use(caller, model)
            gateway.rooms.find(model)

        asking = Asking(KeyedAsker(gateway, find_key, _TAG))
        return Grading(Means(asking, self.house.encoder), check)


class Surroundings:
    """What running jobs needs of a house."""

    preparer = "greenroom.assembly.preparing"

    def __init__(self, house: House, folder: Path) -> None:
        self._house = house
        self._folder = folder

    def order(self, row: JobRow) -> "Order":
        """What the preparing process has to know. Raises: NotFound where a file is gone."""
        from greenroom.assembly.foreseeing import Means  # noqa: PLC0415  # as above
        from greenroom.assembly.preparing import Order  # noqa: PLC0415  # as above
        from greenroom.offline.finetune.asked import plan_of, read_extra  # noqa: PLC0415  # as above
        from greenroom.offline.finetune.bases import hub_folder  # noqa: PLC0415  # as above
        from greenroom.wire.finetune import NewJob  # noqa: PLC0415  # as above

        house = self._house
        wanted = decode(row.request, type=NewJob)
        asked = decode(row.request)
        extra = read_extra(wanted.greenroom)
        names: dict[str, str] = {}

        def path(id: str | None, field: str) -> str | None:
            if id is None:
                return None
            found = house.documents.files.get(row.project, id)
            if found is None:
                raise NotFound(f"The file '{id[:64]}' was deleted before it was read.", field)
            place = str(house.documents.files.path(found).absolute())
            names[place] = found.filename
            return place

        train = path(wanted.training_file, "training_file")
        assert train is not None
        settings = house.config.finetune
        return Order(
            config=None if house.config_path is None else str(house.config_path.absolute()),
            data=str(house.data.absolute()),
            jobs=str(self._folder),
            project=row.project,
            plan=plan_of(wanted, extra, row.name, asked["seed"]),
            train=train,
            valid=path(wanted.validation_file, "validation_file"),
            text=path(extra.text_file, "greenroom.text_file"),
            names=names,
            options=extra.data,
            budget=extra.budget,
            hours=settings.hours,
            bases=settings.bases,
            hub=str(hub_folder(house.environment, Path.home())),
            may_be_folder=bool(asked.get("may_be_folder")),
            means=Means(
                memory_mb=settings.memory_mb,
                threads=settings.threads,
                watts=settings.watts,
                usd_per_kwh=settings.usd_per_kwh,
                usd_per_hour=settings.usd_per_hour,
            ),
        )

    def register(self, model: TrainedModel) -> None:
        """Have a model answer."""
        self._house.trained.register(model)

    def forget(self, job: str) -> None:
        """Have no model of a job answer any more."""
        trained = self._house.trained
        for one in trained.all():
            if one.job == job:
                with suppress(ModelNotFound):  # deleted meanwhile
                    trained.delete(one.name, None)

    def jobs_of_models(self) -> set[str]:
        """The jobs whose models are still there."""
        return {one.job for one in self._house.trained.all()}

    def keep_file(self, project: str, name: str, data: bytes) -> str:
        """Keep a file of results; its id."""
        files = self._house.documents.files
        upload = files.begin(max(1, len(data)))
        try:
            upload.write(data)
            return files.keep(upload, project=project, filename=name, purpose="fine-tune-results").id
        finally:
            upload.discard()
