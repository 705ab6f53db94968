"""Metrics of what was recorded, by OpenTelemetry's names and our own: what `/metrics` shows, and others send.

Made from what the rollups added up since the start, so that a request pays nothing for it. How many series
there are is bounded: apps are those of the configuration, models those of the configuration and those that
answered (`MOST_MODELS` at most), codes of errors the first `MOST_ERRORS`; all else is told as `other`.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from greenroom.assembly.models import READER
from greenroom.exchange import SURFACES
from greenroom.store.cells import OTHER, Cell, Kind
from greenroom.store.histogram import FIRST_TOKEN, OVERHEAD, PER_TOKEN, SIZES, TOTAL
from greenroom.wire import semconv
from greenroom.wire.semconv import Metric, Operation, Spoken, provider_name

if TYPE_CHECKING:
    from greenroom.assembly.house import House

MOST_MODELS = 200
MOST_ERRORS = 40
OTHER_ERROR = "_OTHER"
"""What OpenTelemetry calls an error that is not told apart."""
_OPERATIONS: dict[str, Operation] = {"completions": "text_completion", "embeddings": "embeddings"}
"""Surfaces that are no chat."""

REQUESTS = Metric("greenroom.answers", "counter", semconv.REQUESTS, "Requests by status, for each app.")
TOKENS = Metric("greenroom.tokens", "counter", semconv.TOKENS, "Tokens by app, model and type.")
RETRY_COST = Metric(
    "greenroom.retry.cost",
    "counter",
    "{USD}",
    "The part of the cost paid for calls whose answer was not given.",
)
UNPRICED = Metric("greenroom.unpriced", "counter", semconv.REQUESTS, "Requests whose cost is not known.")
CALLS = Metric("greenroom.calls", "counter", "{call}", "Calls of models, those again among them.")
STEPS = Metric("greenroom.steps", "counter", "{step}", "Steps by what came of them.")

_Labels = tuple[tuple[str, str], ...]


class Reading(Struct):
    """One instrument under one set of labels: a number, or a histogram's counts by bucket and their sum."""

    metric: Metric
    labels: _Labels
    value: float = 0
    counts: list[int] | None = None


class Known(NamedTuple):
    """What may stand in labels, and who stands behind a model."""

    apps: Collection[str]
    models: Collection[str]
    kinds: Mapping[str, str]
    """Name of a provider → its kind."""
    hosted: Collection[str]
    """Providers that run their models here."""


class _Board:
    """Readings by instrument and labels."""

    def __init__(self) -> None:
        self.readings: dict[tuple[str, _Labels], Reading] = {}

    def add(self, metric: Metric, labels: _Labels, value: float) -> None:
        found = self.readings.get((metric.name, labels))
        if found is None:
            found = self.readings[metric.name, labels] = Reading(metric, labels)
        found.value += value

    def put(
        self, metric: Metric, labels: _Labels, bounds: Sequence[float], counts: Sequence[int], total: float
    ) -> None:
        """Add counts by finer bounds, unless there are none."""
        if not any(counts):
            return
        found = self.readings.get((metric.name, labels))
        if found is None:
            empty = [0] * (len(metric.bounds) + 1)
            found = self.readings[metric.name, labels] = Reading(metric, labels, counts=empty)
        assert found.counts is not None
        for place, count in enumerate(counts):
            if count:
                upper = bounds[place] if place < len(bounds) else float("inf")
                found.counts[bisect_left(metric.bounds, upper)] += count
        found.value += total


def readings(cells: Mapping[Kind, Cell], known: Known, spoken: Spoken = "both") -> list[Reading]:
    """All metrics of what was recorded, in the order of their names and labels."""
    board = _Board()
    models = _bounded(_asked(cells, known), MOST_MODELS, OTHER)
    errors = _bounded((kind.error for kind in cells if kind.error), MOST_ERRORS, OTHER_ERROR)
    for kind, cell in cells.items():
        app = kind.app if kind.app in known.apps else OTHER
        model = models(kind.model) if kind.model else ""
        error = errors(kind.error) if kind.error else ""
        _ours(board, kind, cell, app, model, error)
        if cell.calls and kind.model:
            _conventional(board, kind, cell, model, error, known, spoken)
    return sorted(board.readings.values(), key=lambda one: (one.metric.name, one.labels))


def _ours(board: _Board, kind: Kind, cell: Cell, app: str, model: str, error: str) -> None:
    own = (("app", app), ("model", model))
    told = (("app", app), ("error", error), ("status", str(kind.status)))
    board.add(REQUESTS, told, cell.requests)
    labels = (("app", app), ("model", model), ("outcome", kind.outcome))
    board.put(semconv.REQUEST_DURATION, labels, TOTAL, cell.total, cell.total_us / 1e6)
    board.put(semconv.OVERHEAD, (("app", app),), OVERHEAD, cell.overhead, cell.overhead_us / 1e6)
    for (stage, step, outcome), counts in cell.steps.items():
        where = (("app", app), ("stage", stage), ("step", step))
        bounds = semconv.STEP_DURATION.bounds
        board.put(semconv.STEP_DURATION, where[1:], bounds, counts[1:], counts[0] / 1e9)
        board.add(STEPS, (*where[:1], ("outcome", outcome), *where[1:]), sum(counts[1:]))
    for (category, action), count in cell.verdicts.items():
        board.add(semconv.FINDINGS, (("action", action), ("app", app), ("category", category)), count)
    if cell.calls:
        board.add(CALLS, own, cell.attempts)
        board.add(UNPRICED, own, cell.requests - cell.priced)
    if cell.cost_nano:
        board.add(semconv.COST, own, cell.cost_nano / 1e9)
    if cell.retry_nano:
        board.add(RETRY_COST, own, cell.retry_nano / 1e9)
    for type, count in (
        ("input", cell.input_tokens),
        ("cached", cell.cached_tokens),
        ("output", cell.output_tokens),
        ("reasoning", cell.reasoning),
    ):
        if count:
            board.add(TOKENS, (*own, ("type", type)), count)


