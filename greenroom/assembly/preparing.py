"""A job made ready, in a process of its own: `python -m greenroom.assembly.preparing FOLDER`, by the runner.

Reads `order.json`; looks for the base, checks and cleans the rows, estimates what training takes, and writes
`plan.json` and, last, `prepared.json`. Killed at any moment it is started again and begins anew. Loads no
torch.
"""

import os
import shutil
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.json import decode, encode
from msgspec.structs import replace

from greenroom.assembly.foreseeing import Means, foreseen, refused, sentence
from greenroom.assembly.house import House
from greenroom.assembly.training_rows import means_of
from greenroom.errors import GreenroomError, ModelNotFound, RequestError
from greenroom.logs import set_up
from greenroom.offline.finetune.asked import Budget
from greenroom.offline.finetune.bases import Base, find_base
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.outside import Json, Ready, Refusal
from greenroom.offline.finetune.plan import Plan, Scratch
from greenroom.offline.finetune.rows.options import Means as Gates
from greenroom.offline.finetune.rows.options import Options
from greenroom.offline.finetune.rows.plain_text import PlainText, prepare_text
from greenroom.offline.finetune.rows.prepare import prepare
from greenroom.offline.finetune.rows.prepared import Prepared
from greenroom.offline.finetune.rows.problems import Unfit
from greenroom.store.trained import TrainedModel

_MOST_WARNINGS = 10
_LONGEST_NAME_BYTES = 255
_WHY = {
    "duplicate": "they are the same as others",
    "near_duplicate": "they are nearly the same as others",
    "evaluation": "they are like questions of evaluations",
    "validation": "they are like rows for validation",
    "no_consent": "their users did not agree",
    "too_long": "they are too long",
}


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
    hours: float
    """What any job may take here."""
    bases: dict[str, str]
    hub: str
    may_be_folder: bool
    means: Means


def main(arguments: list[str]) -> int:
    """Prepare the job in a folder. The exit code: 0 also where it is refused, which is an answer."""
    set_up()
    folder = JobFolder(Path(arguments[0]))
    order = decode((folder.path / "order.json").read_bytes(), type=Order)
    try:
        ready = prepared(order, folder)
    except RequestError as error:
        problems = [one.said() for one in error.problems] if isinstance(error, Unfit) else []
        refusal = Refusal(code=error.code, message=without_places(str(error), folder), param=error.param)
        ready = Ready(refusal=refusal, report={"problems": problems})
    except GreenroomError as error:
        print(error, file=sys.stderr)
        return 1
    folder.put("prepared.json", ready)
    return 0


def without_places(said: str, folder: JobFolder) -> str:
    """What clients are told, without the folders of this machine."""
    plan = folder.plan()
    told = said.replace(str(folder.path), "the job")
    return told if plan is None or plan.base is None else told.replace(plan.base, plan.base_name)


def prepared(order: Order, folder: JobFolder) -> Ready:
    """Plan, report and estimate. Raises: RequestError, which the client can mend; StoreError, ConfigError."""
    config = None if order.config is None else Path(order.config)
    house = House.open(config, Path(order.data), os.environ)
    try:
        base = None if order.plan.start == "from_scratch" else _base(house, order)
        means = means_of(house, order.project)
    finally:
        house.stop()
    rows = _rows(order, folder, means)
    text = _text(order, folder, means)
    plan = replace(
        order.plan, base=None if base is None else str(base.folder), threads=order.means.threads,
        scratch=_scratch(order, folder), data=_data(order, rows, text, base),
    )  # fmt: skip
    report = decode(encode(rows))
    for part in (report["train"], report["valid"]):
        (part or {}).pop("path", None)
    report["text"] = None if text is None else decode(encode(text))
    report["notes"] = _notes(rows, text)
    folder.put("plan.json", plan)
    told = foreseen(folder.path, plan, rows, order.budget, order.means)
    refusal = refused(told, order.budget, order.hours)
    estimate = {**told.to_json(), "told": sentence(told)}
    return Ready(plan=None if refusal else plan, report=report, estimate=estimate, refusal=refusal)


