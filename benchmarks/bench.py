"""`make bench`: what Greenroom costs beside nginx, in interleaved rounds on one core.

Rows and goals are those of the contract's table of speeds. Exit codes: 0 measured, 1 with `--gate` and a goal missed,
2 a target answered with faults, 3 this machine lacks something (Linux, a C compiler, a server that starts).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.figures import Result, Row, ratio, save, show
from benchmarks.processes import Cores, EnvironmentMissing, Running, tree_pss_bytes
from benchmarks.rounds import Summary, interleave, take_turn, wait_until_idle
from benchmarks.targets import Target, find_nginx, start_greenroom, start_nginx
from benchmarks.tools import Tools

CONNECTIONS = 32
ALL_ON_NAME = "Greenroom, all on"
RAW_NAME = "Greenroom, pass-through"


class Plan(argparse.Namespace):
    """What was asked for on the command line."""

    quick: bool
    rounds: int
    seconds: float
    stream_seconds: float
    personal: int
    soak: bool
    gate: bool
    reference_only: bool


def read_plan(arguments: list[str] | None = None) -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description="What Greenroom costs beside nginx."
    )
    parser.add_argument("--quick", action="store_true", help="2 short rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn")
    parser.add_argument("--stream-seconds", type=float, default=4.0)
    parser.add_argument(
        "--personal", type=int, default=25, help="percent of the prompts that hold an e-mail address"
    )
    parser.add_argument("--soak", action="store_true", help="also growth over 100,000 requests")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a goal is missed")
    parser.add_argument("--reference-only", action="store_true", help="nginx and the mock alone")
    plan = parser.parse_args(arguments, namespace=Plan())
    if plan.quick:
        plan.rounds, plan.seconds, plan.stream_seconds = 2, 1.5, 1.1
    return plan


class Bench:
    """One run: the mock and the targets live in a folder of their own and are stopped at its end."""

    def __init__(self, plan: Plan, folder: Path, console: Console) -> None:
        self.plan = plan
        self.folder = folder
        self.console = console
        self.cores = Cores.choose()
        self.tools = Tools(folder, self.cores)
        self.result = Result(title="Greenroom beside nginx")
        self._alive: list[Running] = []
        if self.cores.target == self.cores.peers:
            self.result.remarks.append(
                "One core only: load and mock ran beside the target; latencies mean little."
            )

    def close(self) -> None:
        for running in reversed(self._alive):
            running.stop()

    def keep(self, target: Target) -> Target:
        """Have a target stopped at the end."""
        self._alive.append(target.running)
        return target

    def start_mock(self) -> int:
        running, port = self.tools.start_mock()
        self._alive.append(running)
        return port

    def say(self, text: str) -> None:
        self.console.print(text, style="dim", highlight=False)

    def warm(self, targets: list[Target]) -> None:
        for target in targets:
            self.tools.load(
                target.port, model=target.model, key=target.key, connections=CONNECTIONS, requests=500
            )
            wait_until_idle(target)

    def requests(self, targets: list[Target], connections: int, rounds: int, seconds: float) -> list[Summary]:
        summaries, calibration = interleave(
            targets,
            rounds,
            lambda target: take_turn(
                self.tools,
                target,
                connections=connections,
                seconds=seconds,
                personal_percent=self.plan.personal,
            ),
            self.cores.target,
            self.say,
        )
        self.result.calibration_ns += calibration
        return summaries

    def streams(self, targets: list[Target]) -> list[Summary]:
        summaries, calibration = interleave(
            targets,
            self.plan.rounds,
            lambda target: take_turn(
                self.tools, target, connections=CONNECTIONS, seconds=self.plan.stream_seconds, stream=True
            ),
            self.cores.target,
            self.say,
        )
        self.result.calibration_ns += calibration
        return summaries


def run(bench: Bench) -> Result:
    """Measure everything and fill the rows."""
    plan, result = bench.plan, bench.result
    mock_port = bench.start_mock()
    nginx = nginx_stream = None
    if find_nginx() is None:
        result.remarks.append("nginx is not installed: no ratios. (Debian: apt install nginx-light)")
    else:
        nginx = bench.keep(start_nginx(bench.folder / "nginx", mock_port, bench.cores.target, buffering=True))
        nginx_stream = bench.keep(
            start_nginx(bench.folder / "nginx-stream", mock_port, bench.cores.target, buffering=False)
        )
    greenrooms: list[Target] = []
    if not plan.reference_only:
        for app, name in (("bench", "all-on"), ("raw", "raw")):
            greenrooms.append(
                bench.keep(start_greenroom(bench.folder / name, mock_port, bench.cores.target, app=app))
            )
            bench.say(f"{greenrooms[-1].name} answered after {greenrooms[-1].first_answer_s:.2f} s")
        wait_until_idle(greenrooms[0])
    at_rest = tree_pss_bytes(greenrooms[0].running.pid) if greenrooms else None
    targets = [*([nginx] if nginx else []), *greenrooms]
    stream_targets = [*([nginx_stream] if nginx_stream else []), *greenrooms]
    bench.warm(targets)

    bench.say(f"{CONNECTIONS} connections:")
    result.requests = bench.requests(targets, CONNECTIONS, plan.rounds, plan.seconds)
    bench.say("1 connection:")
    direct = median(
        bench.tools.load(mock_port, connections=1, duration_s=min(plan.seconds, 1.5)).p50_us
        for _ in range(plan.rounds)
    )
    result.single = bench.requests(targets, 1, plan.rounds, min(plan.seconds, 1.5))
    bench.say("32 paced streams:")
    result.streams = bench.streams(stream_targets)

    fill_rows(result, direct, at_rest)
    if greenrooms:
        after_load = tree_pss_bytes(greenrooms[0].running.pid)
        result.rows.append(Row(name="memory after these rounds", value=after_load / 2**20, unit="MiB"))
        if plan.soak:
            result.rows.append(growth(bench.tools, greenrooms[0], bench.say))
        result.rows.append(kept_answers(bench, mock_port))
        result.rows += storage(bench, mock_port, greenrooms[0].first_answer_s)
    return result


def fill_rows(result: Result, direct_p50_us: float, at_rest_bytes: int | None) -> None:
    """The ratios and differences that the rounds allow."""
    many = {one.target: one for one in result.requests}
    single = {one.target: one for one in result.single}
    streams = {one.target: one for one in result.streams}
    nginx, all_on, raw = (many.get(name) for name in ("nginx", ALL_ON_NAME, RAW_NAME))
    rows = result.rows
    if nginx is not None:
        rows.append(Row(name="nginx, CPU per request", value=nginx.cpu_us, unit="µs"))
    if all_on is not None and raw is not None:
        rows.append(Row(name="all on, CPU per request", value=all_on.cpu_us, unit="µs"))
        rows.append(
            Row(name="all on ÷ nginx", value=ratio(all_on, nginx), goal=5.0, note="then 4.0, then 3.0")
        )
        rows.append(Row(name="pass-through ÷ nginx", value=ratio(raw, nginx), goal=2.0))
        rows.append(
            Row(
                name="full-text indexing of one exchange",
                value=all_on.indexing_us,
                unit="µs",
                goal=150.0,
                note="deferred, not in the rows above"
                if all_on.indexing_us is not None
                else "not told apart: it is part of the rows above",
            )
        )
    rows.append(Row(name="mock alone, p50 at 1 connection", value=direct_p50_us, unit="µs"))
    for name, goal in (("nginx", None), (RAW_NAME, None), (ALL_ON_NAME, 0.3)):
        if name in single:
            added = (single[name].p50_us - direct_p50_us) / 1000
            rows.append(Row(name=f"added p50 at 1 connection: {name}", value=added, unit="ms", goal=goal))
    if "nginx" in streams:
        rows.append(Row(name="nginx, CPU per streamed event", value=streams["nginx"].cpu_us, unit="µs"))
    for name, goal in ((RAW_NAME, None), (ALL_ON_NAME, 1.5)):
        if name in streams:
            value = ratio(streams[name], streams.get("nginx"))
            rows.append(Row(name=f"CPU per streamed event ÷ nginx: {name}", value=value, goal=goal))
    if at_rest_bytes is not None:
        rows.append(Row(name="memory at rest (PSS)", value=at_rest_bytes / 2**20, unit="MiB", goal=70.0))


def kept_answers(bench: Bench, mock_port: int) -> Row:
    """CPU of a request whose answer is kept: the same prompt again and again, for an app without steps."""
    target = start_greenroom(bench.folder / "kept", mock_port, bench.cores.target, app="kept")
    try:
        turns = [
            take_turn(
                bench.tools, target, connections=CONNECTIONS, seconds=seconds, personal_percent=0, same=True
            )
            for seconds in (0.5, *[bench.plan.seconds] * bench.plan.rounds)
        ]
    finally:
        target.running.stop()
    value = median(turn.cpu_us for turn in turns[1:])
    return Row(name="an exact answer kept: CPU per request", value=value, unit="µs", goal=80.0)


def growth(tools: Tools, target: Target, say: Callable[[str], None], requests: int = 100_000) -> Row:
    """PSS gained over `requests`, after a warm-up of a fifth of them."""
    pid = target.running.pid

    def load(count: int) -> float:
        tools.load(target.port, model=target.model, key=target.key, connections=CONNECTIONS, requests=count)
        wait_until_idle(target)
        return tree_pss_bytes(pid) / 2**20

    before = load(requests // 5)
    say(f"{before:.1f} MiB after the warm-up")
    after = load(requests)
    note = f"{before:.1f} → {after:.1f} MiB"
    return Row(
        name=f"growth over {requests:,} requests", value=after - before, unit="MiB", goal=5.0, note=note
    )


def storage(bench: Bench, mock_port: int, first_answer_s: float) -> list[Row]:
    """Bytes kept per exchange, and the time to the first answer, in three short lives of a fresh Greenroom."""
    folder = bench.folder / "storage"
    requests = 2_000 if bench.plan.quick else 10_000
    starts, sizes = [first_answer_s], []
    for count in (200, requests):
        target = start_greenroom(folder, mock_port, bench.cores.target, app="bench")
        starts.append(target.first_answer_s)
        try:
            bench.tools.load(
                target.port, model=target.model, key=target.key, connections=CONNECTIONS, requests=count
            )
            wait_until_idle(target)
        finally:
            target.running.stop()
        sizes.append(folder_bytes(target.data) if target.data else 0)
    per_exchange = (sizes[1] - sizes[0]) / requests
    return [
        Row(
            name="start to first answer",
            value=median(starts),
            unit="s",
            goal=1.0,
            note=f"median of {len(starts)}",
        ),
        Row(
            name="bytes stored per exchange",
            value=per_exchange / 1000,
            unit="KB",
            goal=2.5,
            note=f"over {requests:,} exchanges of 2.2 KB asked and 1.3 KB answered, indexes included, after a clean stop",
        ),
    ]


def folder_bytes(folder: Path) -> int:
    """Size of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Run the bench, print the tables, write bench-results/latest.json."""
    plan = read_plan(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if sys.platform != "linux":
        console.print("The bench reads CPU and memory from Linux's /proc; it does not run here.")
        return 3
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        try:
            bench = Bench(plan, Path(folder), console)
        except EnvironmentMissing as missing:
            console.print(str(missing), markup=False)
            return 3
        try:
            result = run(bench)
        except EnvironmentMissing as missing:
            console.print(str(missing), markup=False)
            return 3
        finally:
            bench.close()
    show(result, console)
    console.print(f"Written to {save(result, 'latest')}")
    if any(one.faults for one in (*result.requests, *result.single, *result.streams)):
        console.print(
            "A target answered with faults (errors, statuses other than 200, unfinished streams).",
            style="red",
        )
        return 2
    return 1 if plan.gate and result.missed else 0


if __name__ == "__main__":
    sys.exit(main())
