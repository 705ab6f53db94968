"""[batches]: how many requests of batches are at work beside live traffic, and how many batches wait."""

from typing import Annotated

from msgspec import Meta, Struct


class BatchesConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[batches]: how the files of requests of `/v1/batches` are asked."""

    concurrency: Annotated[int, Meta(ge=1, le=1024)] = 8
    """Lines that a process asks at once; fewer while live requests are at work."""
    waiting: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """Batches of one project that wait or are at work."""
