"""Ranking what a user said before by a question: which words it shares, what they are about, and what holds.

A turn counts with its neighbours, since a reply carries the words of its question. Pure arithmetic over
numbers; knows no text and no store.
"""

from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple, Protocol

from greenroom.grounding.concepts import Asked, Group

FACT = "="
"""Before a term by which a fact is asked for."""

STATEMENT, QUESTION, ANSWER = 0, 1, 2
"""Kinds of turns: what a user states, what a user asks or wants done, what was answered."""

_BY_CONCEPT = 0.7
"""What a word of the same concept counts, where the word itself counts 1."""
_BESIDE = 0.5
"""What a word counts that stands in a neighbour."""
_OF_KIND = (1.0, 0.3, 0.65)
"""What a turn of each kind counts: what only repeats the question tells nothing."""
_OF_KIND_ANSWERED = (1.0, 0.3, 1.0)
"""The same where the question is what was answered."""
_BESIDE_BEST = 0.4
"""What has less than this share of what the best has is left out."""
_FEW = 50
"""Turns a user is taken to have at least: with fewer, no word would seem rare."""
_LONG = 40
_CANDIDATES = 60


class Known(Protocol):
    """What is known of a turn."""

    @property
    def at(self) -> float: ...
    @property
    def kind(self) -> int: ...
    @property
    def size(self) -> int: ...


class Hit(NamedTuple):
    """A turn that may tell."""

    place: int
    score: float
    """The share of the question it has, each word by its rarity; 1 is all of it."""
    is_asked: bool
    """It states a fact of the kind that is asked for."""


class Matches(NamedTuple):
    """Which groups of a question each turn has, and what the groups weigh."""

    by_place: dict[int, dict[int, float]]
    weights: tuple[float, ...]
    asked: frozenset[int]
    """Places with a fact that is asked for."""
    question: Asked
    strong: frozenset[int]
    """Groups that say what the question is about."""
    needed: frozenset[int]
    """Groups without which nothing answers."""


def terms_of(asked: Asked) -> frozenset[str]:
    """All terms whose postings `match` needs."""
    own = {term for group in asked.groups for term in group.literal | group.concepts}
    return frozenset(own | {FACT + term for term in own})


def match(asked: Asked, postings: Mapping[str, Sequence[int]], turns: int) -> Matches:
    """Hold the groups of a question against the postings of a user with so many turns."""
    by_place: dict[int, dict[int, float]] = {}
    weights: list[float] = []
    told: set[int] = set()
    many = max(turns, _FEW)
    for number, group in enumerate(asked.groups):
        found = _places(group, postings, told)
        weights.append(group.weight * log(1 + (many - len(found) + 0.5) / (len(found) + 0.5)))
        for place, value in found.items():
            by_place.setdefault(place, {})[number] = value
    return Matches(
        by_place,
        tuple(weights),
        frozenset(told),
        asked,
        frozenset(number for number, group in enumerate(asked.groups) if group.weight >= 1),
        frozenset(number for number, group in enumerate(asked.groups) if group.is_needed),
    )


def _places(group: Group, postings: Mapping[str, Sequence[int]], told: set[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    for term in group.concepts:
        found.update(dict.fromkeys(postings.get(term, ()), _BY_CONCEPT))
    for term in group.literal:
        found.update(dict.fromkeys(postings.get(term, ()), 1.0))
    for term in group.literal | group.concepts:
        facts = postings.get(FACT + term, ())
        found.update(dict.fromkeys(facts, 1.0))
        if group.weight >= 1:
            told.update(facts)
    return found


def candidates(matches: Matches) -> list[int]:
    """The places worth a look, with what stands behind them: at most 60 that match, by what they have."""
    own = {place: _sum(found, matches.weights) for place, found in matches.by_place.items()}
    best = sorted(own, key=lambda place: (place in matches.asked, own[place], place), reverse=True)[
        :_CANDIDATES
    ]
    return list(dict.fromkeys(one for place in best for one in (place, place + 1 if place > 0 else place)))


def rank(matches: Matches, known: Mapping[int, Known]) -> list[Hit]:
    """The known places by score, facts that are asked for first, then the newer."""
    total = sum(matches.weights)
    if total <= 0:
        return []
    hits = [_hit(place, turn, matches, total, known) for place, turn in known.items()]
    is_wide = matches.question.is_past or matches.question.is_of_answers
    least = 0.0 if is_wide else max((hit.score for hit in hits), default=0.0) * _BESIDE_BEST
    hits = [hit for hit in hits if hit.score > 0 and hit.score >= least]
    hits.sort(key=lambda hit: (round(hit.score, 1), known[hit.place].at, hit.place), reverse=True)
    return hits


def _hit(place: int, turn: Known, matches: Matches, total: float, known: Mapping[int, Known]) -> Hit:
    own = dict(matches.by_place.get(place, {}))
    before = known.get(place - 1)
    is_reply = before is not None and (
        (turn.kind == STATEMENT and before.kind == ANSWER)
        or (turn.kind == ANSWER and matches.question.is_of_answers)
    )
    if own or is_reply:
        # «Where do you live?» makes «In Leeds» an answer; else what has no word of its own tells nothing.
        for beside in (place - 1, place + 1) if place > 0 else ():
            for number, value in matches.by_place.get(beside, {}).items():
                own[number] = max(own.get(number, 0.0), value * _BESIDE)
    long = min(1.0, (_LONG / max(turn.size, 1)) ** 0.25)
    if matches.strong and own.keys().isdisjoint(matches.strong):
        return Hit(place, 0.0, False)
    if not matches.needed <= own.keys():  # the user's own job is no answer to «my husband's job»
        is_literal = place not in matches.asked and any(own.get(number) == 1.0 for number in matches.strong)
        if not is_literal:
            return Hit(place, 0.0, False)
    kinds = _OF_KIND_ANSWERED if matches.question.is_of_answers else _OF_KIND
    score = _sum(own, matches.weights) / total * kinds[turn.kind] * long
    return Hit(place, round(score, 4), place in matches.asked)


def _sum(found: Mapping[int, float], weights: Sequence[float]) -> float:
    return sum(weights[number] * value for number, value in found.items())
