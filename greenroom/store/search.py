"""Full-text search over stored texts: an index up to a watermark, a scan of what came after.

Words are runs of letters and digits without case and accents; all words of a query must be there; a word that
ends in `*` is a beginning. The index is filled when there is time; the scan makes every answer complete.
"""

import sqlite3
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from greenroom.store.blocks import places
from greenroom.store.material import decode_body, pseudonym, search_text

MAX_WORDS = 16
PLACE_COLUMNS = "seq, project, block, place, user, session"
_PAGES = 500
"""Of the index, that are rewritten in one step."""
_MARK = "\ue000"
"""Begins words that name project, user and session: a private-use character, for the tokenizer a letter."""


class Place(NamedTuple):
    """Where the text of a trace lies, and whose it is."""

    seq: int
    project: int
    block: int | None
    place: int | None
    user: str | None
    session: str | None


class Query(NamedTuple):
    """A query taken apart: whole words and beginnings."""

    words: tuple[str, ...]
    beginnings: tuple[str, ...]

    def matches(self, text: str) -> bool:
        """Whether a text has all of them; the same answer as the index gives."""
        folded = fold(text)
        if not all(word in folded for word in (*self.words, *self.beginnings)):
            return False
        present = set(_split(folded))
        return present.issuperset(self.words) and all(
            any(word.startswith(one) for word in present) for one in self.beginnings
        )

    def expression(self, project: int | None, user: str | None, session: str | None) -> str:
        """The same in the language of FTS5: quoted words of letters and digits only."""
        terms = ['"' + word + '"' for word in (*self.words, *_marks(project, user, session))]
        terms += ['"' + word + '" *' for word in self.beginnings]
        return " AND ".join(terms)


def read_query(text: str) -> Query | None:
    """Take a query apart; None when it holds no word."""
    words: list[str] = []
    beginnings: list[str] = []
    for piece in fold(text.replace(_MARK, " ")).split():
        found = _split(piece)
        if found and piece.endswith("*"):
            beginnings.append(found.pop())
        words += found
    if not words and not beginnings:
        return None
    return Query(tuple(words[:MAX_WORDS]), tuple(beginnings[:MAX_WORDS]))


def fold(text: str) -> str:
    """Small letters without accents."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


def _marks(project: int | None, user: str | None, session: str | None) -> list[str]:
    """Words that make a common word of one user's texts as quick to find as a rare one."""
    marks = [] if project is None else [_MARK + "p" + str(project)]
    if user is not None:
        marks.append(_MARK + "u" + pseudonym(user)[1:13])
    if session is not None:
        marks.append(_MARK + "s" + pseudonym(session)[1:13])
    return marks


def _split(folded: str) -> list[str]:
    return "".join([one if _is_letter(one) else " " for one in folded]).split()


def _is_letter(character: str) -> bool:
    return character.isalnum() or (
        not character.isascii() and unicodedata.category(character) in {"Co", "No", "Nl"}
    )


def watermark(connection: sqlite3.Connection) -> int:
    """Everything up to this `seq` is in the index."""
    return int(connection.execute("SELECT value FROM counters WHERE name = 'indexed'").fetchone()[0])


def index_some(connection: sqlite3.Connection, limit: int) -> list[Place]:
    """Put up to `limit` more traces into the index; which. Inside the writer's transaction.

    Cost: about 50 µs for an exchange of 3.3 KB, in steps of a hundred.
    """
    sql = "SELECT " + PLACE_COLUMNS + " FROM traces WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  # constants
    rows = [Place(*row) for row in connection.execute(sql, (watermark(connection), limit))]
    if not rows:
        return []
    entries = [(seq, text) for seq, text in _texts(connection, rows) if text]
    connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", entries)
    connection.execute("UPDATE counters SET value = ? WHERE name = 'indexed'", (rows[-1].seq,))
    return rows


def unindex(connection: sqlite3.Connection, rows: list[Place]) -> None:
    """Take traces out of the index, while their texts are still there."""
    limit = watermark(connection)
    known = [row for row in rows if row.seq <= limit]
    connection.executemany(
        "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
        [(seq, text) for seq, text in _texts(connection, known) if text],
    )


def _texts(connection: sqlite3.Connection, rows: list[Place]) -> Iterator[tuple[int, str]]:
    """What the index holds of each row. Rows of one block stand together, so each is unpacked once."""
    for block, group in groupby(rows, key=lambda row: row.block):
        found = connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
        if found is None:
            continue
        bodies = places(found[0])
        for row in group:
            encoded = bodies[row.place] if row.place is not None else None
            if encoded is not None:
                marks = _marks(row.project, row.user, row.session)
                yield row.seq, search_text(decode_body(encoded)) + "\n" + " ".join(marks)


class TailScan:
    """Looks at traces one by one, newest first; remembers the last block it unpacked."""

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        self._connection = connection
        self._query = query
        self._block: int | None = None
        self._bodies: list[bytes | None] = []

    def matches(self, block: int | None, place: int | None) -> bool:
        """Whether the text at this place matches."""
        if block is None or place is None:
            return False
        if block != self._block:
            found = self._connection.execute("SELECT body FROM blocks WHERE number = ?", (block,)).fetchone()
            self._block, self._bodies = block, places(found[0]) if found else []
        encoded = self._bodies[place] if place < len(self._bodies) else None
        return encoded is not None and self._query.matches(search_text(decode_body(encoded)))


def merge_step(connection: sqlite3.Connection, *, first: bool) -> bool:
    """Rewrite a part of the index, so that nothing of erased texts stays in it; True when all is done."""
    before = connection.total_changes
    connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-_PAGES if first else _PAGES,))
    return connection.total_changes - before < 2
