"""What is stored leaves once, in order, whatever the collector does: over a real socket, from a real store."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.models.proxies import Proxies
from greenroom.offline.otel.exporter import Exporter
from greenroom.offline.otel.journey import Upstream
from greenroom.offline.otel.outbox import BACKOFF_S, Outbox
from greenroom.offline.otel.sender import Sender
from greenroom.offline.otel.settings import OtelConfig, Plan, plan_of
from greenroom.store.scores import Score
from greenroom.store.spans import SpanStore
from greenroom.store.tail import Tail
from greenroom.store.traces import TraceStore
from greenroom.wire.otlp import protobuf
from greenroom.wire.otlp.signals import Origin
from tests.offline.otel.collector import Collector, collecting
from tests.store.exchanges import entry_of, make_exchange

UPSTREAMS = {"openai": Upstream("openai")}


def id_of(number: int) -> str:
    return f"0193a1b2c3d4e5f6{number:016x}"


class Post:
    """A store, its marks, and an exporter that can be made anew, as after a restart."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.collector = collector
        self.clock = 1_000.0
        self.traces = TraceStore(folder / "traces.db")
        self.traces.begin()
        self.marks = SpanStore(folder / "spans.db")
        self._path = folder / "traces.db"
        self._ending = ExitStack()
        self.begin()

    def begin(self, **config: Any) -> None:  # Any: keys of [otel]
        plan = plan_of(OtelConfig(endpoint=self.collector.url, **config), {}, "greenroom.toml")
        assert plan is not None
        self._ending.close()
        self.outbox = Outbox(plan, Sender(plan, Proxies({})), lambda: self.clock)
        self.exporter = Exporter(
            self.outbox, UPSTREAMS, Tail(self._path), self.marks, Origin({"service.name": "g"})
        )

        self._ending.callback(self.outbox.close)
        self._ending.callback(self.exporter.close)

    def store(self, *numbers: int, trace: str = "") -> None:
        found = []
        for number in numbers:
            exchange = make_exchange(id_of(number), f"Question {number}?")
            exchange.trace = trace
            found.append(entry_of(exchange))
        self.traces.write(found)

    def roots(self) -> list[str]:
        return [
            one.attributes["greenroom.request.id"]
            for one in self.collector.spans()
            if one.name == "greenroom.request"
        ]

    def close(self) -> None:
        self._ending.close()
        self.traces.close()
        self.marks.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def post(tmp_path: Path, collector: Collector) -> Iterator[Post]:
    post = Post(tmp_path, collector)
    yield post
    post.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_is_stored_leaves_once_and_in_order(post: Post, protocol: str, compression: str) -> None:
    post.begin(protocol=protocol, compression=compression)
    post.store(*range(1, 301))

    post.exporter.look()
    post.exporter.look()

    assert post.roots() == [id_of(number) for number in range(1, 301)]
    state = post.outbox.state()
    assert (state.counts.spans, state.counts.rejected, state.waiting, state.trouble) == (900, 0, 0, "")


def test_the_first_start_begins_with_what_is_new(tmp_path: Path, collector: Collector) -> None:
    store = TraceStore(tmp_path / "traces.db")
    store.write([entry_of(make_exchange(id_of(1)))])
    store.close()
    post = Post(tmp_path, collector)
    post.store(2)

    post.exporter.look()

    assert post.roots() == [id_of(2)]
    post.close()


@pytest.mark.parametrize("status", [429, 503, 404, 401, 308, 407, 520])
def test_what_a_collector_that_is_away_did_not_get_leaves_later(post: Post, status: int) -> None:
    post.collector.answer = lambda _: (status, b"")
    post.store(1, 2)
    post.exporter.look()
    post.exporter.look()  # waits: the collector is not asked again at once
    refused = post.collector.refused
    trouble, waiting = post.outbox.state().trouble, post.outbox.waiting

    post.collector.answer = lambda _: (200, b"")
    post.clock += BACKOFF_S[0]
    post.exporter.look()

    assert (refused, waiting) == (1, 2)
    assert str(status) in trouble
    assert post.roots() == [id_of(1), id_of(2)]
    assert post.outbox.state().trouble == ""


