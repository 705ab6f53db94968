"""Reading the rollups: sums by steps of time and groups, from cells that tell no more apart than is asked."""

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from greenroom.errors import StoreError
from greenroom.store.bucket import COUNTS, Bucket
from greenroom.store.database import explained, open_reader
from greenroom.store.names import Names
from greenroom.store.rollup_file import BY_APP, BY_PROJECT, COARSE, EVERYTHING, SINGLE, span_of, tiles_of

Dimension = Literal["project", "app", "model"]
_DIMENSIONS: tuple[Dimension, ...] = ("project", "app", "model")
PLAIN = ", ".join(f"c.{name}" for name in COUNTS)
_SUMS = ", ".join(f"sum(c.{name})" for name in COUNTS)
WITH_DETAILS = "cells c JOIN details d USING (span, level, start, project, app, model)"


class RollupReader:
    """Reads the file at `path`; whoever writes it too has `flush` put what it holds into it first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers: deque[sqlite3.Connection] = deque()
        self._names = Names()

    def flush(self) -> None:
        """Nothing waits here."""

    def close_readers(self) -> None:
        """Close what reading opened."""
        while self._readers:
            self._readers.pop().close()

    def read(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        project: str | None = None,
        app: str | None = None,
        model: str | None = None,
        by: Dimension | Sequence[Dimension] | None = None,
        detail: bool = True,
        steps: bool = True,
    ) -> list[Bucket]:
        """Sums per step of time and group, in the order of time; steps without requests are left out.

        Steps are whole minutes and begin at multiples of themselves; the first holds `since_s`, the last ends
        at or after `until_s` (which is excluded). Conditions are joined by "and". Without `detail` a bucket
        has its plain numbers alone, which is quicker by far; what the pipeline's steps did is known
        for steps of whole hours, and left out without `steps`. What this process has in memory is in it.

        Raises: ValueError for a step that is no whole number of minutes; StoreError.
        """
        groups = _checked(step_s, by)
        first = int(since_s) - int(since_s) % step_s
        span = self._span(step_s, first)
        tiles = [(span, first, -int(-until_s // step_s) * step_s)]
        wanted = _Wanted((project, app, model), groups, detail, detail and steps)
        return self._read(wanted, tiles, f"c.start - c.start % {step_s}", step_s)

    def totals(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        project: str | None = None,
        app: str | None = None,
        model: str | None = None,
        by: Dimension | Sequence[Dimension] | None = None,
        detail: bool = False,
        steps: bool = False,
    ) -> list[Bucket]:
        """As `read`, with one bucket for each group over all the time; `step_s` is what both ends lie on."""
        groups = _checked(step_s, by)
        first = int(since_s) - int(since_s) % step_s
        until = -int(-until_s // step_s) * step_s
        tiles = tiles_of(first, until, self._span(step_s, first))
        wanted = _Wanted((project, app, model), groups, detail, detail and steps)
        return self._read(wanted, tiles, str(first), until - first)

    def _span(self, step_s: int, first: int) -> int:
        with self._explaining(), self._reading() as connection:
            return span_of(step_s, first, time.time(), minutes_since(connection))

    def _read(
        self, wanted: "_Wanted", tiles: Sequence[tuple[int, int, int]], step: str, step_s: int
    ) -> list[Bucket]:
        with suppress(StoreError):  # what a full disk does not take is no reason not to show the rest
            self.flush()
        keys = ", ".join((f"{step} AS step", *(f"c.{name}" for name in wanted.groups)))
        shown, source, grouped = _SUMS, "cells c", f" GROUP BY {', '.join(('step', *wanted.groups))}"
        if wanted.detail:
            parts = ", d.detail, d.steps" if wanted.steps else ", d.detail"
            shown, source, grouped = PLAIN + parts, WITH_DETAILS, ""
        conditions = ["c.span = ?", "c.level = ?", "c.start >= ?", "c.start < ?"]
        width = 1 + len(wanted.groups)
        found: dict[tuple[int, ...], Bucket] = {}
        with self._explaining(), self._reading() as connection:
            numbers: list[int] = []
            for dimension, name in zip(_DIMENSIONS, wanted.names, strict=True):
                if name is not None:
                    conditions.append(f"c.{dimension} = ?")
                    numbers.append(self._names.find(connection, name) or -1)
            statement = (
                f"SELECT {keys}, {shown} FROM {source}"  # noqa: S608  # names of our own
                f" WHERE {' AND '.join(conditions)}{grouped} ORDER BY step"
            )
            named = partial(self._names.name, connection)
            for span, first, until in tiles:
                for row in connection.execute(statement, (span, wanted.level(span), first, until, *numbers)):
                    key = row[:width]
                    bucket = found.get(key)
                    if bucket is None:
                        bucket = found[key] = Bucket(since_s=key[0], step_s=step_s)
                        for name, number in zip(wanted.groups, key[1:], strict=True):
                            setattr(bucket, name, self._names.name(connection, number))
                    add_row(bucket, row[width:], named)
        return list(found.values())

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = open_reader(self._path)
        try:
            yield connection
        finally:
            self._readers.append(connection)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self._path, error) from error


class _Wanted(NamedTuple):
    """What is to be read; `names` are of project, app and model."""

    names: tuple[str | None, str | None, str | None]
    groups: tuple[Dimension, ...]
    detail: bool
    steps: bool

    def level(self, span: int) -> int:
        """The cells that tell apart what is asked for, and no more than that where there are such."""
        named = {one for one, name in zip(_DIMENSIONS, self.names, strict=True) if name is not None}
        asked = named.union(self.groups)
        if not asked:
            return EVERYTHING
        if span < COARSE:
            return SINGLE
        return BY_PROJECT if asked == {"project"} else BY_APP if asked == {"app"} else SINGLE


def minutes_since(connection: sqlite3.Connection) -> int:
    """From when on there are cells of minutes, in Unix time."""
    found = connection.execute("SELECT minutes_since FROM marks").fetchone()
    return 0 if found is None else int(found[0])


def _checked(step_s: int, by: Dimension | Sequence[Dimension] | None) -> tuple[Dimension, ...]:
    if step_s < 60 or step_s % 60:
        raise ValueError(f"A step is a whole number of minutes, not {step_s} seconds.")
    groups: tuple[Dimension, ...] = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for one in groups:
        if one not in _DIMENSIONS:
            raise ValueError(f"Sums are by project, app or model, not by '{one}'.")
    return groups


def add_row(bucket: Bucket, row: Sequence[Any], named: Callable[[int], str]) -> None:  # Any: columns
    """Add a row of `PLAIN` columns, and detail and steps where they follow."""
    for name, value in zip(COUNTS, row, strict=False):
        if value:
            setattr(bucket, name, getattr(bucket, name) + value)
    parts = row[len(COUNTS) :]
    if parts:
        bucket.add_detail(parts[0])
    if len(parts) > 1:
        bucket.add_timings(parts[1], named)
