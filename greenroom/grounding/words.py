"""What is known of the words in the index: in which collections, in how many passages each stem stands.

Cached for as long as no document changes. Knows no passages and no vectors.
"""

import sqlite3
import threading
import time
from collections.abc import Sequence
from math import inf
from typing import NamedTuple, get_args

from msgspec.json import Encoder

from greenroom.grounding.database import Database
from greenroom.grounding.ranking import Statistics
from greenroom.grounding.stems import Language, tokens

ALL = "*"
"""As the name of a collection: every collection of the project."""

_POSTINGS = 2_500
"""Rows that full-text search may have to add up; the commonest words propose none beyond that."""
_AGAIN = 0.4
"""What a word's second occurrence adds to its weight when passages are proposed."""
_FREQUENCIES = 50_000
_SPELT_PASSAGES = 50
"""How many of the passages that hold a word's stem are looked at for its spelling."""
_SPELT = """
    SELECT EXISTS (SELECT 1 FROM passages WHERE instr(text, ?2)
                   AND id IN (SELECT rowid FROM words WHERE words MATCH ?1 LIMIT ?3))
"""
_LANGUAGES: tuple[Language, ...] = get_args(Language)
_encode = Encoder().encode
Counts = dict[str, list[tuple[int, int]]]
"""Stem → (collection, in how many of its passages the stem stands), where it stands in any."""


class Scope(NamedTuple):
    """What a search may see, and what ranking must know of it."""

    homes: tuple[tuple[int, frozenset[str]], ...]
    """The numbers of the collections, and the languages of each."""
    languages: tuple[Language, ...]
    statistics: Statistics


_EMPTY = Scope((), (), Statistics(0, 0.0))


class Words:
    """Looks words up. Any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._guard = threading.Lock()
        """Protects everything cached for one generation."""
        self._cached = -1
        self._scopes: dict[tuple[str, tuple[str, ...]], tuple[Scope, float]] = {}
        """With the time when the first of its collections expires."""
        self._frequencies: dict[int, dict[str, int]] = {}
        self._kept = 0
        """How many of them."""
        self._spelt: dict[tuple[str, str], bool] = {}

    def scope(self, project: str, collections: tuple[str, ...]) -> Scope:
        """The collections of a project by these names or ids, with `ALL` among them each; no expired one."""
        generation, _ = self._db.state()
        with self._guard:
            if generation != self._cached:
                self._cached = generation
                self._scopes.clear()
                self._frequencies, self._kept = {}, 0
                self._spelt = {}
            found = self._scopes.get((project, collections))
        if found is None or found[1] <= time.time():
            found = self._read_scope(project, collections)
            with self._guard:
                if self._cached == generation and len(self._scopes) < _FREQUENCIES:
                    self._scopes[project, collections] = found
        return found[0]

    def _read_scope(self, project: str, collections: tuple[str, ...]) -> tuple[Scope, float]:
        db = self._db.connection()
        rows = db.execute(
            """
            SELECT c.id, c.name, d.language, sum(d.passages), sum(d.stems), c.store, c.expires_at
            FROM collections c JOIN documents d ON d.collection = c.id
            WHERE c.project = ? AND (c.expires_at IS NULL OR c.expires_at > ?) GROUP BY c.id, d.language
            """,
            (project, time.time()),
        ).fetchall()
        rows = [
            row
            for row in rows
            if row[3] and (ALL in collections or row[1] in collections or row[5] in collections)
        ]
        until = min((row[6] for row in rows if row[6] is not None), default=inf)
        count = sum(row[3] for row in rows)
        if not count:
            return _EMPTY, until
        homes: dict[int, set[str]] = {}
        for row in rows:
            homes.setdefault(row[0], set()).add(row[2])
        spoken = frozenset().union(*homes.values())
        scope = Scope(
            tuple((home, frozenset(languages)) for home, languages in sorted(homes.items())),
            tuple(one for one in _LANGUAGES if one in spoken),
            Statistics(count, sum(row[4] for row in rows) / count),
        )
        return scope, until

    def counts(self, scope: Scope, readings: Sequence[Sequence[str]]) -> Counts:
        """For each stem: in how many passages of each collection it stands, where the languages agree."""
        counts: Counts = {}
        for home, languages in scope.homes:
            wanted = {
                term
                for language, terms in zip(scope.languages, readings, strict=True)
                if language in languages
                for term in terms
            }
            known = self._known(home, wanted)
            for term in wanted:
                if count := known[term]:
                    counts.setdefault(term, []).append((home, count))
        return counts

    def _known(self, home: int, wanted: set[str]) -> dict[str, int]:
        """In how many passages of one collection stems stand; these among them."""
        known = self._frequencies.setdefault(home, {})
        missing = list(wanted.difference(known))
        if missing:
            if self._kept > _FREQUENCIES:
                known, missing, self._kept = {}, list(wanted), 0
                self._frequencies = {home: known}
            self._kept += len(missing)
            words = _encode([f'"{home}~{term}"' for term in missing]).decode()
            rows = self._db.connection().execute(
                """
                SELECT (SELECT count(*) FROM words WHERE words MATCH asked.value)
                FROM json_each(?) AS asked ORDER BY asked.key
                """,
                (words,),
            )
            known.update((term, count) for term, (count,) in zip(missing, rows, strict=True))
        return known

    def holds(self, project: str, word: str) -> bool:
        """Whether a passage of the project's has a word, spelt just so. Costs about 30 µs, once a word."""
        scope = self.scope(project, (ALL,))
        known = self._spelt
        found = known.get((project, word))
        if found is None:
            marks = {
                f'"{home}~{stem}"'
                for language in scope.languages
                for stem in tokens(word, language)
                for home, languages in scope.homes
                if language in languages
            }
            asked = (" OR ".join(marks), word, _SPELT_PASSAGES)
            found = bool(marks) and bool(self._db.connection().execute(_SPELT, asked).fetchone()[0])
            if len(known) < _FREQUENCIES:
                known[project, word] = found
        return found


