"""`[drift]`: how live traffic is watched for what moves."""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct


class DriftConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[drift]: whether what apps are asked and answer is watched, and against what it is held."""

    watch: bool = True
    """Read a few exchanges of each app an hour, in the background, and compare the newest with weeks past."""
    sample_per_hour: Annotated[int, Meta(ge=4, le=500)] = 32
    """Exchanges of one app that are read in an hour: at most one of a session or user."""
    window_h: Annotated[int, Meta(ge=6, le=168)] = 24
    """Hours that are compared with the reference."""
    pinned: date | None = None
    """First day (UTC) of the week that is the reference; without it the last 7 healthy days."""
    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    """Share of false finds that is borne (Benjamini and Hochberg); the effect must be large besides."""
    looks: Annotated[int, Meta(ge=1, le=24)] = 2
    """Looks in a row, an hour apart, that must agree before there is an alert."""
    meaning: bool = False
    """Compare prompts by the encoder's vectors too. It needs the extra `embed`, 100 MB, and knows English."""
