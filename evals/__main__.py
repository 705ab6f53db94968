"""`python -m evals [--data DIR] [--json] [NAME …]`: the development figures of the steps, one table.

Each other module here measures one step: `measure(data)` yields rows. Exit 1 when a goal is missed, 3 when
the sets are not there.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import evals
from evals.figures import Row

_NO_STEP = {"__main__", "figures", "identifiers", "significance", "training_rows"}
_LONG = {"drift", "routing"}
"""Measured where they are named, not by default: they take minutes."""


def names() -> list[str]:
    """The modules that measure something, in order of the alphabet."""
    return [one.name for one in pkgutil.iter_modules(evals.__path__) if one.name not in _NO_STEP]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m evals", description=evals.__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which ({', '.join(names())}); all by default"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="the folder with the sets")
    parser.add_argument("--json", action="store_true", help="one object a line")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(names())
    if unknown:
        parser.error(f"There is nothing called {min(unknown)!r}. There are: {', '.join(names())}.")
    if not (asked.data / "text").is_dir() or not (asked.data / "safety").is_dir():
        print(
            f"There are no sets at {asked.data}: it should hold the folders text and safety. "
            "Name the place: make eval DATA=…",
            file=sys.stderr,
        )
        return 3
    missed = 0
    if not asked.json:
        print(
            f"{'step':<12}{'figure':<30}{'set':<38}{'lang':<6}"
            f"{'value':>9}  {'95 % interval':<16}{'n':>7}  goal"
        )
    for row in _measured(asked.names or [one for one in names() if one not in _LONG], asked.data):
        missed += row.is_met is False
        print(json.dumps(row._asdict() | {"met": row.is_met}) if asked.json else _line(row), flush=True)
    if not asked.json:
        print(f"{missed} goal{'s' if missed != 1 else ''} missed.")
    return 1 if missed else 0


def _measured(chosen: list[str], data: Path) -> Iterator[Row]:
    for name in chosen:
        yield from importlib.import_module(f"evals.{name}").measure(data)


def _line(row: Row) -> str:
    shape = "{:.3f}" if abs(row.value) < 10 else "{:.0f}"
    interval = "" if row.low is None or row.high is None else f"{row.low:.3f}–{row.high:.3f}"
    goal = ""
    if row.goal is not None:
        goal = f"{row.goal[0]} {row.goal[1]:g}{'' if row.is_met else '  MISSED'}"
    return (
        f"{row.step:<12}{row.figure:<30}{row.set:<38}{row.language:<6}"
        f"{shape.format(row.value):>9}  {interval:<16}{row.n:>7}  {goal}"
    ).rstrip()


if __name__ == "__main__":
    sys.exit(main())
