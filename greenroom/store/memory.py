"""What is remembered of each user: which turns to search, and facts with the turns that say so.

Tables beside the conversations, written in the transaction that stores the turns. A place is one turn of one
session of one user; hand-written facts have negative ones. Facts are only ever added: a newer one of the same
slot supersedes the older, which stays. Knows no language: what a turn holds is told by `Hear`.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

FACT = "="
"""Before a term by which a fact, not only its words, is asked for."""
STATEMENT, QUESTION, ANSWER = 0, 1, 2
"""Kinds of turns."""

_SHIFT = 20
_MOST_PLACES = 1_000
"""Of one word, the newest that are looked at: a word said more often tells nothing."""


class HeardFact(NamedTuple):
    """A fact as it was said."""

    slot: str
    value: str
    text: str
    keys: tuple[str, ...]
    """Terms by which questions ask for it."""


class Heard(NamedTuple):
    """What one turn holds."""

    kind: int
    terms: Sequence[str]
    facts: Sequence[HeardFact]


Hear = Callable[[str, str], Heard | None]
"""Role and text of a turn to what it holds; None for what is not searched."""


class Fact(Struct, kw_only=True):
    """A fact, its evidence oldest first. `superseded` ones hold no more."""

    id: int
    slot: str
    text: str
    at: str
    """When it was first said, ISO 8601."""
    superseded: bool = False
    superseded_by: int | None = None
    evidence: list["Evidence"] = []
    """Empty for a fact that was written by hand."""


class Evidence(Struct, kw_only=True):
    """A turn that says so."""

    session: str
    turn: int
    at: str
    text: str


class KnownTurn(NamedTuple):
    """What ranking knows of a place."""

    at: float
    kind: int
    size: int


def owner_of(connection: sqlite3.Connection, project: str, user: str) -> int | None:
    """The number of a user of a project, None where nothing is remembered."""
    row = connection.execute("SELECT number FROM owners WHERE project = ? AND user = ?", (project, user))
    found = row.fetchone()
    return None if found is None else int(found[0])


def place_of(connection: sqlite3.Connection, owner: int, session: str, turn: int) -> int:
    """The place of a turn, its session given a number now if it has none."""
    connection.execute("INSERT OR IGNORE INTO places (owner, session) VALUES (?, ?)", (owner, session))
    row = connection.execute("SELECT number FROM places WHERE owner = ? AND session = ?", (owner, session))
    return (int(row.fetchone()[0]) << _SHIFT) + turn


def add_owner(connection: sqlite3.Connection, project: str, user: str) -> int:
    """The number of a user, given now if there is none."""
    connection.execute("INSERT OR IGNORE INTO owners (project, user) VALUES (?, ?)", (project, user))
    number = owner_of(connection, project, user)
    assert number is not None
    return number


def take(connection: sqlite3.Connection, owner: int, place: int, at: float, heard: Heard) -> None:
    """Make a turn findable, and add its facts. Inside a transaction; taking a turn twice changes nothing."""
    connection.execute(
        "INSERT OR IGNORE INTO heard VALUES (?, ?, ?, ?, ?)", (owner, place, at, heard.kind, len(heard.terms))
    )
    connection.executemany(
        "INSERT OR IGNORE INTO words VALUES (?, ?, ?)", [(owner, term, place) for term in heard.terms]
    )
    for fact in heard.facts:
        ask_for(connection, owner, place, fact.keys)
        add_fact(connection, owner, fact, at, place)


def add_fact(
    connection: sqlite3.Connection, owner: int, fact: HeardFact, at: float, place: int | None
) -> int:
    """Add a fact said at a moment, or one more evidence of it; its id. Without a place it is hand-written.

    Within a slot facts are a chain in the order of time, whatever the order in which they come in.
    """
    chain = connection.execute(
        "SELECT id, value, at FROM facts WHERE owner = ? AND slot = ? ORDER BY at, id", (owner, fact.slot)
    ).fetchall()
    before = next((row for row in reversed(chain) if row[2] <= at), None)
    after = next((row for row in chain if row[2] > at), None)
    if before is not None and before[1] == fact.value:
        id = int(before[0])
    elif after is not None and after[1] == fact.value:
        id = int(after[0])
        connection.execute("UPDATE facts SET at = ? WHERE id = ?", (at, id))
    else:
        cursor = connection.execute(
            "INSERT INTO facts (owner, slot, value, text, keys, at, superseded_by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                owner, fact.slot, fact.value, fact.text, " ".join(fact.keys), at,
                after[0] if after else None,
            ),
        )  # fmt: skip
        assert cursor.lastrowid is not None
        id = cursor.lastrowid
        if before is not None:
            connection.execute("UPDATE facts SET superseded_by = ? WHERE id = ?", (id, before[0]))
    connection.execute(
        "INSERT OR IGNORE INTO evidence VALUES (?, ?, ?)", (id, -id if place is None else place, at)
    )
    return id


def supersede(connection: sqlite3.Connection, old: int, new: int) -> None:
    """Say that a fact holds no more because of another one."""
    connection.execute("UPDATE facts SET superseded_by = ? WHERE id = ? AND id <> ?", (new, old, new))


def postings(connection: sqlite3.Connection, owner: int, terms: Iterable[str]) -> dict[str, list[int]]:
    """The places of each term, the newest 1,000."""
    found: dict[str, list[int]] = {}
    for term in terms:
        rows = connection.execute(
            "SELECT place FROM words WHERE owner = ? AND term = ? ORDER BY place DESC LIMIT ?",
            (owner, term, _MOST_PLACES),
        ).fetchall()
        if rows:
            found[term] = [row[0] for row in rows]
    return found


def known_turns(connection: sqlite3.Connection, owner: int, places: Sequence[int]) -> dict[int, KnownTurn]:
    """What is known of these places."""
    rows = connection.execute(
        "SELECT place, at, kind, size FROM heard WHERE owner = ?"
        " AND place IN (SELECT value FROM json_each(?))",
        (owner, _listed(places)),
    )
    return {row[0]: KnownTurn(row[1], row[2], row[3]) for row in rows}


def facts_at(
    connection: sqlite3.Connection, places: Sequence[int]
) -> dict[int, list[tuple[int, frozenset[str], bool]]]:
    """Of each place its facts: id, the terms that ask for it, and whether it still holds."""
    found: dict[int, list[tuple[int, frozenset[str], bool]]] = {}
    for place, id, keys, superseded_by in connection.execute(
        "SELECT e.place, f.id, f.keys, f.superseded_by FROM evidence e JOIN facts f ON f.id = e.fact"
        " WHERE e.place IN (SELECT value FROM json_each(?))",
        (_listed(places),),
    ):
        found.setdefault(place, []).append((id, frozenset(keys.split()), superseded_by is None))
    return found


def count_heard(connection: sqlite3.Connection, owner: int) -> int:
    """How many turns of a user can be found."""
    return int(connection.execute("SELECT count(*) FROM heard WHERE owner = ?", (owner,)).fetchone()[0])


def evidence_of(connection: sqlite3.Connection, owner: int, places: Sequence[int]) -> dict[int, Evidence]:
    """The turns at these places, those of hand-written facts aside."""
    names = dict(
        connection.execute("SELECT number, session FROM places WHERE owner = ?", (owner,)).fetchall()
    )
    who = connection.execute("SELECT project, user FROM owners WHERE number = ?", (owner,)).fetchone()
    found: dict[int, Evidence] = {}
    for place in places:
        session = names.get(place >> _SHIFT) if place > 0 else None
        if session is None or who is None:
            continue
        turn = place & ((1 << _SHIFT) - 1)
        row = connection.execute(
            "SELECT text, at FROM turns WHERE project = ? AND session = ? AND user = ? AND turn = ?",
            (who[0], session, who[1], turn),
        ).fetchone()
        if row is not None:
            found[place] = Evidence(session=session, turn=turn, at=row[1], text=row[0])
    return found


def facts_of(
    connection: sqlite3.Connection,
    owner: int,
    moment: Callable[[float], str],
    ids: Sequence[int] | None = None,
) -> list[Fact]:
    """A user's facts, the newest first, with their evidence; `moment` writes a time."""
    rows = connection.execute(
        "SELECT id, slot, text, at, superseded_by FROM facts WHERE owner = ?"
        " AND (? IS NULL OR id IN (SELECT value FROM json_each(?))) ORDER BY at DESC, id DESC",
        (owner, *([None, None] if ids is None else [_listed(ids)] * 2)),
    ).fetchall()
    said: dict[int, list[int]] = {}
    for fact, place in connection.execute(
        "SELECT e.fact, e.place FROM evidence e JOIN facts f ON f.id = e.fact WHERE f.owner = ?"
        " ORDER BY e.at",
        (owner,),
    ):
        said.setdefault(fact, []).append(place)
    wanted = [place for row in rows for place in said.get(row[0], ())]
    turns = evidence_of(connection, owner, wanted)
    return [
        Fact(
            id=id, slot=slot.partition("=")[0], text=text, at=moment(at), superseded=superseded_by is not
            None, superseded_by=superseded_by or None, evidence=[turns[place] for place in said.get(id, ())
            if place in turns],
        )
        for id, slot, text, at, superseded_by in rows
    ]  # fmt: skip


