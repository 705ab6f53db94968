"""What a finder of the `entities` step may ask and hands over, and how overlapping ones are settled."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple


class Setting(NamedTuple):
    """What a text does not say of itself, for those finders that must know."""

    is_english: Callable[[], bool]
    """Dear to tell, so asked only where it decides on a value."""
    today: date | None = None
    """The day on which it was written, where that is known."""


class Found(NamedTuple):
    """A span of a text: its kind, and its value in one normal form ("" where it has none)."""

    start: int
    end: int
    kind: str
    value: str = ""


def settled(found: Iterable[Found]) -> list[Found]:
    """In order of the text; of overlapping ones the first to start, and of those the longest."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept
