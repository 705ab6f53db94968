"""Reads OTLP's JSON: spans and log records out of text that anybody may have sent.

Unknown fields are passed over and null stands for what is not said, as the mapping has it. A record is
decoded by itself, so that one of a wrong shape is refused alone.
"""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire.otlp.intake import CUT, Bounds, Refused, Taken, checked_log, checked_span, cut
from greenroom.wire.otlp.protobuf_reader import YIELD_EVERY
from greenroom.wire.otlp.signals import Attributes, Event, Link, Log, Logs, Origin, Span, Spans

MOST_PARTS = 1_000_000
"""Commas of one body: some 10 times what the most spans of usual size have."""
_LARGEST = (1 << 63) - 1
_BROKEN = (DecodeError, ValidationError, UnicodeDecodeError, RecursionError)
_Number = int | str


class _Value(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Number | None = None
    double_value: float | str | None = None
    array_value: "_List | None" = None
    kvlist_value: "_Map | None" = None
    bytes_value: str | None = None


class _Pair(Struct):
    key: str | None = None
    value: _Value | None = None


class _List(Struct):
    values: list[_Value] | None = None


class _Map(Struct):
    values: list[_Pair] | None = None


class _Event(Struct, rename="camel"):
    time_unix_nano: _Number | None = None
    name: str | None = None
    attributes: list[_Pair] | None = None
    dropped_attributes_count: int | None = None


class _Link(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[_Pair] | None = None
    dropped_attributes_count: int | None = None
    flags: int | None = None


class _Status(Struct):
    message: str | None = None
    code: int | None = None


class _Span(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: _Number | None = None
    end_time_unix_nano: _Number | None = None
    attributes: list[_Pair] | None = None
    dropped_attributes_count: int | None = None
    events: list[_Event] | None = None
    dropped_events_count: int | None = None
    links: list[_Link] | None = None
    dropped_links_count: int | None = None
    status: _Status | None = None
    flags: int | None = None


class _Log(Struct, rename="camel"):
    time_unix_nano: _Number | None = None
    observed_time_unix_nano: _Number | None = None
    severity_number: int | None = None
    severity_text: str | None = None
    body: _Value | None = None
    attributes: list[_Pair] | None = None
    dropped_attributes_count: int | None = None
    flags: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class _Resource(Struct):
    attributes: list[_Pair] | None = None


class _Scope(Struct):
    name: str | None = None
    version: str | None = None
    attributes: list[_Pair] | None = None


class _ScopeSpans(Struct, rename="camel"):
    scope: _Scope | None = None
    spans: list[Raw] | None = None
    schema_url: str | None = None


class _ScopeLogs(Struct, rename="camel"):
    scope: _Scope | None = None
    log_records: list[Raw] | None = None
    schema_url: str | None = None


class _ResourceSpans(Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None
    schema_url: str | None = None


class _ResourceLogs(Struct, rename="camel"):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None
    schema_url: str | None = None


class _Traces(Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


class _Logs(Struct, rename="camel"):
    resource_logs: list[_ResourceLogs] | None = None


_traces = Decoder(_Traces)
_logs = Decoder(_Logs)
_span = Decoder(_Span)
_log = Decoder(_Log)
T = TypeVar("T", Span, Log)
D = TypeVar("D", _Traces, _Logs)


def read_traces(data: bytes, taken: Taken[Span], pause: Callable[[], None]) -> list[Spans]:
    """The spans of an `ExportTraceServiceRequest`. Raises: MalformedRequest, TooLarge."""
    read = _Records(taken.bounds)
    return [
        Spans(
            read.origin(group.resource, scope.scope, scope.schema_url or group.schema_url),
            list(_taken(scope.spans or (), taken, read.span, pause)),
        )
        for group in _decoded(data, _traces).resource_spans or ()
        for scope in group.scope_spans or ()
    ]


def read_logs(data: bytes, taken: Taken[Log], pause: Callable[[], None]) -> list[Logs]:
    """The records of an `ExportLogsServiceRequest`. Raises: MalformedRequest, TooLarge."""
    read = _Records(taken.bounds)
    return [
        Logs(
            read.origin(group.resource, scope.scope, scope.schema_url or group.schema_url),
            list(_taken(scope.log_records or (), taken, read.log, pause)),
        )
        for group in _decoded(data, _logs).resource_logs or ()
        for scope in group.scope_logs or ()
    ]


def _decoded(data: bytes, decoder: Decoder[D]) -> D:
    if data.count(b",") > MOST_PARTS:
        raise TooLarge(f"The body has more than {MOST_PARTS:,} parts. Send fewer spans at once.")
    try:
        return decoder.decode(data)
    except _BROKEN as error:
        raise MalformedRequest(
            f"The body is no OTLP in JSON: {str(error)[:300]}. For protobuf, send content-type "
            "application/x-protobuf."
        ) from None


def _taken(
    raws: Iterable[Raw], taken: Taken[T], read: Callable[[Raw], T], pause: Callable[[], None]
) -> Iterator[T]:
    for raw in raws:
        if taken.is_full:
            taken.refuse_excess()
            continue
        try:
            yield read(raw)
        except Refused as error:
            taken.refuse(str(error))
        except _BROKEN as error:
            taken.refuse(f"A record has a wrong shape: {str(error)[:200]}.")
        else:
            taken.taken += 1
            if taken.taken % YIELD_EVERY == 0:
                pause()


class _Records:
    """Decoded records in our words, within bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def origin(self, resource: _Resource | None, scope: _Scope | None, schema: str | None) -> Origin:
        scope = scope or _Scope()
        return Origin(
            {} if resource is None else self._attributes(resource.attributes)[0],
            self._text(scope.name),
            self._text(scope.version),
            self._attributes(scope.attributes)[0],
            self._text(schema),
        )

    def span(self, raw: Raw) -> Span:
        came = _span.decode(raw)
        attributes, dropped = self._attributes(came.attributes)
        events, links = self._bounds.events, self._bounds.links
        all_events, all_links = came.events or [], came.links or []
        status = came.status or _Status()
        return checked_span(
            Span(
                trace=came.trace_id or "",
                id=came.span_id or "",
                parent=came.parent_span_id or "",
                name=self._text(came.name),
                kind=_named(came.kind, 5),
                start_ns=_integer(came.start_time_unix_nano),
                end_ns=_integer(came.end_time_unix_nano),
                attributes=attributes,
                dropped=_count(came.dropped_attributes_count) + dropped,
                events=[self._event(one) for one in all_events[:events]],
                dropped_events=_count(came.dropped_events_count) + max(0, len(all_events) - events),
                links=[self._link(one) for one in all_links[:links]],
                dropped_links=_count(came.dropped_links_count) + max(0, len(all_links) - links),
                status=_named(status.code, 2),
                message=self._text(status.message),
                state=self._text(came.trace_state),
                flags=_count(came.flags),
            )
        )

    def log(self, raw: Raw) -> Log:
        came = _log.decode(raw)
        attributes, dropped = self._attributes(came.attributes)
        return checked_log(
            Log(
                at_ns=min(max(_integer(came.time_unix_nano), 0), _LARGEST),
                observed_ns=min(max(_integer(came.observed_time_unix_nano), 0), _LARGEST),
                severity=_named(came.severity_number, 24),
                severity_text=self._text(came.severity_text),
                event=self._text(came.event_name),
                body=None if came.body is None else self._value(came.body, 0),
                attributes=attributes,
                trace=came.trace_id or "",
                span=came.span_id or "",
                flags=_count(came.flags),
                dropped=_count(came.dropped_attributes_count) + dropped,
            )
        )

    def _event(self, came: _Event) -> Event:
        attributes, dropped = self._attributes(came.attributes)
        at_ns = min(max(_integer(came.time_unix_nano), 0), _LARGEST)
        return Event(
            self._text(came.name), at_ns, attributes, _count(came.dropped_attributes_count) + dropped
        )

    def _link(self, came: _Link) -> Link:
        attributes, dropped = self._attributes(came.attributes)
        return Link(
            came.trace_id or "",
            came.span_id or "",
            self._text(came.trace_state),
            attributes,
            _count(came.dropped_attributes_count) + dropped,
            _count(came.flags),
        )

    def _attributes(self, pairs: list[_Pair] | None) -> tuple[Attributes, int]:
        pairs = pairs or []
        most = self._bounds.attributes
        found = {self._text(one.key): self._value(one.value, 0) for one in pairs[:most]}
        return found, max(0, len(pairs) - most)

    def _value(self, came: _Value | None, depth: int) -> Any:  # Any: a value
        if came is None:
            return None
        if came.string_value is not None:
            return self._text(came.string_value)
        if came.bool_value is not None:
            return came.bool_value
        if came.int_value is not None:
            return _integer(came.int_value)
        if came.double_value is not None:
            return _float(came.double_value)
        if came.bytes_value is not None:
            return _bytes(came.bytes_value)[: self._bounds.letters]
        if came.array_value is None and came.kvlist_value is None:
            return None
        if depth >= self._bounds.depth:
            return CUT
        items = self._bounds.items
        if came.array_value is not None:
            values = came.array_value.values or []
            found = [self._value(one, depth + 1) for one in values[:items]]
            if len(values) > items:
                found[-1] = CUT
            return found
        assert came.kvlist_value is not None
        pairs = came.kvlist_value.values or []
        named = {self._text(one.key): self._value(one.value, depth + 1) for one in pairs[:items]}
        return {**named, CUT: CUT} if len(pairs) > items else named

    def _text(self, text: str | None) -> str:
        return cut(text or "", self._bounds.letters)


def _integer(number: _Number | None) -> int:
    """A 64-bit number that may come as a text. Raises: Refused."""
    if number is None:
        return 0
    if isinstance(number, str):
        digits = number.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise Refused(f"{number[:30]!r} is no whole number.")
        number = int(number)
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise Refused("A whole number has more than 63 bits and a sign.")
    return number


def _float(number: float | str) -> float:
    """Raises: Refused."""
    try:
        return float(number[:40] if isinstance(number, str) else number)
    except ValueError:
        raise Refused(f"{str(number)[:30]!r} is no number.") from None


def _bytes(text: str) -> bytes:
    """Raises: Refused."""
    try:
        return b64decode(text, validate=True)
    except (NoBase64, ValueError):
        raise Refused("A value of bytes is no base64.") from None


def _count(number: int | None) -> int:
    return min(max(number or 0, 0), 0xFFFFFFFF)


def _named(number: int | None, most: int) -> int:
    """A number that stands for a name; 0 for one that nobody knows."""
    return number if number is not None and 0 <= number <= most else 0
