"""OTLP's messages as JSON: protobuf's JSON mapping, but ids in hexadecimal and enumerations as numbers.

64-bit integers are texts, as the mapping asks; both forms are read.
"""

from base64 import b64encode
from collections.abc import Iterable
from math import isfinite
from typing import Any

from msgspec.json import Encoder

from greenroom.wire.otlp.points import CUMULATIVE, Measured, Points
from greenroom.wire.otlp.signals import Attributes, Event, Link, Log, Logs, Origin, Span, Spans

Json = dict[str, Any]  # Any: JSON
_encode = Encoder().encode


def traces(groups: Iterable[Spans]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    return _encode(traces_document(groups))


def traces_document(groups: Iterable[Spans]) -> Json:
    """The same before it is encoded, for who shows it."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(origin.resource)},
                "scopeSpans": [_with_scope(origin, "spans", [_span(one) for one in spans])],
                **_schema(origin),
            }
            for origin, spans in groups
        ]
    }


def logs(groups: Iterable[Logs]) -> bytes:
    """An `ExportLogsServiceRequest`."""
    return _encode(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": _attributes(origin.resource)},
                    "scopeLogs": [_with_scope(origin, "logRecords", [_log(one) for one in logs])],
                    **_schema(origin),
                }
                for origin, logs in groups
            ]
        }
    )


def metrics(groups: Iterable[Measured]) -> bytes:
    """An `ExportMetricsServiceRequest`."""
    return _encode(
        {
            "resourceMetrics": [
                {
                    "resource": {"attributes": _attributes(origin.resource)},
                    "scopeMetrics": [_with_scope(origin, "metrics", [_metric(one) for one in points])],
                    **_schema(origin),
                }
                for origin, points in groups
            ]
        }
    )


def partial_success(counted: str, rejected: int, message: str) -> bytes:
    """An `Export…ServiceResponse`; `counted` is `rejectedSpans` or `rejectedLogRecords`."""
    if not rejected and not message:
        return b"{}"
    return _encode({"partialSuccess": {counted: str(rejected), "errorMessage": message}})


def failure(code: int, message: str) -> bytes:
    """A `google.rpc.Status`, the body of refusals."""
    return _encode({"code": code, "message": message})


def _with_scope(origin: Origin, name: str, members: list[Json]) -> Json:
    scope: Json = {"name": origin.scope, "version": origin.version}
    if origin.scope_attributes:
        scope["attributes"] = _attributes(origin.scope_attributes)
    return {"scope": scope, name: members, **_schema(origin)}


def _schema(origin: Origin) -> Json:
    return {"schemaUrl": origin.schema} if origin.schema else {}


def _span(span: Span) -> Json:
    return _said(
        traceId=span.trace,
        spanId=span.id,
        traceState=span.state,
        parentSpanId=span.parent,
        name=span.name,
        kind=span.kind,
        startTimeUnixNano=str(span.start_ns),
        endTimeUnixNano=str(span.end_ns),
        attributes=_attributes(span.attributes),
        droppedAttributesCount=span.dropped,
        events=[_event(one) for one in span.events],
        droppedEventsCount=span.dropped_events,
        links=[_link(one) for one in span.links],
        droppedLinksCount=span.dropped_links,
        status=_said(message=span.message, code=span.status),
        flags=span.flags,
    )


def _event(event: Event) -> Json:
    return _said(
        timeUnixNano=str(event.at_ns),
        name=event.name,
        attributes=_attributes(event.attributes),
        droppedAttributesCount=event.dropped,
    )


def _link(link: Link) -> Json:
    return _said(
        traceId=link.trace,
        spanId=link.span,
        traceState=link.state,
        attributes=_attributes(link.attributes),
        droppedAttributesCount=link.dropped,
        flags=link.flags,
    )


def _log(log: Log) -> Json:
    return _said(
        timeUnixNano=str(log.at_ns),
        observedTimeUnixNano=str(log.observed_ns),
        severityNumber=log.severity,
        severityText=log.severity_text,
        body=None if log.body is None else _value(log.body),
        attributes=_attributes(log.attributes),
        droppedAttributesCount=log.dropped,
        flags=log.flags,
        traceId=log.trace,
        spanId=log.span,
        eventName=log.event,
    )


def _metric(points: Points) -> Json:
    metric = points.metric
    times = {"startTimeUnixNano": str(points.start_ns), "timeUnixNano": str(points.at_ns)}
    shown: Json = {"name": metric.name, "description": metric.description, "unit": metric.unit}
    if metric.kind == "counter":
        found = [
            {
                "attributes": _attributes(one.attributes),
                **times,
                **({"asInt": str(one.value)} if isinstance(one.value, int) else {"asDouble": one.value}),
            }
            for one in points.totals
        ]
        return {
            **shown,
            "sum": {"dataPoints": found, "aggregationTemporality": CUMULATIVE, "isMonotonic": True},
        }
    spread = [
        {
            "attributes": _attributes(one.attributes),
            **times,
            "count": str(sum(one.counts)),
            "sum": one.sum,
            "bucketCounts": list(map(str, one.counts)),
            "explicitBounds": list(metric.bounds),
        }
        for one in points.spreads
    ]
    return {**shown, "histogram": {"dataPoints": spread, "aggregationTemporality": CUMULATIVE}}


def _attributes(attributes: Attributes) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: object) -> Json:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if isfinite(value) else _NOT_FINITE[str(value)]}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {}


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _said(**fields: Any) -> Json:  # Any: JSON
    """Fields that say something: what is empty or 0 is the protocol's default."""
    return {name: value for name, value in fields.items() if value}
