"""From an answer back to what its model was trained on: trace, model, job, data, rows."""

import contextlib
from collections.abc import Iterator
from heapq import nlargest
from pathlib import Path
from typing import Any, Final

from msgspec import DecodeError
from msgspec.json import Decoder

from greenroom.assembly.house import House
from greenroom.assembly.llama import TRAINED
from greenroom.errors import ModelNotFound
from greenroom.grounding.stems import language_of, tokens
from greenroom.store.material import stamp
from greenroom.store.trained import FILE, TrainedModel

Json = dict[str, Any]  # Any: JSON
PLAN: Final = "plan.json"
ROWS: Final = "train.jsonl"
ORIGINS: Final = "train.lineage.jsonl"
"""A line for each row: {"row", "line", "trace"?}."""
NEAREST: Final = 5
"""Training rows that are shown for an answer."""
MOST_ROWS: Final = 200_000
"""Rows that are looked at and counted; of a larger file no others are."""
_PREFIX: Final = f"{TRAINED}/"
_SHOWN = 500
"""Characters of a row."""
_json = Decoder(Json)


def lineage(house: House, named: str, project: str | None) -> Json:
    """What a trained model comes from; for a trace's id, also the rows that its question is nearest to.

    Of the data a project sees nothing but its own: who may use a model of another's learns whose it is.

    Raises: ModelNotFound when there is no such model or trace that the project may see, or the trace was
    answered by no trained model; StoreError.
    """
    trace = house.traces.get(project, named)
    name = named.removeprefix(_PREFIX)
    if trace is not None:
        target = str((trace.get("model") or {}).get("used") or "")
        if not target.startswith(_PREFIX):
            raise ModelNotFound(
                f"The answer of trace '{named}' is by '{target or 'no model'}', which was not trained here."
            )
        name = target.removeprefix(_PREFIX)
    model = _model(house, name, project, trace)
    is_own = project in (None, model.project)
    folder = job_folder(house.data, model) if is_own else None
    found: Json = {
        "model": model.name,
        "kind": model.kind,
        "project": model.project,
        "created_ns": model.created_ns,
        "base": model.base or None,
        "checkpoint_of": model.checkpoint_of,
        "job": model.job,
        "data": _data(house, model) if is_own else None,
        "folder": None if folder is None else folder.relative_to(house.data.resolve()).as_posix(),
        "rows": None,
        "traces": [],
    }
    if folder is not None:
        origins = list(_lines(folder / ORIGINS))
        found["rows"] = sum(1 for _ in _lines(folder / ROWS))
        found["traces"] = [one["trace"] for one in origins if one.get("trace")]
        if trace is not None:
            found["trace"] = named
            found["nearest"] = _nearest(folder, origins, _question(trace))
    return found


def _model(house: House, name: str, project: str | None, trace: Json | None) -> TrainedModel:
    """The model, also one that was deleted since where a trace leads to it."""
    if (house.data / FILE).exists():
        with contextlib.suppress(ModelNotFound):
            if trace is None:
                return house.trained.find(name, project)
        for one in house.trained.ever(name):  # a name may be given again, to another's model too
            if trace is None:
                is_it = project in (None, one.project)
            else:
                is_it = stamp(one.created_ns) <= trace["created_at"]
            if is_it:
                return one
    raise ModelNotFound(f"There is no trained model and no trace '{name[:100]}'.")


def _data(house: House, model: TrainedModel) -> Json | None:
    """What the card says of the data; a checkpoint's is that of the model of whose training it is."""
    cards = [model.card]
    if model.checkpoint_of is not None:
        cards += [one.card for one in house.trained.ever(model.checkpoint_of) if one.job == model.job]
    return next((one["data"] for one in cards if one.get("data")), None)


def job_folder(data: Path, model: TrainedModel) -> Path | None:
    """The folder of the job that made a model, by the plan that lies in it; None once it is gone."""
    root = data.resolve()
    for folder in (root / model.gguf).resolve().parents:
        if not folder.is_relative_to(root) or folder == root:
            return None
        if (folder / PLAN).is_file():
            return folder
    return None


def _lines(path: Path) -> Iterator[Json]:
    """The rows of a file of JSON lines; none when it is not there."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if number >= MOST_ROWS:
                    return
                try:
                    yield _json.decode(line)
                except DecodeError:  # half a line, left by a power cut
                    continue
    except OSError:
        return


def _nearest(folder: Path, origins: list[Json], question: str) -> list[Json]:
    """Rows whose words are most like the question's, by Jaccard's index over stems."""
    wanted = _words(question)
    if not wanted:
        return []
    by_row = {one.get("row"): one for one in origins}
    scored = (
        (len(wanted & words) / len(wanted | words), number, text)
        for number, row in enumerate(_lines(folder / ROWS), 1)
        if (words := _words(text := _asked(row)))
    )
    return [
        {
            "row": number,
            "line": by_row.get(number, {}).get("line"),
            "trace": by_row.get(number, {}).get("trace"),
            "likeness": round(score, 3),
            "text": text[:_SHOWN],
        }
        for score, number, text in nlargest(NEAREST, scored)
        if score > 0
    ]


def _words(text: str) -> frozenset[str]:
    return frozenset(tokens(text, language_of(text)))


def _asked(row: Json) -> str:
    """What the user says in a training row."""
    messages = row.get("messages") or (row.get("input") or {}).get("messages") or []
    return " ".join(
        one["content"]
        for one in messages
        if one.get("role") == "user" and isinstance(one.get("content"), str)
    )


def _question(trace: Json) -> str:
    """What the user asked last in a trace."""
    request = trace.get("request") or {}
    said = [one for one in request.get("messages") or () if one.get("role") == "user"]
    content = said[-1].get("content") if said else ""
    if isinstance(content, list):
        return " ".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
    return str(content or "")
