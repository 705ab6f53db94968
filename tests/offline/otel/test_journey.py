"""An exchange as spans: what stands in them, what never does."""

from typing import Any

import msgspec
import pytest

from greenroom.exchange import Attempt, Stage, StepRecord
from greenroom.gateway.record import body_of, row_of
from greenroom.models.prices import Period, Price, Rates
from greenroom.offline.otel.journey import Teller, Upstream
from greenroom.store.material import decode_body, encode_body
from greenroom.store.tail import Stored
from greenroom.usage import Usage
from greenroom.wire import anthropic_answer, openai, semconv
from greenroom.wire.otlp.signals import Span
from greenroom.wire.semconv import Spoken
from tests.store.exchanges import CPF, make_exchange, make_masked

ID = "0193a1b2c3d4e5f60718293a4b5c6d7e"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UPSTREAMS = {"openai": Upstream("openai", "api.openai.com", 443), "mine": Upstream("llama.cpp")}


def stored(exchange: Any) -> Stored:  # Any: an Exchange
    body = decode_body(encode_body(body_of(exchange)))
    return Stored(1, row_of(exchange), body)


def told(exchange: Any, spoken: Spoken = "both", **more: bool) -> list[Span]:  # Any: as above
    return Teller(UPSTREAMS, spoken, **more).spans(stored(exchange))


def call_of(spans: list[Span]) -> Span:
    (found,) = [one for one in spans if one.name.startswith("chat ")]
    return found


def test_a_request_is_a_tree_of_stages_and_calls() -> None:
    exchange = make_exchange(ID, session="s1", user="ana")

    spans = told(exchange)

    assert [one.name for one in spans] == ["greenroom.request", "greenroom.preprocess", "chat small"]
    root, stage, call = spans
    assert (root.trace, root.id, root.parent, root.kind) == (ID, ID[16:], "", 2)
    assert {one.parent for one in (stage, call)} == {root.id}
    assert (call.kind, call.attributes["server.address"], call.attributes["server.port"]) == (
        3,
        "api.openai.com",
        443,
    )
    assert call.end_ns - call.start_ns == 4_000_000
    assert root.end_ns - root.start_ns == 5_000_000
    assert root.start_ns <= stage.start_ns <= stage.end_ns == call.start_ns <= call.end_ns <= root.end_ns
    assert root.attributes["gen_ai.conversation.id"] == "s1"
    assert root.attributes["enduser.pseudo.id"] == "ana"
    assert (root.attributes["greenroom.cost_usd"], root.attributes["greenroom.cost_nano_usd"]) == (
        0.000123,
        123_000,
    )


def test_a_callers_trace_goes_on_and_every_export_names_the_same_spans() -> None:
    exchange = make_exchange(ID)
    exchange.trace = PARENT

    first, again = told(exchange), told(exchange)

    assert {one.trace for one in first} == {"0af7651916cd43dd8448eb211c80319c"}
    assert first[0].parent == "b7ad6b7169203331"
    assert first == again
    assert len({one.id for one in first}) == len(first)


def test_cached_tokens_mean_the_same_of_every_provider() -> None:
    of_one, of_other = make_exchange(ID), make_exchange(ID)
    said = b'{"prompt_tokens":1000,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":900}}'
    of_one.usage = openai.read_usage(msgspec.json.decode(said, type=openai.WireUsage))
    said = b'{"input_tokens":60,"cache_read_input_tokens":900,"cache_creation_input_tokens":40,"output_tokens":5}'
    theirs = anthropic_answer.openai_usage(msgspec.json.decode(said, type=anthropic_answer.WireUsage))
    of_other.usage = openai.read_usage(msgspec.convert(theirs, openai.WireUsage))

    of_openai, of_anthropic = (call_of(told(one)).attributes for one in (of_one, of_other))

    for attributes in (of_openai, of_anthropic):
        assert attributes["gen_ai.usage.input_tokens"] == 1_000
        assert attributes["gen_ai.usage.cache_read.input_tokens"] == 900
    rates = Rates(1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000, 5_000_000, 0, 0, 0)  # pico-dollars
    price = Price("m", [Period(rates)])
    assert of_one.usage is not None
    assert of_other.usage is not None
    assert price.cost_nano(of_one.usage) == 100 * 1_000 + 900 * 100 + 5 * 5_000
    assert price.cost_nano(of_other.usage) == 60 * 1_000 + 900 * 100 + 40 * 1_250 + 5 * 5_000
    assert of_anthropic["gen_ai.usage.cache_write.input_tokens"] == 40
    assert of_anthropic["gen_ai.usage.cache_creation.input_tokens"] == 40


@pytest.mark.parametrize(
    ("spoken", "has_new", "has_old"), [("v1_41", False, True), ("next", True, False), ("both", True, True)]
)
def test_each_profile_has_its_own_name_for_what_was_written_to_the_cache(
    spoken: Spoken, has_new: bool, has_old: bool
) -> None:
    exchange = make_exchange(ID)
    exchange.usage = Usage(input_tokens=100, cache_write_tokens=40, output_tokens=1)

    attributes = call_of(told(exchange, spoken)).attributes

    assert (semconv.CACHE_WRITE in attributes, semconv.CACHE_WRITE_1_41 in attributes) == (has_new, has_old)


def streamed(outcome: str = "answered") -> Any:  # Any: an Exchange
    exchange = make_exchange(ID, outcome=outcome)
    exchange.request.stream = True
    exchange.attempts = [Attempt(target="openai/small", status=200, ns=250_000_000)]
    exchange.total_ns, exchange.model_ns, exchange.first_token_ns = 1_000_000_000, 990_000_000, 255_000_000
    return exchange


