"""The index of an operator's documents: one SQLite file, searched by words.

Full-text search (FTS5) over our own stems proposes passages; `ranking` orders them. A search never leaves the
project and the collections it was given: each collection's words are words of their own in the index. Knows
no vectors: a question in other words than the document's, or in another language, is not found here.
"""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, get_args

from msgspec.json import Encoder

from greenroom.exchange import Passage
from greenroom.grounding import passages as cutting
from greenroom.grounding import ranking
from greenroom.grounding.database import CollectionRow, Database, DocumentRow
from greenroom.grounding.ranking import Statistics
from greenroom.grounding.stems import Language, language_of, tokens
from greenroom.grounding.text import MAX_TITLE, read

ALL = "*"
"""As the name of a collection: every collection of the project."""

_CANDIDATES = 40
_POSTINGS = 2_500
"""Rows that full-text search may have to add up; the commonest words propose none beyond that."""
_AGAIN = 0.4
"""What a word's second occurrence adds to its weight when passages are proposed."""
_FREQUENCIES = 50_000
_LANGUAGES: tuple[Language, ...] = get_args(Language)
_encode = Encoder().encode
_Documents = list[DocumentRow]
_Collections = list[CollectionRow]
_Passages = list[Passage]
_Counts = dict[str, list[tuple[int, int]]]
"""Stem → (collection, in how many of its passages the stem stands)."""


class _Scope(NamedTuple):
    """What a search may see, and what ranking must know of it."""

    homes: tuple[tuple[int, frozenset[str]], ...]
    """The numbers of the collections, and the languages of each."""
    languages: tuple[Language, ...]
    statistics: Statistics


_EMPTY = _Scope((), (), Statistics(0, 0.0))
_ROW = """
    SELECT d.id, d.project, c.name, d.title, d.filename, d.media_type, d.sha256, d.bytes, d.created_at,
           d.language, d.passages
    FROM documents d JOIN collections c ON c.id = d.collection
"""
_BEST = """
    SELECT d.id, p.position, d.filename, p.title, p.text, p.start, p.heading, p.body, d.language
    FROM (SELECT words.rowid AS id FROM json_each(?) AS asked JOIN words WHERE words MATCH asked.key
          GROUP BY words.rowid ORDER BY sum(asked.value) DESC LIMIT ?) AS found
    JOIN passages p ON p.id = found.id JOIN documents d ON d.number = p.document
    WHERE d.project = ?
"""


