"""What a finder of the `entities` step hands over, and how overlapping ones are settled."""

from collections.abc import Iterable
from typing import NamedTuple


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
