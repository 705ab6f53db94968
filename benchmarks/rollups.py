"""How long the overview takes with 400 days of sums, and what counting costs the recorder's thread.

`python -m benchmarks.rollups [--apps 4] [--models 3] [--folder FOLDER]`. A cell for each app and model in every
hour of 400 days and in every minute of the last two; then CPU milliseconds of each range of the overview, whole
and of one app, least of five; and CPU microseconds for one exchange, least of sixty, with and without steps.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from greenroom.assembly.overviewing import OverviewDesk
from greenroom.exchange import Attempt, StepRecord, Verdict
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.overview import RANGES, OverviewPages, read_asked
from greenroom.server.pages.rendering import Renderer
from greenroom.store.coverage import Span
from greenroom.store.material import STREAMED, Body, Row
from greenroom.store.rollup_file import DAYS
from greenroom.store.rollups import Rollups

_HOUR_S, _DAY_S = 3_600, 86_400


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=4)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        path = (asked.folder or Path(own)) / "rollups.db"
        is_new = not path.exists()
        rollups = Rollups(path)
        if is_new:
            _fill(rollups, asked.apps, asked.models)
        print(f"{path.stat().st_size / 1e6:.0f} MB")
        _measure_pages(rollups)
        _measure_counting(rollups)
        rollups.close()


def _fill(rollups: Rollups, apps: int, models: int) -> None:
    rollups.begin(1)  # older traces: minutes of two days, hours before
    now_s = int(time.time())
    for number, day in enumerate(range(DAYS, -1, -1)):
        rollups.add_span(
            _told(now_s - day * _DAY_S, 60 if day < 2 else _HOUR_S, apps, models),
            Span(number + 1, number + 1),
        )


def _told(from_s: int, step_s: int, apps: int, models: int) -> Iterator[tuple[Row, Body]]:
    for at_s in range(from_s, min(from_s + _DAY_S, int(time.time())), step_s):
        for place in range(apps * models):
            yield (
                _row(
                    at_s, f"app-{place % apps}", f"there/model-{place // apps}", 300_000 + at_s % 7 * 90_000
                ),
                _BODY,
            )


def _row(at_s: float, app: str, model: str, total_us: int = 900_000) -> Row:
    return Row(
        "id", int(at_s * 1e9), "default", "key", app, app, model, "answered", 200, None, None, "en", 420, 130,
        1_800_000, total_us, 1_200, 210_000, STREAMED,
    )  # fmt: skip


_FOUND = Verdict(
    step="pii", rule="email", category="personal_data", severity=2, score=1.0, start=0, end=1, where="input",
    action="mask",
)  # fmt: skip
_BODY = Body(
    steps=[
        StepRecord("check", "pii", ns=30_000, verdicts=[_FOUND]),
        *(StepRecord("preprocess", f"step-{number}", ns=4_000) for number in range(9)),
    ],
    attempts=[Attempt(target="there/model-0", status=200)],
)


class _Session:
    role, csrf, may_write, is_admin = "admin", "", True, True


def _measure_pages(rollups: Rollups) -> None:
    house = SimpleNamespace(
        rollups=rollups,
        quality=SimpleNamespace(sums=lambda *_, **__: []),
        has_deployed=False,
        data=Path("nowhere"),
        models=SimpleNamespace(target=lambda _: None),
    )
    pages = OverviewPages(OverviewDesk(cast("Any", house)))
    pages.routes(Doors(_no_door, _no_door, cast("Any", None), Renderer()))
    print(f"{'overview':<34} {'CPU ms':>8} {'wall ms':>8}")
    for one in RANGES:
        for conditions in ({}, {"app": "app-1"}, {"project": "default"}):
            took = []
            for _ in range(5):
                cpu, wall = time.thread_time(), time.perf_counter()
                pages.page(
                    read_asked({"range": one.name, **conditions}, time.time()), cast("Any", _Session())
                )
                took.append((time.thread_time() - cpu, time.perf_counter() - wall))
            named = " ".join(f"{name}={value}" for name, value in conditions.items())
            print(
                f"{one.name + ' ' + named:<34} {min(took)[0] * 1e3:8.1f} {min(w for _, w in took) * 1e3:8.1f}"
            )


def _no_door(handler: Any) -> Any:  # Any: nobody comes in
    return handler


def _measure_counting(rollups: Rollups) -> None:
    for said, body in (("ten steps", _BODY), ("no step", Body(attempts=_BODY.attempts))):
        batch = [(_row(time.time(), "app-1", "there/model-1"), body)] * 256
        took = []
        for _ in range(60):
            cpu = time.thread_time()
            rollups.add(batch)
            took.append(time.thread_time() - cpu)
        print(f"one exchange with {said}: {min(took) / 256 * 1e6:.2f} µs")
    cpu = time.thread_time()
    rollups.flush()
    print(f"a flush of one cell: {(time.thread_time() - cpu) * 1e3:.1f} ms, every five seconds at most")


if __name__ == "__main__":
    main()
