"""What the pages of comparisons ask: the runs of `greenroom models compare`, as they were kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import DecodeError
from msgspec.json import decode

from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.store.material import stamp
from greenroom.store.trials import FILE, RunRow, Trials

Record = dict[str, Any]  # Any: JSON
KIND = "compare"


class ComparisonDesk:
    """Answers in worker threads; makes no store."""

    def __init__(self, house: House) -> None:
        self._house = house

    def list(self) -> list[Record]:
        """Runs, the newest first, without what each model's measures are."""
        with self._trials() as trials:
            found = [] if trials is None else trials.runs(KIND)
        return [_shown(one) for one in found]

    def show(self, id: str) -> Record:
        """One, with all that was measured. Raises: NotFound."""
        with self._trials() as trials:
            found = None if trials is None else trials.run(id, KIND)
        if found is None:
            raise NotFound("There is no such comparison. 'greenroom models compare' makes one.")
        return {**_shown(found), "comparison": _decoded(found.result)}

    @contextmanager
    def _trials(self) -> Iterator[Trials | None]:
        if not (self._house.data / FILE).exists():
            yield None
            return
        trials = Trials(self._house.folder())
        try:
            yield trials
        finally:
            trials.close()


def _shown(run: RunRow) -> Record:
    found = _decoded(run.result)
    models = decode(run.settings)
    return {
        "id": run.id,
        "began_at": stamp(run.began_ns),
        "models": models if isinstance(models, list) else [],
        "is_done": found is not None,
        **{name: None if found is None else found.get(name) for name in ("metric", "verdict", "compared")},
        "first": None if found is None else next(iter(found.get("sentences") or ()), None),
        "spent_usd": None if found is None else found.get("spent_nano", 0) / 1e9,
    }


def _decoded(result: bytes | None) -> Record | None:
    if result is None:
        return None
    try:
        return decode(result, type=dict[str, Any])
    except DecodeError:
        return None
