"""What becomes of a job that trained to its end: a file of figures, a card, a model that answers."""

import csv
import io
import time
from pathlib import Path

from msgspec.json import decode, encode

from greenroom.errors import RequestError
from greenroom.offline.finetune.card import card_of, markdown
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.outside import Tools
from greenroom.offline.finetune.plan import Plan, Result
from greenroom.store.jobs import EventRow, JobRow, Page
from greenroom.store.trained import TrainedModel

MOST_STEPS = 20_000
"""Whose figures are read at the end, spread evenly; those of validation are read all."""
_COLUMNS = (
    "step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy",
)  # fmt: skip
_NAMES = {"train_accuracy": "train_mean_token_accuracy"}
"""OpenAI's file of results calls it otherwise than its events."""


def finish(row: JobRow, tools: Tools, folder: JobFolder, result: Result) -> None:
    """Bring a job whose `result.json` is there to `succeeded`. Safe to do again after any interruption.

    Raises: RequestError where the model can't be registered; StoreError, OSError.
    """
    plan = decode(row.plan, type=Plan)
    points = [decode(one.data) for one in tools.kept.metrics(row, MOST_STEPS)]
    card = card_of(row, plan, result, folder.card(), points)
    folder.put("card-of-model.json", card)
    folder.put("card.md", markdown(card).encode())
    gguf = next((result.gguf[one] for one in plan.formats if one in result.gguf), None)
    if gguf is None:
        raise RequestError("Training wrote no GGUF file, so that nothing can load the model.")
    tools.outside.register(
        TrainedModel(
            name=row.name, project=row.project, created_ns=time.time_ns(), base=plan.base_name, job=row.id,
            kind="model", gguf=_relative(tools.data, folder.path / gguf), card=card,
        )
    )  # fmt: skip
    _register_checkpoints(row, tools, folder, plan)
    file = _figures(row, tools, folder, points)
    time.sleep(tools.seen_s)
    told = encode({**_plain(result), "files": [file] if file else []})
    if tools.kept.move(row.id, "succeeded", result=told, card=encode(card)):
        now = time.time_ns()
        tools.kept.tell(
            row,
            [
                EventRow(at_ns=now, message=f"New fine-tuned model created: {row.name}"),
                EventRow(at_ns=now, message="The job has successfully completed"),
            ],
        )
    folder.drop(".part", "order.json")


def _register_checkpoints(row: JobRow, tools: Tools, folder: JobFolder, plan: Plan) -> None:
    """Those that models were made of, under the names that they have as checkpoints."""
    for one in tools.kept.checkpoints(row, Page(1_000))[0]:
        made = folder.models(one.step)
        gguf = next((made[format] for format in plan.formats if format in made), None)
        if gguf is not None:  # of the others it was not asked for, or could not be made
            tools.outside.register(
                TrainedModel(
                    name=one.model, project=row.project, created_ns=one.at_ns, base=plan.base_name,
                    job=row.id, kind="model", gguf=_relative(tools.data, folder.path / gguf),
                    checkpoint_of=row.name,
                    card={"job": row.id, "step": one.step, "metrics": decode(one.metrics)},
                )
            )  # fmt: skip


def _plain(result: Result) -> dict[str, object]:
    found: dict[str, object] = decode(encode(result))
    return found


def _relative(data: Path, path: Path) -> str:
    return path.resolve().relative_to(data.resolve()).as_posix()


def _figures(row: JobRow, tools: Tools, folder: JobFolder, points: list[dict[str, object]]) -> str | None:
    """The id of the file of figures, kept once; None where the project has no room for it."""
    known = folder.read("figures.json", str)
    if known is not None:
        return known
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    by_step: dict[int, dict[str, object]] = {}
    for one in points:
        if one.get("phase", "training") == "training" and isinstance(one.get("step"), int):
            by_step.setdefault(int(str(one["step"])), {}).update(one)
    for step in sorted(by_step):
        table.writerow([by_step[step].get(_NAMES.get(name, name), "") for name in _COLUMNS])
    try:
        id = tools.outside.keep_file(row.project, "step_metrics.csv", out.getvalue().encode())
    except RequestError:
        tools.kept.tell(
            row,
            [
                EventRow(
                    at_ns=time.time_ns(), level="warn",
                    message="The file of results was not kept: the project's files have no room left.",
                )
            ],
        )  # fmt: skip
        return None
    folder.put("figures.json", id)
    return id
