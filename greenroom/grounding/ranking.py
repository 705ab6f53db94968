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

from greenroom.grounding.stems import STOP_WORDS, Language, language_of, stems_of, words_of

SATURATION = 0.9
LENGTH = 0.6
HEADING = 1.5
"""How many times a word in the heading counts as in the body."""
FOREIGN = 0.6
"""What a passage in another language than the question's counts for, where its own language is there too."""
PAIR = 0.3
"""What two query words side by side add, as a share of the rarer one's weight."""
REWORDED = 0.9
"""What a passage counts for that answers a question in other words (its spelling corrected, say)."""
MEANING = 1.2
"""What the cosine of question and passage counts beside the words' score; from 0.7 to 1.8 all rank alike."""
UNCOMPARED = 0.1
"""The cosine of a passage without a vector beside others that have one: that of most that words propose."""
NAMED = 0.1
"""What a passage gains that has all the names of the question, with their words side by side."""
_UNRELATED = 0.35
_MEANT = 4 / 3
"""Passages without a word in common score (cosine - 0.35) · 4/3, which is 0.2 at a cosine of 0.5. Among 350
posts that do not answer a question the nearest has 0.44 or less for 19 questions of 20."""

_QUERY_CHARACTERS = 4_000
_QUERY_TERMS = 40


class Statistics(NamedTuple):
    """What BM25 needs to know of the passages searched."""

    passages: int
    average: float
    """Mean number of stems in a passage's body."""


class Query(NamedTuple):
    """A question in one language as weighted stems, between spaces, so that they are found as substrings."""

    weights: dict[str, float]
    padded: tuple[tuple[str, float], ...]
    pairs: tuple[tuple[str, float], ...]
    """Two stems side by side, and what finding them so adds."""
    scale: float
    """The score of a passage of average length that has each word once; scores are divided by it."""


def query_terms(text: str, languages: Sequence[Language]) -> list[list[str]]:
    """The stems of a question in each language; of a very long text its beginning and end.

    Stop words of the question's own language are left out everywhere, so that one in Portuguese may find its
    names and technical words in English documents.
    """
    if len(text) > _QUERY_CHARACTERS:
        half = _QUERY_CHARACTERS // 2
        text = f"{text[:half]} {text[-half:]}"
    own = language_of(text)
    words = words_of(text)
    if any(language != own for language in languages):
        stop = STOP_WORDS[own]
        words = [word for word in words if word not in stop]
    return [stems_of(words, language) for language in languages]


def weigh(
    readings: Sequence[Sequence[str]], frequency: Callable[[str], int], statistics: Statistics
) -> list[Query]:
    """Weigh the stems of a question by how rare they are: one `Query` for each language it was read in.

    Keeps the 40 rarest. A word that no passage has makes all scores smaller: it was asked for, and is not
    there; a number that no passage has is the asker's own affair and does not count. All have one scale, that
    of the language whose words are best known.
    """
    known: dict[str, float] = {}
    weighed: list[dict[str, float]] = []
    for terms in readings:
        weights: dict[str, float] = {}
        for term in terms:
            weight = known.get(term)
            if weight is None:
                weight = known[term] = _weight(term, frequency(term), statistics.passages)
            if weight:
                weights[term] = weight
        weighed.append(weights)
    scale = min((sum(weights.values()) for weights in weighed if weights), default=1.0)
    return [_query(terms, weights, scale) for terms, weights in zip(readings, weighed, strict=True)]


def _weight(term: str, found: int, passages: int) -> float:
    if not found and not term.isalpha() and any(map(str.isdigit, term)):
        return 0.0
    found = min(found, passages)
    return log(1 + (passages - found + 0.5) / (found + 0.5))


def _query(terms: Sequence[str], weights: dict[str, float], scale: float) -> Query:
    if len(weights) > _QUERY_TERMS:
        rarest = sorted(weights, key=weights.__getitem__, reverse=True)[:_QUERY_TERMS]
        weights = {term: weights[term] for term in rarest}
    return Query(
        weights,
        tuple((f" {term} ", weight) for term, weight in weights.items()),
        tuple(
            (f" {one} {two} ", PAIR * min(weights[one], weights[two]))
            for one, two in dict.fromkeys(pairwise(terms))
            if one in weights and two in weights
        ),
        scale,
    )


def score(query: Query, heading: str, body: str, statistics: Statistics) -> float:
    """0 without a word in common, about 1 with every word, more with many of them often or side by side.

    Both texts are stems with single spaces between. The same stem twice in a row counts once, which keeps a
    repeated word from winning.
    """
    heading, body = f" {heading} ", f" {body} "
    norm = SATURATION * (1 - LENGTH + LENGTH * (body.count(" ") - 1) / (statistics.average or 1.0))
    total = 0.0
    hits = 0
    for term, weight in query.padded:
        count = body.count(term) + HEADING * (term in heading)
        if count:
            hits += 1
            total += weight * count * (SATURATION + 1) / (count + norm)
    if hits > 1:
        for pair, weight in query.pairs:
            if pair in body:
                total += weight
    return total / query.scale


def shown(words: float, cosine: float | None) -> float:
    """A score between 0 and 1 to show and to compare with a threshold: of the words or of the meaning."""
    meant = 0.0 if cosine is None else (cosine - _UNRELATED) * _MEANT
    return min(1.0, max(words, meant, 0.0))


def named(names: Sequence[str], heading: str, body: str) -> float:
    """What a passage gains by the names it has; names and texts are stems, names between spaces."""
    if not names:
        return 0.0
    text = f" {heading}  {body} "
    return NAMED * sum(name in text for name in names) / len(names)


def frequencies(stemmed: Sequence[str]) -> Mapping[str, int]:
    """In how many of the texts (stems with spaces between) each stem stands."""
    counted: Counter[str] = Counter()
    for one in stemmed:
        counted.update(set(one.split()))
    return counted
