"""What came of a preparation: files, counts, and what was left out, by line and reason."""

from typing import Literal

from msgspec import Struct

from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.problems import Problem

Why = Literal["duplicate", "near_duplicate", "evaluation", "validation", "no_consent", "too_long"]


class Removed(Struct, frozen=True, kw_only=True):
    """A row that was left out."""

    file: str
    line: int
    why: Why
    like: str = ""
    """What it is like: a file and line, or the name of a data set."""


class Part(Struct, frozen=True, kw_only=True):
    """One file that was read, and what became of it."""

    path: str
    """What was written."""
    source: str
    source_digest: str
    """SHA-256 of the bytes that were read."""
    digest: str
    """SHA-256 of what was written."""
    rows_read: int
    rows: int
    """Rows that were written."""
    chars: int
    tokens: int
    """About; what the rows say, without what a template puts around it."""
    longest_tokens: int


class Prepared(Struct, frozen=True, kw_only=True):
    """What may be trained on, and what the gate did."""

    method: Method
    train: Part
    valid: Part | None
    digest: str
    """Of train and validation rows together: what the model's card names."""
    removed: dict[str, int]
    """Rows by reason (`Why`)."""
    samples: tuple[Removed, ...]
    """Some of them."""
    masked: dict[str, int]
    """Values that were hidden, by kind, each counted once in a row."""
    masked_rows: int
    warnings: tuple[Problem, ...]
    warning_counts: dict[str, int]