def _conventional(
    board: _Board, kind: Kind, cell: Cell, model: str, error: str, known: Known, spoken: Spoken
) -> None:
    """By OpenTelemetry's names: what clients of models tell, and what servers do, where we run the model."""
    provider, _, name = model.partition("/")
    place = kind.shape >> 1
    operation = _OPERATIONS.get(SURFACES[place] if place < len(SURFACES) else "chat", "chat")
    common: _Labels = (
        (semconv.OPERATION, operation),
        (semconv.PROVIDER, provider_name(provider, known.kinds.get(provider))),
        (semconv.REQUEST_MODEL, name or model),
    )
    failing: _Labels = ((semconv.ERROR_TYPE, error), *common)

    def put(metric: Metric, labels: _Labels, bounds: Sequence[float], counts: list[int], sum: float) -> None:
        if semconv.spoken_for(metric, operation, spoken):
            board.put(metric, labels, bounds, counts, sum)

    durations = semconv.DURATION_BOUNDS
    for duration in (semconv.OPERATION_DURATION, semconv.INFERENCE_DURATION):
        put(duration, failing, durations, cell.call, cell.call_us / 1e6)
    for first in (semconv.OPERATION_FIRST_CHUNK, semconv.INFERENCE_FIRST_CHUNK):
        put(first, common, FIRST_TOKEN, cell.first, cell.first_us / 1e6)
    for piece in (semconv.OPERATION_PER_CHUNK, semconv.INFERENCE_PER_CHUNK):
        put(piece, common, durations, cell.per_piece, cell.per_piece_us / 1e6)
    for type, counts, total in (
        ("input", cell.input, cell.input_tokens),
        ("output", cell.output, cell.output_tokens),
    ):
        put(semconv.TOKEN_USAGE, (*common, (semconv.TOKEN_TYPE, type)), SIZES, counts, total)
    missing = cell.requests - sum(cell.input)
    for each, counts, total in (
        (semconv.INFERENCE_REQUEST_INPUT, cell.input, cell.input_tokens),
        (semconv.INFERENCE_REQUEST_OUTPUT, cell.output, cell.output_tokens),
    ):
        # Of a call that failed it is 0: the conventions want it so.
        put(each, failing, SIZES, [counts[0] + (missing if error else 0), *counts[1:]], total)
    if operation in semconv.INFERENCE:
        _count_tokens(board, cell, common, spoken)
    if provider in known.hosted:
        put(semconv.SERVER_DURATION, failing, durations, cell.call, cell.call_us / 1e6)
        put(semconv.SERVER_FIRST_TOKEN, common, FIRST_TOKEN, cell.first, cell.first_us / 1e6)
        put(semconv.SERVER_PER_TOKEN, common, PER_TOKEN, cell.per_token, cell.per_token_us / 1e6)


def _count_tokens(board: _Board, cell: Cell, common: _Labels, spoken: Spoken) -> None:
    for metric, modality, count in (
        (semconv.INFERENCE_INPUT, "text", cell.input_tokens - cell.audio_in),
        (semconv.INFERENCE_INPUT, "audio", cell.audio_in),
        (semconv.INFERENCE_OUTPUT, "text", cell.output_tokens - cell.audio_out),
        (semconv.INFERENCE_OUTPUT, "audio", cell.audio_out),
        (semconv.INFERENCE_CACHE_READ, "text", cell.cached_tokens),
        (semconv.INFERENCE_CACHE_WRITE, "text", cell.written),
        (semconv.INFERENCE_REASONING, "text", cell.reasoning),
    ):
        if metric.is_in(spoken) and count > 0:
            board.add(metric, (*common, (semconv.TOKEN_MODALITY, modality)), count)


def _asked(cells: Mapping[Kind, Cell], known: Known) -> Iterable[str]:
    """Models by name that may stand in labels: first those that are configured, then those that answered."""
    named = {kind.model for kind in cells}
    yield from sorted(named.intersection(known.models))
    yield from (kind.model for kind in cells if kind.outcome in {"answered", "cached"})


def _bounded(names: Iterable[str], most: int, other: str) -> Callable[[str], str]:
    """What stands for a name: itself, if it is among the first ones."""
    kept: dict[str, None] = {}
    for name in names:
        if len(kept) < most:
            kept[name] = None
    return lambda name: name if name in kept else other


class RecordedMetrics:
    """The metrics of one house's rollups, made anew only when something was added."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._made: tuple[object, object, list[Reading]] | None = None

    def readings(self, *, is_fresh: bool = True) -> list[Reading]:
        """As `readings`; unless `is_fresh` as of some seconds ago, for those who ask often."""
        house = self._house
        cells, rooms = house.rollups.since_start(is_fresh=is_fresh), house.gateway.rooms
        made = self._made
        if made is None or made[0] is not cells or made[1] is not rooms:
            spoken = house.config.otel.semconv
            made = self._made = (cells, rooms, readings(cells, known_of(house), spoken))
        return made[2]


def known_of(house: "House") -> Known:
    """What a configuration names."""
    providers = house.config.providers
    return Known(
        apps=house.gateway.rooms.apps.keys(),
        models={*house.models.names(), house.default_target, READER},
        kinds={name: table.kind for name, table in providers.items()},
        hosted={READER.partition("/")[0], *(one.name for one in house.models.local())},
    )
