"""`make soak`: Greenroom killed under load again and again, and its memory over many requests.

Each life: start on the same data folder, load with acknowledgements noted (time and `x-request-id` of every whole
answer), SIGKILL at a random moment, start again. Every trace acknowledged more than 50 ms before a kill must then be
found through `GET /api/traces`, every SQLite file must be sound, and the next start must answer within 2 s.

Exit codes: 0 all kept, 1 something was lost or unsound, 3 this machine lacks something.
"""

import argparse
import http.client
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from msgspec import Struct
from rich.console import Console

from benchmarks.bench import growth
from benchmarks.figures import Result, Row, save, show
from benchmarks.processes import Cores, EnvironmentMissing, Running
from benchmarks.targets import Target, start_greenroom
from benchmarks.tools import Tools

GRACE_NS = 50_000_000
"""What the promise leaves out: the last 50 ms before a kill."""
PAGE = 500
RESTART_GOAL_S = 2.0


class Acknowledged(NamedTuple):
    """A whole answer the client got: its trace id, and when, in nanoseconds of the monotonic clock."""

    at_ns: int
    trace: str


class Life(Struct, kw_only=True):
    """What one life of the server came to."""

    number: int
    acknowledged: int
    due: int
    """Those older than the grace when the kill came."""
    lost: list[str]
    """Due, and not found after the restart."""
    lost_in_grace: int
    restart_s: float
    unsound: list[str]


class Plan(argparse.Namespace):
    """What was asked for on the command line."""

    kills: int
    seconds: float
    requests: int
    connections: int
    seed: int


