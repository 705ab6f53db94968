"""A job made ready, in a process of its own: `python -m greenroom.assembly.preparing FOLDER`, by the runner.

Reads `order.json`; looks for the base, checks and cleans the rows, estimates what training takes, and writes
`plan.json` and, last, `prepared.json`. Killed at any moment it is started again and begins anew. Loads no torch.
"""

import os
import shutil
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.json import decode, encode
from msgspec.structs import replace

from greenroom.assembly.house import House
from greenroom.assembly.training_rows import means_of
from greenroom.errors import GreenroomError, ModelNotFound, RequestError
from greenroom.logs import set_up
from greenroom.offline.finetune.asked import Budget
from greenroom.offline.finetune.bases import Base, find_base
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.outside import Json, Ready, Refusal
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.rows.prepare import Options, Prepared, prepare


class Order(Struct, kw_only=True, frozen=True):
    """`order.json`: what the parent knows. Paths are absolute."""

    config: str | None
    data: str
    """The data folder."""
    jobs: str
    """Where the folders of jobs lie."""
    project: str
    plan: Plan
    train: str
    valid: str | None
    text: str | None
    names: dict[str, str]
    """What people call the files, by their paths."""
    options: Options
    budget: Budget
    bases: dict[str, str]
    hub: str
    may_be_folder: bool
    memory_mb: int | None
    threads: int | None


def main(arguments: list[str]) -> int:
    """Prepare the job in a folder. The exit code: 0 also where it is refused, which is an answer."""
    set_up()
    folder = JobFolder(Path(arguments[0]))
    order = decode((folder.path / "order.json").read_bytes(), type=Order)
    try:
        ready = prepared(order, folder)
    except RequestError as error:
        ready = Ready(refusal=Refusal(code=error.code, message=str(error), param=error.param))
    except GreenroomError as error:
        print(error, file=sys.stderr)
        return 1
    if ready.plan is not None:
        folder.put("plan.json", ready.plan)
    folder.put("prepared.json", ready)
    return 0


def prepared(order: Order, folder: JobFolder) -> Ready:
    """Plan, report and estimate. Raises: RequestError for what the client can mend; StoreError, ConfigError."""
    config = None if order.config is None else Path(order.config)
    house = House.open(config, Path(order.data), os.environ)
    try:
        base = None if order.plan.start == "from_scratch" else _base(house, order)
        rows = _rows(house, order, folder)
    finally:
        house.stop()
    plan = replace(
        order.plan, base=None if base is None else str(base.folder), threads=order.threads,
        scratch=_scratch(order, folder), data=_data(order, rows, base),
    )  # fmt: skip
    report = decode(encode(rows))
    report["notes"] = _notes(rows)
    return Ready(plan=plan, report=report)


def _base(house: House, order: Order) -> Base:
    def trained(name: str) -> Path | None:
        try:
            found = house.trained.find(name, order.project)
        except ModelNotFound:
            return None
        result = JobFolder(Path(order.jobs) / found.job).result()
        return None if result is None else Path(order.jobs) / found.job / result.model

    return find_base(
        order.plan.base_name, bases=order.bases, trained=trained, hub=Path(order.hub),
        may_be_folder=order.may_be_folder,
    )  # fmt: skip


def _rows(house: House, order: Order, folder: JobFolder) -> Prepared:
    """The rows, in files that people know by their own names."""
    beside = folder.path / "files"
    beside.mkdir(exist_ok=True)
    places = [None if one is None else _linked(Path(one), beside / order.names[one]) for one in (order.train, order.valid)]
    train, valid = places
    assert train is not None
    try:
        return prepare(train, valid, folder.path, order.plan.method, order.options, means_of(house, order.project))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _linked(path: Path, place: Path) -> Path:
    place.unlink(missing_ok=True)
    place.symlink_to(path)
    return place


def _scratch(order: Order, folder: JobFolder) -> object:
    ...
