"""How far a run is: a bar at a terminal, lines otherwise, nothing where only JSON is wanted."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from greenroom.cli.output import printable
from greenroom.offline.budget import Budget

_LINES = 10
"""Lines of progress where there is no terminal."""


class Teller:
    """Tells steps and spending, as lines on stderr."""

    def __init__(self, limit: int, *, quiet: bool) -> None:
        self._limit = limit
        self._quiet = quiet
        self._told = 0
        self._answered = 0

    def step(self, sentence: str) -> None:
        """Something worth a line."""
        if not self._quiet:
            print(printable(sentence), file=sys.stderr)

    def spent(self, budget: Budget) -> None:
        """Another answer, where the limit is one of money or calls."""
        self._move(budget.calls if budget.limit_nano is None else budget.spent, budget)

    def answered(self, budget: Budget) -> None:
        """Another answer, where the limit is one of answers."""
        self._answered += 1
        self._move(self._answered, budget)

    def _move(self, done: int, budget: Budget) -> None:
        share = _LINES * done // self._limit
        if share > self._told:
            self._told = share
            self.step(budget.told())


class Bar(Teller):
    """The same as a bar."""

    def __init__(self, limit: int, progress: Any) -> None:  # Any: rich is loaded late
        super().__init__(limit, quiet=False)
        self._progress = progress
        self._task = progress.add_task("", total=limit)

    def step(self, sentence: str) -> None:
        """A line above the bar."""
        self._progress.console.print(printable(sentence), markup=False, highlight=False)

    def _move(self, done: int, budget: Budget) -> None:
        self._progress.update(self._task, completed=done, description=budget.told())


@contextmanager
def told(limit: int, *, quiet: bool) -> Iterator[Teller]:
    """Who is to be told while the run lasts; `limit` is what counts as all of it."""
    if quiet or not sys.stderr.isatty():
        yield Teller(limit, quiet=quiet)
        return
    from rich.console import Console  # noqa: PLC0415  # rich costs 100 ms and is for people only
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # as above

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(limit, progress)
