"""The rows of the result: a figure beside its goal, as a table for people and as JSON for later."""

import json
import os
import platform
import time
from pathlib import Path

import msgspec
from msgspec import Struct, field
from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Summary

RESULTS = Path(__file__).parent.parent / "bench-results"


class Row(Struct, kw_only=True):
    """One figure. `goal` is the largest value that passes (the smallest, with `at_least`)."""

    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is no goal or no figure."""
        if self.goal is None or self.value is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


class Result(Struct, kw_only=True):
    """Everything one run found."""

    title: str
    rows: list[Row] = field(default_factory=list)
    requests: list[Summary] = field(default_factory=list)
    single: list[Summary] = field(default_factory=list)
    streams: list[Summary] = field(default_factory=list)
    calibration_ns: list[float] = field(default_factory=list)
    """Nanoseconds per turn of the calibration loop, before each round."""
    remarks: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.met is False]


def ratio(over: Summary | None, under: Summary | None) -> float | None:
    """CPU of one divided by CPU of the other."""
    return over.cpu_us / under.cpu_us if over is not None and under is not None and under.cpu_us else None


def show(result: Result, console: Console) -> None:
    """Print the tables."""
    for title, summaries, unit in (
        ("Requests, many connections", result.requests, "request"),
        ("Requests, 1 connection", result.single, "request"),
        ("Streams", result.streams, "event"),
    ):
        if summaries:
            console.print(_summary_table(title, summaries, unit))
    table = Table(title=result.title, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("goal", justify="right")
    table.add_column("")
    table.add_column("note", overflow="fold")
    for row in result.rows:
        goal = "" if row.goal is None else f"{'≥' if row.at_least else '≤'} {row.goal:g}"
        value = "–" if row.value is None else f"{row.value:.2f} {row.unit}".strip()
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[row.met]
        table.add_row(row.name, value, goal, mark, row.note)
    console.print(table)
    if result.calibration_ns:
        low, high = min(result.calibration_ns), max(result.calibration_ns)
        console.print(
            f"Calibration loop: {low:.1f} to {high:.1f} ns a turn over {len(result.calibration_ns)} rounds."
        )
    for remark in result.remarks:
        console.print(remark)


def _summary_table(title: str, summaries: list[Summary], unit: str) -> Table:
    table = Table(title=f"{title} (median of n = {summaries[0].rounds})", title_justify="left")
    table.add_column("target")
    for heading in (
        f"CPU µs/{unit}",
        "range",
        "after load",
        "indexing",
        "per s",
        "p50 µs",
        "p99 µs",
        "faults",
    ):
        table.add_column(heading, justify="right")
    for one in summaries:
        table.add_row(
            one.target,
            f"{one.cpu_us:.1f}",
            f"{one.cpu_low_us:.1f}–{one.cpu_high_us:.1f}",
            f"{one.deferred_us:.1f}",
            "–" if one.indexing_us is None else f"{one.indexing_us:.1f}",
            f"{one.rps:.0f}",
            f"{one.p50_us:.0f}",
            f"{one.p99_us:.0f}",
            str(one.faults),
        )
    return table


def save(result: Result, name: str) -> Path:
    """Write `bench-results/NAME.json` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    whole = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        **msgspec.to_builtins(result),
    }
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
