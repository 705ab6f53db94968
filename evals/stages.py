"""Whole stages of app `default`: time of preprocess and check on 2,000 characters, and resident memory."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evals.figures import Goal, Row, by_language, read_rows
from greenroom.assembly.house import House

_SIZE = 2000
_GOALS: dict[str, Goal] = {"preprocess": ("<=", 600), "check": ("<=", 1500)}
"""Microseconds, median."""


def measure(data: Path) -> Iterator[Row]:
    """By the times in the record itself, so wall-clock: on a busy machine they read high."""
    rows = [row for row in read_rows(data / "text" / "spelling" / "noharm_dev.jsonl") if row.get("lang")]
    before = _resident_mib()
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_run(Path(folder), by_language(rows)))
    yield Row("stages", "resident growth MiB", "all that was used above", "all", _resident_mib() - before, 1,
              goal=("<=", 90))  # fmt: skip


async def _run(folder: Path, rows: dict[str, list[dict[str, str]]]) -> list[Row]:
    figures: list[Row] = []
    house = House.open(None, folder, {})
    async with house.running():
        for language, own in rows.items():
            long = " ".join(row["text"] for row in own)
            texts = [long[at : at + _SIZE] for at in range(0, len(long) - _SIZE, _SIZE // 4)]
            taken: dict[str, list[float]] = {}
            for text in texts[:10] + texts:
                body = json.dumps({"model": "default", "messages": [{"role": "user", "content": text}]})
                record = await house.inspect(body.encode())
                for stage, ms in _stages(record).items():
                    taken.setdefault(stage, []).append(ms * 1000)
            for stage, found in taken.items():
                times = sorted(found[10:])
                middle, end = times[len(times) // 2], times[int(len(times) * 0.95)]
                name = f"noharm_dev, {_SIZE} characters"
                figures.append(
                    Row(
                        "stages",
                        f"{stage} p50 µs",
                        name,
                        language,
                        middle,
                        len(times),
                        goal=_GOALS.get(stage),
                    )
                )
                figures.append(Row("stages", f"{stage} p95 µs", name, language, end, len(times)))
    return figures


def _stages(record: dict[str, object]) -> dict[str, float]:
    found: dict[str, float] = {}
    steps = record["stages"]
    assert isinstance(steps, list)
    for step in steps:
        found[step["stage"]] = found.get(step["stage"], 0.0) + step["ms"]
    return found


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
