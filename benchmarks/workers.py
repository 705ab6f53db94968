"""One process against several: `python -m benchmarks.workers`.

On a machine whose cores are all taken by the load, wall time says little about several workers. So this counts the
CPU time of all processes of a server for the same number of requests: if a request costs as much with two workers
as with one, and both work, two free cores answer twice as many. The wall time is printed beside it.
Where load and mock share the workers' cores (two cores in all), `--one-core` keeps them apart: the CPU time is
then the workers' own.
"""

import argparse
import os
import statistics
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import Cores, process_cpu_ns, settle, tree, tree_cpu_ns
from benchmarks.targets import Target, start_greenroom
from benchmarks.tools import Tools


class Round(NamedTuple):
    """CPU of the server for each request, requests a second, and the busiest worker's part of the CPU."""

    cpu_us: float
    rps: float
    busiest: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--app", choices=("raw", "bench"), default="raw")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--one-core", action="store_true", help="all workers on one core, apart from load and mock"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tools = Tools(Path(place), Cores.choose())
        mock, mock_port = tools.start_mock(pace_ms=0)
        targets = {
            count: start_greenroom(
                Path(place) / f"with-{count}", mock_port, tools.cores.target, app=asked.app, workers=count
            )
            for count in asked.workers
        }
        try:
            for target in targets.values():
                if not asked.one_core:
                    spread(target)
                measure(tools, target, asked.requests, asked.connections)  # warm
            rounds: dict[int, list[Round]] = {count: [] for count in targets}
            for _ in range(asked.rounds):
                for count, target in targets.items():
                    rounds[count].append(measure(tools, target, asked.requests, asked.connections))
        finally:
            for target in targets.values():
                target.running.stop()
            mock.stop()
    print("workers  CPU us/request (least)  requests/s (most)  busiest worker  capacity on free cores")
    first = min(one.cpu_us for one in rounds[asked.workers[0]])
    for count, found in rounds.items():
        cpu = min(one.cpu_us for one in found)
        most = max(one.rps for one in found)
        busiest = statistics.median(one.busiest for one in found)
        print(f"{count:7d}  {cpu:22.1f}  {most:17.0f}  {busiest:14.0%}  {count * first / cpu:17.2f} x one")


def spread(target: Target) -> None:
    """Give each worker a core, in turn."""
    cores = sorted(os.sched_getaffinity(0))
    parent, *workers = tree(target.running.pid)
    for place, pid in enumerate(workers or [parent]):
        core = cores[place % len(cores)]
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(task.name), {core})


def measure(tools: Tools, target: Target, requests: int, connections: int) -> Round:
    """So many requests over so many connections."""
    pid = target.running.pid
    workers = tree(pid)[1:] or [pid]
    before, each = tree_cpu_ns(pid), [process_cpu_ns(one) for one in workers]
    report = tools.load(
        target.port, model=target.model, key=target.key, connections=connections, requests=requests
    )
    if report.faults:
        raise SystemExit(f"{report.faults} requests failed; see {target.running.log}")
    settle(pid)
    used = [process_cpu_ns(one) - start for one, start in zip(workers, each, strict=True)]
    return Round((tree_cpu_ns(pid) - before) / report.requests / 1000, report.rps, max(used) / sum(used))


if __name__ == "__main__":
    main()
