"""`[export]`: what is written to a folder every night."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Format = Literal["jsonl", "csv", "parquet"]


class ExportConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[export]: each day's exchanges, written soon after the day has ended (UTC)."""

    folder: Annotated[str, Meta(min_length=1, max_length=1_000)] | None = None
    """Where to; relative to the current folder. Without it nothing is written."""
    format: Format = "jsonl"
    """JSON lines hold whole records, the others one row each. Parquet needs the extra `analytics`."""
    days: Annotated[int, Meta(ge=1, le=3_650)] = 7
    """So many days back are written where their file is not there: what was missed while no server ran."""
    keep_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    """Files of days so long ago are removed; without it none is."""
    projects: tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...] = ()
    """Only of these projects; without it of all."""
