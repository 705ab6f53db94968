"""How well a passage answers a query: BM25 over stems, with headings and neighbouring words counted too.

The same formula ranks what the index finds and what came with a request. Knows no database and no meaning
beyond the words.
Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from itertools import pairwise
from math import log
from typing import NamedTuple

from greenroom.grounding.stems import STOP_WORDS, Language, stems_of, words_of

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
_PAGE, _PAGE_TERMS = 80, 24
"""Of a question with more stems than `_PAGE` fewer are sought: each costs, and few passages have the rest."""


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


def query_terms(text: str, languages: Sequence[Language], own: Language) -> list[list[str]]:
    """The stems of a question in each language; of a very long text its beginning and end.

    Stop words of its `own` language are left out everywhere, so that one in Portuguese may find its names and
    technical words in English documents.
    """
    if len(text) > _QUERY_CHARACTERS:
        half = _QUERY_CHARACTERS // 2
        text = f"{text[:half]} {text[-half:]}"
    words = words_of(text)
    if any(language != own for language in languages):
        stop = STOP_WORDS[own]
        words = [word for word in words if word not in stop]
    return [stems_of(words, language) for language in languages]


def weigh(
    readings: Sequence[Sequence[str]], frequency: Callable[[str], int | None], statistics: Statistics
) -> list[Query]:
    """Weigh the stems of a question by how rare they are: one `Query` for each language it was read in.

    Keeps the 40 rarest that are there, of a page of text 24. A word that no passage has makes all scores
    smaller: it was asked for, and is not there; a number that no passage has is the asker's own affair and
    does not count. All have one scale, that of the language whose words are best known.
    """
    passages = statistics.passages
    nowhere = _weight(0, passages)
    read: list[tuple[Sequence[str], dict[str, float]]] = []
    scales: list[float] = []
    for terms in readings:
        weights: dict[str, float] = {}
        missing = 0
        for term in dict.fromkeys(terms):
            found = frequency(term)
            if found:
                weights[term] = _weight(min(found, passages), passages)
            elif term.isalpha() or not any(map(str.isdigit, term)):
                missing += 1
        if missing or weights:
            scales.append(missing * nowhere + sum(weights.values()))
        most = _QUERY_TERMS if missing + len(weights) <= _PAGE else _PAGE_TERMS
        if len(weights) > most:
            rarest = nlargest(most, weights, weights.__getitem__)
            weights = {term: weights[term] for term in rarest}
        read.append((terms, weights))
    scale = min(scales, default=1.0)
    return [_query(terms, weights, scale) for terms, weights in read]


def _weight(found: int, passages: int) -> float:
    return log(1 + (passages - found + 0.5) / (found + 0.5))


def _query(terms: Sequence[str], weights: dict[str, float], scale: float) -> Query:
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
