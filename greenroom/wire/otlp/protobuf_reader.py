"""Reads OTLP's protobuf: spans and log records out of bytes that anybody may have sent.

Unknown fields are passed over, as protobuf has it. Nothing is read that the bounds would not keep; the work
for one body is bounded by the number of its fields, not by what they claim.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, TypeVar

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire.otlp.intake import BOUNDS, CUT, Bounds, Refused, Taken, checked_log, checked_span, cut
from greenroom.wire.otlp.signals import Attributes, Event, Link, Log, Logs, Origin, Span, Spans

MOST_FIELDS = 2_000_000
"""Of one body: some 20 times what the most spans of usual size have."""
YIELD_EVERY = 32
"""Records between two moments in which other threads may run: about a millisecond."""

T = TypeVar("T", Span, Log)
_double = Struct("<d").unpack_from
_fixed64 = Struct("<Q").unpack_from
_fixed32 = Struct("<I").unpack_from
_SIGN = 1 << 63


def read_traces(data: bytes, taken: Taken[Span], pause: Callable[[], None]) -> list[Spans]:
    """The spans of an `ExportTraceServiceRequest`. Raises: MalformedRequest, TooLarge."""
    groups = _Body(data, taken.bounds).groups(taken, _Body.span, pause)
    return [Spans(origin, spans) for origin, spans in groups]


def read_logs(data: bytes, taken: Taken[Log], pause: Callable[[], None]) -> list[Logs]:
    """The records of an `ExportLogsServiceRequest`. Raises: MalformedRequest, TooLarge."""
    groups = _Body(data, taken.bounds).groups(taken, _Body.log, pause)
    return [Logs(origin, logs) for origin, logs in groups]


def partial_success(data: bytes) -> tuple[int, str]:
    """Rejected records and the reason, out of an `Export…ServiceResponse`. Raises: MalformedRequest."""
    rejected, said = 0, ""
    body = _Body(data, BOUNDS)
    for number, wire, at, end in body.fields(0, len(data)):
        if (number, wire) == (1, 2):
            for inner, kind, a, b in body.fields(at, end):
                if (inner, kind) == (1, 0):
                    rejected = a
                elif (inner, kind) == (2, 2):
                    said = data[a:b].decode("utf-8", "replace")
    return rejected, said


class _Body:
    """One body. A message is a stretch of it: `at` to `end`."""

    def __init__(self, data: bytes, bounds: Bounds) -> None:
        self._data = data
        self._bounds = bounds
        self._left = MOST_FIELDS
        self._counted = 0

    def groups(
        self, taken: Taken[T], read: Callable[["_Body", int, int], T], pause: Callable[[], None]
    ) -> Iterator[tuple[Origin, list[T]]]:
        for number, wire, at, end in self.fields(0, len(self._data)):
            if (number, wire) == (1, 2):
                self._count()
                yield from self._group(at, end, taken, read, pause)

    def _group(
        self,
        at: int,
        end: int,
        taken: Taken[T],
        read: Callable[["_Body", int, int], T],
        pause: Callable[[], None],
    ) -> Iterator[tuple[Origin, list[T]]]:
        resource: Attributes = {}
        scopes: list[tuple[int, int]] = []
        schema = ""
        for number, wire, start, stop in self.fields(at, end):
            if wire == 2 and number == 1:
                resource, _ = self._attributes_of(1, start, stop)
            elif wire == 2 and number == 2:
                self._count()
                scopes.append((start, stop))
            elif wire == 2 and number == 3:
                schema = self._text(start, stop)
        for scope in scopes:
            yield self._scope(*scope, Origin(resource, schema=schema), taken, read, pause)

    def _scope(
        self,
        at: int,
        end: int,
        origin: Origin,
        taken: Taken[T],
        read: Callable[["_Body", int, int], T],
        pause: Callable[[], None],
    ) -> tuple[Origin, list[T]]:
        found: list[T] = []
        for number, wire, start, stop in self.fields(at, end):
            if wire != 2:
                continue
            if number == 1:
                origin.scope, origin.version, origin.scope_attributes = self._scope_name(start, stop)
            elif number == 2:
                self._count()
                if taken.is_full:
                    taken.refuse_excess()
                    continue
                try:
                    found.append(read(self, start, stop))
                except Refused as error:
                    taken.refuse(str(error))
                    continue
                taken.taken += 1
                if taken.taken % YIELD_EVERY == 0:
                    pause()
            elif number == 3:
                origin.schema = self._text(start, stop)
        return origin, found

    def _scope_name(self, at: int, end: int) -> tuple[str, str, Attributes]:
        name = version = ""
        for number, wire, start, stop in self.fields(at, end):
            if wire == 2 and number == 1:
                name = self._text(start, stop)
            elif wire == 2 and number == 2:
                version = self._text(start, stop)
        return name, version, self._attributes_of(3, at, end)[0]

    def span(self, at: int, end: int) -> Span:
        span = Span(trace="", id="")
        for number, wire, a, b in self.fields(at, end):
            if wire == 2:
                if number == 9:
                    self._pair(span, a, b)
                elif number == 1:
                    span.trace = self._hex(a, b)
                elif number == 2:
                    span.id = self._hex(a, b)
                elif number == 3:
                    span.state = self._text(a, b)
                elif number == 4:
                    span.parent = self._hex(a, b)
                elif number == 5:
                    span.name = self._text(a, b)
                elif number == 11:
                    if len(span.events) < self._bounds.events:
                        span.events.append(self._event(a, b))
                    else:
                        span.dropped_events += 1
                elif number == 13:
                    if len(span.links) < self._bounds.links:
                        span.links.append(self._link(a, b))
                    else:
                        span.dropped_links += 1
                elif number == 15:
                    span.message, span.status = self._status(a, b)
            elif wire == 1 and number == 7:
                span.start_ns = a
            elif wire == 1 and number == 8:
                span.end_ns = a
            elif wire == 0 and number == 6:
                span.kind = a if 0 <= a <= 5 else 0
            elif wire == 0 and number == 10:
                span.dropped += a & 0xFFFFFFFF
            elif wire == 0 and number == 12:
                span.dropped_events += a & 0xFFFFFFFF
            elif wire == 0 and number == 14:
                span.dropped_links += a & 0xFFFFFFFF
            elif wire == 5 and number == 16:
                span.flags = a
        return checked_span(span)

    def _status(self, at: int, end: int) -> tuple[str, int]:
        message, code = "", 0
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (2, 2):
                message = self._text(a, b)
            elif (number, wire) == (3, 0):
                code = a if 0 <= a <= 2 else 0
        return message, code

    def _event(self, at: int, end: int) -> Event:
        event = Event("")
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (1, 1):
                event.at_ns = min(a, _SIGN - 1)
            elif (number, wire) == (2, 2):
                event.name = self._text(a, b)
            elif (number, wire) == (3, 2):
                self._pair(event, a, b)
            elif (number, wire) == (4, 0):
                event.dropped += a & 0xFFFFFFFF
        return event

    def _link(self, at: int, end: int) -> Link:
        link = Link("", "")
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (1, 2):
                link.trace = self._hex(a, b)
            elif (number, wire) == (2, 2):
                link.span = self._hex(a, b)
            elif (number, wire) == (3, 2):
                link.state = self._text(a, b)
            elif (number, wire) == (4, 2):
                self._pair(link, a, b)
            elif (number, wire) == (5, 0):
                link.dropped += a & 0xFFFFFFFF
            elif (number, wire) == (6, 5):
                link.flags = a
        return link

    def log(self, at: int, end: int) -> Log:
        log = Log()
        for number, wire, a, b in self.fields(at, end):
            if wire == 2:
                if number == 6:
                    self._pair(log, a, b)
                elif number == 3:
                    log.severity_text = self._text(a, b)
                elif number == 5:
                    log.body = self._value(a, b, 0)
                elif number == 9:
                    log.trace = self._hex(a, b)
                elif number == 10:
                    log.span = self._hex(a, b)
                elif number == 12:
                    log.event = self._text(a, b)
            elif wire == 1 and number == 1:
                log.at_ns = min(a, _SIGN - 1)
            elif wire == 1 and number == 11:
                log.observed_ns = min(a, _SIGN - 1)
            elif wire == 0 and number == 2:
                log.severity = a if 0 <= a <= 24 else 0
            elif wire == 0 and number == 7:
                log.dropped += a & 0xFFFFFFFF
            elif wire == 5 and number == 8:
                log.flags = a
        return checked_log(log)

    # -- attributes

    def _pair(self, holder: Span | Event | Link | Log, at: int, end: int) -> None:
        """Add one attribute to what has them."""
        if len(holder.attributes) >= self._bounds.attributes:
            holder.dropped += 1
            return
        name, value = self._key_value(at, end, 0)
        holder.attributes[name] = value

    def _attributes_of(self, wanted: int, at: int, end: int) -> tuple[Attributes, int]:
        """The attributes in field `wanted` of a message, and how many more there are."""
        found: Attributes = {}
        dropped = 0
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (wanted, 2):
                if len(found) >= self._bounds.attributes:
                    dropped += 1
                    continue
                name, value = self._key_value(a, b, 0)
                found[name] = value
        return found, dropped

    def _key_value(self, at: int, end: int, depth: int) -> tuple[str, Any]:  # Any: a value
        name, value = "", None
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (1, 2):
                name = self._text(a, b)
            elif (number, wire) == (2, 2):
                value = self._value(a, b, depth)
        return name, value

    def _value(self, at: int, end: int, depth: int) -> Any:  # Any: a value
        value: Any = None
        for number, wire, a, b in self.fields(at, end):
            if wire == 2:
                if number == 1:
                    value = self._text(a, b)
                elif number == 5:
                    value = CUT if depth >= self._bounds.depth else self._list(a, b, depth + 1)
                elif number == 6:
                    value = CUT if depth >= self._bounds.depth else self._map(a, b, depth + 1)
                elif number == 7:
                    value = self._data[a : min(b, a + self._bounds.letters)]
            elif wire == 0 and number == 2:
                value = bool(a)
            elif wire == 0 and number == 3:
                value = a - (1 << 64) if a >= _SIGN else a
            elif wire == 1 and number == 4:
                value = _double(self._data, b)[0]
        return value

    def _list(self, at: int, end: int, depth: int) -> list[Any]:
        found: list[Any] = []
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (1, 2):
                if len(found) >= self._bounds.items:
                    found[-1] = CUT
                    break
                found.append(self._value(a, b, depth))
        return found

    def _map(self, at: int, end: int, depth: int) -> Attributes:
        found: Attributes = {}
        for number, wire, a, b in self.fields(at, end):
            if (number, wire) == (1, 2):
                if len(found) >= self._bounds.items:
                    found[CUT] = CUT
                    break
                name, value = self._key_value(a, b, depth)
                found[name] = value
        return found

    # -- the encoding itself

    def fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Number, wire type, and: the number itself and where it stands; or where the bytes begin and end."""
        data = self._data
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise TooLarge(f"The body has more than {MOST_FIELDS:,} fields. Send fewer spans at once.")
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if wire == 2:
                length, at = self._varint(at, end)
                stop = at + length
                if stop > end:
                    raise self._broken(at, "a field is longer than what holds it")
                yield number, 2, at, stop
                at = stop
            elif wire == 0:
                start = at
                value, at = self._varint(at, end)
                yield number, 0, value, start
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
                if at + size > end:
                    raise self._broken(at, "a number ends too early")
                value = (_fixed64 if wire == 1 else _fixed32)(data, at)[0]
                yield number, wire, value, at
                at += size
            else:
                raise self._broken(at, f"wire type {wire} is none of OTLP's")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        data = self._data
        if at < end and data[at] < 0x80:
            return data[at], at + 1
        value = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift >= 70:
                raise self._broken(at, "a number has more than ten bytes")
        raise self._broken(at, "a number ends too early")

    def _count(self) -> None:
        self._counted += 1
        if self._counted > self._bounds.counted:
            raise TooLarge(f"The body holds more than {self._bounds.counted:,} records. Send fewer at once.")

    def _broken(self, at: int, what: str) -> MalformedRequest:
        return MalformedRequest(
            f"The body is no OTLP in protobuf: at byte {at} {what}. For JSON, send content-type "
            "application/json."
        )

    def _text(self, at: int, end: int) -> str:
        letters = self._bounds.letters
        return cut(self._data[at : min(end, at + 4 * letters)].decode("utf-8", "replace"), letters)

    def _hex(self, at: int, end: int) -> str:
        return self._data[at : min(end, at + 17)].hex()
