"""Messages to one collector: how each fares, when the next one may go, and what was lost on the way."""

import time
from collections.abc import Callable
from enum import Enum
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.offline.otel.sender import Answer, Sender
from greenroom.offline.otel.settings import Plan
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import protobuf

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
Signal = Literal["traces", "logs", "metrics"]


class Fate(Enum):
    """What became of a message."""

    DONE = "done"
    """Taken, or refused for good and counted."""
    LATER = "later"
    SMALLER = "smaller"
    """It is too large: the same in smaller pieces."""


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
    """Exchanges and scores that have not left yet."""
    trouble: str
    """What is wrong now; empty while all is well."""


class Outbox:
    """One collector. One thread sends; `state` may be asked from any."""

    def __init__(self, plan: Plan, sender: Sender, now: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.counts = Counts()
        self.write = as_json if plan.protocol == "http/json" else protobuf
        """The form in which messages are written."""
        self.waiting = 0
        self.now = now
        self._sender = sender
        self._failures: dict[Signal, int] = {}
        self._not_before: dict[Signal, float] = {}
        self._trouble: dict[Signal, str] = {}

    def close(self) -> None:
        """Hang up."""
        self._sender.close()

    def interrupt(self) -> None:
        """Cut off what hangs. May be called from any thread."""
        self._sender.interrupt()

    def is_due(self, signal: Signal) -> bool:
        """Whether a message may go now: after a failure it is waited."""
        return self.now() >= self._not_before.get(signal, 0.0)

    def send(
        self, signal: Signal, message: bytes, records: int, parts: int = 1, timeout_s: float | None = None
    ) -> Fate:
        """Send a message of so many records, which could be cut into so many parts."""
        answer = self._sender.send("/v1/" + signal, message, timeout_s)
        if answer.kind == "later":
            self._wait(signal, answer)
            return Fate.LATER
        if answer.kind == "smaller" and parts > 1:
            return Fate.SMALLER
        self._failures.pop(signal, None)
        rejected = min(answer.rejected, records) if answer.kind == "taken" else records
        self.counts.rejected += rejected
        if rejected:
            self._trouble[signal] = answer.said or f"{self.plan.place} did not take {rejected} records"
        else:
            self._trouble.pop(signal, None)
        return Fate.DONE

    def state(self) -> State:
        """How it stands."""
        trouble = "; ".join(sorted(set(self._trouble.values())))
        return State(self.plan.place, self.counts, self.waiting, trouble)

    def _wait(self, signal: Signal, answer: Answer) -> None:
        failures = self._failures.get(signal, 0)
        self._failures[signal] = failures + 1
        self.counts.failures += 1
        wait_s = max(answer.wait_s, BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
        self._not_before[signal] = self.now() + wait_s
        self._trouble[signal] = answer.said