def test_a_restart_goes_on_where_the_last_run_ended(post: Post) -> None:
    post.store(1)
    post.exporter.look()
    post.store(2)

    post.begin()
    post.exporter.look()

    assert post.roots() == [id_of(1), id_of(2)]


def test_a_message_that_is_too_large_goes_in_smaller_ones(post: Post) -> None:
    post.collector.answer = lambda message: (200, b"") if len(message.body) < 9_000 else (413, b"")
    post.store(*range(1, 41))

    post.exporter.look()

    assert post.roots() == [id_of(number) for number in range(1, 41)]
    assert post.outbox.counts.rejected == 0


def test_scores_that_are_too_many_for_one_message_go_in_smaller_ones(post: Post) -> None:
    post.store(1)
    for number in range(40):
        post.traces.score(None, id_of(1), Score(name=f"s{number}", value=1.0))
    post.collector.answer = lambda message: (200, b"") if len(message.body) < 4_000 else (413, b"")

    post.exporter.look()

    assert sorted(one.attributes["gen_ai.evaluation.name"] for one in post.collector.logs()) == sorted(
        f"s{number}" for number in range(40)
    )
    assert post.outbox.counts.rejected == 0


def test_no_collector_says_more_than_it_was_sent(post: Post) -> None:
    post.collector.answer = lambda _: (200, protobuf.partial_success(2**60, "all"))
    post.store(1)

    post.exporter.look()

    assert post.outbox.counts.rejected == 3


def test_a_collector_that_answers_drop_by_drop_holds_nobody_longer_than_one_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                for _ in range(100):
                    time.sleep(0.05)
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        plan = plan_of(
            OtelConfig(endpoint=f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.3), {}, "f"
        )
        assert plan is not None
        began = time.monotonic()
        with closing(Sender(plan, Proxies({}))) as sender:
            answer = sender.send("/v1/traces", b"x")
        took_s = time.monotonic() - began
        thread.join()

    assert answer.kind == "later"
    assert "in time" in answer.said
    assert took_s < 2


def test_what_is_refused_for_good_is_counted_and_holds_up_nobody(post: Post) -> None:
    post.collector.answer = lambda _: (400, b"no")
    post.store(1)
    post.exporter.look()
    post.collector.answer = lambda _: (200, protobuf.partial_success(2, "quota"))
    post.store(2)
    post.exporter.look()

    state = post.outbox.state()
    assert state.counts.rejected == 3 + 2
    assert (state.waiting, state.trouble) == (0, "quota")


def test_scores_leave_as_evaluation_events_and_comments_only_with_content(post: Post) -> None:
    post.store(1)
    post.traces.score(None, id_of(1), Score(name="helpful", value=0.5, comment="the wombat", source="judge"))
    post.exporter.look()
    post.begin(content="events")
    post.traces.score(None, id_of(1), Score(name="helpful", value=1.0, comment="the numbat"))
    post.exporter.look()

    first, second = post.collector.logs()
    assert (first.event, first.trace, first.span) == ("gen_ai.evaluation.result", id_of(1), id_of(1)[16:])
    assert first.attributes["gen_ai.evaluation.name"] == "helpful"
    assert first.attributes["gen_ai.evaluation.score.value"] == 0.5
    assert first.attributes["greenroom.score.source"] == "judge"
    assert "wombat" not in repr(first)
    assert second.attributes["gen_ai.evaluation.explanation"] == "the numbat"


