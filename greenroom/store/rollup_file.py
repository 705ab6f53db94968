"""The file of the rollups: its tables, what its cells stretch over, and how long they are kept."""

from typing import Final

from greenroom.store import coverage
from greenroom.store.bucket import COUNTS

SPANS: Final = (60, 600, 3_600, 21_600, 86_400)
"""What cells of the file stretch over, in seconds."""
DAYS: Final = 400
"""How long cells are kept, those of minutes too."""
OLD_S: Final = 2 * 86_400
"""Traces from before the file are counted by the minute where they are younger than this."""
COARSE: Final = 3_600
"""Spans from this on have sums for each project and app, and what the pipeline's steps did."""
EVERYTHING, BY_PROJECT, BY_APP, SINGLE = range(4)
"""Levels of cells: one for all, one for each project, for each app, and for each of the three together."""

MIGRATIONS = (
    f"""
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- span: seconds. start: Unix time. project, app, model: numbers from names; 0 where the level has none.
CREATE TABLE cells (
    span INTEGER NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL,
    project INTEGER NOT NULL, app INTEGER NOT NULL, model INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTS)},
    PRIMARY KEY (span, level, start, project, app, model)
) WITHOUT ROWID;
-- The rest of each cell, see bucket.py: apart, so that plain numbers are read without it.
CREATE TABLE details (
    span INTEGER NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL,
    project INTEGER NOT NULL, app INTEGER NOT NULL, model INTEGER NOT NULL,
    detail BLOB NOT NULL, steps BLOB NOT NULL, PRIMARY KEY (span, level, start, project, app, model)
) WITHOUT ROWID;
-- When minutes begin: traces older than the file are counted by the hour where they are older than two days.
CREATE TABLE marks (minutes_since INTEGER NOT NULL);
{coverage.TABLES}
""",
)
"""Migrations of `rollups.db`, oldest first."""


def span_of(step_s: int, first_s: int, now_s: float, minutes_since_s: float) -> int:
    """The longest span that steps are made of; hours where there are no minutes of that time."""
    fitting = [span for span in SPANS if step_s % span == 0 and first_s % span == 0]
    span = fitting[-1]
    are_kept = first_s >= max(now_s - DAYS * 86_400, minutes_since_s if span < COARSE else 0)
    return span if are_kept else max(span, COARSE)


def tiles_of(first_s: int, until_s: int, least_s: int) -> list[tuple[int, int, int]]:
    """A stretch of time in few cells: span, from, to. Its ends lie on `least_s`, one of `SPANS`."""
    return _tiles(first_s, until_s, [span for span in SPANS if span >= least_s])


def _tiles(first_s: int, until_s: int, spans: list[int]) -> list[tuple[int, int, int]]:
    if first_s >= until_s or not spans:
        return []
    *smaller, span = spans
    low, high = -(-first_s // span) * span, until_s // span * span
    if low >= high:
        return _tiles(first_s, until_s, smaller)
    return [*_tiles(first_s, low, smaller), (span, low, high), *_tiles(high, until_s, smaller)]
