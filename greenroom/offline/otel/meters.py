"""Sums and histograms of what happened, by the conventions: cumulative, bounded, made of stored exchanges.

Sets of attributes beyond the bound are counted together under `otel.metric.overflow`, as the metrics SDK
specification asks ("Cardinality limits").
"""

from bisect import bisect_left
from collections.abc import Iterator

from greenroom.exchange import Usage
from greenroom.offline.otel.journey import Teller, call_error, calls_of, error_type, usage_of
from greenroom.store.material import STREAMED
from greenroom.store.tail import Stored
from greenroom.wire import semconv
from greenroom.wire.otlp.points import Points, Spread, Total
from greenroom.wire.otlp.signals import Attributes
from greenroom.wire.semconv import Metric, Spoken, spoken_for

MOST_SETS = 2_000
"""Sets of attributes of one metric: the SDKs' default."""
_OVERFLOW: tuple[tuple[str, object], ...] = (("otel.metric.overflow", True),)
_Set = tuple[tuple[str, object], ...]
Measurement = tuple[Metric, Attributes, float]


class _Cell:
    """One histogram."""

    __slots__ = ("counts", "least", "most", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0
        self.least = float("inf")
        self.most = float("-inf")


class Meters:
    """What was measured since the start. One thread at a time."""

    def __init__(self, teller: Teller, spoken: Spoken, start_ns: int) -> None:
        self.teller = teller
        self._spoken = spoken
        self._start_ns = start_ns
        self._cells: dict[Metric, dict[_Set, _Cell]] = {}
        self._totals: dict[Metric, dict[_Set, float]] = {}

    def add(self, stored: Stored) -> None:
        """Count one exchange."""
        for metric, attributes, value in self._measured(stored):
            named = tuple(attributes.items())
            if metric.kind == "counter":
                totals = self._totals.setdefault(metric, {})
                if named not in totals and len(totals) >= MOST_SETS:
                    named = _OVERFLOW
                totals[named] = totals.get(named, 0) + value
                continue
            cells = self._cells.setdefault(metric, {})
            cell = cells.get(named)
            if cell is None:
                if len(cells) >= MOST_SETS:
                    named = _OVERFLOW
                cell = cells.setdefault(named, _Cell(len(metric.bounds) + 1))
            cell.counts[bisect_left(metric.bounds, value)] += 1
            cell.sum += value
            cell.least = min(cell.least, value)
            cell.most = max(cell.most, value)

    def points(self, at_ns: int) -> list[Points]:
        """All of it, as it leaves."""
        counted = [
            Points(
                metric,
                self._start_ns,
                at_ns,
                totals=[Total(dict(one), value) for one, value in found.items()],
            )
            for metric, found in self._totals.items()
        ]
        return counted + [
            Points(
                metric,
                self._start_ns,
                at_ns,
                spreads=[
                    Spread(dict(one), cell.counts, cell.sum, cell.least, cell.most)
                    for one, cell in found.items()
                ],
            )
            for metric, found in self._cells.items()
        ]

    def _measured(self, stored: Stored) -> Iterator[Measurement]:
        yield from self._own(stored)
        operation = self.teller.operation(stored.row)
        if operation is None:
            return
        for metric, attributes, value in self._calls(stored):
            if spoken_for(metric, operation, self._spoken):
                yield metric, {semconv.OPERATION: operation, **attributes}, value

    def _own(self, stored: Stored) -> Iterator[Measurement]:
        row, body = stored.row, stored.body
        app = {semconv.GREENROOM_APP: row.app}
        of_model = {**app, semconv.GREENROOM_TARGET: row.used} if row.used else app
        outcome: Attributes = {**of_model, semconv.GREENROOM_OUTCOME: row.outcome}
        error = error_type(row)
        if error is not None:
            outcome[semconv.ERROR_TYPE] = error
        yield semconv.REQUEST_DURATION, outcome, row.total_us / 1e6
        yield semconv.OVERHEAD, app, row.overhead_us / 1e6
        if row.cost_nano:
            yield semconv.COST, of_model, row.cost_nano / 1e9
        for step in body.steps:
            named = {**app, semconv.GREENROOM_STAGE: step.stage, semconv.GREENROOM_STEP: step.step}
            yield semconv.STEP_DURATION, named, step.ns / 1e9
            for one in step.verdicts:
                found = {semconv.SAFETY_CATEGORY: one.category, semconv.SAFETY_ACTION: one.action}
                yield semconv.FINDINGS, {**app, **found, semconv.SAFETY_WHERE: one.where}, 1

    def _calls(self, stored: Stored) -> Iterator[Measurement]:
        row, body = stored.row, stored.body
        made = calls_of(stored, row.total_us * 1000)
        for number, (attempt, took_ns) in enumerate(made):
            is_last = number == len(made) - 1
            common = self.teller.target(attempt.target)
            error = call_error(row, attempt, is_last=is_last)
            failed = common if error is None else {**common, semconv.ERROR_TYPE: error}
            is_ours = self.teller.is_ours(attempt.target)
            took_s = took_ns / 1e9
            yield semconv.OPERATION_DURATION, failed, took_s
            yield semconv.INFERENCE_DURATION, failed, took_s
            if is_ours:
                yield semconv.SERVER_DURATION, failed, took_s
            usage = usage_of(row, body) if is_last and attempt.error is None else attempt.usage
            if usage is not None:
                asked, said = usage.input_tokens, usage.output_tokens
                yield semconv.TOKEN_USAGE, {**common, semconv.TOKEN_TYPE: "input"}, asked
                yield semconv.TOKEN_USAGE, {**common, semconv.TOKEN_TYPE: "output"}, said
                yield semconv.INFERENCE_REQUEST_INPUT, failed, asked
                yield semconv.INFERENCE_REQUEST_OUTPUT, failed, said
                yield from _counted(usage, common)
            elif attempt.error is not None:
                yield semconv.INFERENCE_REQUEST_INPUT, failed, 0
                yield semconv.INFERENCE_REQUEST_OUTPUT, failed, 0
            if attempt.error is not None or not is_last:
                continue
            said = (usage.output_tokens if usage is not None else 0) - 1
            if row.flags & STREAMED and attempt.ns:
                first_s = attempt.ns / 1e9
                yield semconv.OPERATION_FIRST_CHUNK, common, first_s
                yield semconv.INFERENCE_FIRST_CHUNK, common, first_s
                if said > 0:
                    each_s = max(0.0, took_s - first_s) / said
                    yield semconv.OPERATION_PER_CHUNK, common, each_s
                    yield semconv.INFERENCE_PER_CHUNK, common, each_s
                    if is_ours:
                        yield semconv.SERVER_PER_TOKEN, common, each_s
                if is_ours:
                    yield semconv.SERVER_FIRST_TOKEN, common, first_s


def _counted(usage: Usage, common: Attributes) -> Iterator[Measurement]:
    for metric, whole, audio in (
        (semconv.INFERENCE_INPUT, usage.input_tokens, usage.input_audio_tokens),
        (semconv.INFERENCE_OUTPUT, usage.output_tokens, usage.output_audio_tokens),
        (semconv.INFERENCE_CACHE_READ, usage.cached_tokens, usage.cached_audio_tokens),
        (semconv.INFERENCE_CACHE_WRITE, usage.cache_write_tokens, 0),
        (semconv.INFERENCE_REASONING, usage.reasoning_tokens, 0),
    ):
        for modality, tokens in (("text", whole - audio), ("audio", audio)):
            if tokens > 0:
                yield metric, {**common, semconv.TOKEN_MODALITY: modality}, tokens
