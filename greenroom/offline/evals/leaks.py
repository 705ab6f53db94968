"""Whether what a data set asks stands in texts that a model or prompt was made from.

Compared are texts without case, marks and odd spacing: equal ones, and those whose shingles (runs of
eight characters) nearly all stand in one other text. Any language written in letters.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from greenroom.offline.evals.sample import Sample

SHINGLE = 8
"""Characters: about a word and a half, so that a changed word costs few shingles."""
NEAR = 0.8
"""Share of a question's shingles that one other text must hold."""
_SHORTEST = 24
"""Characters below which only equal texts count: short questions are alike without being the same."""
_COMMON = 2_000
"""Questions that may share a shingle before it is left out of the search, as "what is t" is."""


class Leak(NamedTuple):
    """A sample that stands elsewhere."""

    sample: str
    kind: Literal["exact", "near"]
    share: float
    """Of its shingles that the other text holds."""
    where: str


def find_leaks(samples: Sequence[Sample], others: Iterable[tuple[str, str]]) -> list[Leak]:
    """The worst leak of each sample into `others`, pairs of where a text stands and the text.

    Linear in the texts; 100,000 questions take about 1 GB.
    """
    questions = {sample.id: plain(question_of(sample)) for sample in samples}
    equal: dict[str, list[str]] = {}
    for id, text in questions.items():
        equal.setdefault(text, []).append(id)
    holders: dict[int, list[str]] = {}
    for text, ids in equal.items():
        if len(text) >= _SHORTEST:
            for mark in set(_shingles(text)):
                holders.setdefault(mark, []).append(ids[0])
    holders = {mark: ids for mark, ids in holders.items() if len(ids) <= _COMMON}
    sizes = Counter(id for ids in holders.values() for id in ids)
    found: dict[str, Leak] = {}
    for where, other in others:
        text = plain(other)
        for id in equal.get(text, []):
            found[id] = Leak(id, "exact", 1.0, where)
        shared = Counter(
            id for mark in set(_shingles(text)) if len(ids := holders.get(mark, [])) <= _COMMON for id in ids
        )
        for id, count in shared.items():
            share = count / sizes[id]
            if share >= NEAR and (id not in found or found[id].share < share):
                for same in equal[questions[id]]:
                    found[same] = Leak(same, "near", round(share, 3), where)
    return [found[sample.id] for sample in samples if sample.id in found]


def question_of(sample: Sample) -> str:
    """What a sample asks: its newest user message, or its variables."""
    for message in reversed(sample.messages):
        if message.get("role") == "user":
            return " ".join(texts_in(message.get("content")))
    return " ".join(texts_in(sample.variables))


def texts_in(value: Any) -> Iterator[str]:  # Any: JSON
    """All strings within a value, names left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one)


def plain(text: str) -> str:
    """Without case, marks and spacing; letters with accents as they are."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(one if one.isalnum() else " " for one in folded).split())


def _shingles(text: str) -> Iterator[int]:
    return (hash(text[at : at + SHINGLE]) for at in range(max(1, len(text) - SHINGLE + 1)))
