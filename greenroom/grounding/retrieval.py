"""Hybrid search: words propose passages, vectors propose others, one score orders them all.

A passage scores by its words (`ranking.score`), plus the cosine of its vector and the question's where there
are both, plus a little for the names it shares. The sum of scores ranked better than reciprocal ranks, which
throw away how well something matched: docs/grounding.md has the figures. A vector is used for passages in the
encoder's languages only, since only those have one.
Source: Bruch, Gai, Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from msgspec.json import Encoder

from greenroom.exchange import Passage
from greenroom.grounding import ranking
from greenroom.grounding.database import Database
from greenroom.grounding.duplicates import distinct
from greenroom.grounding.ranking import Query
from greenroom.grounding.stems import Language, language_of, tokens
from greenroom.grounding.vectors import EXACT, Asked, Vectors
from greenroom.grounding.words import Scope, Words, proposal

_CANDIDATES = 40
_PAGE = 600
"""Characters from which on a question with other wordings is sought in the first of them alone."""
_KNOWN = 10_000
_BEST = """
    SELECT p.id, p.heading, p.body, d.language
    FROM (SELECT words.rowid AS id FROM json_each(?1) AS asked JOIN words WHERE words MATCH asked.key {within}
          GROUP BY words.rowid ORDER BY sum(asked.value) DESC LIMIT ?2) AS found
    JOIN passages p ON p.id = found.id JOIN documents d ON d.number = p.document
    WHERE d.project = ?3
"""
_ANYWHERE = _BEST.format(within="")
_WITHIN = _BEST.format(
    within="""
    AND words.rowid IN (SELECT id FROM passages WHERE document IN (SELECT value FROM json_each(?4)))
    """
)
# CROSS JOIN: in this order. SQLite would go through all documents of the project instead.
_THESE = """
    SELECT p.id, p.heading, p.body, d.language
    FROM json_each(?) AS found CROSS JOIN passages p ON p.id = found.value
    CROSS JOIN documents d ON d.number = p.document
    WHERE d.project = ? AND d.collection IN (SELECT value FROM json_each(?))
"""
_SHOWN = """
    SELECT p.id, d.id, p.position, d.filename, p.title, p.text, p.start
    FROM json_each(?) AS found CROSS JOIN passages p ON p.id = found.value
    CROSS JOIN documents d ON d.number = p.document
    WHERE d.project = ?