def read_acknowledgements(path: Path) -> list[Acknowledged]:
    """The lines the load generator wrote."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [Acknowledged(int(parts[0]), parts[1]) for parts in lines if len(parts) == 2]


def live_and_die(
    tools: Tools, target: Target, plan: Plan, chance: random.Random
) -> tuple[list[Acknowledged], int]:
    """Load the server, kill it at a random moment; what was acknowledged, and when the kill came."""
    acks = tools.folder / "acks"
    argv = tools.load_argv(
        target.port,
        model=target.model,
        key=target.key,
        connections=plan.connections,
        duration_s=plan.seconds * 3,
        acks=acks,
    )
    load = Running(argv, tools.cores.peers, log=tools.folder / "load.log")
    try:
        time.sleep(plan.seconds * chance.uniform(0.3, 1.0))
        killed_at = time.monotonic_ns()
        target.running.kill()
    finally:
        load.stop(30)
    return read_acknowledgements(acks), killed_at


def stored_ids(target: Target, wanted: set[str]) -> set[str]:
    """Those of `wanted` that the list of traces holds, newest pages first, until all are found or pages end.

    Raises: EnvironmentMissing when the list does not answer 200.
    """
    found: set[str] = set()
    cursor: str | None = None
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    try:
        while len(found) < len(wanted):
            query = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            connection.request(
                "GET", f"/api/traces?{urlencode(query)}", headers={"Authorization": f"Bearer {target.key}"}
            )
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise EnvironmentMissing(f"GET /api/traces answered {answer.status}: {body[:300]!r}")
            page = json.loads(body)
            found.update(wanted.intersection(row["id"] for row in page["data"]))
            cursor = page["next"]
            if not cursor:
                break
    finally:
        connection.close()
    return found


def unsound_files(data: Path, inspected: Path) -> list[str]:
    """Names of SQLite files below `data` that fail SQLite's own check.

    Looks at a copy in `inspected`, so that the recovery stays the server's own.
    """
    folder = Path(shutil.copytree(data, inspected))
    unsound = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size >= 16 and path.open("rb").read(15) == b"SQLite format 3":
            connection = sqlite3.connect(path)
            try:
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.DatabaseError as error:
                verdict = str(error)
            finally:
                connection.close()
            if verdict != "ok":
                unsound.append(f"{path.name}: {verdict}")
    shutil.rmtree(inspected)
    return unsound


def kill_again_and_again(
    tools: Tools, folder: Path, mock_port: int, plan: Plan, console: Console
) -> tuple[list[Life], Target]:
    """All lives, and the server that is alive at the end."""
    chance = random.Random(plan.seed)
    target = start_greenroom(folder, mock_port, tools.cores.target, app="bench")
    lives = []
    for number in range(1, plan.kills + 1):
        acknowledged, killed_at = live_and_die(tools, target, plan, chance)
        unsound = unsound_files(target.data, tools.folder / "inspected") if target.data else []
        target = start_greenroom(folder, mock_port, tools.cores.target, app="bench")
        if not acknowledged:
            raise EnvironmentMissing("No answer carried an x-request-id: there is nothing to look for.")
        due = {one.trace for one in acknowledged if one.at_ns < killed_at - GRACE_NS}
        late = {one.trace for one in acknowledged} - due
        kept = stored_ids(target, due | late)
        life = Life(
            number=number,
            acknowledged=len(acknowledged),
            due=len(due),
            lost=sorted(due - kept),
            lost_in_grace=len(late - kept),
            restart_s=target.first_answer_s,
            unsound=unsound,
        )
        lives.append(life)
        console.print(
            f"kill {number}/{plan.kills}: {life.acknowledged} acknowledged, {len(life.lost)} lost"
            f" (+ {life.lost_in_grace} within 50 ms), restart {life.restart_s:.2f} s"
            + (f", unsound: {'; '.join(unsound)}" if unsound else ""),
            highlight=False,
        )
    return lives, target


def judge(lives: list[Life]) -> list[Row]:
    """The rows of the kills."""
    return [
        Row(
            name="traces lost that were older than 50 ms",
            value=float(sum(len(life.lost) for life in lives)),
            goal=0.0,
            note=f"of {sum(life.due for life in lives):,} over {len(lives)} kills",
        ),
        Row(
            name="traces lost within the last 50 ms",
            value=float(sum(life.lost_in_grace for life in lives)),
            note=f"of {sum(life.acknowledged - life.due for life in lives):,}",
        ),
        Row(name="unsound files", value=float(sum(len(life.unsound) for life in lives)), goal=0.0),
        Row(
            name="slowest restart to first answer",
            value=max(life.restart_s for life in lives),
            unit="s",
            goal=RESTART_GOAL_S,
        ),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the soak, print the table, write bench-results/soak.json."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description="Kills and memory, the long way."
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0, help="the longest life")
    parser.add_argument(
        "--requests", type=int, default=100_000, help="over which growth is measured; 0 leaves it out"
    )
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    plan = parser.parse_args(arguments, namespace=Plan())
    console = Console(width=None if sys.stdout.isatty() else 150)
    if sys.platform != "linux":
        console.print("The soak reads memory from Linux's /proc; it does not run here.")
        return 3
    result = Result(title="Soak")
    with tempfile.TemporaryDirectory(prefix="greenroom-soak-") as name:
        folder = Path(name)
        mock = target = None
        try:
            tools = Tools(folder, Cores.choose())
            mock, mock_port = tools.start_mock()
            if plan.kills:
                lives, target = kill_again_and_again(tools, folder / "killed", mock_port, plan, console)
                result.rows += judge(lives)
                target.running.stop()
            if plan.requests:
                target = start_greenroom(folder / "grown", mock_port, tools.cores.target, app="bench")
                result.rows.append(growth(tools, target, console.print, plan.requests))
        except EnvironmentMissing as missing:
            console.print(str(missing), markup=False)
            return 3
        finally:
            if target is not None:
                target.running.stop()
            if mock is not None:
                mock.stop()
    show(result, console)
    console.print(f"Written to {save(result, 'soak')}")
    return 1 if result.missed else 0


if __name__ == "__main__":
    sys.exit(main())
