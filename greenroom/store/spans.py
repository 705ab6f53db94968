"""Spans that applications send: kept by trace, shown around our own.

One SQLite file. A span is kept once: who sends it again replaces it. Spans go with their time, and with the
user they name, together with all others of the same trace.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from msgspec import msgpack

from greenroom.store.database import empty_log, explained, open_database, open_reader, transaction
from greenroom.store.material import pseudonym
from greenroom.wire.otlp.signals import Attributes, Origin, Span, Spans

FILE = "spans.db"
MIGRATIONS = (
    """
CREATE TABLE origins (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
-- at_ns: when it came, as its own times are what its sender's clock says. user: whom it names.
CREATE TABLE spans (
    project TEXT NOT NULL, trace BLOB NOT NULL, span BLOB NOT NULL, at_ns INTEGER NOT NULL,
    start_ns INTEGER NOT NULL, origin INTEGER NOT NULL, user TEXT, body BLOB NOT NULL,
    PRIMARY KEY (trace, project, span)
) WITHOUT ROWID;
CREATE INDEX spans_by_time ON spans (at_ns);
CREATE INDEX spans_by_user ON spans (project, user) WHERE user IS NOT NULL;
-- How far an export has come.
CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
""",
    """
-- What each project takes: bodies, and of each span 400 bytes for its keys, indexes and free parts of pages.
CREATE TABLE held (project TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO held SELECT project, sum(length(body) + 400) FROM spans GROUP BY project;
ALTER TABLE origins ADD COLUMN project TEXT NOT NULL DEFAULT '';
CREATE TRIGGER span_comes AFTER INSERT ON spans BEGIN
    INSERT INTO held VALUES (new.project, length(new.body) + 400)
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER span_changes AFTER UPDATE OF body ON spans BEGIN
    UPDATE held SET bytes = bytes + length(new.body) - length(old.body) WHERE project = new.project;
END;
CREATE TRIGGER span_goes AFTER DELETE ON spans BEGIN
    UPDATE held SET bytes = bytes - length(old.body) - 400 WHERE project = old.project;
END;
CREATE TRIGGER origin_comes AFTER INSERT ON origins BEGIN
    INSERT INTO held VALUES (new.project, length(new.body))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER origin_goes AFTER DELETE ON origins WHEN old.project != '' BEGIN
    UPDATE held SET bytes = bytes - length(old.body) WHERE project = old.project;
END;
""",
)
USER = ("enduser.pseudo.id", "enduser.id", "user.id")
"""Attributes that name the user, of a span or of its origin."""
MOST_SHOWN = 2_000
_HEX = frozenset("0123456789abcdef")
_STEP = 500
"""Rows erased in one transaction."""
_ORPHANS = "DELETE FROM origins WHERE number NOT IN (SELECT origin FROM spans)"
_NEWER = """INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
at_ns = excluded.at_ns, start_ns = excluded.start_ns, origin = excluded.origin, user = excluded.user,
body = excluded.body"""

_encode = msgpack.Encoder().encode
_span = msgpack.Decoder(Span).decode
_origin = msgpack.Decoder(Origin).decode


class SeenSpan(NamedTuple):
    """A span and who sent it."""

    span: Span
    origin: Origin


class SeenTrace(NamedTuple):
    """Spans in the order in which they began, and how many there are in all."""

    spans: list[SeenSpan]
    total: int


class SpanStore:
    """Opened from a path. Any thread may call it. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        """Protects the connection that writes."""
        self._writer = open_database(path, MIGRATIONS)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._writer.close()

    def add(self, project: str, groups: Iterable[Spans], *, now_ns: int | None = None) -> int:
        """Keep spans of a project, all or nothing; how many."""
        at_ns = time.time_ns() if now_ns is None else now_ns
        with self._changing() as connection:
            kept = 0
            for origin, spans in groups:
                number = _number_of(connection, project, origin)
                common = _user_of(origin.resource)
                connection.executemany(
                    _NEWER,
                    [
                        (
                            project, bytes.fromhex(one.trace), bytes.fromhex(one.id), at_ns, one.start_ns,
                            number, _user_of(one.attributes) or common, _encode(one),
                        )
                        for one in spans
                    ],
                )  # fmt: skip
                kept += len(spans)
            return kept

    def of(self, project: str | None, trace: str, limit: int = MOST_SHOWN) -> SeenTrace:
        """The spans of a trace, of one project or of all. An id that is none has no spans."""
        try:
            key = bytes.fromhex(trace)
        except ValueError:
            return SeenTrace([], 0)
        where, values = "trace = ?", (key,) if project is None else (key, project)
        if project is not None:
            where += " AND project = ?"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT body, origin FROM spans WHERE {where} ORDER BY start_ns, span LIMIT ?",  # noqa: S608  # constants
                (*values, limit),
            ).fetchall()
            total = len(rows)
            if total == limit:
                counting = f"SELECT count(*) FROM spans WHERE {where}"  # noqa: S608  # constants
                total = int(connection.execute(counting, values).fetchone()[0])
            origins = {number: _origin_of(connection, number) for number in {row[1] for row in rows}}
        return SeenTrace([SeenSpan(_span(body), origins[number]) for body, number in rows], total)

    def erase_before(self, project: str, before_ns: int) -> int:
        """Erase what came of one project before a moment, some at a time; how many went."""
        erased, step = 0, _STEP
        while step == _STEP:
            with self._changing() as connection:
                step = connection.execute(
                    "DELETE FROM spans WHERE (trace, project, span) IN (SELECT trace, project, span"
                    " FROM spans WHERE project = ? AND at_ns < ? LIMIT ?)",
                    (project, before_ns, _STEP),
                ).rowcount
            erased += step
        if erased:
            with self._changing() as connection:
                connection.execute(_ORPHANS)
        return erased

    def projects(self) -> list[str]:
        """Those that have spans here."""
        with self._reading() as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT project FROM spans")]

    def erase(self, project: str | None, user: str, traces: Sequence[str] = ()) -> int:
        """Erase all spans of the traces in which one names this user, and of `traces`; how many went."""
        named = "SELECT DISTINCT trace, project FROM spans WHERE (? IS NULL OR project = ?) AND "
        traces = [one for one in traces if len(one) == 32 and _HEX.issuperset(one)]
        with self._reading() as connection:
            found = connection.execute(
                named + "user IN (?, ?)", (project, project, user, pseudonym(user))
            ).fetchall()
            for trace in traces:
                found += connection.execute(named + "trace = ?", (project, project, bytes.fromhex(trace)))
        erased = 0
        for place in found:
            with self._changing() as connection:
                statement = "DELETE FROM spans WHERE trace = ? AND project = ?"
                erased += connection.execute(statement, place).rowcount
        if erased:
            with self._changing() as connection:  # what is said of a sender may name the user, too
                connection.execute(_ORPHANS)
            with self._lock, self._explaining():
                empty_log(self._writer)
        return erased

    def purge(self, before_ns: int) -> int:
        """Let go of what came before a moment, and of origins nobody names any more; how many spans went."""
        erased, step = 0, _STEP
        while step == _STEP:
            with self._changing() as connection:
                step = connection.execute(
                    "DELETE FROM spans WHERE (trace, project, span) IN"
                    " (SELECT trace, project, span FROM spans WHERE at_ns < ? LIMIT ?)",
                    (before_ns, _STEP),
                ).rowcount
            erased += step
        if erased:
            with self._changing() as connection:
                connection.execute(_ORPHANS)
        return erased

    def has_room(self, project: str, most_bytes: int) -> bool:
        """Whether a project may add spans where all together may take so much.

        While there is room for all, it may; else as long as it has less than an equal share: so nobody fills
        it up for others, and what all take is below twice the most, until the time of the oldest is over.
        """
        with self._reading() as connection:
            rows = connection.execute("SELECT project, bytes FROM held WHERE bytes > 0").fetchall()
        held: dict[str, int] = {project: 0, **dict(rows)}
        return sum(held.values()) < most_bytes or held[project] * len(held) < most_bytes

    def count(self) -> int:
        """How many spans there are; reads an index of all of them."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])

    def progress(self, name: str) -> int | None:
        """How far an export has come; None where it never began."""
        with self._reading() as connection:
            found = connection.execute("SELECT value FROM progress WHERE name = ?", (name,)).fetchone()
            return None if found is None else int(found[0])

    def set_progress(self, name: str, value: int) -> None:
        """Note how far an export has come."""
        with self._changing() as connection:
            connection.execute(
                "INSERT INTO progress VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (name, value),
            )

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explaining(), transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._explaining(), closing(open_reader(self._path)) as connection:
            yield connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self._path, error) from error


def _number_of(connection: sqlite3.Connection, project: str, origin: Origin) -> int:
    body = _encode(origin)
    digest = sha256(_encode(project) + body).digest()[:16]
    connection.execute(
        "INSERT OR IGNORE INTO origins (digest, body, project) VALUES (?, ?, ?)", (digest, body, project)
    )
    return int(connection.execute("SELECT number FROM origins WHERE digest = ?", (digest,)).fetchone()[0])


def _origin_of(connection: sqlite3.Connection, number: int) -> Origin:
    return _origin(connection.execute("SELECT body FROM origins WHERE number = ?", (number,)).fetchone()[0])


def _user_of(attributes: Attributes) -> str | None:
    for name in USER:
        user = attributes.get(name)
        if isinstance(user, str) and user:
            return user
        if isinstance(user, int) and not isinstance(user, bool):
            return str(user)
    return None
