"""Telemetry in and out of a real server: the official SDK sends, hostile bodies are answered, ours comes back."""

import asyncio
import gzip
import json
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import TooLarge
from greenroom.exchange import Caller
from greenroom.server.otlp import MOST_WAITING, OtlpApi, Told, unpacked
from greenroom.wire import semconv
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import protobuf
from greenroom.wire.otlp.signals import Log, Logs, Origin, Span, Spans
from tests.offline.otel.collector import Collector, collecting
from tests.server.office import Answer, Office
from tests.server_process import ServerProcess

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONFIG = """
[otel]
endpoint = "{url}"
every_s = 0.2
metrics_every_s = 1
resource = {{ "deployment.environment.name" = "test" }}
"""
SECRET = "sk-proj-Zx8vQ2nL5tR7wY1bC4dF6gH9jK3mP0sA"
CPF = "123.456.789-09"


class Place(NamedTuple):
    office: Office
    collector: Collector
    data: Path

    def send(self, body: bytes, *, path: str = "/v1/traces", key: str = "app", **headers: str) -> Answer:
        """Send a message as it is."""
        connection = HTTPConnection(urlsplit(self.office.server.url).netloc, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, {"authorization": f"Bearer {self.office.keys[key]}", **named})
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def ask(self, text: str, **headers: str) -> str:
        body = {"model": "default", "messages": [{"role": "user", "content": text}]}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.office.ask("POST /v1/chat/completions", self.office.keys["app"], body, named)
        assert answer.status == 200, answer.body
        return answer.headers["x-request-id"]

    def around(self, id: str) -> Any:  # Any: JSON
        deadline = time.monotonic() + 20
        while True:
            answer = self.office.ask(f"GET /api/traces/{id}/spans", self.office.keys["viewer"])
            if answer.status == 200 or time.monotonic() > deadline:
                return answer.json
            time.sleep(0.02)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    data = tmp_path_factory.mktemp("otlp") / "data"
    with collecting() as collector, ServerProcess(data, CONFIG.format(url=collector.url)) as server:
        yield Place(Office(server), collector, data)


def message(*spans: Span) -> bytes:
    return protobuf.traces([Spans(Origin({"service.name": "shop"}, "app"), list(spans))])


PROTOBUF = {"content_type": "application/x-protobuf"}
JSON = {"content_type": "application/json"}


def traceparent(trace: str = TRACE, span: str = CALLER) -> str:
    return f"00-{trace}-{span}-01"


def test_an_applications_spans_stand_around_ours_and_ours_below_its_own(place: Place) -> None:
    id = place.ask("What is Greenroom?", traceparent=traceparent())
    answer = place.send(
        message(Span(trace=TRACE, id=CALLER, name="checkout", start_ns=5, end_ns=2_000_005)), **PROTOBUF
    )

    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        200,
        b"",
        "application/x-protobuf",
    )
    found = place.around(id)
    record = place.office.ask(f"GET /api/traces/{id}", place.office.keys["viewer"]).json
    assert record["trace"] == {"id": TRACE, "parent": CALLER}
    assert found["total"] == 1
    assert [(one["id"], one["name"], one["service"], one["ms"]) for one in found["spans"]] == [
        (CALLER, "checkout", "shop", 2.0)
    ]
    place.collector.wait(lambda: any(one.trace == TRACE for one in place.collector.spans()))
    root = next(one for one in place.collector.spans() if one.attributes.get("greenroom.request.id") == id)
    assert root.parent == CALLER
    listed = place.office.ask(f"GET /api/traces?tag=trace={TRACE}", place.office.keys["viewer"]).json["data"]
    assert [one["id"] for one in listed] == [id]


