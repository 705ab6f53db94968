"""[finetune]: what training may take of this machine, and what it may start from."""

from typing import Annotated

from msgspec import Meta, Struct


class FinetuneConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[finetune]: how jobs of `/v1/fine_tuning/jobs` are run."""

    parallel: Annotated[int, Meta(ge=1, le=64)] = 1
    """Jobs that train at once; the others wait."""
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """Processor threads of a job. Without it all cores, at low priority."""
    memory_mb: Annotated[int, Meta(ge=64)] | None = None
    """What a job may take. One that is estimated to need more is refused, and one that takes more is ended.
    Without it, what is free on this machine when the job is asked for."""
    hours: Annotated[float, Meta(gt=0)] = 168.0
    """A job that is estimated to take longer is refused, so that none keeps all others waiting."""
    watts: Annotated[float, Meta(gt=0)] | None = None
    """What the machine draws while it trains. Without it ten for each thread."""
    usd_per_kwh: Annotated[float, Meta(ge=0)] = 0.0
    usd_per_hour: Annotated[float, Meta(ge=0)] = 0.0
    """What a rented machine costs; with the price of energy, what a job is estimated to cost."""
    quota_mb: Annotated[int, Meta(ge=1)] = 51_200
    """What the jobs of one project may keep on the disk together: rows, checkpoints, models."""
    waiting: Annotated[int, Meta(ge=1, le=10_000)] = 16
    """Jobs of one project that wait, rest or train."""
    bases: dict[str, str] = {}
    """Base models by the name that clients give: a folder with safetensors, or a hub's name."""
