"""Whether a sentence says the opposite of its source: denials, opposites, names that changed places.

Compares clauses that speak of the same, by the words they share. Knows no grammar beyond that.
"""

import re
from collections.abc import Sequence
from typing import Literal

from greenroom.stages.postprocess.clauses import Clause, shared

Kind = Literal["negation", "direction", "role"]

_LEAST = 0.5
"""Share of a clause's stems that another has which speaks of the same."""
_NEARLY = 0.75
"""Clauses that share this much of what the closest one does are as close."""
_ALIKE = 0.85
"""Share of its stems by which a sentence has the words of another."""
_MOST = 0.65
"""The same of the other, where that one denies."""
_WORDS = 2
_passive = {
    "en": re.compile(r"\b(?:was|were|been|being|is|are|be)\b.*\bby\b", re.IGNORECASE),
    "pt": re.compile(r"\b(?:foi|foram|é|são|ser|sido|será)\b.*\b(?:por|pel[oa]s?)\b", re.IGNORECASE),
    "es": re.compile(r"\b(?:fue|fueron|es|son|ser|sido|será)\b.*\bpor\b", re.IGNORECASE),
}


def contradicts(claim: Sequence[Clause], source: Sequence[Clause]) -> Kind | None:
    """Whether a clause of a claim denies, or turns round, the clauses that are closest to it."""
    for one in claim:
        rated = [(shared(one, other), other) for other in source]
        if _is_denied(one, rated):
            return "negation"
        if one.sides and _is_turned(one, source):
            return "direction"
    return None


def denies_more(claim: Sequence[Clause], source: Sequence[Clause]) -> bool:
    """Whether one of two sentences that are nearly the same words denies what the other doesn't."""
    mine = {stem for one in claim for stem in one.stems}
    theirs = {stem for one in source for stem in one.stems}
    both = len(mine & theirs)
    if both < _WORDS or both < _ALIKE * len(mine):
        return False
    if both < _ALIKE * len(theirs) and any(one.is_unclear for one in (*claim, *source)):
        return False  # it may be the exception
    more = sum(one.denials for one in claim) - sum(one.denials for one in source)
    return more > 0 or (more < 0 and both >= _MOST * len(theirs))


def _is_denied(one: Clause, rated: Sequence[tuple[int, Clause]]) -> bool:
    best = max((count for count, _ in rated), default=0)
    if best < 2 or best < _LEAST * len(one.stems):
        return False
    close = [other for count, other in rated if count >= _NEARLY * best]
    if any(other.is_unclear and not other.marks.isdisjoint(one.stems) for _, other in rated):
        return False  # it may be the exception
    return not one.is_unclear and all(
        other.denies != one.denies and not other.is_unclear and _speak_of_it(one, other) for other in close
    )


def _speak_of_it(one: Clause, other: Clause) -> bool:
    """Whether both have what one of them denies, and don't say it by opposites."""
    if (one.denied and one.denied.isdisjoint(other.marks)) or (
        other.denied and other.denied.isdisjoint(one.marks)
    ):
        return False
    return not _opposed(one, other)


def _opposed(one: Clause, other: Clause) -> bool:
    pairs = {number for number, _ in one.sides} & {number for number, _ in other.sides}
    return any(not _sides(one, number) & _sides(other, number) for number in pairs)


def _sides(clause: Clause, number: int) -> set[int]:
    return {side for pair, side in clause.sides if pair == number}


def _is_turned(one: Clause, source: Sequence[Clause]) -> bool:
    rest = [stem for stem in one.stems if stem not in one.sided]
    rated = [(shared(one, other, but=one.sided), other) for other in source]
    best = max((count for count, _ in rated), default=0)
    if best < 1 or best < _LEAST * len(rest) or (best < 2 and len(rest) > 2):
        return False
    close = [other for count, other in rated if count >= _NEARLY * best]
    for number in {pair for pair, _ in one.sides}:
        mine = _sides(one, number)
        if len(mine) == 1 and all(
            (theirs := _sides(other, number)) and not theirs & mine and other.denies == one.denies
            for other in close
        ):
            return True
    return False


def swaps(
    claim: tuple[str, Sequence[Clause]],
    source: tuple[str, Sequence[Clause]],
    around: Sequence[Clause],
    names: Sequence[str],
    language: str,
) -> bool:
    """Whether two names have changed places: around a word between them, or with what is said of each.

    Both sentences come with their clauses; `around` are those of the sentences beside the source's, and it;
    `names` are the stems of a claim's names.
    """
    mine, theirs = claim[1], source[1]
    ordered = [stem for clause in mine for stem in clause.stems]
    told = [stem for clause in theirs for stem in clause.stems]
    both = [one for one in dict.fromkeys(names) if one in ordered and one in told]
    everything = [stem for clause in around for stem in clause.stems]
    if _is_of_another(ordered, everything, [one for one in dict.fromkeys(names) if one in everything]):
        return True
    if len(both) < 2:
        return False
    passive = _passive.get(language)
    turned = passive is not None and (passive.search(claim[0]) is None) != (passive.search(source[0]) is None)
    first = {stem: told.index(stem) for stem in reversed(told)}
    at = {stem: ordered.index(stem) for stem in both}
    verbs = [stem for stem in ordered if stem in first and stem not in names]
    for a in both:
        for b in both:
            between = [v for v in verbs if at[a] < ordered.index(v) < at[b]]
            if not between or turned:
                continue
            if all(first[b] < first[v] < first[a] for v in between):
                return True
    return False


def _is_of_another(ordered: Sequence[str], told: Sequence[str], names: Sequence[str]) -> bool:
    mine, theirs = _said_of(ordered, names), _said_of(told, names)
    for a in names:
        for b in names:
            if a == b:
                continue
            own, others = mine[a] & theirs[a], mine[a] & theirs[b]
            back, lost = mine[b] & theirs[a], mine[b] & theirs[b]
            if len(others) > 1 and len(others) > len(own) and len(back) > 1 and len(back) > len(lost):
                return True
    return False


def _said_of(stems: Sequence[str], names: Sequence[str]) -> dict[str, set[str]]:
    """What stands between a name and the next one."""
    found: dict[str, set[str]] = {one: set() for one in names}
    now = None
    for stem in stems:
        if stem in found:
            now = stem
        elif now is not None:
            found[now].add(stem)
    return found