def test_what_leaves_comes_back_through_our_own_door_as_it_was(place: Place) -> None:
    id = place.ask("How do I add a provider?")
    place.collector.wait(lambda: any(one.trace == id for one in place.collector.spans()))
    sent = [one for one in place.collector.spans() if one.trace == id]
    body = as_json.traces([Spans(place.collector.groups()[0].origin, sent)])

    answer = place.send(body, **JSON)

    assert (answer.status, answer.json) == (200, {})
    back = place.around(id)["spans"]
    by_id = {one.id: one for one in sent}
    assert len(back) == len(sent) > 4
    for one in back:
        span = by_id[one["id"]]
        assert (one["parent"], one["name"], one["start_ns"], one["end_ns"]) == (
            span.parent, span.name, span.start_ns, span.end_ns,
        )  # fmt: skip
        assert set(one["attributes"]) == set(span.attributes)
        assert [event["name"] for event in one["events"]] == [event.name for event in span.events]
    shown = place.office.ask(f"GET /api/traces/{id}/otlp", place.office.keys["viewer"]).json
    spans = shown["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [one["spanId"] for one in spans] == [one.id for one in sent]


def test_no_text_and_no_secret_leaves(place: Place) -> None:
    words = f"The wombat's key is {SECRET} and its CPF is {CPF}."
    id = place.ask(words, x_greenroom_tags="team=wombat", x_greenroom_user="ana")
    place.collector.wait(lambda: any(one.trace == id for one in place.collector.spans()))
    place.collector.wait(lambda: place.collector.of("/v1/metrics"))

    bodies = [one.body for one in place.collector.messages]
    found = [word for word in ("wombat", SECRET, CPF) if any(word.encode() in body for body in bodies)]
    assert found == []
    assert not {name for one in place.collector.spans() for name in one.attributes} & semconv.CONTENT
    findings = [event for one in place.collector.spans() if one.trace == id for event in one.events]
    assert any(one.attributes.get("greenroom.safety.category") for one in findings)


def test_the_metrics_that_leave_are_those_that_are_scraped(place: Place) -> None:
    place.ask("What is Greenroom?")
    place.collector.wait(lambda: place.collector.of("/v1/metrics"))
    before = len(place.collector.of("/v1/metrics"))
    place.collector.wait(lambda: len(place.collector.of("/v1/metrics")) > before)
    official = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    read = official.ExportMetricsServiceRequest.FromString(place.collector.of("/v1/metrics")[-1].body)

    sent = {one.name: one for one in read.resource_metrics[0].scope_metrics[0].metrics}
    scraped = place.office.ask("GET /metrics").body.decode().splitlines()

    known = {one.name: one for one in semconv.METRICS}
    shared = [one for one in sent if one in known]
    assert {"gen_ai.client.operation.duration", "gen_ai.client.inference.duration"} <= set(shared)
    for name in shared:
        assert any(line.startswith(known[name].prometheus) for line in scraped), name
        for point in sent[name].histogram.data_points:
            assert list(point.explicit_bounds) == list(known[name].bounds)
    points = sent["gen_ai.client.inference.duration"].histogram.data_points
    line = next(one for one in scraped if one.startswith("gen_ai_client_inference_duration_seconds_count"))
    assert sum(one.count for one in points) == int(line.rpartition(" ")[2])


def test_the_official_sdk_tells_us_its_spans(place: Place) -> None:
    trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
    exporting = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.exporter.otlp.proto.http import Compression  # type: ignore[import-not-found, unused-ignore]  # not everywhere
    from opentelemetry.propagate import inject  # type: ignore[import-not-found, unused-ignore]  # as above
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # type: ignore[import-not-found, unused-ignore]  # as above

    exporter = exporting.OTLPSpanExporter(
        endpoint=place.office.server.url + "/v1/traces",
        headers={"authorization": f"Bearer {place.office.keys['app']}"},
        compression=Compression.Gzip,
    )
    provider = trace_sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    carried: dict[str, str] = {}
    with provider.get_tracer("app").start_as_current_span("turn") as span:
        span.set_attribute("mail", "ana.silva@example.com")
        inject(carried)
        id = place.ask("What is Greenroom?", **carried)
    provider.shutdown()

    (told,) = place.around(id)["spans"]
    assert (told["name"], told["attributes"]["mail"]) == ("turn", "<EMAIL_1>")


def test_an_evaluation_event_becomes_a_score_of_the_answer_it_names(place: Place) -> None:
    id = place.ask("What is Greenroom?", traceparent=traceparent("1" * 32, "2" * 16))
    place.around(id)

    def log(**more: Any) -> Log:  # Any: fields of Log
        attributes = {
            "gen_ai.evaluation.name": "Relevance",
            "gen_ai.evaluation.score.value": 0.25,
            **more.pop("attributes", {}),
        }
        return Log(event="gen_ai.evaluation.result", attributes=attributes, **more)

    logs = [
        log(attributes={"gen_ai.response.id": f"chatcmpl-{id}", "gen_ai.evaluation.explanation": f"As {CPF} said."}),
        log(trace="1" * 32, span="2" * 16, attributes={"gen_ai.evaluation.name": "by_span"}),
        log(trace="3" * 32), log(attributes={"gen_ai.evaluation.score.value": "high"}), Log(event="other"),
    ]  # fmt: skip
    answer = place.send(as_json.logs([Logs(Origin(), logs)]), path="/v1/logs", **JSON)

    assert answer.json["partialSuccess"]["rejectedLogRecords"] == "3"
    scores = place.office.ask(f"GET /api/traces/{id}", place.office.keys["viewer"]).json["scores"]
    assert [(one["name"], one["value"], one["source"]) for one in scores] == [
        ("relevance", 0.25, "code"),
        ("by_span", 0.25, "code"),
    ]
    assert CPF not in json.dumps(scores)
    assert "<CPF_1>" in scores[0]["comment"]


def test_a_project_sees_its_own_traces_spans_alone(place: Place) -> None:
    id = place.ask("What is Greenroom?")
    place.around(id)
    other = place.office.create(name="the other's", project="q", role="viewer")["key"]
    place.office.wait_for("/v1/models", other, 200)

    assert place.office.ask(f"GET /api/traces/{id}/spans", other).status == 404
    assert place.office.ask(f"GET /api/traces/{id}/otlp", other).status == 404
    assert place.office.ask(f"GET /api/traces/{id}/spans", place.office.keys["app"]).status == 403
    assert place.office.ask(f"GET /api/traces/{id}/spans").status == 401


def test_with_a_user_go_the_spans_around_their_exchanges(place: Place) -> None:
    trace = "4" * 32
    id = place.ask("What is Greenroom?", traceparent=traceparent(trace), x_greenroom_user="eve")
    place.around(id)
    place.send(message(Span(trace=trace, id=CALLER, name="of eve")), **PROTOBUF)
    kept = place.ask("What is Greenroom?", traceparent=traceparent(trace))
    assert place.around(kept)["total"] == 1

    gone = place.office.ask("DELETE /api/users/eve", place.office.keys["operator"]).json

    assert (gone["spans"], gone["traces"]) == (1, 1)
    assert place.around(kept)["total"] == 0


# -- what nobody should send


def test_of_a_hundred_thousand_spans_the_first_are_taken_and_the_rest_said(place: Place) -> None:
    inner = protobuf._span(Span(trace="5" * 32, id=CALLER))
    spans = (b"\x12" + bytes([len(inner)]) + inner) * 100_000
    scope = b"\x12" + protobuf._varint(len(spans)) + spans
    body = b"\x0a" + protobuf._varint(len(scope)) + scope

    answer = place.send(gzip.compress(body, 1), **PROTOBUF, content_encoding="gzip")

    assert answer.status == 200
    assert b"10,000 records" in answer.body
    official = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    read = official.ExportTraceServiceResponse.FromString(answer.body)
    assert read.partial_success.rejected_spans == 90_000


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (gzip.compress(b" " * 40_000_000), {**JSON, "content_encoding": "gzip"}, 413, "16 MB"),
        (b"\x1f\x8b no", {**JSON, "content_encoding": "gzip"}, 400, "is not"),
        (gzip.compress(b"{}")[:-9], {**JSON, "content_encoding": "gzip"}, 400, "too early"),
        (b"{}", {**JSON, "content_encoding": "br"}, 400, "gzip"),
        (b'{"resourceSpans":' + b"[" * 50_000, JSON, 400, "no OTLP in JSON"),
        (b"{}", PROTOBUF, 400, "no OTLP in protobuf"),
        (b"{}", {"content_type": "text/plain"}, 415, "application/x-protobuf"),
        (b"{}", {}, 415, "application/json"),
    ],
    ids=["bomb", "no gzip", "cut", "brotli", "deep", "wrong form", "text", "nothing"],
)
def test_what_is_no_telemetry_is_refused_in_words(
    place: Place, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answer = place.send(body, **headers)

    assert answer.status == status
    assert said in answer.body.decode("utf-8", "replace")
    if answer.headers["content-type"] == "application/json":
        assert set(answer.json) == {"code", "message"}


def test_a_bomb_is_never_unpacked_beyond_its_bound() -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(80)) + packer.flush()
    tracemalloc.start()

    with pytest.raises(TooLarge, match="1 MB"):
        unpacked(bomb, "gzip", 1_048_576)

    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


