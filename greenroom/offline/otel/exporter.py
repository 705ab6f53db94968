"""Passes on what the store has got: reads behind a mark, sends, moves the mark.

The mark is kept, so that a collector that is away, or an end of the process, loses nothing: what waits leaves
later, as long as its traces are kept. Who answers requests and who records them do nothing for it. A message
that was sent when the process ended may be sent again: its spans have the same ids.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from greenroom.offline.otel.evaluations import details_of, evaluation_of
from greenroom.offline.otel.journey import Teller, Upstreams
from greenroom.offline.otel.outbox import Fate, Outbox
from greenroom.store.tail import Stored, Tail
from greenroom.wire import semconv
from greenroom.wire.otlp.points import Measured, Points
from greenroom.wire.otlp.signals import Log, Logs, Origin, Span, Spans
from greenroom.wire.tracecontext import is_within, parse, trace_of

BATCH = 32
"""Exchanges in one message: some 80 KB without texts, and two milliseconds to write."""
SCORES = 512
YIELD_EVERY = 8
"""Exchanges between two moments in which others may run: about half a millisecond."""
FAREWELL_S = 2.0
"""What a last message may take when the process ends."""


class Marks(Protocol):
    """Where the marks are kept; `SpanStore` is one."""

    def progress(self, name: str) -> int | None: ...
    def set_progress(self, name: str, value: int) -> None: ...


class Exporter:
    """Exchanges as spans, scores as events. One thread at a time."""

    def __init__(
        self,
        outbox: Outbox,
        upstreams: Upstreams,
        tail: Tail,
        marks: Marks,
        origin: Origin,
        pause: Callable[[], None] = lambda: time.sleep(0),
    ) -> None:
        plan = outbox.plan
        self._outbox = outbox
        self._tail = tail
        self._marks = marks
        self._origin = origin
        self._pause = pause
        self._teller = Teller(upstreams, plan.config.semconv, sends_content=plan.content in ("spans", "both"))
        self._sends_details = plan.content in ("events", "both")
        newest = tail.newest()
        self._exchange = self._mark("traces", newest[0])
        self._score = self._mark("scores", newest[1])
        self._batch = BATCH
        self._scores = SCORES

    def close(self) -> None:
        """Stop reading. The rest leaves after the next start."""
        self._tail.close()

    def look(self) -> None:
        """Send what is new. Raises: StoreError."""
        outbox, config = self._outbox, self._outbox.plan.config
        if config.traces:
            while outbox.is_due("traces") and (not self._sends_details or outbox.is_due("logs")):
                if not self._pass_exchanges():
                    break
        if config.evaluations:
            while outbox.is_due("logs") and self._pass_scores():
                pass
        newest = self._tail.newest()
        waiting = (max(0, newest[0] - self._exchange), max(0, newest[1] - self._score))
        outbox.waiting = waiting[0] * config.traces + waiting[1] * config.evaluations

    def _mark(self, name: str, newest: int) -> int:
        """Where to go on: at the newest at first, and where the file was put back to an earlier one."""
        known = self._marks.progress(name)
        if known is None or known > newest:
            self._marks.set_progress(name, newest)
            return newest
        return known

    def _pass_exchanges(self) -> bool:
        """Send one batch; whether there may be more to send now."""
        outbox = self._outbox
        found = self._tail.exchanges(self._exchange, self._batch)
        if not found:
            return False
        spans, logs = self._told(found)
        fate = Fate.DONE
        if spans:
            message = outbox.write.traces([Spans(self._origin, spans)])
            fate = outbox.send("traces", message, len(spans), len(found))
        if fate is Fate.DONE and logs:
            fate = outbox.send("logs", outbox.write.logs([Logs(self._origin, logs)]), len(logs), len(found))
        if fate is not Fate.DONE:
            if fate is Fate.SMALLER:
                self._batch = len(found) // 2
            return fate is Fate.SMALLER
        outbox.counts.spans += len(spans)
        outbox.counts.events += len(logs)
        self._exchange = found[-1].seq
        self._marks.set_progress("traces", self._exchange)
        is_full = len(found) == self._batch
        self._batch = min(self._batch * 2, BATCH)
        return is_full

    def _told(self, found: list[Stored]) -> tuple[list[Span], list[Log]]:
        spans: list[Span] = []
        logs: list[Log] = []
        for number, stored in enumerate(found, 1):
            if self._is_sampled(stored):
                own = self._teller.spans(stored)
                spans += own
                if self._sends_details:
                    logs += _details(stored, own)
            if number % YIELD_EVERY == 0:
                self._pause()
        return spans, logs

    def _is_sampled(self, stored: Stored) -> bool:
        parent = parse(stored.body.trace)
        if parent is not None and not parent.is_sampled:
            return False
        return is_within(trace_of(stored.row.id, stored.body.trace), self._outbox.plan.config.sample)

    def _pass_scores(self) -> bool:
        """Send some scores; whether there may be more."""
        outbox = self._outbox
        found = self._tail.scores(self._score, self._scores)
        if not found:
            return False
        sends_content = outbox.plan.content != "none"
        logs = [evaluation_of(one, sends_content=sends_content) for one in found]
        fate = outbox.send("logs", outbox.write.logs([Logs(self._origin, logs)]), len(logs), len(found))
        if fate is not Fate.DONE:
            if fate is Fate.SMALLER:
                self._scores = len(found) // 2
            return fate is Fate.SMALLER
        outbox.counts.events += len(logs)
        self._score = found[-1].number
        self._marks.set_progress("scores", self._score)
        is_full = len(found) == self._scores
        self._scores = min(self._scores * 2, SCORES)
        return is_full


class MetricsExport:
    """All metrics, every so often. One thread at a time."""

    def __init__(self, outbox: Outbox, measure: Callable[[], list[Points]], origin: Origin) -> None:
        self._outbox = outbox
        self._measure = measure
        self._origin = origin
        self._sent_at = outbox.now()

    def look(self) -> None:
        """Send them if it is time to."""
        if self._outbox.is_due("metrics") and self._is_time():
            self._send()

    def end(self) -> None:
        """Send what was measured since the last time, unless something is wrong there."""
        if not self._outbox.state().trouble:
            self._send(FAREWELL_S)

    def _is_time(self) -> bool:
        return self._outbox.now() >= self._sent_at + self._outbox.plan.config.metrics_every_s

    def _send(self, timeout_s: float | None = None) -> None:
        self._sent_at = self._outbox.now()
        points = self._measure()
        if points:
            message = self._outbox.write.metrics([Measured(self._origin, points)])
            if self._outbox.send("metrics", message, len(points), timeout_s=timeout_s) is Fate.DONE:
                self._outbox.counts.points += len(points)


def _details(stored: Stored, spans: Iterable[Span]) -> list[Log]:
    """The event with the texts of an exchange, and what is said of its last call."""
    calls = [one.attributes for one in spans if semconv.GREENROOM_ATTEMPT in one.attributes]
    if not calls:
        return []
    call = {name: value for name, value in calls[-1].items() if name not in semconv.CONTENT}
    told = details_of(stored, call)
    return [] if told is None else [told]