class DocumentIndex:
    """`documents.db`. Methods block; any thread may call them, each has a connection of its own.

    Raises: StoreError when the file can't be opened or is from a newer Greenroom.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path)
        self._guard = threading.Lock()
        """Protects everything cached for one generation."""
        self._cached = -1
        self._scopes: dict[tuple[str, tuple[str, ...]], _Scope] = {}
        self._frequencies: dict[tuple[int, str], int] = {}

    @property
    def version(self) -> int:
        """The number of the newest migration in the file."""
        found: int = self._db.connection().execute("PRAGMA user_version").fetchone()[0]
        return found

    def generation(self) -> int:
        """A number that grows with every change, whichever process made it. Costs about 10 µs."""
        found: int = self._db.connection().execute("SELECT generation FROM state WHERE id = 1").fetchone()[0]
        return found

    def add(self, project: str, collection: str, filename: str, data: bytes) -> DocumentRow:
        """Read, cut and index a document; one of the same name in the collection is replaced.

        The same bytes under the same name again cost no work.
        Raises: TooLarge and MalformedRequest, as `text.read` does.
        """
        filename = _plain_name(filename)
        digest = hashlib.sha256(data).hexdigest()
        known = self._named(project, collection, filename)
        if known is not None and known.sha256 == digest:
            return known
        document = read(filename, data)
        language = language_of(document.text)
        pieces = cutting.split(document.text, document.title, headings=document.media_type != "text/plain")
        stemmed = [(tokens(one.title, language), tokens(one.text, language)) for one in pieces]
        with self._db.writing() as db:
            home = self._collection(db, project, collection)
            if known is not None:
                _forget(db, "SELECT number, collection FROM documents WHERE id = ?", (known.id,))
            number = db.execute(
                """
                INSERT INTO documents (id, project, collection, title, filename, media_type, sha256, bytes,
                                       created_at, language, passages, stems)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number
                """,
                (
                    f"file-{secrets.token_hex(12)}", project, home, document.title, filename,
                    document.media_type, digest, len(data), _now(), language, len(pieces),
                    sum(len(body) for _, body in stemmed),
                ),
            ).fetchone()[0]  # fmt: skip
            first: int = db.execute("SELECT coalesce(max(id), 0) + 1 FROM passages").fetchone()[0]
            db.executemany(
                "INSERT INTO passages (id, document, position, start, title, text, heading, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        first + place,
                        number,
                        place,
                        one.start,
                        one.title,
                        one.text,
                        " ".join(heading),
                        " ".join(body),
                    )
                    for place, (one, (heading, body)) in enumerate(zip(pieces, stemmed, strict=True))
                ),
            )
            db.executemany(
                "INSERT INTO words (rowid, marks) VALUES (?, ?)",
                ((first + place, marks(home, *both)) for place, both in enumerate(stemmed)),
            )
        added = self._named(project, collection, filename)
        assert added is not None
        return added

    def remove(self, project: str, document: str) -> bool:
        """Take a document out of the index; False when the project has none of that id."""
        with self._db.writing() as db:
            found = _forget(
                db,
                "SELECT number, collection FROM documents WHERE project = ? AND id = ?",
                (project, document),
            )
            db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection FROM documents)")
        return found

    def remove_collection(self, project: str, collection: str) -> bool:
        """Take a collection and its documents out; False when the project has none of that name."""
        with self._db.writing() as db:
            found = _forget(
                db,
                "SELECT number, collection FROM documents WHERE collection ="
                " (SELECT id FROM collections WHERE project = ? AND name = ?)",
                (project, collection),
            )
            db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection FROM documents)")
        return found

    def list(self, project: str, collection: str | None = None) -> _Documents:
        """The project's documents, by collection and name."""
        rows = self._db.connection().execute(
            _ROW + "WHERE d.project = ? AND (? IS NULL OR c.name = ?) ORDER BY c.name, d.filename",
            (project, collection, collection),
        )
        return [_row(row) for row in rows]

    def collections(self, project: str) -> _Collections:
        """The project's collections, by name."""
        rows = self._db.connection().execute(
            """
            SELECT c.name, count(d.number), coalesce(sum(d.passages), 0), coalesce(sum(d.bytes), 0),
                   c.created_at
            FROM collections c LEFT JOIN documents d ON d.collection = c.id
            WHERE c.project = ? GROUP BY c.id ORDER BY c.name
            """,
            (project,),
        )
        return [
            CollectionRow(
                name=name, documents=documents, passages=passages, bytes=size, created_at=created_at
            )
            for name, documents, passages, size, created_at in rows
        ]

    def passages(self, project: str, document: str) -> _Passages:
        """All passages of one document in order, for showing it; empty when it isn't the project's."""
        rows = self._db.connection().execute(
            """
            SELECT d.id, p.position, d.filename, p.title, p.text, p.start
            FROM documents d JOIN passages p ON p.document = d.number
            WHERE d.project = ? AND d.id = ? ORDER BY p.position
            """,
            (project, document),
        )
        return [_passage(row, 0.0) for row in rows]

    def has_passages(self, project: str) -> bool:
        """Whether a search in this project could find anything."""
        return self._scope(project, (ALL,)).statistics.passages > 0

    def search(self, query: str, *, project: str, collections: Sequence[str], limit: int) -> _Passages:
        """Up to `limit` passages, best first, scores between 0 and 1.

        `collections` are names; `ALL` among them means each of the project's, none at all finds nothing. The
        passage's id is the document's id, `#` and its place in it; `document` is the file's name.
        Cost: about 1 ms for 10,000 passages. Takes any text as a query.
        """
        scope = self._scope(project, tuple(collections))
        if not scope.statistics.passages or limit < 1:
            return []
        readings = ranking.query_terms(query, scope.languages)
        counts = self._counts(scope, readings)
        queries = ranking.weigh(
            readings, lambda term: sum(count for _, count in counts[term]), scope.statistics
        )
        proposal = _proposal(
            {term: weight for one in queries for term, weight in one.weights.items()}, counts
        )
        if not proposal:
            return []
        db = self._db.connection()
        most = max(_CANDIDATES, 3 * limit)
        rows = db.execute(_BEST, (_encode(proposal).decode(), most, project)).fetchall()
        by_language = dict(zip(scope.languages, queries, strict=True))
        own = language_of(query)
        scored = []
        for place, row in enumerate(rows):
            if row[-1] in by_language:
                found = ranking.score(by_language[row[-1]], row[6], row[7], scope.statistics)
                is_foreign = row[-1] != own and own in by_language
                scored.append((found * ranking.FOREIGN if is_foreign else found, -place, row))
        scored.sort(reverse=True)
        return [_passage(row, round(score, 4)) for score, _, row in scored[:limit] if score > 0]

    def close(self) -> None:
        """Close every connection. Nothing may be called afterwards."""
        self._db.close()

    # what is known of the words

    def _scope(self, project: str, collections: tuple[str, ...]) -> _Scope:
        generation = self.generation()
        with self._guard:
            if generation != self._cached:
                self._cached = generation
                self._scopes.clear()
                self._frequencies = {}
            found = self._scopes.get((project, collections))
        if found is None:
            found = self._read_scope(project, collections)
            with self._guard:
                if self._cached == generation and len(self._scopes) < _FREQUENCIES:
                    self._scopes[project, collections] = found
        return found

    def _read_scope(self, project: str, collections: tuple[str, ...]) -> _Scope:
        db = self._db.connection()
        rows = db.execute(
            """
            SELECT c.id, c.name, d.language, sum(d.passages), sum(d.stems)
            FROM collections c JOIN documents d ON d.collection = c.id
            WHERE c.project = ? GROUP BY c.id, d.language
            """,
            (project,),
        ).fetchall()
        rows = [row for row in rows if row[3] and (ALL in collections or row[1] in collections)]
        count = sum(row[3] for row in rows)
        if not count:
            return _EMPTY
        homes: dict[int, set[str]] = {}
        for row in rows:
            homes.setdefault(row[0], set()).add(row[2])
        spoken = frozenset().union(*homes.values())
        return _Scope(
            tuple((home, frozenset(languages)) for home, languages in sorted(homes.items())),
            tuple(one for one in _LANGUAGES if one in spoken),
            Statistics(count, sum(row[4] for row in rows) / count),
        )

    def _counts(self, scope: _Scope, readings: Sequence[Sequence[str]]) -> _Counts:
        """For each stem: in how many passages of each collection it stands, where the languages agree."""
        asked: dict[str, set[int]] = {}
        for language, terms in zip(scope.languages, readings, strict=True):
            homes = [home for home, languages in scope.homes if language in languages]
            for term in terms:
                asked.setdefault(term, set()).update(homes)
        known = self._frequencies
        missing = [
            (home, term) for term, homes in asked.items() for home in homes if (home, term) not in known
        ]
        if missing:
            if len(known) > _FREQUENCIES:
                known = self._frequencies = {}
                missing = [(home, term) for term, homes in asked.items() for home in homes]
            words = _encode([f'"{home}~{term}"' for home, term in missing]).decode()
            rows = self._db.connection().execute(
                """
                SELECT (SELECT count(*) FROM words WHERE words MATCH asked.value)
                FROM json_each(?) AS asked ORDER BY asked.key
                """,
                (words,),
            )
            known.update((key, count) for key, (count,) in zip(missing, rows, strict=True))
        return {term: [(home, known[home, term]) for home in homes] for term, homes in asked.items()}

    def _collection(self, db: sqlite3.Connection, project: str, name: str) -> int:
        db.execute(
            "INSERT INTO collections (project, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (project, name, _now()),
        )
        found: int = db.execute(
            "SELECT id FROM collections WHERE project = ? AND name = ?", (project, name)
        ).fetchone()[0]
        return found

    def _named(self, project: str, collection: str, filename: str) -> DocumentRow | None:
        db = self._db.connection()
        where = "WHERE d.project = ? AND c.name = ? AND d.filename = ?"
        row = db.execute(_ROW + where, (project, collection, filename)).fetchone()
        return None if row is None else _row(row)