def drop_fact(connection: sqlite3.Connection, owner: int, id: int) -> list[int]:
    """Erase one fact; the places that were its evidence. What it superseded stays superseded."""
    row = connection.execute(
        "SELECT superseded_by FROM facts WHERE id = ? AND owner = ?", (id, owner)
    ).fetchone()
    if row is None:
        return []
    places = [int(one[0]) for one in connection.execute("SELECT place FROM evidence WHERE fact = ?", (id,))]
    connection.execute("UPDATE facts SET superseded_by = ? WHERE superseded_by = ?", (row[0] or 0, id))
    connection.execute("DELETE FROM evidence WHERE fact = ?", (id,))
    connection.execute("DELETE FROM facts WHERE id = ?", (id,))
    return places


def ask_for(connection: sqlite3.Connection, owner: int, place: int, keys: Iterable[str]) -> None:
    """Let a fact at a place be found by what asks for it."""
    connection.executemany(
        "INSERT OR IGNORE INTO words VALUES (?, ?, ?)", [(owner, FACT + key, place) for key in keys]
    )


def drop_evidence(connection: sqlite3.Connection, owner: int, place: int, facts: Iterable[int]) -> None:
    """A place is evidence of these facts no more; those without any are erased."""
    for fact in facts:
        connection.execute("DELETE FROM evidence WHERE fact = ? AND place = ?", (fact, place))
        if connection.execute("SELECT 1 FROM evidence WHERE fact = ?", (fact,)).fetchone() is None:
            drop_fact(connection, owner, fact)


