"""Which candidates no other one beats in everything: quality, cost and tokens."""

from collections.abc import Sequence
from typing import NamedTuple


class Standing(NamedTuple):
    """How one candidate does, as means per sample of the same data."""

    quality: float
    """Higher is better."""
    cost_nano: float | None
    """None where the price is not known: then it is compared by tokens alone."""
    tokens: float
    """Of input and output together."""


def beats(one: Standing, other: Standing) -> bool:
    """Whether `one` is at least as good in everything and better in something."""
    pairs = [(one.quality, other.quality), (-one.tokens, -other.tokens)]
    if one.cost_nano is not None and other.cost_nano is not None:
        pairs.append((-one.cost_nano, -other.cost_nano))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def front(standings: Sequence[Standing]) -> list[int]:
    """The places of those that none beats, in their order; of equals the first."""
    kept = []
    for place, one in enumerate(standings):
        is_beaten = any(
            beats(other, one) or (other == one and before < place)
            for before, other in enumerate(standings)
            if before != place
        )
        if not is_beaten:
            kept.append(place)
    return kept
