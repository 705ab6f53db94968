"""Sums over a stretch of time and a group: what `Rollups.read` answers, and what its file keeps of a cell."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct, field

from greenroom.exchange import SURFACES
from greenroom.store.cells import Cell, Kind
from greenroom.store.histogram import FIRST_TOKEN, OVERHEAD, PER_TOKEN, SIZES, STEP, TOTAL, Histogram

COUNTS = (
    "requests", "answered", "cached", "refused", "failed", "cancelled", "streamed", "calls", "attempts",
    "input_tokens", "cached_tokens", "output_tokens", "cost_nano", "priced", "retry_nano",
    "retry_input", "retry_output", "total_us",
)  # fmt: skip
"""The plain numbers of a bucket, each a column of the file."""
HISTOGRAMS = ("total", "overhead", "first_token", "per_token", "input_size", "output_size")
_BOUNDS = (TOTAL, OVERHEAD, FIRST_TOKEN, PER_TOKEN, SIZES, SIZES)
_K = TypeVar("_K")
_BETWEEN = "\x1f"
"""Between stage, step and outcome of a step's name in the file."""
_OUTCOMES = frozenset({"answered", "cached", "refused", "failed", "cancelled"})


class StepKey(NamedTuple):
    """A step and what came of it."""

    stage: str
    step: str
    outcome: str


class Timing(Histogram):
    """How often a step ran and how long it took, in seconds."""

    __slots__ = ()

    def __init__(self, counts: Sequence[int] | None = None, total: float = 0.0) -> None:
        super().__init__(STEP, counts, total)

    @property
    def ms(self) -> float:
        """Milliseconds in all."""
        return self.total * 1000