def drop_place(connection: sqlite3.Connection, owner: int, place: int) -> None:
    """Make a turn unfindable; facts stay."""
    connection.execute("DELETE FROM heard WHERE owner = ? AND place = ?", (owner, place))
    connection.execute("DELETE FROM words WHERE owner = ? AND place = ?", (owner, place))


def drop_owner(connection: sqlite3.Connection, owner: int) -> int:
    """Erase all that is remembered of a user; how many facts there were."""
    connection.execute("DELETE FROM words WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM heard WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM evidence WHERE fact IN (SELECT id FROM facts WHERE owner = ?)", (owner,))
    gone = connection.execute("DELETE FROM facts WHERE owner = ?", (owner,)).rowcount
    connection.execute("DELETE FROM places WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM owners WHERE number = ?", (owner,))
    return gone


def drop_session(connection: sqlite3.Connection, project: str, session: str) -> None:
    """Erase what is remembered of one session, for all users who spoke in it, and facts only said there."""
    rows = connection.execute(
        "SELECT p.number, p.owner FROM places p JOIN owners o ON o.number = p.owner"
        " WHERE o.project = ? AND p.session = ?",
        (project, session),
    ).fetchall()
    for number, owner in rows:
        bounds = (number << _SHIFT, ((number + 1) << _SHIFT) - 1)
        facts = connection.execute(
            "SELECT DISTINCT fact FROM evidence WHERE place BETWEEN ? AND ?", bounds
        ).fetchall()
        connection.execute("DELETE FROM words WHERE owner = ? AND place BETWEEN ? AND ?", (owner, *bounds))
        connection.execute("DELETE FROM heard WHERE owner = ? AND place BETWEEN ? AND ?", (owner, *bounds))
        connection.execute("DELETE FROM evidence WHERE place BETWEEN ? AND ?", bounds)
        for (fact,) in facts:
            if connection.execute("SELECT 1 FROM evidence WHERE fact = ?", (fact,)).fetchone() is None:
                drop_fact(connection, owner, fact)
        connection.execute("DELETE FROM places WHERE number = ?", (number,))


def users(
    connection: sqlite3.Connection, project: str | None, limit: int
) -> list[dict[str, Any]]:  # Any: JSON
    """Who is remembered: project, user, how many turns and facts."""
    rows = connection.execute(
        "SELECT o.project, o.user, (SELECT count(*) FROM heard h WHERE h.owner = o.number),"
        " (SELECT count(*) FROM facts f WHERE f.owner = o.number AND f.superseded_by IS NULL)"
        " FROM owners o WHERE ? IS NULL OR o.project = ? ORDER BY o.number DESC LIMIT ?",
        (project, project, limit),
    )
    return [{"project": row[0], "user": row[1], "turns": row[2], "facts": row[3]} for row in rows]


def _listed(numbers: Iterable[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"
