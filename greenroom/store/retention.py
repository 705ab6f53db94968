"""`[projects.NAME]`: for how long what a project recorded is kept, where that is not what holds for all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from greenroom.store.counted import CountedStore

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
FILE = "retention.db"
_MIGRATIONS = (
    """
CREATE TABLE days (project TEXT PRIMARY KEY, days INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)


class ProjectConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[projects.NAME]: what holds for one project alone."""

    retention_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    """How long its traces, responses, conversations and spans are kept, longer or shorter than
    `store.retention_days`.
    """


def days_of(projects: Mapping[str, ProjectConfig]) -> dict[str, int]:
    """Days by project, for those that have days of their own."""
    return {name: one.retention_days for name, one in projects.items() if one.retention_days is not None}


class ProjectDays(CountedStore):
    """Days that were set over the API; they go before those of the configuration. Raises: StoreError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    def put(self, project: str, days: int | None) -> None:
        """Set the days of a project; None: what the configuration says holds again."""
        with self._changing() as connection:
            if days is None:
                connection.execute("DELETE FROM days WHERE project = ?", (project,))
            else:
                connection.execute("INSERT OR REPLACE INTO days VALUES (?, ?)", (project, days))

    def all(self) -> dict[str, int]:
        """Days by project."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT project, days FROM days").fetchall())
