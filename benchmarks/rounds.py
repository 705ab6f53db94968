"""Interleaved rounds: each target gets a turn in every round, and the medians are compared.

Knows how to charge CPU to requests and events; nothing of goals or tables.
"""

import http.client
import re
import time
from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct

from benchmarks.processes import calibrate, settle, tree_cpu_ns
from benchmarks.targets import Target
from benchmarks.tools import LoadReport, Tools

INDEX_METRIC = "greenroom_index_cpu_seconds_total"
"""CPU spent on full-text indexing, as /metrics tells it; without it indexing is part of the request's CPU."""

PENDING_METRIC = "greenroom_index_pending"
"""Exchanges stored and not yet indexed; where it is told, a turn ends when it is 0."""


class Point(Struct, frozen=True, kw_only=True):
    """One turn of one target. CPU in microseconds per unit of work (request or streamed event)."""

    target: str
    units: int
    cpu_us: float
    """Whole tree, deferred work included, indexing left out where it can be told apart."""
    deferred_us: float
    """The part of it (and of indexing) that was done after the last reply."""
    indexing_us: float | None
    report: LoadReport
    settled_s: float


class Summary(Struct, frozen=True, kw_only=True):
    """Medians over the rounds of one target, with the range of the CPU."""

    target: str
    rounds: int
    cpu_us: float
    cpu_low_us: float
    cpu_high_us: float
    deferred_us: float
    indexing_us: float | None
    rps: float
    p50_us: float
    p99_us: float
    first_event_p50_us: float
    faults: int


def take_turn(
    tools: Tools,
    target: Target,
    *,
    connections: int,
    seconds: float,
    stream: bool = False,
    personal_percent: int = 25,
    same: bool = False,
) -> Point:
    """Load one target, wait until its deferred work is done, and charge the CPU to what was answered."""
    pid = target.running.pid
    indexing_before = metric(target, INDEX_METRIC)
    before = tree_cpu_ns(pid)
    report = tools.load(
        target.port, model=target.model, key=target.key, connections=connections, duration_s=seconds,
        stream=stream, personal_percent=personal_percent, same=same, timeout_s=seconds + 60,
    )  # fmt: skip
    at_last_reply = tree_cpu_ns(pid)
    settled_s = wait_until_idle(target)
    after = tree_cpu_ns(pid)
    indexing_after = metric(target, INDEX_METRIC)
    units = max(report.events if stream else report.requests, 1)
    indexing = None
    if indexing_before is not None and indexing_after is not None:
        indexing = (indexing_after - indexing_before) / units * 1e6
    return Point(
        target=target.name,
        units=units,
        cpu_us=(after - before) / units / 1000 - (indexing or 0.0),
        deferred_us=(after - at_last_reply) / units / 1000,
        indexing_us=indexing,
        report=report,
        settled_s=settled_s,
    )


def interleave(
    targets: Sequence[Target],
    rounds: int,
    turn: Callable[[Target], Point],
    core: int,
    say: Callable[[str], None],
) -> tuple[list[Summary], list[float]]:
    """Give each target a turn in each round, beginning with another one each time.

    Returns the summaries, in the order of `targets`, and the calibration loop's nanoseconds before each round.
    """
    points: dict[str, list[Point]] = {target.name: [] for target in targets}
    calibration = []
    for number in range(rounds):
        calibration.append(calibrate(core))
        shift = number % len(targets)
        for target in (*targets[shift:], *targets[:shift]):
            point = turn(target)
            points[target.name].append(point)
            say(
                f"round {number + 1}/{rounds}  {target.name:<24} {point.cpu_us:9.1f} µs CPU"
                f"  {point.report.rps:9.0f}/s  p50 {point.report.p50_us} µs"
            )
    return [summarise(points[target.name]) for target in targets], calibration


def summarise(points: Sequence[Point]) -> Summary:
    """Medians of one target's turns."""
    indexing = [point.indexing_us for point in points if point.indexing_us is not None]
    return Summary(
        target=points[0].target,
        rounds=len(points),
        cpu_us=median(point.cpu_us for point in points),
        cpu_low_us=min(point.cpu_us for point in points),
        cpu_high_us=max(point.cpu_us for point in points),
        deferred_us=median(point.deferred_us for point in points),
        indexing_us=median(indexing) if indexing else None,
        rps=median(point.report.rps for point in points),
        p50_us=median(point.report.p50_us for point in points),
        p99_us=median(point.report.p99_us for point in points),
        first_event_p50_us=median(point.report.first_event_p50_us for point in points),
        faults=sum(point.report.faults for point in points),
    )


def wait_until_idle(target: Target, limit_s: float = 120.0) -> float:
    """Wait until the target's deferred work is done; return the seconds waited.

    Idle is a tree that uses no CPU, and an empty indexing queue where the target tells of one.
    """
    begun = time.monotonic()
    settle(target.running.pid)
    while (metric(target, PENDING_METRIC) or 0.0) > 0 and time.monotonic() - begun < limit_s:
        settle(target.running.pid)
    return time.monotonic() - begun


def metric(target: Target, name: str) -> float | None:
    """The sum of one of the target's own metrics, or None when it does not have it."""
    if target.data is None:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {target.key}"})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    lines = text.splitlines() if answer.status == 200 else []
    values = [float(line.rpartition(" ")[2]) for line in lines if re.split(r"[{ ]", line)[0] == name]
    return sum(values) if values else None
