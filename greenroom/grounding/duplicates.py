"""Passages that say the same again: of two that are nearly alike the better one is enough.

Compares stems. Two passages that differ in a number, or in a word of the question, are never alike: a price
list of two years shares all but what was asked for.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

ALIKE = 0.85
"""Stems two passages share, of all that either has (Jaccard), from which on they say the same."""
_SIZE = 0.7
"""Texts whose lengths differ by more can't be alike, but for a few very long or repeated words."""


def distinct(passages: Iterable[str], asked: AbstractSet[str], limit: int) -> list[int]:
    """Places of up to `limit` passages, in order, none nearly like an earlier one.

    Each passage is its stems with spaces between; `asked` are those of the question.
    """
    kept: list[int] = []
    seen: list[tuple[int, frozenset[str]]] = []
    for place, text in enumerate(passages):
        if len(kept) == limit:
            break
        size, own = len(text), frozenset(text.split())
        if not any(
            _SIZE * size <= length <= size / _SIZE and _alike(own, other, asked) for length, other in seen
        ):
            kept.append(place)
            seen.append((size, own))
    return kept


def _alike(one: frozenset[str], other: frozenset[str], asked: AbstractSet[str]) -> bool:
    small, large = sorted((len(one), len(other)))
    if small < ALIKE * large:
        return False
    apart = one ^ other
    if len(apart) > (1 - ALIKE) * len(one | other) or apart & asked:
        return False
    return not any(letter.isdigit() for stem in apart for letter in stem)
