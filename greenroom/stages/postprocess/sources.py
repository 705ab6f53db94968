"""Passages made ready for comparing: words, facts and clauses of each sentence; and how close a claim is.

Knows single passages, and a claim's words; not what it is worth.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from greenroom.stages.postprocess.claims import Claim, fold, words_of
from greenroom.stages.postprocess.clauses import Clause, read_clauses
from greenroom.stages.postprocess.meaning import Meaning, Stems, meaning_of
from greenroom.stages.postprocess.quantities import Facts, facts

_OWN = 0.25
"""Share of a claim's words that make a passage's sentence one that its numbers may come from."""
_ANCHORED = 0.5
"""How much all names and numbers of a claim weigh, beside all its words, for which passage is closest."""
_REACH = 1
"""Sentences on each side of a matching one that count with it."""
_parts = re.compile(r"['’.&-]")


class Source(NamedTuple):
    """One passage, read for comparing."""

    text: str
    language: str
    spans: list[tuple[int, int]]
    """Its sentences."""
    marked: dict[str, list[int]]
    """The sentences that have a mark of a word."""
    turning: set[int]
    """Sentences with a word that denies, or has an opposite."""
    facts: dict[int, Facts]
    """Those that were looked for, by sentence."""
    words: frozenset[str]
    """All words, folded; the title's too."""
    plain: str
    initials: str
    meaning: Meaning
    clauses: dict[int, list[Clause]]
    """Those that were looked for, by sentence."""

    def fact(self, at: int) -> Facts:
        """What can be compared in a sentence."""
        found = self.facts.get(at)
        if found is None:
            start, end = self.spans[at]
            found = self.facts[at] = facts(self.text[start:end], self.language)
        return found

    def parts(self, at: int) -> list[Clause]:
        """The clauses of a sentence."""
        found = self.clauses.get(at)
        if found is None:
            start, end = self.spans[at]
            found = self.clauses[at] = read_clauses(self.text[start:end], self.meaning)
        return found


def read_source(
    text: str, title: str, language: str, spans: Sequence[tuple[int, int]], stems: Stems
) -> Source:
    """A passage made ready: its sentences' stems and facts, and all its words."""
    meaning = meaning_of(language, stems)
    index: dict[str, list[int]] = {}
    turning: set[int] = set()
    for at, (start, end) in enumerate(spans):
        words = [meaning.word(one) for one in words_of(text[start:end].lower())]
        for mark in frozenset().union(*(word.marks for word in words)):
            index.setdefault(mark, []).append(at)
        if any(word.may_turn for word in words):
            turning.add(at)
    titled, told = words_of(fold(title)), words_of(fold(text))
    return Source(
        text,
        language,
        list(spans),
        index,
        turning,
        {},
        frozenset(titled).union(
            told, *(_parts.split(word) for word in (*titled, *told) if not word.isalnum())
        ),
        " ".join(told),
        "".join(word[0].lower() for word in words_of(f"{title} {text}") if word[0].isupper()),
        meaning,
        {},
    )


class Closeness(NamedTuple):
    """How much of a claim's words a passage has: in its best sentences, which these are, and where else."""

    share: float
    place: int
    places: frozenset[int]
    touched: frozenset[int]
    """Sentences with any of its words."""
    rank: float
    """The share, and more for its names and numbers."""
    counts: dict[int, int]
    """How many of its words a sentence has."""


def closeness(claim: Claim, source: Source) -> Closeness:
    """The largest share of the claim's stems in any three sentences running, the middle one counted more."""
    wanted = claim.wanted
    if not wanted or not source.marked:
        everywhere = frozenset(range(len(source.spans)))
        return Closeness(0.0, 0, everywhere, everywhere, _anchored(claim, source), {})
    found = [0] * len(source.spans)  # a bit for each stem
    for number, marks in enumerate(wanted):
        for mark in marks:
            for at in source.marked.get(mark, ()):
                found[at] |= 1 << number
    best, place = -1.0, 0
    counts: dict[int, int] = {}
    last = 0
    for at, own in enumerate(found):
        around = last | own | (found[at + 1] if at + 1 < len(found) else 0)
        last = own
        if around:
            count = own.bit_count()
            if count:
                counts[at] = count
            score = (2 * around.bit_count() + count) / (3 * len(wanted))
            if score > best:
                best, place = score, at
    best = max(best, 0.0)
    places = {at for at, count in counts.items() if count >= _OWN * len(wanted)}
    places |= {at for at in range(place - _REACH, place + _REACH + 1) if 0 <= at < len(found)}
    return Closeness(
        best, place, frozenset(places), frozenset(counts), best + _anchored(claim, source), counts
    )


def _anchored(claim: Claim, source: Source) -> float:
    """What a passage is the likelier for: the share of a claim's names and numbers that it has."""
    if not claim.anchors:
        return 0.0
    return _ANCHORED * sum(one in source.words for one in claim.anchors) / len(claim.anchors)
