"""How well a passage answers a query: BM25 over stems, with headings and neighbouring words counted too.

The same formula ranks what the index finds and what came with a request. Knows no database and no meaning
beyond the words.
Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import NamedTuple

from greenroom.grounding.stems import Language, tokens

SATURATION = 0.9
LENGTH = 0.5
HEADING = 1.5
"""How many times a word in the heading counts as in the body."""
PAIR = 0.15
"""What two query words side by side add, as a share of the rarer one's weight."""

_QUERY_CHARACTERS = 4_000
_QUERY_TERMS = 40


class Statistics(NamedTuple):
    """What BM25 needs to know of the passages searched."""

    passages: int
    average: float
    """Mean number of stems in a passage's body."""


class Query(NamedTuple):
    """A question as weighted stems."""

    weights: dict[str, float]
    pairs: frozenset[tuple[str, str]]
    scale: float
    """The score of a passage of average length that has each word once; scores are divided by it."""


def query_terms(text: str, languages: Sequence[Language]) -> list[list[str]]:
    """The stems of a question in each language; of a very long text its beginning and end."""
    if len(text) > _QUERY_CHARACTERS:
        half = _QUERY_CHARACTERS // 2
        text = f"{text[:half]} {text[-half:]}"
    return [tokens(text, language) for language in languages]


def weigh(readings: Sequence[list[str]], frequency: Callable[[str], int], statistics: Statistics) -> Query:
    """Weigh the stems of a question, read in one or more languages, by how rare they are.

    Keeps the 40 rarest. A word that no passage has makes all scores smaller: it was asked for, and is not
    there.
    """
    weights: dict[str, float] = {}
    scales: list[float] = []
    for terms in readings:
        total = 0.0
        for term in dict.fromkeys(terms):
            weight = weights.get(term)
            if weight is None:
                found = min(frequency(term), statistics.passages)
                weight = weights[term] = log(1 + (statistics.passages - found + 0.5) / (found + 0.5))
            total += weight
        scales.append(total)
    if len(weights) > _QUERY_TERMS:
        kept = sorted(weights, key=weights.__getitem__, reverse=True)[:_QUERY_TERMS]
        weights = {term: weights[term] for term in kept}
    pairs = {pair for terms in readings for pair in pairwise(terms)}
    return Query(weights, frozenset(pairs), min((scale for scale in scales if scale > 0), default=1.0))


def score(query: Query, heading: Sequence[str], body: Sequence[str], statistics: Statistics) -> float:
    """Between 0 (no word in common) and 1."""
    weights = query.weights
    counts: dict[str, float] = {}
    for term in body:
        if term in weights:
            counts[term] = counts.get(term, 0.0) + 1.0
    for term in heading:
        if term in weights:
            counts[term] = counts.get(term, 0.0) + HEADING
    if not counts:
        return 0.0
    norm = SATURATION * (1 - LENGTH + LENGTH * len(body) / (statistics.average or 1.0))
    total = 0.0
    for term, count in counts.items():
        total += weights[term] * count * (SATURATION + 1) / (count + norm)
    if len(counts) > 1:
        total += _neighbours(query, body)
    return min(1.0, total / query.scale)


def _neighbours(query: Query, body: Sequence[str]) -> float:
    weights, pairs = query.weights, query.pairs
    total = 0.0
    seen: set[tuple[str, str]] = set()
    for pair in pairwise(body):
        if pair in pairs and pair not in seen:
            seen.add(pair)
            total += PAIR * min(weights.get(pair[0], 0.0), weights.get(pair[1], 0.0))
    return total


def frequencies(bodies: Sequence[Sequence[str]]) -> Mapping[str, int]:
    """In how many of the token lists each stem stands."""
    counted: Counter[str] = Counter()
    for body in bodies:
        counted.update(set(body))
    return counted
