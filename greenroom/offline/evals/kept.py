"""Data sets and runs as they are kept: samples to rows and back, a run with the samples it was made with."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import Conflict, MalformedRequest, NotFound
from greenroom.offline.evals.data import DataSet
from greenroom.offline.evals.runner import Run, load
from greenroom.offline.evals.sample import Sample, Scorer
from greenroom.store.data_sets import DataSets, Kept
from greenroom.store.evals import EvalStore

_NAME_LENGTH = 100
_TRIES = 20
_encode = Encoder(order="deterministic").encode
_sample = Decoder(Sample).decode


class MetricKind(Struct, kw_only=True, frozen=True):
    """What a report must know of a scorer."""

    name: str
    higher_is_better: bool = True
    unit: str = ""
    """"ms", "usd", or empty for 0 to 1."""


class Settings(Struct, kw_only=True, frozen=True):
    """What is kept with a run."""

    suite: str = ""
    data: str = ""
    """What people call the samples."""
    repeats: int = 1
    metrics: tuple[MetricKind, ...] = ()
    scorers: dict[str, Any] = {}  # Any: the scorers' tables, as the suite has them


_settings = Decoder(Settings).decode


class KeptRun(NamedTuple):
    """A run and what is known of it."""

    run: Run
    settings: Settings


def kinds_of(scorers: Sequence[Scorer]) -> tuple[MetricKind, ...]:
    """What a report must know of these scorers."""
    return tuple(
        MetricKind(name=one.name, higher_is_better=one.higher_is_better, unit=getattr(one, "unit", ""))
        for one in scorers
    )


def keep_data(
    store: EvalStore, name: str, found: DataSet, project: str = "default", after: int | None = None
) -> Kept:
    """Keep samples under a name; a new version where they have changed.

    Raises: MalformedRequest; Conflict where `after`, the version they go on from, is not the newest.
    """
    if not name or len(name) > _NAME_LENGTH or not name.isprintable() or "@" in name:
        raise MalformedRequest(f"A data set's name has 1 to {_NAME_LENGTH} characters, and no '@'.", "name")
    rows = (_encode(sample) for sample in found.samples)
    return DataSets(store).add(project, name, found.digest, rows, found.source, after)


def extend_data(
    store: EvalStore, name: str, samples: Sequence[Sample], source: str, project: str = "default"
) -> tuple[Kept, int]:
    """Add samples to the newest version of a name, or make the first; the version, and how many were new.

    A sample whose id is there already adds nothing. Whoever else adds at the same time loses nothing.
    Raises: MalformedRequest.
    """
    added: list[Sample] = []

    def with_new(held: list[Sample]) -> list[Sample]:
        known = {one.id for one in held}
        added[:] = [one for one in samples if one.id not in known]
        return [*held, *added]

    return change_data(store, name, with_new, source, project), len(added)


def change_data(
    store: EvalStore, name: str, change: Callable[[list[Sample]], Sequence[Sample]], source: str,
    project: str = "default",
) -> Kept:  # fmt: skip
    """Keep what `change` makes of the newest version's samples, none where there is no such name yet.

    It is asked again where somebody else was quicker. Raises: MalformedRequest; Conflict.
    """
    sets = DataSets(store)
    for _ in range(_TRIES):
        held: list[Sample] = []
        version = 0
        with suppress(NotFound):
            newest = sets.find(project, name)
            held, version = [_sample(row) for row in sets.rows(newest)], newest.version
        with suppress(Conflict):
            return keep_data(store, name, DataSet.of(change(held), source), project, after=version)
    raise Conflict(f"Others keep adding to the data set '{name}'. Try again in a moment.")


def kept_data(store: EvalStore, named: str, project: str = "default") -> DataSet:
    """The samples of `name`, `name@version` or a digest. Raises: NotFound."""
    sets = DataSets(store)
    kept = sets.find(project, named)
    samples = tuple(_sample(row) for row in sets.rows(kept))
    return DataSet(samples=samples, source=f"{kept.name}@{kept.version}", digest=kept.digest)


def kept_run(store: EvalStore, named: str, project: str = "default") -> KeptRun:
    """A run by its id, the beginning of it, or its name, with its items. Raises: NotFound."""
    row = store.find(named, project)
    try:
        samples = kept_data(store, row.data, project).samples
    except NotFound:
        raise NotFound(f"The samples of the run '{row.id}' were removed: it can't be looked at.") from None
    return KeptRun(load(store, row.id, samples), _settings(row.settings))