def proposal(weights: dict[str, float], counts: Counts) -> dict[str, float]:
    """Full-text queries and what each adds: the rarest words that are there, as many as time allows."""
    chosen: dict[str, float] = {}
    rows = 0
    for term in sorted(weights, key=weights.__getitem__, reverse=True):
        rows += sum(count for _, count in counts[term])
        if chosen and rows > _POSTINGS:
            break
        for home, _ in counts[term]:
            chosen[f'"{home}~{term}"'] = weights[term]
            chosen[f'"{home}~{term}~"'] = weights[term] * _AGAIN
    return chosen


def marks(home: int, heading: Sequence[str], body: Sequence[str]) -> str:
    """What the full-text index holds of a passage: each stem once, the number of its collection before it.

    A stem that stands in the heading, or twice in the body, has a second mark that ends in `~`.
    """
    often = set(heading)
    seen: set[str] = set()
    for term in body:
        (often if term in seen else seen).add(term)
    return " ".join([*(f"{home}~{term}" for term in seen | often), *(f"{home}~{term}~" for term in often)])


def forget(
    db: sqlite3.Connection, which: str, values: Sequence[object], *, keep_row: bool = False
) -> list[str]:
    """Delete the documents that the query `which` (number, collection) finds, and their words; their ids.

    With `keep_row` their passages alone.
    """
    forgotten: list[str] = []
    for number, home in db.execute(which, values).fetchall():
        rows = db.execute("SELECT id, heading, body FROM passages WHERE document = ?", (number,)).fetchall()
        db.executemany(
            "INSERT INTO words (words, rowid, marks) VALUES ('delete', ?, ?)",
            ((row, marks(home, heading.split(), body.split())) for row, heading, body in rows),
        )
        if keep_row:
            db.execute("DELETE FROM passages WHERE document = ?", (number,))
        else:
            gone = db.execute("DELETE FROM documents WHERE number = ? RETURNING id", (number,)).fetchone()
            forgotten.append(gone[0])
    return forgotten
