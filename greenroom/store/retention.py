"""`[projects.NAME]`: for how long what a project recorded is kept, where that is not what holds for all."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

DAY_NS = 86_400_000_000_000


class ProjectConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[projects.NAME]: what holds for one project alone."""

    retention_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    """How long its traces, responses, conversations and spans are kept, longer or shorter than
    `store.retention_days`.
    """


def days_of(projects: Mapping[str, ProjectConfig]) -> dict[str, int]:
    """Days by project, for those that have days of their own."""
    return {name: one.retention_days for name, one in projects.items() if one.retention_days is not None}
