"""What OTLP carries, in our words: spans with their events, log records, and who speaks.

Attribute values are str, bool, int (64 bits), float, bytes, None, lists or tuples of these (tuples of texts
where they are likely to come again), and dictionaries of these.
Times are nanoseconds since 1970 in UTC; ids are lower-case hexadecimal, 32 digits a trace and 16 a span.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct, field

Attributes = dict[str, Any]  # Any: the values above

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
"""Names of span kinds, by their number."""
UNSET, OK, ERROR = 0, 1, 2
STATUSES = ("unset", "ok", "error")
"""Names of span statuses, by their number."""
DEBUG, INFO, WARN = 5, 9, 13
"""Severities of log records."""


class Event(Struct, omit_defaults=True):
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    dropped: int = 0
    """Attributes that were left out, by whoever sent it or by our own bounds."""


class Link(Struct, omit_defaults=True):
    """A span elsewhere that belongs to this one without being its parent."""

    trace: str
    span: str
    state: str = ""
    attributes: Attributes = field(default_factory=dict)
    dropped: int = 0
    flags: int = 0


class Span(Struct, omit_defaults=True, kw_only=True):
    """One piece of work. `parent` is empty for the first of a trace."""

    trace: str
    id: str
    parent: str = ""
    name: str = ""
    kind: int = INTERNAL
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    status: int = UNSET
    message: str = ""
    """What is said of the status."""
    state: str = ""
    """`tracestate`, as it came."""
    flags: int = 0
    dropped: int = 0
    """Attributes that were left out."""
    dropped_events: int = 0
    dropped_links: int = 0


class Log(Struct, omit_defaults=True, kw_only=True):
    """One log record; an event where `event` names it."""

    at_ns: int = 0
    observed_ns: int = 0
    severity: int = 0
    severity_text: str = ""
    event: str = ""
    body: Any = None  # Any: a value, see above
    attributes: Attributes = field(default_factory=dict)
    trace: str = ""
    span: str = ""
    flags: int = 0
    dropped: int = 0


class Origin(Struct, omit_defaults=True):
    """Who speaks: the process (`resource`) and the library within it (`scope`)."""

    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    version: str = ""
    scope_attributes: Attributes = field(default_factory=dict)
    schema: str = ""

    @property
    def service(self) -> str:
        """`service.name`, empty where it is not said."""
        name = self.resource.get("service.name")
        return name if isinstance(name, str) else ""


class Spans(NamedTuple):
    """Spans of one origin."""

    origin: Origin
    spans: list[Span]


class Logs(NamedTuple):
    """Log records of one origin."""

    origin: Origin
    logs: list[Log]


def text_of(value: object) -> str:
    """An attribute's value as one reads it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {text_of(one)}" for name, one in value.items()) + "}"
    return "" if value is None else str(value)
