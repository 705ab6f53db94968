"""`make faults`: run the fault matrix and print a table of its rows.

    python -m tests.faults [--seeds N] [--quick] [ROW …]     the matrix, or some rows of it
    python -m tests.faults --seed N                          one random run on virtual time, to look into

Exit code 0 when every row passed, 1 when one failed or has no case.
"""

import argparse
import os
import re
import sys
from collections import defaultdict
from dataclasses import dataclass

import pytest

from tests import faults
from tests.faults.scenarios import play

FILES = ("tests/faults", "tests/server", "tests/store/test_crash.py", "tests/wire/test_sse.py",
         "tests/wire/test_decompress.py", "tests/gateway/test_recorder.py")  # fmt: skip
_ROW = re.compile(r"(?<![a-z0-9])([abc]\d{1,2})(?![0-9])", re.IGNORECASE)


@dataclass
class Tally:
    """What became of a row's cases."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """In one word."""
        if self.failed:
            return "FAILED"
        if self.passed:
            return "passed"
        return "skipped" if self.skipped else "no case"


def rows_of(node: str) -> set[str]:
    """The rows that a test's name, or its case's, begins with: `test_b9_b10_…`, `[A6 reset]`."""
    if "test_rows.py" in node:
        return set()
    name = node.rpartition("::")[2]
    head, _, case = name.partition("[")
    found = {one.upper() for word in head.split("_")[1:4] for one in _ROW.findall(word) if one == word}
    found |= {one.upper() for one in _ROW.findall(case) if one.isupper()}
    return found or ({"virtual"} if "test_virtual.py" in node else set())


class Table:
    """A plugin that runs the tests of rows, and counts."""

    def __init__(self, wanted: set[str]) -> None:
        self.rows: defaultdict[str, Tally] = defaultdict(Tally)
        self._wanted = wanted

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [one for one in items if rows_of(one.nodeid) & (self._wanted or rows_of(one.nodeid))]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_over = report.when == "call" or report.outcome != "passed"
        for row in rows_of(report.nodeid):
            tally = self.rows[row]
            tally.seconds += report.duration
            if is_over:
                setattr(tally, report.outcome, getattr(tally, report.outcome) + 1)

    def print(self, named: dict[str, str]) -> bool:
        """All rows that were wanted; whether each passed."""
        print(f"\n{'row':8} {'':34} {'':8} {'cases':>6} {'failed':>7} {'skipped':>8} {'seconds':>8}")
        is_fine = True
        for row, what in named.items():
            tally = self.rows[row]
            is_fine = is_fine and tally.verdict in {"passed", "skipped"}
            cases = tally.passed + tally.failed + tally.skipped
            print(
                f"{row:8} {what[:34]:34} {tally.verdict:8} {cases:6} {tally.failed:7} {tally.skipped:8}"
                f" {tally.seconds:8.1f}"
            )
        return is_fine


def named_rows() -> dict[str, str]:
    """Every row that is claimed, and what it is called."""
    found = re.findall(r"^([ABC]\d+) (.*?)  ", faults.__doc__ or "", re.MULTILINE)
    ordered = sorted(found, key=lambda one: (one[0][0], int(one[0][1:])))
    return {**{row: what.strip() for row, what in ordered}, "virtual": "A and B at random, on virtual time"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("rows", nargs="*", help="A1, B3, … or virtual; all where none is named")
    parser.add_argument("--seeds", type=int, default=200, help="random runs on virtual time")
    parser.add_argument("--seed", type=int, help="one of these runs alone")
    parser.add_argument("--quick", action="store_true", help="without the cases that start processes or wait")
    told = parser.parse_args(arguments)
    if told.seed is not None:
        play(told.seed)
        print(f"seed {told.seed} holds")
        return 0
    os.environ["GREENROOM_SEEDS"] = str(told.seeds)
    wanted = {row if row == "virtual" else row.upper() for row in told.rows}
    table = Table(wanted)
    options = ["-q", "--no-header", "-p", "no:randomly", *(("-m", "not slow") if told.quick else ()), *FILES]
    pytest.main(options, plugins=[table])
    rows = named_rows()
    is_fine = table.print({row: what for row, what in rows.items() if not wanted or row in wanted})
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