def _proposal(weights: dict[str, float], counts: _Counts) -> dict[str, float]:
    """Full-text queries and what each adds: the rarest words that are there, as many as time allows."""
    chosen: dict[str, float] = {}
    rows = 0
    for term in sorted(weights, key=weights.__getitem__, reverse=True):
        rows += sum(count for _, count in counts[term])
        if chosen and rows > _POSTINGS:
            break
        for home, count in counts[term]:
            if count:
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


def _forget(db: sqlite3.Connection, which: str, values: tuple[str, ...]) -> bool:
    """Delete the documents that the query `which` (number, collection) finds, and their words."""
    found = db.execute(which, values).fetchall()
    for number, home in found:
        rows = db.execute("SELECT id, heading, body FROM passages WHERE document = ?", (number,)).fetchall()
        db.executemany(
            "INSERT INTO words (words, rowid, marks) VALUES ('delete', ?, ?)",
            ((row, marks(home, heading.split(), body.split())) for row, heading, body in rows),
        )
        db.execute("DELETE FROM documents WHERE number = ?", (number,))
    return bool(found)


def _plain_name(filename: str) -> str:
    """The last part of a name, printable and short: it is shown, and never used as a path."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(one for one in last if one.isprintable()).strip()[-MAX_TITLE:] or "document"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _row(row: tuple[str, str, str, str, str, str, str, int, str, str, int]) -> DocumentRow:
    names = DocumentRow.__struct_fields__
    return DocumentRow(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # columns in field order


def _passage(row: tuple[Any, ...], score: float) -> Passage:  # Any: SQLite's columns
    document, position, filename, title, text, start, *_ = row
    return Passage(
        id=f"{document}#{position}", document=filename, title=title, text=text, score=score, start=start
    )
