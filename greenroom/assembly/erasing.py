"""Everything that is kept of a user's exchanges, erased wherever it lies in the data folder.

What it cannot reach: files that clients uploaded, models that learnt from the exchanges (they are counted),
copies made by `greenroom db backup`, and what was exported before.
"""

import logging
import time
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from greenroom.assembly.lineage import job_folder
from greenroom.assembly.spans import forget_spans
from greenroom.errors import GreenroomError, StoreError
from greenroom.server.filtering import read
from greenroom.store import trained, trials, views
from greenroom.store.erasure import trace_ids
from greenroom.store.eval_erasure import erase_exchanges, keys_of
from greenroom.store.material import pseudonym

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom")

_SETTLE_S = 10.0
_OTHERS_S = 0.25
"""Several times as long as processes let exchanges wait while the store takes them."""
_LINEAGE = ".lineage.jsonl"
_json = Decoder(dict)
_encode = Encoder().encode


def erase_traces(house: "House", project: str | None, user: str) -> dict[str, int]:
    """Erase a user's traces and what was made of them; how many of each there were. Raises: StoreError.

    `models` counts trained models that learnt from what is erased: they cannot unlearn it.
    """
    _settle(house)
    ids = (
        trace_ids(house.folder() / "traces.db", project, user)
        if (house.data / "traces.db").exists()
        else set()
    )
    house.drift.forget(project, user)
    house.forgetting.forget(project, user)
    house.books.forget(project, user)  # what was spent stays, without the name
    gone = {"spans": forget_spans(house, project, user)}
    beside: dict[str, int] = {"views": _forget_views(house, project, user)}
    if (house.data / "evals.db").exists():
        if (house.data / trials.FILE).exists():
            with closing(trials.Trials(house.data)) as found:
                found.erase_scores(keys_of(house.evals, ids))
        beside["eval_rows"] = erase_exchanges(house.evals, ids)
    folders = _erase_training(house.data, ids)
    beside["training_rows"] = sum(folders.values())
    beside["models"] = _models_of(house, folders) if folders else 0
    gone["traces"] = house.traces.delete(project, user=user)  # last: they alone say what else is the user's
    return {**gone, **{name: count for name, count in beside.items() if count}}


def _settle(house: "House") -> None:
    """Wait for what was answered already and is not stored yet, here and in other processes."""
    recorder = vars(house).get("recorder")
    if recorder is None:  # no server runs in this process
        return
    if house.worker is not None:
        time.sleep(_OTHERS_S)
    if not recorder.settle(_SETTLE_S):
        raise StoreError(
            "Exchanges wait that the store of traces does not take; some may be the user's. See that there "
            "is space, then erase again."
        )


def _forget_views(house: "House", project: str | None, user: str) -> int:
    """Saved views that name the user, but those of other projects' keys; how many."""
    if not (house.data / views.FILE).exists():
        return 0
    others = {one.id for one in house.keys.list() if one.role != "admin" and one.project != project}
    found = [
        (key, view.name)
        for key, view in house.views.all()
        if (project is None or key not in others) and _names_user(view.filter, project, user)
    ]
    if found:
        house.views.erase(found)
    return len(found)


def _names_user(text: str, project: str | None, user: str) -> bool:
    try:
        wanted = read(text).filter
    except GreenroomError:  # a field that an earlier version knew: the name may stand in it
        return user in text
    return wanted.user in (user, pseudonym(user)) and project in (None, wanted.project or project)


def _erase_training(data: Path, ids: AbstractSet[str]) -> dict[Path, int]:
    """Rows that training made of these exchanges, by the folder of the job."""
    found: dict[Path, int] = {}
    for lineage in data.glob(f"*/**/*{_LINEAGE}") if ids else ():
        try:
            count = _erase_rows(lineage, ids)
        except OSError as error:  # one folder that can't be written keeps no other from being cleaned
            log.error("training rows not erased", extra={"folder": lineage.parent.name, "reason": str(error)})  # noqa: TRY400  # no stack wanted
            continue
        if count:
            found[lineage.parent] = found.get(lineage.parent, 0) + count
    return found


def _erase_rows(lineage: Path, ids: AbstractSet[str]) -> int:
    origins = [line for line in map(_origin, lineage.read_bytes().splitlines()) if line]
    gone = {number for number, one in enumerate(origins) if one.get("trace") in ids}
    rows = lineage.with_name(lineage.name.removesuffix(_LINEAGE) + ".jsonl")
    if not gone or not rows.exists():
        return 0
    half_rows, half_lineage = (path.with_name(f".{path.name}.part") for path in (rows, lineage))
    with rows.open("rb") as source:
        is_cut = sum(1 for _ in source) == len(origins) - len(gone)  # it ended between the two files
    with rows.open("rb") as source, half_rows.open("wb") as target:
        target.writelines(line for number, line in enumerate(source) if is_cut or number not in gone)
    kept = [one for number, one in enumerate(origins) if number not in gone]
    half_lineage.write_bytes(
        b"".join(_encode({**one, "row": number}) + b"\n" for number, one in enumerate(kept, 1))
    )
    half_rows.replace(rows)
    half_lineage.replace(lineage)
    return len(gone)


def _origin(line: bytes) -> dict[str, object]:
    try:
        return _json.decode(line)
    except DecodeError:  # half a line, left by a power cut
        return {}


def _models_of(house: "House", folders: dict[Path, int]) -> int:
    if not (house.data / trained.FILE).exists():
        return 0
    wanted = {folder.resolve() for folder in folders}
    return sum(job_folder(house.data, one) in wanted for one in house.trained.all())
