"""What OpenTelemetry costs: an exchange that leaves, and a span that is taken in.

`python -m benchmarks.otel [--exchanges 2000]`. Microseconds of CPU time, least of five rounds, on exchanges that
went through all four stages. Requests and the recorder do nothing for the export: all of it is the time of one
thread of its own, which lets others run every millisecond.
"""

import argparse
import gc
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from greenroom.assembly.telemetry import upstreams_of
from greenroom.assembly.users import Masks
from greenroom.config import Config
from greenroom.offline.otel.exporter import BATCH
from greenroom.offline.otel.ingest import Ingest
from greenroom.offline.otel.journey import Teller
from greenroom.offline.otel.settings import Content
from greenroom.store.spans import SpanStore
from greenroom.store.tail import Stored, Tail
from greenroom.wire.otlp import json as as_json
from greenroom.wire.otlp import protobuf
from greenroom.wire.otlp.signals import Origin, Spans
from tests.seeded import seed

ROUNDS = 5


def cheapest(work: Callable[[], object], over: int) -> float:
    """Microseconds of CPU time for each of `over` things."""
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        work()
        times.append(time.thread_time_ns() - began)
    return min(times) / over / 1000


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--exchanges", type=int, default=2_000)
    count = asked.parse_args().exchanges
    gc.set_threshold(10_000, 20, 20)  # as a server has it
    with tempfile.TemporaryDirectory() as folder:
        seed(Path(folder), count, index=False)
        with closing(Tail(Path(folder) / "data" / "traces.db")) as tail:
            found = list(read(tail, count))
            gc.freeze()
            print(
                f"read from the store             {cheapest(lambda: deque(read(tail, count), maxlen=0), len(found)):8.1f} µs an exchange"
            )
            told("none", found)
            told("spans", found)
            taken_in(Path(folder), found)


def read(tail: Tail, count: int) -> Iterator[Stored]:
    """All exchanges, in the batches of the exporter."""
    seq = 0
    while batch := tail.exchanges(seq, min(count, BATCH)):
        yield from batch
        seq = batch[-1].seq


def told(content: Content, found: list[Stored]) -> None:
    """Exchanges as messages."""
    teller = Teller(upstreams_of(Config()), "both", sends_content=content == "spans")
    spans = [span for one in found for span in teller.spans(one)]
    groups = [Spans(Origin(), spans)]
    size = len(protobuf.traces(groups))
    print(
        f"content {content}: {len(spans) / len(found):.1f} spans and {size / len(found):,.0f} bytes an exchange"
    )
    for name, work in (
        ("made into spans", lambda: deque(map(teller.spans, found), maxlen=0)),
        ("written as protobuf", lambda: protobuf.traces(groups)),
        ("written as JSON", lambda: as_json.traces(groups)),
    ):
        print(f"  {name:28}  {cheapest(work, len(found)):8.1f} µs an exchange")


def taken_in(folder: Path, found: list[Stored]) -> None:
    """The same spans coming in, masked and stored."""
    spans = [span for one in found for span in Teller(upstreams_of(Config()), "both").spans(one)][:5_000]
    bodies = {
        False: protobuf.traces([Spans(Origin(), spans)]),
        True: as_json.traces([Spans(Origin(), spans)]),
    }
    with closing(SpanStore(folder / "spans.db")) as store:
        ingest = Ingest(
            lambda: store,
            Masks,
            lambda _project, _told: False,
            capture=lambda: "redacted",
            most_bytes=lambda: 1 << 40,
        )
        for is_json, body in bodies.items():
            name = "JSON" if is_json else "protobuf"
            cost = cheapest(lambda: ingest.spans("default", body, is_json=is_json), len(spans))  # noqa: B023  # called at once
            print(f"taken in as {name:18}  {cost:8.1f} µs a span")


if __name__ == "__main__":
    main()