def test_texts_can_leave_as_events_beside_spans_without_them(post: Post) -> None:
    post.begin(content="events")
    post.store(1)

    post.exporter.look()

    (details,) = post.collector.logs()
    (call,) = [one for one in post.collector.spans() if one.name.startswith("chat ")]
    assert details.event == "gen_ai.client.inference.operation.details"
    assert details.span == call.id
    assert details.attributes["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "Question 1?"}]}
    ]
    assert "Question" not in repr(post.collector.spans())


def test_a_share_of_traces_leaves_and_a_caller_who_records_none_is_believed(post: Post) -> None:
    post.begin(sample=0.5)
    for number in range(1, 201):
        post.store(number * 0x9E3779B97F4A7C15 % (1 << 64))
    post.exporter.look()
    part = len(post.roots())
    post.begin()
    post.store(1, trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    post.exporter.look()

    assert 60 < part < 140
    assert len(post.roots()) == part


def test_nobody_who_listens_is_said_with_place_and_no_secret(post: Post) -> None:
    plan = plan_of(
        OtelConfig(endpoint="http://127.0.0.1:9/x"), {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cr3t"}, "f"
    )
    assert plan is not None

    answer = Sender(plan, Proxies({})).send("/v1/traces", b"x")

    assert answer.kind == "later"
    assert "127.0.0.1:9" in answer.said
    assert "s3cr3t" not in answer.said


def test_headers_and_a_path_go_along(post: Post) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": post.collector.url + "/otlp/",
        "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b,x=1",
    }
    plan = plan_of(OtelConfig(), environment, "f")
    assert plan is not None

    with closing(Sender(plan, Proxies({}))) as sender:
        sender.send("/v1/metrics", b"")

    (message,) = post.collector.messages
    assert message.path == "/otlp/v1/metrics"
    assert (message.headers["api-key"], message.headers["x"]) == ("a b", "1")


def planned(**environment: str) -> Plan | None:
    return plan_of(OtelConfig(), environment, "greenroom.toml")


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


def test_the_environments_usual_variables_are_honoured() -> None:
    plan = planned(
        **ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_SERVICE_NAME="desk",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod,team=a%20b",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_AND_EVENT",
    )  # fmt: skip

    assert plan is not None
    assert (plan.protocol, plan.content) == ("http/json", "both")
    assert plan.resource == {"service.name": "desk", "deployment.environment.name": "prod", "team": "a b"}
    assert planned() is None
    assert planned(**ENDPOINT, OTEL_SDK_DISABLED="true") is None


@pytest.mark.parametrize("said", ["", "yes please", "NO_CONTENT"])
def test_no_word_that_is_not_known_lets_texts_leave(said: str) -> None:
    plan = planned(**ENDPOINT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=said)

    assert plan is not None
    assert plan.content == "none"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: plan_of(OtelConfig(endpoint="localhost:4318"), {}, "g.toml"), "g.toml: otel.endpoint"),
        (lambda: plan_of(OtelConfig(endpoint="http://me:s3cr3t@h"), {}, "g.toml"), "password"),
        (lambda: plan_of(OtelConfig(endpoint="http://h:99999999"), {}, "g.toml"), "otel.endpoint"),
        (lambda: planned(**ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"), "grpc"),
        (lambda: planned(**ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS="s3cr3t"), "OTEL_EXPORTER_OTLP_HEADERS"),
        (
            lambda: planned(**ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS="a=s3cr3t\r\nx: y"),
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (lambda: plan_of(OtelConfig(headers_env="MINE"), ENDPOINT, "g.toml"), "MINE"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_without_secrets(
    make: Callable[[], object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        make()

    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("endpoint", "is_guarded"),
    [("http://127.0.0.1:4318", True), ("http://[::1]:4318", True), ("https://o.example", True),
     ("http://o.example", False), ("http://127.0.0.1.o.example", False)],
)  # fmt: skip
def test_who_can_read_along_is_told_by_the_address_alone(endpoint: str, is_guarded: bool) -> None:
    plan = plan_of(OtelConfig(endpoint=endpoint), {}, "f")

    assert plan is not None
    assert plan.is_guarded is is_guarded
