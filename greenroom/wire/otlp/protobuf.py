"""OTLP's messages as protobuf, written by hand: thirteen messages need no library.

Field numbers are those of opentelemetry-proto 1.x (`trace.proto`, `logs.proto`, `metrics.proto`,
`common.proto`, `resource.proto`), which its stability promise keeps. Protobuf's encoding: a field is its
number and wire type, then a varint (0), 8 bytes (1), a length and so many bytes (2) or 4 bytes (5).
Source: protobuf.dev, "Encoding".
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct

from greenroom.wire.otlp.points import CUMULATIVE, Measured, Points, Spread, Total
from greenroom.wire.otlp.signals import Attributes, Event, Link, Log, Logs, Origin, Span, Spans

_double = Struct("<d").pack
_fixed64 = Struct("<Q").pack
_fixed32 = Struct("<I").pack
_signed64 = Struct("<q").pack
_INT_MASK = (1 << 64) - 1
_BITS_32 = (1 << 32) - 1


def traces(groups: Iterable[Spans]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    return b"".join(
        _part(1, _resource(origin) + _scoped(origin, (_part(2, _span(one)) for one in spans)))
        for origin, spans in groups
    )


def logs(groups: Iterable[Logs]) -> bytes:
    """An `ExportLogsServiceRequest`."""
    return b"".join(
        _part(1, _resource(origin) + _scoped(origin, (_part(2, _log(one)) for one in logs)))
        for origin, logs in groups
    )


def metrics(groups: Iterable[Measured]) -> bytes:
    """An `ExportMetricsServiceRequest`."""
    return b"".join(
        _part(1, _resource(origin) + _scoped(origin, (_part(2, _metric(one)) for one in points)))
        for origin, points in groups
    )


def partial_success(rejected: int, message: str) -> bytes:
    """An `Export…ServiceResponse` that says what was not taken; empty where all was."""
    return _part(1, _int(1, rejected) + _text(2, message)) if rejected or message else b""


def failure(code: int, message: str) -> bytes:
    """A `google.rpc.Status`, the body of refusals."""
    return _int(1, code) + _text(2, message)


def _resource(origin: Origin) -> bytes:
    return _part(1, _attributes(1, origin.resource))


def _scoped(origin: Origin, members: Iterable[bytes]) -> bytes:
    scope = _text(1, origin.scope) + _text(2, origin.version) + _attributes(3, origin.scope_attributes)
    return _part(2, b"".join((_part(1, scope), *members, _text(3, origin.schema)))) + _text(3, origin.schema)


def _span(span: Span) -> bytes:
    return b"".join(
        (
            b"\x0a\x10", bytes.fromhex(span.trace), b"\x12\x08", bytes.fromhex(span.id),
            _text(3, span.state), _id(4, span.parent), _text(5, span.name), _int(6, span.kind),
            b"\x39", _fixed64(span.start_ns), b"\x41", _fixed64(span.end_ns),
            _attributes(9, span.attributes), _int(10, span.dropped),
            *[_part(11, _event(one)) for one in span.events], _int(12, span.dropped_events),
            *[_part(13, _link(one)) for one in span.links], _int(14, span.dropped_links),
            _part(15, _text(2, span.message) + _int(3, span.status)) if span.status or span.message else b"",
            _flags(16, span.flags),
        )
    )  # fmt: skip


def _event(event: Event) -> bytes:
    return b"".join(
        (
            b"\x09", _fixed64(event.at_ns), _text(2, event.name), _attributes(3, event.attributes),
            _int(4, event.dropped),
        )
    )  # fmt: skip


def _link(link: Link) -> bytes:
    return b"".join(
        (
            _id(1, link.trace), _id(2, link.span), _text(3, link.state), _attributes(4, link.attributes),
            _int(5, link.dropped), _flags(6, link.flags),
        )
    )  # fmt: skip


def _log(log: Log) -> bytes:
    return b"".join(
        (
            b"\x09", _fixed64(log.at_ns), _int(2, log.severity), _text(3, log.severity_text),
            _part(5, _value(log.body)) if log.body is not None else b"", _attributes(6, log.attributes),
            _int(7, log.dropped), _flags(8, log.flags), _id(9, log.trace), _id(10, log.span),
            b"\x59", _fixed64(log.observed_ns), _text(12, log.event),
        )
    )  # fmt: skip


def _metric(points: Points) -> bytes:
    metric = points.metric
    head = _text(1, metric.name) + _text(2, metric.description) + _text(3, metric.unit)
    times = b"\x11" + _fixed64(points.start_ns) + b"\x19" + _fixed64(points.at_ns)
    if metric.kind == "counter":
        members = b"".join(_part(1, _total(one, times)) for one in points.totals)
        return head + _part(7, members + _int(2, CUMULATIVE) + _int(3, 1))
    members = b"".join(_part(1, _spread(one, times, metric.bounds)) for one in points.spreads)
    return head + _part(9, members + _int(2, CUMULATIVE))


def _total(total: Total, times: bytes) -> bytes:
    is_whole = isinstance(total.value, int)
    value = b"\x31" + _signed64(int(total.value)) if is_whole else b"\x21" + _double(total.value)
    return times + value + _attributes(7, total.attributes)


def _spread(spread: Spread, times: bytes, bounds: Sequence[float]) -> bytes:
    return b"".join(
        (
            times, b"\x21", _fixed64(sum(spread.counts)), b"\x29", _double(spread.sum),
            _part(6, b"".join(map(_fixed64, spread.counts))), _part(7, b"".join(map(_double, bounds))),
            _attributes(9, spread.attributes),
        )
    )  # fmt: skip


def _attributes(number: int, attributes: Attributes) -> bytes:
    pieces: list[bytes] = []
    tag = _tag(number)
    for name, value in attributes.items():
        is_known = type(value) in _OFTEN_ALIKE and (type(value) is not str or len(value) <= _SHORT)
        pieces += (tag, _known_pair(name, value) if is_known else _pair(name, value))
    return b"".join(pieces)


def _pair(name: str, value: object) -> bytes:
    """A `KeyValue` behind its length."""
    pair = _key(name) + _part(2, _value(value))
    return _varint(len(pair)) + pair


_OFTEN_ALIKE = frozenset({str, bool, tuple})
_SHORT = 64
"""Characters of a text that is likely to come again: a name, not a sentence."""
_known_pair = lru_cache(4096, typed=True)(_pair)


def _value(value: object) -> bytes:
    if isinstance(value, str):
        data = value.encode("utf-8", "replace")
        return b"\x0a" + _varint(len(data)) + data
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & _INT_MASK)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, bytes):
        return _part(7, value)
    if isinstance(value, list | tuple):
        return _part(5, b"".join(_part(1, _value(one)) for one in value))
    if isinstance(value, dict):
        return _part(6, _attributes(1, value))
    return b""


@lru_cache(1024)
def _key(name: str) -> bytes:
    return _text(1, name)


@lru_cache(64)
def _tag(number: int, wire: int = 2) -> bytes:
    return _varint(number << 3 | wire)


def _part(number: int, data: bytes) -> bytes:
    return _tag(number) + _varint(len(data)) + data


def _text(number: int, text: str) -> bytes:
    return _part(number, text.encode("utf-8", "replace")) if text else b""


def _id(number: int, id: str) -> bytes:
    return _part(number, bytes.fromhex(id)) if id else b""


def _int(number: int, value: int) -> bytes:
    return _tag(number, 0) + _varint(value) if value else b""


def _flags(number: int, flags: int) -> bytes:
    return _tag(number, 5) + _fixed32(flags & _BITS_32) if flags else b""


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL[value]
    pieces = bytearray()
    while value >= 0x80:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)


_SMALL = [bytes((number,)) for number in range(0x80)]