class Bucket(Struct, kw_only=True):
    """Sums over `step_s` seconds from `since_s` (Unix time). A group that was not asked for is None.

    Times in seconds, money in nano-dollars, tokens as billed. `priced` requests have a known cost; `cached`
    ones were answered from the cache; `retry_nano` is the part of `cost_nano` paid for calls whose answer was
    not given; `calls` requests asked a model, with `attempts` calls in all.
    """

    since_s: int
    step_s: int
    project: str | None = None
    app: str | None = None
    model: str | None = None
    """The target that answered, or was asked last; empty where none was asked."""
    requests: int = 0
    answered: int = 0
    cached: int = 0
    refused: int = 0
    failed: int = 0
    cancelled: int = 0
    streamed: int = 0
    calls: int = 0
    attempts: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    """Of the input: read from the provider's cache."""
    output_tokens: int = 0
    cost_nano: int = 0
    priced: int = 0
    retry_nano: int = 0
    retry_input: int = 0
    """Of the input: tokens of calls whose answer was not given."""
    retry_output: int = 0
    total_us: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    """HTTP status we answered → requests; 200 is left out."""
    errors: dict[str, int] = field(default_factory=dict)
    """Code of the error → requests."""
    languages: dict[str, int] = field(default_factory=dict)
    """Language code → requests; those whose language no step told are left out."""
    surfaces: dict[str, int] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Category and action → findings."""
    steps: dict[StepKey, Timing] = field(default_factory=dict)
    total: Histogram = field(default_factory=lambda: Histogram(TOTAL))
    overhead: Histogram = field(default_factory=lambda: Histogram(OVERHEAD))
    first_token: Histogram = field(default_factory=lambda: Histogram(FIRST_TOKEN))
    """Of streams alone."""
    per_token: Histogram = field(default_factory=lambda: Histogram(PER_TOKEN))
    """Of streams alone: the time from token to token after the first."""
    input_size: Histogram = field(default_factory=lambda: Histogram(SIZES))
    """Tokens of one request."""
    output_size: Histogram = field(default_factory=lambda: Histogram(SIZES))

    @property
    def outcomes(self) -> dict[str, int]:
        """Requests by outcome; those that never happened are left out."""
        found = {name: getattr(self, name) for name in sorted(_OUTCOMES)}
        return {name: count for name, count in found.items() if count}

    def put(self, kind: Kind, cell: Cell) -> None:
        """Add a cell of memory."""
        count = cell.requests
        self.requests += count
        if kind.outcome in _OUTCOMES:
            setattr(self, kind.outcome, getattr(self, kind.outcome) + count)
        if kind.shape & 1:
            self.streamed += count
        for name in COUNTS[7:]:
            setattr(self, name, getattr(self, name) + getattr(cell, name))
        if kind.status != 200:
            _count(self.statuses, kind.status, count)
        if kind.error:
            _count(self.errors, kind.error, count)
        if kind.language:
            _count(self.languages, kind.language, count)
        place = kind.shape >> 1
        _count(self.surfaces, SURFACES[place] if place < len(SURFACES) else "chat", count)
        for what, found in cell.verdicts.items():
            _count(self.verdicts, what, found)
        for (stage, step, outcome), counts in cell.steps.items():
            self._time(StepKey(stage, step, outcome), Timing(counts[1:], counts[0] / 1e9))
        for name, counts, total in (
            ("total", cell.total, cell.total_us / 1e6),
            ("overhead", cell.overhead, cell.overhead_us / 1e6),
            ("first_token", cell.first, cell.first_us / 1e6),
            ("per_token", cell.per_token, cell.per_token_us / 1e6),
            ("input_size", cell.input, cell.input_tokens),
            ("output_size", cell.output, cell.output_tokens),
        ):
            own: Histogram = getattr(self, name)
            own.add(Histogram(own.bounds, counts, total))

    def add(self, other: "Bucket", *, steps: bool = True) -> None:
        """Add another one's sums."""
        self.add_counts(other)
        self._add_details(other)
        if steps:
            for key, timing in other.steps.items():
                self._time(key, timing)
        for name in HISTOGRAMS:
            getattr(self, name).add(getattr(other, name))

    def add_counts(self, other: "Bucket") -> None:
        """Add another one's plain numbers alone."""
        for name in COUNTS:
            more = getattr(other, name)
            if more:
                setattr(self, name, getattr(self, name) + more)

    def _add_details(self, other: "Bucket") -> None:
        _join(self.statuses, other.statuses)
        _join(self.errors, other.errors)
        _join(self.languages, other.languages)
        _join(self.surfaces, other.surfaces)
        _join(self.verdicts, other.verdicts)

    def _time(self, key: StepKey, timing: Timing) -> None:
        own = self.steps.get(key)
        if own is None:
            own = self.steps[key] = Timing()
        own.add(timing)

    # -- as bytes

    def detail(self) -> bytes:
        """All but the plain numbers and the steps, packed; histograms without their empty buckets."""
        return _encode(_Detail(
            self.statuses, self.errors, self.languages, self.surfaces,
            [(*what, count) for what, count in self.verdicts.items()],
            [_sparse(getattr(self, name)) for name in HISTOGRAMS],
        ))  # fmt: skip

    def timings(self, number: Callable[[str], int]) -> bytes:
        """The steps, packed, with a number for each name."""
        return _encode([(number(_BETWEEN.join(key)), *_sparse(one)) for key, one in self.steps.items()])

    def add_timings(self, data: bytes, name: Callable[[int], str]) -> None:
        """Add what `timings` packed, names told by their numbers. Raises: msgspec.DecodeError."""
        for number, total, packed in _decode_timings(data):
            key = StepKey(*name(number).split(_BETWEEN, 2))
            timing = self.steps.get(key)
            if timing is None:
                timing = self.steps[key] = Timing()
            _unpack(timing, total, packed)

    def add_detail(self, data: bytes) -> None:
        """Add what `detail` packed. Raises: msgspec.DecodeError."""
        found = _decode(data)
        _join(self.statuses, found.statuses)
        _join(self.errors, found.errors)
        _join(self.languages, found.languages)
        _join(self.surfaces, found.surfaces)
        for category, action, count in found.verdicts:
            _count(self.verdicts, (category, action), count)
        for name, (total, packed) in zip(HISTOGRAMS, found.histograms, strict=True):
            _unpack(getattr(self, name), total, packed)


class _Detail(Struct, array_like=True):
    statuses: dict[int, int]
    errors: dict[str, int]
    languages: dict[str, int]
    surfaces: dict[str, int]
    verdicts: list[tuple[str, str, int]]
    histograms: list[tuple[float, list[int]]]
    """The sum of each, then place and count by turns."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Detail).decode
_decode_timings = msgspec.msgpack.Decoder(list[tuple[int, float, list[int]]]).decode


def _sparse(one: Histogram) -> tuple[float, list[int]]:
    packed: list[int] = []
    for place, count in enumerate(one.counts):
        if count:
            packed += (place, count)
    return one.total, packed


def _unpack(own: Histogram, total: float, packed: list[int]) -> None:
    own.total += total
    counts = own.counts
    for at in range(0, len(packed), 2):
        counts[packed[at]] += packed[at + 1]


def _count(counts: dict[_K, int], key: _K, by: int) -> None:
    counts[key] = counts.get(key, 0) + by


def _join(counts: dict[_K, int], others: dict[_K, int]) -> None:
    for key, by in others.items():
        counts[key] = counts.get(key, 0) + by
