"""Which examples are most like a question: by vectors where an encoder is handed in, else by words.

Words count as stems, each by how rare it is among the examples. Knows no encoder of its own.
"""

import importlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from greenroom.prompts.version import Language

Likeness = Callable[[str, Sequence[str]], Sequence[float]]
"""Question and texts in, how like each text is (higher is more) out."""

_NAMES: dict[Language, str] = {"en": "english", "pt": "portuguese", "es": "spanish"}


def by_words(language: Language) -> Likeness:
    """Cosine over stems weighted by rarity. Deterministic, some 10 µs an example of 100 characters."""

    def rank(question: str, texts: Sequence[str]) -> Sequence[float]:
        wanted = _stems(question, language)
        found = [_stems(one, language) for one in texts]
        spread = Counter(stem for one in found for stem in one)
        rare = {stem: math.log(1 + len(texts) / (spread[stem] or 0.5)) for stem in (*spread, *wanted)}
        own = math.sqrt(sum((count * rare[stem]) ** 2 for stem, count in wanted.items())) or 1.0
        scores = []
        for one in found:
            size = math.sqrt(sum((count * rare[stem]) ** 2 for stem, count in one.items())) or 1.0
            shared = sum(count * one[stem] * rare[stem] ** 2 for stem, count in wanted.items() if stem in one)
            scores.append(shared / (own * size))
        return scores

    return rank


def most_like(question: str, texts: Sequence[str], k: int, likeness: Likeness) -> tuple[int, ...]:
    """Places of the `k` most like, the most like last: next to the question. Equal ones in their order."""
    scores = likeness(question, texts)
    best = sorted(range(len(texts)), key=lambda place: (-scores[place], place))[:k]
    return tuple(reversed(best))


def _stems(text: str, language: Language) -> Counter[str]:
    words = "".join(one if one.isalnum() else " " for one in text.casefold()).split()
    return Counter(_stemmer(language).stemWords(words))


@cache
def _stemmer(language: Language) -> Any:  # Any: a C extension without stubs
    return importlib.import_module("Stemmer").Stemmer(_NAMES[language])  # loaded when first compared