class Slow:
    """Takes a message when it is told to."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.at_once = self.most = 0

    def take_spans(self, caller: Caller, body: bytes, *, is_json: bool) -> Told:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.may_go.wait(5)
        self.at_once -= 1
        return Told(0, "")

    take_logs = take_spans

    def spans(self, project: str | None, id: str) -> None:
        return None

    document = spans


async def test_one_message_is_read_at_a_time_and_of_many_the_last_are_told_to_come_back() -> None:
    slow = Slow()
    endpoint = OtlpApi(slow).docs()[0].endpoint
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/traces",
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> dict[str, Any]:  # Any: ASGI
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send() -> Response:
        return await endpoint(Request(scope, receive), Caller(key_id="k"))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send()) for _ in range(MOST_WAITING + 3)]
        await asyncio.sleep(0.05)
        slow.may_go.set()
    answers = [one.result() for one in tasks]

    assert sorted(one.status_code for one in answers) == [200] * MOST_WAITING + [503] * 3
    assert {one.headers.get("retry-after") for one in answers if one.status_code == 503} == {"1"}
    assert slow.most == 1


def test_without_a_key_nothing_is_taken(place: Place) -> None:
    answer = place.office.ask("POST /v1/traces", "gr-nobody", {})

    assert answer.status == 401


def test_losses_and_takings_are_counted(place: Place) -> None:
    lines = place.office.ask("GET /metrics").body.decode().splitlines()
    counted = {
        line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith("greenroom_otel_")
    }

    assert counted["greenroom_otel_records_rejected_total"] == 0
    assert counted["greenroom_otel_export_failures_total"] == 0
    assert "greenroom_otel_waiting" in counted
