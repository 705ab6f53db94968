"""OTLP, written and read: the official messages read ours, and we read theirs."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire import semconv
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import json_reader, protobuf, protobuf_reader
from greenroom.wire.otlp.intake import BOUNDS, Taken
from greenroom.wire.otlp.points import Measured, Points, Spread, Total
from greenroom.wire.otlp.signals import Event, Link, Log, Logs, Origin, Span, Spans
from tests.wire.otlp_official import message

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ORIGIN = Origin({"service.name": "shop", "n": 3}, "app", "1.2", {"s": "t"}, "https://example.org/1")
EVERYTHING = Span(
    trace=TRACE, id=SPAN, parent="00000000000000aa", name="chat çãé 🎭", kind=3, start_ns=1_700_000_000_000_000_001,
    end_ns=1_700_000_000_000_000_999, state="a=b", flags=257, status=2, message="it broke", dropped=1,
    dropped_events=2, dropped_links=3,
    attributes={
        "text": "x", "empty": "", "yes": True, "no": False, "whole": -5, "zero": 0, "large": 2**63 - 1, "small": -(2**63),
        "half": 0.5, "bytes": b"\x00\xff", "list": ["a", 1, [True]], "map": {"k": {"d": 1.5}}, "nothing": None,
    },
    events=[Event("found", 5, {"category": "email"}, 4)],
    links=[Link("1" * 32, "2" * 16, "c=d", {"why": "batch"}, 2, 1)],
)  # fmt: skip
LOG = Log(
    at_ns=7, observed_ns=8, severity=9, severity_text="INFO", event="gen_ai.evaluation.result", body={"a": [1]},
    attributes={"gen_ai.evaluation.score.value": 0.5}, trace=TRACE, span=SPAN, flags=1, dropped=2,
)  # fmt: skip
Form = tuple[Any, Any]
FORMS = pytest.mark.parametrize(
    "form", [(protobuf, protobuf_reader), (as_json, json_reader)], ids=["protobuf", "json"]
)


def nothing() -> None:
    return None


def read_spans(form: Form, data: bytes, taken: Taken[Span] | None = None) -> list[Spans]:
    found: list[Spans] = form[1].read_traces(data, Taken() if taken is None else taken, nothing)
    return found


@FORMS
def test_what_is_written_is_read_again(form: Form) -> None:
    groups = [Spans(ORIGIN, [EVERYTHING]), Spans(Origin(), [Span(trace=TRACE, id=SPAN)])]

    assert read_spans(form, form[0].traces(groups)) == groups
    logs = [Logs(ORIGIN, [LOG, Log(at_ns=1)])]
    assert form[1].read_logs(form[0].logs(logs), Taken(), nothing) == logs


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@FORMS
@settings(max_examples=25)
@given(attributes=st.dictionaries(st.text(max_size=20), values, max_size=8))
def test_any_attributes_come_back_as_they_were(form: Form, attributes: dict[str, Any]) -> None:
    groups = [Spans(Origin(), [Span(trace=TRACE, id=SPAN, attributes=attributes)])]

    assert read_spans(form, form[0].traces(groups)) == groups


def test_the_official_messages_read_our_spans_as_we_meant_them() -> None:
    official = message("trace", "ExportTraceServiceRequest")
    official.ParseFromString(protobuf.traces([Spans(ORIGIN, [EVERYTHING])]))

    (group,) = official.resource_spans
    (span,) = group.scope_spans[0].spans
    assert (group.schema_url, group.scope_spans[0].scope.version) == ("https://example.org/1", "1.2")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (
        TRACE,
        EVERYTHING.parent,
        EVERYTHING.name,
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (EVERYTHING.start_ns, EVERYTHING.end_ns)
    assert (span.kind, span.status.code, span.status.message, span.flags) == (3, 2, "it broke", 257)
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == (1, 2, 3)
    assert (span.events[0].dropped_attributes_count, span.links[0].flags) == (4, 1)
    found = {one.key: one.value for one in span.attributes}
    assert (found["small"].int_value, found["bytes"].bytes_value) == (-(2**63), b"\x00\xff")
    assert found["map"].kvlist_value.values[0].value.kvlist_value.values[0].value.double_value == 1.5
    assert found["nothing"].WhichOneof("value") is None


def test_we_read_what_the_official_messages_write_in_either_form() -> None:
    official = message("trace", "ExportTraceServiceRequest")
    official.ParseFromString(protobuf.traces([Spans(ORIGIN, [EVERYTHING])]))

    assert read_spans((protobuf, protobuf_reader), official.SerializeToString()) == [
        Spans(ORIGIN, [EVERYTHING])
    ]


def test_the_official_messages_read_our_metrics() -> None:
    spread = Points(
        semconv.SERVER_PER_TOKEN, 5, 9,
        spreads=[Spread({"a": "b"}, [1, 2] + [0] * 11 + [4], 6.5)],
    )  # fmt: skip
    total = Points(semconv.INFERENCE_INPUT, 5, 9, totals=[Total({}, 12)])
    cost = Points(semconv.COST, 5, 9, totals=[Total({}, 0.25)])
    official = message("metrics", "ExportMetricsServiceRequest")
    official.ParseFromString(protobuf.metrics([Measured(ORIGIN, [spread, total, cost])]))

    (first, second, third) = official.resource_metrics[0].scope_metrics[0].metrics
    (point,) = first.histogram.data_points
    assert (first.unit, first.histogram.aggregation_temporality) == ("s", 2)
    assert (point.count, point.sum) == (7, 6.5)
    assert list(point.explicit_bounds) == list(semconv.PER_TOKEN_BOUNDS)
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert (second.sum.data_points[0].as_int, second.sum.is_monotonic) == (12, True)
    assert (point.start_time_unix_nano, point.time_unix_nano) == (5, 9)
    assert third.sum.data_points[0].as_double == 0.25


def test_the_official_messages_read_our_log_records() -> None:
    official = message("logs", "ExportLogsServiceRequest")
    official.ParseFromString(protobuf.logs([Logs(ORIGIN, [LOG])]))

    (record,) = official.resource_logs[0].scope_logs[0].log_records
    assert (record.event_name, record.time_unix_nano, record.observed_time_unix_nano) == (LOG.event, 7, 8)
    assert (record.trace_id.hex(), record.span_id.hex(), record.severity_number) == (TRACE, SPAN, 9)


def test_our_json_of_metrics_is_protobufs_own() -> None:
    spread = Points(semconv.SERVER_PER_TOKEN, 5, 9, spreads=[Spread({"a": "b"}, [1] * 14, 6.5)])
    totals = [
        Points(one, 5, 9, totals=[Total({}, value)])
        for one, value in ((semconv.COST, 0.5), (semconv.COST, 3))
    ]
    measured = [Measured(ORIGIN, [spread, *totals])]
    read, parsed = (
        message("metrics", "ExportMetricsServiceRequest"),
        message("metrics", "ExportMetricsServiceRequest"),
    )
    json_format = pytest.importorskip("google.protobuf.json_format")

    json_format.Parse(as_json.metrics(measured), read)  # raises for a field it does not know
    parsed.ParseFromString(protobuf.metrics(measured))

    assert read == parsed


def test_our_json_is_protobufs_own_but_for_ids() -> None:
    official = message("logs", "ExportLogsServiceRequest")
    json_format = pytest.importorskip("google.protobuf.json_format")
    ours = json.loads(as_json.logs([Logs(ORIGIN, [LOG])]))
    record = ours["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert (record.pop("traceId"), record.pop("spanId")) == (TRACE, SPAN)

    json_format.ParseDict(ours, official)  # raises for a field it does not know

    found = official.resource_logs[0].scope_logs[0].log_records[0]
    assert found.body.kvlist_value.values[0].value.array_value.values[0].int_value == 1


# -- what nobody should send


def of_span(form: Form, **fields: Any) -> bytes:  # Any: fields of Span
    data: bytes = form[0].traces([Spans(Origin(), [Span(**{"trace": TRACE, "id": SPAN, **fields})])])
    return data


@FORMS
@pytest.mark.parametrize(
    "fields",
    [{"trace": "0" * 32}, {"id": "0" * 16}, {"trace": "ab"}, {"end_ns": 2**63}, {"start_ns": 2**64 - 1}],
    ids=["no trace", "no id", "short", "late", "later"],
)
def test_a_span_that_breaks_a_rule_is_refused_alone(form: Form, fields: dict[str, Any]) -> None:
    good, bad = Span(trace=TRACE, id=SPAN), Span(**{"trace": TRACE, "id": SPAN, **fields})
    taken: Taken[Span] = Taken()

    ((_, spans),) = read_spans(form, form[0].traces([Spans(Origin(), [bad, good])]), taken)

    assert spans == [good]
    assert (taken.taken, taken.refused) == (1, 1)
    assert taken.why


@FORMS
def test_a_record_keeps_no_more_than_its_bounds(form: Form) -> None:
    deep: Any = "end"
    for _ in range(40):
        deep = [deep]
    data = of_span(
        form, name="n" * 100_000, attributes={"deep": deep, **{f"a{n}": "v" for n in range(300)}},
        events=[Event("e")] * 200, links=[Link(TRACE, SPAN)] * 200,
    )  # fmt: skip
    wide = of_span(form, attributes={"wide": list(range(5_000)), "map": {str(n): n for n in range(5_000)}})

    ((_, (span,)),) = read_spans(form, data)
    ((_, (other,)),) = read_spans(form, wide)

    assert (len(span.attributes), span.dropped) == (BOUNDS.attributes, 301 - BOUNDS.attributes)
    assert (len(span.events), span.dropped_events, len(span.links), span.dropped_links) == (128, 72, 128, 72)
    assert (len(span.name), span.name[-1]) == (BOUNDS.letters, "…")
    assert str(span.attributes["deep"]).count("[") == BOUNDS.depth
    assert (len(other.attributes["wide"]), len(other.attributes["map"])) == (1_000, 1_001)


@FORMS
def test_of_too_many_spans_the_first_are_taken_and_the_rest_counted(form: Form) -> None:
    taken: Taken[Span] = Taken(BOUNDS._replace(records=10))
    data = form[0].traces([Spans(Origin(), [Span(trace=TRACE, id=f"{n + 1:016x}") for n in range(25)])])

    ((_, spans),) = read_spans(form, data, taken)

    assert (len(spans), taken.refused) == (10, 15)
    assert "10 records" in taken.why


def told(read: Callable[[], list[Any]]) -> str | list[Any]:  # Any: groups of spans or of logs
    """What was read, or the words in which it was refused."""
    try:
        return read()
    except MalformedRequest as error:
        return str(error)


@FORMS
@given(data=st.binary(max_size=300))
def test_noise_is_refused_in_words_or_read(form: Form, data: bytes) -> None:
    for read in (form[1].read_traces, form[1].read_logs):
        taken = Taken[Any]()
        found = told(partial(read, data, taken, nothing))

        assert found or found == []
        assert taken.refused <= len(data)


@FORMS
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), end=st.integers(1, 10_000))
def test_a_damaged_body_is_refused_in_words_or_read(form: Form, place: int, byte: int, end: int) -> None:
    data = bytearray(form[0].traces([Spans(ORIGIN, [EVERYTHING])]))
    data[place % len(data)] = byte

    found = told(partial(read_spans, form, bytes(data[:end])))

    assert found or found == []
    for group in found if isinstance(found, list) else ():
        assert {(len(one.trace), len(one.id)) for one in group.spans} <= {(len(TRACE), len(SPAN))}


@pytest.mark.parametrize(
    "body",
    [
        '{"resourceSpans": {}}', '{"resourceSpans": [{"scopeSpans": 1}]}', "[]", "nul", '{"resourceSpans": [',
        '{"resourceSpans":' + "[" * 100_000, b"\xff\xfe".decode("latin-1"),
    ],
)  # fmt: skip
def test_json_of_a_wrong_shape_is_refused_with_the_place(body: str) -> None:
    with pytest.raises(MalformedRequest, match="no OTLP in JSON"):
        read_spans((as_json, json_reader), body.encode("latin-1"))


@pytest.mark.parametrize(
    "span",
    [
        {"startTimeUnixNano": "soon"}, {"startTimeUnixNano": "1" * 400}, {"kind": "SERVER"}, {"attributes": 4},
        {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
        {"attributes": [{"key": "a", "value": {"bytesValue": "é!"}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": "much"}}]},
        {"attributes": [{"key": "a", "value": {"intValue": 1e300}}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_span_of_a_wrong_type_is_refused_alone(span: dict[str, Any]) -> None:
    good = {"traceId": TRACE, "spanId": SPAN}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [good | span, good]}]}]}
    taken: Taken[Span] = Taken()

    ((_, spans),) = read_spans((as_json, json_reader), json.dumps(body).encode(), taken)

    assert (len(spans), taken.refused) == (1, 1)


def test_null_stands_for_what_is_not_said() -> None:
    names = (
        "parentSpanId", "name", "kind", "startTimeUnixNano", "attributes", "events", "links", "status", "flags",
        "droppedAttributesCount", "traceState",
    )  # fmt: skip
    span = {"traceId": TRACE, "spanId": SPAN, **dict.fromkeys(names)}
    group = {
        "resource": None,
        "schemaUrl": None,
        "scopeSpans": [{"scope": None, "spans": [span]}, {"spans": None}],
    }
    data = json.dumps({"resourceSpans": [group, {"scopeSpans": None}]}).encode()

    (first, second) = read_spans((as_json, json_reader), data)

    assert first == (Origin(), [Span(trace=TRACE, id=SPAN, kind=0)])
    assert second.spans == []


def test_numbers_that_protobufs_json_writes_as_words_are_read() -> None:
    body = {"key": "a", "value": {"doubleValue": "-Infinity"}}, {"key": "b", "value": {"intValue": 7}}
    span = {"traceId": TRACE.upper(), "spanId": SPAN, "attributes": body, "unknown": {"x": 1}}
    data = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()

    ((_, (found,)),) = read_spans((as_json, json_reader), data)

    assert found.attributes == {"a": float("-inf"), "b": 7}
    assert found.trace == TRACE


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (json_reader.read_traces, b'{"resourceSpans":[' + b"1," * 1_000_001 + b"1]}"),
        (protobuf_reader.read_traces, b"\x0a\x00" * 300_000),
        (protobuf_reader.read_traces, b"\x0a\x84\x80\x80\x01" + b"\x12\x00" * 1_048_578),
        (protobuf_reader.read_traces, b"\x08\x01" * 2_100_000),
    ],
    ids=["parts", "groups", "scopes", "fields"],
)
def test_a_body_of_millions_of_parts_is_refused(read: Callable[..., object], body: bytes) -> None:
    with pytest.raises(TooLarge, match="Send fewer"):
        read(body, Taken(), nothing)
