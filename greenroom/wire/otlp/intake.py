"""What is taken from a request in OTLP, and what is not: bounds for whatever anybody may send.

A record that breaks a rule is refused alone and counted; a body that is no OTLP is refused as a whole.
"""

from typing import Generic, NamedTuple, TypeVar

from greenroom.wire.otlp.signals import Log, Span

T = TypeVar("T", Span, Log)

_LARGEST = (1 << 63) - 1
_HEX = frozenset("0123456789abcdefABCDEF")
CUT = "…"
"""Stands at the end of a text that was cut, and for what lies too deep."""


class Bounds(NamedTuple):
    """What one request may hold. The counts of one record are those of OpenTelemetry's SDKs by default."""

    records: int = 10_000
    """Spans or log records; more are counted as refused."""
    counted: int = 200_000
    """Records that are counted at all, and groups of them: beyond, the whole request is refused."""
    attributes: int = 128
    events: int = 128
    links: int = 128
    letters: int = 65_536
    """Of one text."""
    depth: int = 8
    """Lists and maps within each other."""
    items: int = 1_000
    """Of one list or map."""


BOUNDS = Bounds()


class Refused(Exception):
    """One record is not taken; its text says why."""


class Taken(Generic[T]):
    """Records that are taken, and how many are not and why the first of these is not."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds = bounds
        self.taken = 0
        self.refused = 0
        self.why = ""

    @property
    def is_full(self) -> bool:
        """Whether no more are taken."""
        return self.taken >= self.bounds.records

    def refuse(self, why: str, count: int = 1) -> None:
        """Count records that are not taken."""
        self.refused += count
        self.why = self.why or why

    def refuse_excess(self) -> None:
        """Count a record beyond the most that one request may hold."""
        self.refuse(f"One request may hold {self.bounds.records:,} records; the rest was not taken.")


def checked_span(span: Span) -> Span:
    """A span with ids and times that can be kept. Raises: Refused."""
    span.trace = id_of(span.trace, 32, "traceId")
    span.id = id_of(span.id, 16, "spanId")
    span.parent = id_of(span.parent, 16, "parentSpanId") if span.parent.strip("0") else ""
    if not 0 <= span.start_ns <= _LARGEST or not 0 <= span.end_ns <= _LARGEST:
        raise Refused("A span's times must be nanoseconds since 1970 of at most 63 bits.")
    span.links = [one for one in span.links if _is_id(one.trace, 32) and _is_id(one.span, 16)]
    return span


def checked_log(log: Log) -> Log:
    """A log record with ids that are ids or empty. Raises: Refused."""
    log.trace = id_of(log.trace, 32, "traceId") if log.trace.strip("0") else ""
    log.span = id_of(log.span, 16, "spanId") if log.span.strip("0") else ""
    return log


def id_of(text: str, length: int, name: str) -> str:
    """An id in small letters. Raises: Refused."""
    if not _is_id(text, length):
        raise Refused(f"'{name}' must be {length // 2} bytes that are not all 0.")
    return text.lower()


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text) and bool(text.strip("0"))


def cut(text: str, letters: int) -> str:
    """A text of at most so many characters, which ends in a sign if it was longer."""
    return text if len(text) <= letters else text[: letters - 1] + CUT
