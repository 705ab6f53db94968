"""OpenTelemetry in a house: it begins and ends with the configuration, and a caller's trace is kept."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.spans import spans_of
from greenroom.errors import ConfigError
from greenroom.store.listing import TraceFilter
from greenroom.wire.otlp.signals import CLIENT, Span
from tests.assembly.test_subjects import completion
from tests.models.scripted import Answer, Scripted
from tests.offline.otel.collector import Collector, collecting

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, CALLER = PARENT[3:35], PARENT[36:52]
BODY = b'{"model":"default","messages":[{"role":"user","content":"What is Greenroom?"}]}'


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def house_of(folder: Path, text: str, **environment: str) -> House:
    path = folder / "greenroom.toml"
    path.write_text(text, encoding="utf-8")
    return House.open(path, folder / "data", environment)


def exporting(url: str, more: str = "") -> str:
    return f'[otel]\nendpoint = "{url}"\nevery_s = 0.2\nmetrics = false\n{more}'


async def asked(house: House, **headers: str) -> str:
    named = {name.encode(): value.encode() for name, value in headers.items()}
    exchange, app, grant = house.begin(BODY, named)
    await house.gateway.whole(exchange, app, grant, time.perf_counter_ns())
    return exchange.id


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(8):
        while not done():  # noqa: ASYNC110  # another thread's doing
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("capture", ["redacted", "off"])
async def test_a_callers_trace_is_kept_whatever_else_is(
    tmp_path: Path, collector: Collector, capture: str
) -> None:
    house = house_of(tmp_path, exporting(collector.url) + f'[store]\ncapture = "{capture}"\n')
    async with house.running():
        await until(lambda: house.telemetry.state() is not None)
        id = await asked(house, traceparent=PARENT)
        await until(collector.spans)
        record = house.traces.get(None, id)
        listed = house.traces.list(TraceFilter(tag=f"trace={TRACE}")).rows

    root = collector.spans()[0]
    assert (root.trace, root.parent, root.attributes["greenroom.request.id"]) == (TRACE, CALLER, id)
    assert record is not None
    assert record["trace"] == {"id": TRACE, "parent": CALLER}
    assert "trace" not in record["tags"]
    assert [one["id"] for one in listed] == [id]


PROVIDER = """
[providers.here]
kind = "openai_compatible"
base_url = "{origin}/v1"
[models.one]
targets = ["here/bad", "here/good"]
retries = 0
[apps.default]
model = "one"
"""


async def test_a_provider_learns_which_span_of_the_callers_trace_calls_it_where_that_is_wanted(
    tmp_path: Path, collector: Collector
) -> None:
    async with Scripted(Answer(b"{}", 500), completion("Yes.")) as upstream:
        text = exporting(collector.url, "propagate = true\n") + PROVIDER.format(origin=upstream.origin)
        async with house_of(tmp_path, text).running() as house:
            await until(lambda: house.telemetry.state() is not None)
            await asked(house, traceparent=PARENT)
            await asked(house)
            await until(lambda: len(calls_in(collector)) == 3)

    told = [one.headers["traceparent"] for one in upstream.asked]
    assert told == [f"00-{span.trace}-{span.id}-01" for span in calls_in(collector)]
    assert [header[3:35] for header in told[:2]] == [TRACE, TRACE]


@pytest.mark.parametrize(
    ("settings", "caller", "told"),
    [
        pytest.param("", PARENT, False, id="nobody asked for it"),
        pytest.param("propagate = true", "", False, id="nobody traces"),
        pytest.param("propagate = true", PARENT, True, id="the caller traces"),
    ],
)
async def test_providers_learn_no_ids_that_nobody_needs(
    tmp_path: Path, settings: str, caller: str, told: bool
) -> None:
    async with Scripted(completion("Yes.")) as upstream:
        text = f"[otel]\n{settings}\n" + PROVIDER.format(origin=upstream.origin)
        async with house_of(tmp_path, text).running() as house:
            await asked(house, **({"traceparent": caller} if caller else {}))

    (sent,) = upstream.asked
    assert ("traceparent" in sent.headers) is told


def calls_in(collector: Collector) -> list[Span]:
    return [one for one in collector.spans() if one.kind == CLIENT]


async def test_a_malformed_traceparent_counts_as_none(tmp_path: Path) -> None:
    house = house_of(tmp_path, "")
    async with house.running():
        id = await asked(house, traceparent="00-zz")
        await until(lambda: house.traces.get(None, id))
        record = house.traces.get(None, id)

    assert record is not None
    assert record["trace"] == {"id": id, "parent": None}


async def test_export_begins_and_ends_with_the_configuration(tmp_path: Path, collector: Collector) -> None:
    house = house_of(tmp_path, "")
    async with house.running():
        assert house.telemetry.state() is None
        (tmp_path / "greenroom.toml").write_text(exporting(collector.url), encoding="utf-8")
        await house.reload()
        await until(lambda: house.telemetry.state() is not None)
        id = await asked(house)
        await until(collector.spans)
        (tmp_path / "greenroom.toml").write_text("", encoding="utf-8")
        await house.reload()
        await until(lambda: house.telemetry.state() is None)

    assert collector.spans()[0].trace == id


async def test_a_configuration_that_names_no_such_headers_is_not_taken(tmp_path: Path) -> None:
    house = house_of(tmp_path, "")
    async with house.running():
        text = exporting("http://127.0.0.1:9", 'headers_env = "NOT_SET"\n[apps.other]\n')
        (tmp_path / "greenroom.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="NOT_SET"):
            await house.reload()

        assert "other" not in house.gateway.rooms.apps


async def test_a_collector_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        house = house_of(tmp_path, exporting(f"http://127.0.0.1:{hanging.getsockname()[1]}"))
        async with house.running():
            await until(lambda: house.telemetry.state() is not None)
            await asked(house)
            await asyncio.sleep(0.5)
            began = time.monotonic()

    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ('[otel]\nendpoint = "collector:4318"\n', {}, "otel.endpoint"),
        ("[otel]\nsample = 2\n", {}, "otel.sample"),
        ('[otel]\ncontents = "spans"\n', {}, "unknown key 'contents'"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_at_the_start(
    tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        async with house_of(tmp_path, text, **environment).running():
            pass


def test_to_look_for_spans_makes_no_store(tmp_path: Path) -> None:
    house = house_of(tmp_path, "")

    assert spans_of(house, TRACE) == {"spans": [], "total": 0}
    assert not (tmp_path / "data" / "spans.db").exists()
