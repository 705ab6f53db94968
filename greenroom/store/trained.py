"""Models that were trained here: what they are called, what they are made of, and where their files lie."""

from typing import Any, Literal

from msgspec import Struct


class TrainedModel(Struct, frozen=True, kw_only=True):
    """One model, as jobs register it and engines load it."""

    name: str
    """`ft:BASE:PROJECT:SUFFIX:ID`, or what its maker called it; what clients put in `model`."""
    project: str
    created_ns: int
    base: str
    """The base model's name; empty when it was trained from nothing."""
    job: str
    """The job that made it: the way back to data and settings."""
    kind: Literal["model", "adapter"]
    gguf: str
    """The file that is loaded, relative to the data folder; for an adapter the adapter's own."""
    base_gguf: str | None = None
    """What an adapter is laid over, relative to the data folder."""
    checkpoint_of: str | None = None
    """The model of whose training this is an earlier state."""
    card: dict[str, Any] = {}  # Any: JSON
    """Data digest, settings, curves, licences, figures, peak memory and time."""