"""
_encode = Encoder().encode
_new = tuple.__new__  # a NamedTuple's class costs eight times as much


class _Candidate(NamedTuple):
    number: int
    heading: str
    """Stems, as `body` is."""
    body: str
    language: Language


class _Wording(NamedTuple):
    """A question in one wording, read in each language there is."""

    queries: dict[Language, Query]
    proposal: dict[str, float]
    share: float
    """What its scores count."""


class Retrieval:
    """Searches the file of a `DocumentIndex`. Blocks; any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._words = Words(db)
        self._vectors = Vectors(db)
        self._having: dict[tuple[str, tuple[str, ...]], tuple[tuple[int, int], bool]] = {}
        """Whether collections had vectors, and in which state of the file."""

    def has_passages(self, project: str) -> bool:
        """Whether a search in this project could find anything."""
        return self._words.scope(project, ("*",)).statistics.passages > 0

    def has_word(self, project: str, word: str) -> bool:
        """Whether a passage of the project's has a word, spelt just so."""
        return self._words.holds(project, word)

    def has_vectors(self, project: str, collections: tuple[str, ...]) -> bool:
        """Whether any passage of these collections has a vector."""
        state = self._db.state()
        kept = self._having.get((project, collections))
        if kept is not None and kept[0] == state:
            return kept[1]
        homes = [home for home, _ in self._words.scope(project, collections).homes]
        found: int = self._db.connection().execute(
            """
            SELECT EXISTS (SELECT 1 FROM documents d JOIN passages p ON p.document = d.number
            JOIN vectors v ON v.passage = p.id WHERE d.collection IN (SELECT value FROM json_each(?)))
            """,
            (_encode(homes).decode(),),
        ).fetchone()[0]  # fmt: skip
        if len(self._having) > _KNOWN:
            self._having.clear()
        self._having[project, collections] = (state, bool(found))
        return bool(found)

    def search(
        self,
        query: str,
        *,
        project: str,
        collections: Sequence[str],
        limit: int,
        wordings: Sequence[str] = (),
        names: Sequence[str] = (),
        vector: Asked | None = None,
        documents: Sequence[str] | None = None,
    ) -> list[Passage]:
        """Up to `limit` passages, best first, no two nearly the same.

        `collections` are names; `ALL` among them means each of the project's, none at all finds nothing.
        `documents` confines the search to documents with these ids. `wordings` are the question in other
        words: a passage counts by the one it answers best; of a page of text only the first of them is read.
        `names` are people, places and the like that the question names. The passage's id is the document's
        id, `#` and its place in it; `document` is the file's name; its score, between 0 and 1, says how much
        of the question its words hold, or how near its meaning is, and is no smaller than that of the
        passages behind it.
        Cost: 1 ms for 10,000 passages, 2 ms with a vector. Takes any text as a query.
        """
        scope = self._words.scope(project, tuple(collections))
        if not scope.statistics.passages or limit < 1:
            return []
        only = None if documents is None else self._numbers(project, documents)
        if wordings and len(query) > _PAGE:
            query, wordings = wordings[0], ()
        own = language_of(query)
        texts = dict.fromkeys((query, *wordings))
        asked = [
            self._wording(text, scope, own, 1.0 if text == query else ranking.REWORDED) for text in texts
        ]
        most = max(_CANDIDATES, 3 * limit)
        candidates: dict[int, _Candidate] = {}
        for one in asked:
            if one.proposal:
                candidates.update(self._proposed(one.proposal, project, most, only))
        cosines: dict[int, float] = {}
        if vector is not None:
            cosines = self._meant(vector, scope, project, candidates, most, only)
        ordered = _ordered(own, asked, names, scope, candidates.values(), cosines)
        stems = {stem for one in asked for read in one.queries.values() for stem in read.weights}
        kept = distinct((one.body for one, _ in ordered), stems, limit)
        return self._passages(project, [ordered[place] for place in kept])

    def _wording(self, text: str, scope: Scope, own: Language, share: float) -> _Wording:
        readings = ranking.query_terms(text, scope.languages, own)
        counts = self._words.counts(scope, readings)
        found = {term: sum(count for _, count in there) for term, there in counts.items()}
        queries = ranking.weigh(readings, found.get, scope.statistics)
        weights = {term: weight for one in queries for term, weight in one.weights.items()}
        by_language = dict(zip(scope.languages, queries, strict=True))
        return _Wording(by_language, proposal(weights, counts), share)

    def _proposed(
        self, wanted: dict[str, float], project: str, most: int, only: list[int] | None
    ) -> dict[int, _Candidate]:
        values: list[object] = [_encode(wanted).decode(), most, project]
        if only is not None:
            values.append(_encode(only).decode())
        rows = self._db.connection().execute(_ANYWHERE if only is None else _WITHIN, values)
        return {row[0]: _new(_Candidate, row) for row in rows}

    def _meant(
        self,
        asked: Asked,
        scope: Scope,
        project: str,
        candidates: dict[int, _Candidate],
        most: int,
        only: list[int] | None,
    ) -> dict[int, float]:
        """Cosines of all candidates; takes in those that words did not propose."""
        if scope.statistics.passages > EXACT:
            return self._vectors.of(asked, candidates.keys())
        homes = [home for home, _ in scope.homes]
        cosines = self._vectors.nearest(asked, homes, limit=most, proposed=candidates.keys(), documents=only)
        new = cosines.keys() - candidates.keys()
        found = self._db.connection().execute(
            _THESE, (_encode(list(new)).decode(), project, _encode(homes).decode())
        )
        candidates.update((row[0], _new(_Candidate, row)) for row in found)
        return cosines

    def _passages(self, project: str, ordered: Sequence[tuple[_Candidate, float]]) -> list[Passage]:
        """The passages, but for those that went meanwhile; none scores less than one behind it."""
        numbers = _encode([one.number for one, _ in ordered]).decode()
        rows = {row[0]: row[1:] for row in self._db.connection().execute(_SHOWN, (numbers, project))}
        found = [
            passage_of(rows[one.number], round(shown, 4)) for one, shown in ordered if one.number in rows
        ]
        least = 0.0
        for passage in reversed(found):
            least = passage.score = max(least, passage.score)
        return found

    def _numbers(self, project: str, documents: Sequence[str]) -> list[int]:
        rows = self._db.connection().execute(
            "SELECT number FROM documents WHERE project = ? AND id IN (SELECT value FROM json_each(?))",
            (project, _encode(documents).decode()),
        )
        return [number for (number,) in rows]


def _stemmed(names: Sequence[str], language: Language) -> list[str]:
    """Names as they stand in a passage's stems, between spaces."""
    return [f" {' '.join(stems)} " for name in names if (stems := tokens(name, language))]


def _ordered(
    own: Language,
    asked: Sequence[_Wording],
    names: Sequence[str],
    scope: Scope,
    candidates: Collection[_Candidate],
    cosines: dict[int, float],
) -> list[tuple[_Candidate, float]]:
    """All candidates that match at all, best first, each with the score to show."""
    usual = ranking.UNCOMPARED if cosines else 0.0
    called = {language: _stemmed(names, language) for language in scope.languages} if names else {}
    scored: list[tuple[float, int, _Candidate, float]] = []
    for one in candidates:
        number, heading, body, language = one
        words = 0.0
        for wording in asked:
            query = wording.queries.get(language)
            if query is not None:
                words = max(words, wording.share * ranking.score(query, heading, body, scope.statistics))
        if language != own and own in scope.languages:
            words *= ranking.FOREIGN
        cosine = cosines.get(number)
        shown = ranking.shown(words, cosine)
        if shown > 0:
            meant = max(0.0, usual if cosine is None else cosine)
            named = ranking.named(called[language], heading, body) if names else 0.0
            scored.append((words + ranking.MEANING * meant + named, -number, one, shown))
    scored.sort(reverse=True)
    return [(one, shown) for _, _, one, shown in scored]


def passage_of(row: tuple[Any, ...], score: float) -> Passage:  # Any: SQLite's columns
    """A passage from the columns document's id, position, filename, title, text, start."""
    document, position, filename, title, text, start = row
    return Passage(
        id=f"{document}#{position}", document=filename, title=title, text=text, score=score, start=start
    )
