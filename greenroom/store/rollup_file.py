"""The file of the rollups: its tables, what its cells stretch over, and how long they are kept."""

from typing import Final

from greenroom.store import coverage
from greenroom.store.bucket import COUNTS

SPANS: Final = (60, 600, 3_600, 86_400)
"""What cells of the file stretch over, in seconds."""
MINUTE_DAYS: Final = 30
DAYS: Final = 400
KEPT_DAYS = {60: MINUTE_DAYS, 600: MINUTE_DAYS, 3_600: DAYS, 86_400: DAYS}

MIGRATIONS = (
    f"""
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- span: seconds. start: Unix time. project, app, model: numbers from names; all three 0: everything together.
-- detail: see bucket.py.
CREATE TABLE cells (
    span INTEGER NOT NULL, start INTEGER NOT NULL,
    project INTEGER NOT NULL, app INTEGER NOT NULL, model INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTS)},
    detail BLOB NOT NULL, PRIMARY KEY (span, start, project, app, model)
) WITHOUT ROWID;
{coverage.TABLES}
""",
)
"""Migrations of `rollups.db`, oldest first."""


def span_of(step_s: int, first_s: int, now_s: float) -> int:
    """The longest span that steps are made of; hours where minutes of that time are kept no more."""
    fitting = [span for span in SPANS if step_s % span == 0 and first_s % span == 0]
    span = fitting[-1]
    return span if first_s >= now_s - KEPT_DAYS[span] * 86_400 else max(span, 3_600)
