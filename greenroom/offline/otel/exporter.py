"""Passes on what the store has got: reads behind a mark, sends, moves the mark.

The mark is kept, so that a collector that is away, or an end of the process, loses nothing: what waits leaves
later, as long as its traces are kept. Who answers requests and who records them do nothing for it. A message
that was sent when the process ended may be sent again: its spans have the same ids.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from greenroom.offline.otel.evaluations import details_of, evaluation_of
from greenroom.offline.otel.journey import Teller, Upstreams
from greenroom.offline.otel.meters import Meters
from greenroom.offline.otel.sender import Answer, Sender
from greenroom.offline.otel.settings import Plan
from greenroom.store.tail import Scored, Stored, Tail
from greenroom.wire import semconv
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import protobuf
from greenroom.wire.otlp.points import Measured
from greenroom.wire.otlp.signals import CLIENT, INTERNAL, Log, Logs, Origin, Span, Spans
from greenroom.wire.tracecontext import parse, trace_of

BATCH = 128
"""Exchanges in one message: some 100 KB."""
SCORES = 512
YIELD_EVERY = 16
"""Exchanges between two moments in which others may run: a millisecond or two."""
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
FAREWELL_S = 2.0
"""What a last message may take when the process ends."""
Signal = Literal["traces", "logs", "metrics"]
_PATHS: dict[Signal, str] = {"traces": "/v1/traces", "logs": "/v1/logs", "metrics": "/v1/metrics"}


class Marks(Protocol):
    """Where the marks are kept; `SpanStore` is one."""

    def progress(self, name: str) -> int | None: ...
    def set_progress(self, name: str, value: int) -> None: ...


class Counts(Struct):
    """Since the start."""

    spans: int = 0
    events: int = 0
    points: int = 0
    rejected: int = 0
    """Records that the collector did not take, for good."""
    failures: int = 0
    """Messages that did not arrive and were, or will be, sent again."""


class State(NamedTuple):
    """How the export stands."""

    place: str
    counts: Counts
    waiting: int
    """Exchanges and scores behind the mark."""
    sent_at: float | None
    """Unix time of the last message that was taken."""
    trouble: str
    """What is wrong now; empty while all is well."""


class Exporter:
    """One plan at work. `look` belongs to one thread; `state` may be asked from any."""

    def __init__(
        self,
        plan: Plan,
        upstreams: Upstreams,
        tail: Tail,
        marks: Marks,
        sender: Sender,
        origin: Origin,
        *,
        pause: Callable[[], None] = lambda: time.sleep(0),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        config = plan.config
        self.plan = plan
        self.upstreams = upstreams
        self.counts = Counts()
        self._tail = tail
        self._marks = marks
        self._sender = sender
        self._origin = origin
        self._pause = pause
        self._now = now
        self._wire = as_json if plan.protocol == "http/json" else protobuf
        self._teller = Teller(upstreams, config.semconv, sends_content=plan.content in ("spans", "both"))
        self._meters = Meters(self._teller, config.semconv, time.time_ns())
        self._events_content = plan.content in ("events", "both")
        newest = tail.newest()
        self._exchange = self._mark("traces", newest[0])
        self._metered = self._exchange
        self._score = self._mark("scores", newest[1])
        self._batch = BATCH
        self._failures: dict[Signal, int] = {}
        self._not_before: dict[Signal, float] = {}
        self._trouble: dict[Signal, str] = {}
        self._measured_at = now()
        self._has_measured = False
        self._sent_at: float | None = None
        self._waiting = 0

    def look(self) -> float:
        """Send what is new. In how many seconds to look again. Raises: StoreError."""
        while self._is_due("traces") and self._pass_exchanges():
            pass
        while self.plan.config.evaluations and self._is_due("logs") and self._pass_scores():
            pass
        period_s = self.plan.config.metrics_every_s
        if (
            self.plan.config.metrics
            and self._is_due("metrics")
            and self._now() >= self._measured_at + period_s
        ):
            self._pass_metrics()
        return self.plan.config.every_s

    def end(self) -> None:
        """Send what was measured since the last time, and hang up. The rest leaves after the next start."""
        if self.plan.config.metrics and self._has_measured and not self._trouble:
            self._pass_metrics(FAREWELL_S)
        self._sender.close()
        self._tail.close()

    def interrupt(self) -> None:
        """Cut off what hangs. May be called from any thread."""
        self._sender.interrupt()

    def state(self) -> State:
        """How it stands. The count of what waits is that of the last look."""
        trouble = "; ".join(sorted(set(self._trouble.values())))
        return State(self.plan.place, self.counts, self._waiting, self._sent_at, trouble)

    def _mark(self, name: str, newest: int) -> int:
        """Where to go on: at the newest at first, and where the file was put back to an earlier one."""
        known = self._marks.progress(name)
        if known is None or known > newest:
            self._marks.set_progress(name, newest)
            return newest
        return known

    # -- exchanges

    def _pass_exchanges(self) -> bool:
        """Send one batch; whether there may be more to send now."""
        found = self._tail.exchanges(self._exchange, self._batch)
        self._waiting = self._tail.waiting(self._exchange, self._score)
        if not found:
            return False
        spans, logs = self._told(found)
        sent = True
        if spans:
            message = self._wire.traces([Spans(self._origin, spans)])
            sent = self._send("traces", message, len(spans), len(found))
            if sent:
                self.counts.spans += len(spans)
        if not sent:
            return self._batch < len(found)  # it was too large: the next one is smaller
        if logs:
            if not self._send("logs", self._wire.logs([Logs(self._origin, logs)]), len(logs), len(found)):
                self._not_before["traces"] = self._not_before.get(
                    "logs", 0.0
                )  # both go again, with equal ids
                return self._batch < len(found)
            self.counts.events += len(logs)
        self._exchange = found[-1].seq
        self._marks.set_progress("traces", self._exchange)
        self._waiting = self._tail.waiting(self._exchange, self._score)
        self._batch = min(self._batch * 2, BATCH)
        return len(found) >= self._batch // 2

    def _told(self, found: list[Stored]) -> tuple[list[Span], list[Log]]:
        spans: list[Span] = []
        logs: list[Log] = []
        for number, stored in enumerate(found):
            if stored.seq > self._metered:
                self._metered = stored.seq
                self._meters.add(stored)
                self._has_measured = True
            if self.plan.config.traces and self._is_sampled(stored):
                own = self._teller.spans(stored)
                spans += own
                if self._events_content:
                    logs += self._details(stored, own)
            if number % YIELD_EVERY == YIELD_EVERY - 1:
                self._pause()
        return spans, logs

    def _details(self, stored: Stored, spans: list[Span]) -> list[Log]:
        calls = [
            one
            for one in spans
            if one.kind in (CLIENT, INTERNAL) and semconv.GREENROOM_ATTEMPT in one.attributes
        ]
        if not calls:
            return []
        call = {name: one for name, one in calls[-1].attributes.items() if name not in semconv.CONTENT}
        told = details_of(stored, call)
        return [] if told is None else [told]

    def _is_sampled(self, stored: Stored) -> bool:
        parent = parse(stored.body.trace)
        if parent is not None and not parent.is_sampled:
            return False
        trace = trace_of(stored.row.id, stored.body.trace)
        return int(trace[18:], 16) / (1 << 56) < self.plan.config.sample

    # -- scores and metrics

    def _pass_scores(self) -> bool:
        found: list[Scored] = self._tail.scores(self._score, SCORES)
        if not found:
            return False
        sends_content = self.plan.content != "none"
        logs = [evaluation_of(one, sends_content=sends_content) for one in found]
        if not self._send("logs", self._wire.logs([Logs(self._origin, logs)]), len(logs), 1):
            return False
        self.counts.events += len(logs)
        self._score = found[-1].number
        self._marks.set_progress("scores", self._score)
        return len(found) == SCORES

    def _pass_metrics(self, timeout_s: float | None = None) -> None:
        self._measured_at = self._now()
        points = self._meters.points(time.time_ns())
        if not points:
            return
        message = self._wire.metrics([Measured(self._origin, points)])
        if self._send("metrics", message, len(points), 1, timeout_s):
            self.counts.points += len(points)
            self._has_measured = False

    # -- messages

    def _is_due(self, signal: Signal) -> bool:
        return self._now() >= self._not_before.get(signal, 0.0)

    def _send(
        self, signal: Signal, message: bytes, records: int, parts: int, timeout_s: float | None = None
    ) -> bool:
        """Whether the message is done with: taken, or refused for good."""
        answer = self._sender.send(_PATHS[signal], message, timeout_s)
        if answer.kind == "later":
            self._wait(signal, answer)
            return False
        if answer.kind == "smaller" and parts > 1:
            self._batch = parts // 2
            return False
        self._failures.pop(signal, None)
        rejected = answer.rejected if answer.kind == "taken" else records
        self.counts.rejected += rejected
        if rejected:
            self._trouble[signal] = answer.said or f"{self.plan.place} did not take {rejected} records"
        else:
            self._trouble.pop(signal, None)
        if answer.kind == "taken":
            self._sent_at = time.time()
        return True

    def _wait(self, signal: Signal, answer: Answer) -> None:
        failures = self._failures.get(signal, 0)
        self._failures[signal] = failures + 1
        self.counts.failures += 1
        wait_s = max(answer.wait_s, BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
        self._not_before[signal] = self._now() + wait_s
        self._trouble[signal] = answer.said