def test_time_to_the_first_chunk_is_told_in_seconds_and_of_streams_alone() -> None:
    whole, stream = call_of(told(make_exchange(ID))), call_of(told(streamed()))

    assert semconv.FIRST_CHUNK not in whole.attributes
    assert stream.attributes[semconv.FIRST_CHUNK] == pytest.approx(0.25)
    assert stream.attributes["gen_ai.request.stream"] is True
    assert stream.end_ns - stream.start_ns == 990_000_000


def test_a_client_who_leaves_ends_the_spans_with_an_error_type() -> None:
    exchange = streamed("cancelled")
    exchange.status = 499

    root, call = told(exchange)[0], call_of(told(exchange))

    assert root.attributes["error.type"] == call.attributes["error.type"] == "cancelled"
    assert root.status == call.status == 2


def test_failed_calls_stand_beside_the_one_that_answered() -> None:
    exchange = make_exchange(ID)
    exchange.attempts = [
        Attempt(target="mine/a", error="circuit_open"),
        Attempt(target="mine/b", status=500, error="upstream_error", ns=1_000_000),
        Attempt(target="openai/small", status=200, ns=2_000_000),
    ]

    spans = told(exchange)

    calls = [one for one in spans if one.name.startswith("chat ")]
    assert [(one.name, one.attributes.get("error.type"), one.attributes["greenroom.attempt"]) for one in calls] == [
        ("chat b", "upstream_error", 1), ("chat small", None, 2),
    ]  # fmt: skip
    assert calls[0].end_ns == calls[1].start_ns
    assert [one.name for one in spans[0].events] == ["greenroom.target.passed_over"]
    assert semconv.INPUT_TOKENS not in calls[0].attributes


def test_each_call_that_is_paid_for_tells_its_own_tokens() -> None:
    exchange = make_exchange(ID)
    exchange.attempts = [
        Attempt(target="openai/small", status=200, ns=1, usage=Usage(input_tokens=30)),
        Attempt(target="openai/small", status=200, ns=2, usage=Usage(input_tokens=12)),
    ]
    exchange.usage = Usage(input_tokens=42)  # of both

    calls = [one for one in told(exchange) if one.name.startswith("chat ")]

    assert [one.attributes[semconv.INPUT_TOKENS] for one in calls] == [30, 12]


def test_a_refusal_is_an_answer_and_a_failure_an_error() -> None:
    refused, failed = make_exchange(ID, outcome="refused"), make_exchange(ID, outcome="failed")
    failed.status = 502

    assert "error.type" not in told(refused)[0].attributes
    assert told(failed)[0].attributes["error.type"] == "502"


def texts_in(spans: list[Span]) -> str:
    return repr(spans)


def test_findings_say_what_kind_of_thing_was_found_and_never_the_thing() -> None:
    exchange = make_masked(ID)

    spans = told(exchange)

    (finding,) = [event for one in spans for event in one.events if event.name == semconv.SAFETY_EVENT]
    assert finding.attributes["greenroom.safety.category"] == "personal_data"
    assert CPF not in texts_in(spans)
    assert "My number" not in texts_in(spans)


def test_without_being_asked_no_attribute_holds_a_text() -> None:
    exchange = make_exchange(ID, "What is the wombat's motto?", "It digs.")

    silent, speaking = told(exchange), told(exchange, sends_content=True)

    assert not {name for one in silent for name in one.attributes} & semconv.CONTENT
    assert "wombat" not in texts_in(silent)
    assert "digs" not in texts_in(silent)
    asked = call_of(speaking).attributes[semconv.INPUT_MESSAGES]
    assert '"parts":[{"type":"text","content":"What is the wombat\'s motto?"}]' in asked


def test_where_no_texts_are_kept_the_row_tells_of_the_call() -> None:
    exchange = make_exchange(ID)
    bare = Stored(1, row_of(exchange), decode_body(encode_body(type(body_of(exchange))())))

    root, call = Teller(UPSTREAMS, "both").spans(bare)

    assert (root.name, call.name) == ("greenroom.request", "chat small")
    assert call.attributes["gen_ai.usage.input_tokens"] == 9


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nul",
        b"[1]",
        b'{"temperature":"hot","n":true,"seed":1e99,"reasoning_effort":[1],"response_format":7}',
    ],
    ids=["empty", "broken", "list", "odd"],
)
def test_what_a_client_sends_is_never_trusted_to_be_what_it_should(body: bytes) -> None:
    exchange = make_exchange(ID)
    exchange.request.raw = body

    attributes = call_of(told(exchange, sends_content=True)).attributes

    assert not {name for name in attributes if name.startswith("gen_ai.request.")} - {semconv.REQUEST_MODEL}


@pytest.mark.parametrize("total_ns", [0, 1_000, 3_000_000, 10_000_000])
def test_no_span_is_outside_of_its_request_however_odd_the_times_are(total_ns: int) -> None:
    exchange = make_exchange(ID)
    stages: tuple[Stage, ...] = ("preprocess", "ground", "check", "postprocess", "postprocess")
    exchange.steps = [StepRecord(one, f"step {number}", ns=1_000_000) for number, one in enumerate(stages)]
    exchange.attempts = [Attempt(target="openai/small", status=200, ns=4_000_000)] * 2
    exchange.total_ns = total_ns

    root, *parts = told(exchange)

    assert len(parts) == 6
    assert all(root.start_ns <= one.start_ns <= one.end_ns <= root.end_ns for one in parts)
