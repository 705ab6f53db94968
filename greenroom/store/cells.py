"""What happened in one minute to one project, app and model, in sums that add up; gathered in memory.

A cell of memory is narrower than one of the file: whatever tells requests apart is part of its key, so that
to count one exchange is to find its cell and add a few numbers.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from greenroom.exchange import Attempt, Exchange, StepRecord
from greenroom.store.coverage import Span, joined
from greenroom.store.histogram import FIRST_TOKEN, OVERHEAD, PER_TOKEN, SIZES, STEP, TOTAL
from greenroom.store.lines import given_of
from greenroom.store.material import STREAMED, SURFACE_BIT, Row
from greenroom.usage import Usage
from greenroom.wire.semconv import DURATION_BOUNDS

MINUTE_NS = 60_000_000_000
OTHER = "other"
"""Stands for apps and models that are too many to be told apart."""


def _micros(bounds: Sequence[float]) -> tuple[int, ...]:
    return tuple(round(one * 1e6) for one in bounds)


_TOTAL_US, _OVERHEAD_US, _FIRST_US = _micros(TOTAL), _micros(OVERHEAD), _micros(FIRST_TOKEN)
_TOKEN_US, _CALL_US = _micros(PER_TOKEN), _micros(DURATION_BOUNDS)
_STEP_NS = tuple(round(one * 1e9) for one in STEP)


class Told(Protocol):
    """What an exchange, or the body that is kept of it, says beside its row."""

    @property
    def steps(self) -> list[StepRecord]: ...
    @property
    def attempts(self) -> list[Attempt]: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def error(self) -> str | None: ...


class Kind(NamedTuple):
    """What tells cells of memory apart. `minute` counts from 1970, `shape` holds surface and streaming."""

    minute: int
    project: str
    app: str
    model: str
    outcome: str
    status: int
    language: str
    error: str
    shape: int


class Cell:
    """Sums over the exchanges of one kind: times in µs, steps in ns, money in nano-dollars."""

    __slots__ = (
        "attempts", "audio_in", "audio_out", "cached_tokens", "call", "call_us", "calls", "cost_nano",
        "first", "first_us", "input", "input_tokens", "output", "output_tokens", "overhead", "overhead_us",
        "per_piece", "per_piece_us", "per_token", "per_token_us", "plan", "priced", "reasoning", "requests",
        "retry_input", "retry_nano", "retry_output", "steps", "total", "total_us", "verdicts", "written",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.priced = self.attempts = self.calls = 0
        self.input_tokens = self.cached_tokens = self.output_tokens = 0
        self.written = self.reasoning = self.audio_in = self.audio_out = 0
        """Tokens written to the provider's cache, of reasoning, and of sound."""
        self.cost_nano = self.retry_nano = self.retry_input = self.retry_output = 0
        self.total_us = self.overhead_us = self.first_us = self.call_us = 0
        self.per_token_us = self.per_piece_us = 0.0
        self.total = [0] * (len(TOTAL) + 1)
        self.overhead = [0] * (len(OVERHEAD) + 1)
        self.first = [0] * (len(FIRST_TOKEN) + 1)
        self.per_token = [0] * (len(PER_TOKEN) + 1)
        self.input = [0] * (len(SIZES) + 1)
        self.output = [0] * (len(SIZES) + 1)
        self.call = [0] * (len(DURATION_BOUNDS) + 1)
        """Requests that asked a model, by the time that was the model's."""
        self.per_piece = [0] * (len(DURATION_BOUNDS) + 1)
        """Streams by the time from one piece to the next, on average."""
        self.steps: dict[tuple[str, str, str], list[int]] = {}
        """Stage, step and what came of it → nanoseconds, then how often up to each bound."""
        self.plan: list[tuple[str, str, list[int]]] = []
        """The steps of the first exchange with their sums: the next one's are mostly the same ones."""
        self.verdicts: dict[tuple[str, str], int] = {}
        """Category and action → how many findings."""

    def put(self, row: Row, told: Told | None) -> None:
        """Count one exchange."""
        (
            _, _, _, _, _, _, _, _, _, _, _, _, asked, said, cost, total_us, overhead_us, first_us, flags,
        ) = row  # fmt: skip
        self.requests += 1
        self.total[bisect_left(_TOTAL_US, total_us)] += 1
        self.total_us += total_us
        self.overhead[bisect_left(_OVERHEAD_US, overhead_us)] += 1
        self.overhead_us += overhead_us
        if cost is not None:
            self.cost_nano += cost
            self.priced += 1
        if asked is not None:
            self.input_tokens += asked
            self.input[bisect_left(SIZES, asked)] += 1
        if said is not None:
            self.output_tokens += said
            self.output[bisect_left(SIZES, said)] += 1
        is_stream = first_us and flags & STREAMED
        if is_stream:
            self.first[bisect_left(_FIRST_US, first_us)] += 1
            self.first_us += first_us
            if said is not None and said > 1:
                each_us = (total_us - first_us) / (said - 1)
                self.per_token[bisect_left(_TOKEN_US, each_us)] += 1
                self.per_token_us += each_us
        if told is not None:
            if told.usage is not None:
                self._put_usage(told.usage)
            if told.attempts:
                call_us = total_us - overhead_us
                self.call[bisect_left(_CALL_US, call_us)] += 1
                self.call_us += call_us
                self.calls += 1
                self.attempts += len(told.attempts)
                if len(told.attempts) > 1 and cost is not None:  # else no part of any sum
                    self._put_retries(told.attempts)
            if is_stream and told.__class__ is Exchange and told.pieces > 1:
                each_us = (total_us - first_us) / (told.pieces - 1)
                self.per_piece[bisect_left(_CALL_US, each_us)] += 1
                self.per_piece_us += each_us
            if told.steps:
                self._put_steps(told.steps)

    def _put_usage(self, usage: Usage) -> None:
        self.cached_tokens += usage.cached_tokens
        self.written += usage.cache_write_tokens
        self.reasoning += usage.reasoning_tokens
        self.audio_in += usage.input_audio_tokens
        self.audio_out += usage.output_audio_tokens

    def _put_retries(self, attempts: list[Attempt]) -> None:
        paid = [one for one in attempts if one.usage is not None]
        given = given_of(paid)
        for one in paid:
            if one is not given and one.usage is not None:
                self.retry_nano += one.cost_nano_usd or 0
                self.retry_input += one.usage.input_tokens
                self.retry_output += one.usage.output_tokens

    def _put_steps(self, steps: list[StepRecord]) -> None:
        plan = self.plan
        if len(plan) != len(steps):
            plan = [(one.step, one.outcome, self._slot(one)) for one in steps]
            self.plan = self.plan or plan
        for one, (name, outcome, usual) in zip(steps, plan, strict=True):
            slot = usual if one.step is name and one.outcome is outcome else self._slot(one)
            ns = one.ns
            slot[0] += ns
            slot[bisect_left(_STEP_NS, ns) + 1] += 1
            if one.verdicts:
                verdicts = self.verdicts
                for verdict in one.verdicts:
                    what = (verdict.category, verdict.action)
                    verdicts[what] = verdicts.get(what, 0) + 1

    def _slot(self, one: StepRecord) -> list[int]:
        key = (one.stage, one.step, one.outcome)
        found = self.steps.get(key)
        if found is None:
            found = self.steps[key] = [0] * (len(STEP) + 2)
        return found

    def add(self, other: "Cell") -> None:
        """Add another cell's sums."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _HISTOGRAMS:
            pairs = zip(getattr(self, name), getattr(other, name), strict=True)
            setattr(self, name, [a + b for a, b in pairs])
        for key, counts in other.steps.items():
            found = self.steps.setdefault(key, [0] * len(counts))
            found[:] = [a + b for a, b in zip(found, counts, strict=True)]
        for what, count in other.verdicts.items():
            self.verdicts[what] = self.verdicts.get(what, 0) + count


_HISTOGRAMS = ("total", "overhead", "first", "per_token", "input", "output", "call", "per_piece")
_NUMBERS = tuple(name for name in Cell.__slots__ if name not in (*_HISTOGRAMS, "plan", "steps", "verdicts"))


_Key = tuple[int, str, str, str, str, int, str, str, int]
"""A `Kind`, whose class costs eight times what a tuple does."""


class Gathered:
    """Cells of memory, by kind."""

    def __init__(self) -> None:
        self.cells: dict[_Key, Cell] = {}
        self.spans: list[Span] = []
        """Which traces these are."""

    def add(self, told: Iterable[tuple[Row, Told | None]]) -> None:
        """Count exchanges: some microseconds each."""
        cells = self.cells
        for row, one in told:
            error, model = None, row[6]
            if one is not None:
                error = one.error
                if model is None and one.attempts:
                    model = one.attempts[-1].target
            key = (
                row[1] // MINUTE_NS, row[2], row[4], model or "", row[7], row[8], row[11] or "", error or "",
                row[18] >> SURFACE_BIT << 1 | (row[18] & STREAMED != 0),
            )  # fmt: skip
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell()
            cell.put(row, one)

    def take(self, other: "Gathered", most: int | None = None) -> None:
        """Take in the cells of another one, which is given up.

        What comes beyond `most` cells is counted under the app and model `other`.
        """
        for kind, cell in other.cells.items():
            key = kind
            if most is not None and len(self.cells) >= most and key not in self.cells:
                key = (*key[:2], OTHER, OTHER, *key[4:])
            own = self.cells.get(key)
            if own is None:
                self.cells[key] = cell
            else:
                own.add(cell)
        for span in other.spans:
            joined(self.spans, span)

    def copy(self) -> "Gathered":
        """The same, in cells of its own."""
        made = Gathered()
        for key, cell in self.cells.items():
            made.cells[key] = Cell()
            made.cells[key].add(cell)
        return made

    def since_start(self) -> "Gathered":
        """The same without minutes, projects and languages."""
        made = Gathered()
        for (_, _, app, model, outcome, status, _, error, shape), cell in self.cells.items():
            key: _Key = (0, "", app, model, outcome, status, "", error, shape)
            if key not in made.cells:
                made.cells[key] = Cell()
            made.cells[key].add(cell)
        return made