def _base(house: House, order: Order) -> Base:
    def trained(name: str) -> Path | None:
        try:
            found = house.trained.find(name, order.project)
        except ModelNotFound:
            return None
        return weights_of(found, Path(order.jobs))

    return find_base(
        order.plan.base_name, bases=order.bases, trained=trained, hub=Path(order.hub),
        may_be_folder=order.may_be_folder,
    )  # fmt: skip


def weights_of(model: TrainedModel, jobs: Path) -> Path | None:
    """The folder of a trained model's weights, a checkpoint's own for a checkpoint; None where there is none.

    `jobs` is where the folders of jobs lie.
    """
    folder = jobs / model.job
    if model.checkpoint_of is not None:
        return folder / "models" / Path(model.gguf).parent.name / "model"
    result = JobFolder(folder).result()
    return None if result is None else folder / result.model


def _rows(order: Order, folder: JobFolder, means: Gates) -> Prepared:
    """The rows, read from files that are called as people know them. Raises: Unfit, InfrastructureError."""
    beside = folder.path / "files"
    shutil.rmtree(beside, ignore_errors=True)
    train = _linked(order.train, beside / "1" / _name(order, order.train))
    valid = None if order.valid is None else _linked(order.valid, beside / "2" / _name(order, order.valid))
    try:
        return prepare(train, valid, folder.path, order.plan.method, order.options, means)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _linked(path: str, place: Path) -> Path:
    place.parent.mkdir(parents=True)
    place.symlink_to(path)
    return place


def _name(order: Order, path: str) -> str:
    """What people call a file, where a file can be called so."""
    name = order.names[path].replace("/", "-").replace("\0", "-").strip(". ")
    return name if name and len(name.encode()) <= _LONGEST_NAME_BYTES else "rows.jsonl"


def _text(order: Order, folder: JobFolder, means: Gates) -> PlainText | None:
    """The plain text, cleaned as rows are. Raises: MalformedRequest, InfrastructureError."""
    if order.plan.scratch is None or order.text is None:
        return None
    return prepare_text(
        Path(order.text), folder.path / "text.txt", order.names[order.text], order.options, means
    )


def _scratch(order: Order, folder: JobFolder) -> Scratch | None:
    """With the plain text in the job's own folder."""
    if order.plan.scratch is None or order.text is None:
        return order.plan.scratch
    return replace(order.plan.scratch, text=str(folder.path / "text.txt"))


def _data(order: Order, rows: Prepared, text: PlainText | None, base: Base | None) -> Json:
    """What the card says of the data."""
    parts = [rows.train, *([] if rows.valid is None else [rows.valid])]
    return {
        "digest": rows.digest,
        "files": [
            {"name": one.source, "sha256": one.source_digest, "rows_read": one.rows_read, "rows": one.rows,
             "tokens": one.tokens}
            for one in parts
        ],
        "rows": rows.train.rows,
        "valid_rows": 0 if rows.valid is None else rows.valid.rows,
        "removed": rows.removed,
        "masked": rows.masked,
        "text": None if order.text is None else order.names[order.text],
        "text_masked": {} if text is None else text.masked,
        "text_left_out": 0 if text is None else text.evaluation,
        "base_digest": None if base is None else base.digest,
        "base_licence": None if base is None else base.licence,
        "base_revision": None if base is None else base.revision,
    }  # fmt: skip


def _notes(rows: Prepared, text: PlainText | None) -> list[str]:
    """What the gate did, in sentences."""
    notes = [
        f"{count:,} rows were left out: {_WHY.get(why, why)}." for why, count in rows.removed.items() if count
    ]
    if rows.masked_rows:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(rows.masked.items()))
        notes.append(f"Personal data and secrets were masked in {rows.masked_rows:,} rows: {kinds}.")
    if text is not None and text.masked:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(text.masked.items()))
        notes.append(f"Personal data and secrets were masked in the plain text: {kinds}.")
    if text is not None and text.evaluation:
        notes.append(
            f"{text.evaluation:,} parts of the plain text were left out: they are like questions of evals."
        )
    return [*notes, *(one.said() for one in rows.warnings[:_MOST_WARNINGS])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
