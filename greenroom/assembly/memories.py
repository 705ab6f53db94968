"""The store's memory of users in the shape that the `memory` step, the API and the pages want.

Here what a turn says (`stages`), what words are about (`grounding`) and what is kept (`store`) come together.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from time import time

from greenroom.errors import NotFound
from greenroom.grounding import recall as ranking
from greenroom.grounding.concepts import CONCEPT, Asked, ask, index_terms
from greenroom.stages.ground.facts import Fact as SaidFact
from greenroom.stages.ground.facts import fact_of, facts_in, is_statement
from greenroom.stages.ground.history import SaidTurn
from greenroom.stages.ground.memory import Recalled
from greenroom.store import memory
from greenroom.store.memory import ANSWER, QUESTION, STATEMENT, Fact, Heard, HeardFact
from greenroom.store.said import Turn as StoredTurn
from greenroom.store.turns import StoredTurns

_EXCERPT = 600
"""Characters of a turn that are brought; of a longer one the piece that tells most."""
_HELD = 200_000
"""Characters of a turn that are kept."""
_FORGOTTEN = "[…]"
_SPARE = 6
"""How many times the same may have been said before something else is missed."""


def hear(role: str, text: str) -> Heard | None:
    """What a turn holds that can be found: facts are those of users alone, other roles are not heard."""
    if role == "user":
        kind = STATEMENT if is_statement(text) else QUESTION
        return Heard(kind, index_terms(text), [_heard(one) for one in facts_in(text)])
    return Heard(ANSWER, index_terms(text), ()) if role == "assistant" else None


def session_of(user: str) -> str:
    """The session that keeps what a user says in requests which name none."""
    return f"user:{user}"


class KeptMemories:
    """`Memories` of the step over the conversations' file, and what the API and the pages ask of it."""

    def __init__(self, store: StoredTurns) -> None:
        self._store = store

    def knows(self, project: str, user: str) -> bool:
        """Whether anything is remembered of a user."""
        return self._store.knows(project, user)

    def remember(
        self, project: str, session: str | None, user: str, turns: Sequence[SaidTurn], *, since: float
    ) -> None:
        """Keep turns; they are written within 20 ms, and before the next recall for this user."""
        name = session or session_of(user)
        kept = [
            StoredTurn(
                session=name, turn=0, role=one.role, text=one.text[:_HELD], at=moment(one.at), user=user
            )
            for one in turns
        ]
        self._store.append(project, name, user, kept, remember=True, since=since)

    def recall(
        self,
        project: str,
        user: str,
        queries: Sequence[str],
        *,
        language: str | None,
        limit: int,
        threshold: float,
    ) -> list[Recalled]:
        """What tells something of any of the queries: facts that hold first, then the likelier, the newer.

        Cost: 6 ms for a user with 10,000 turns. Raises: StoreError.
        """
        asked = [ask(query, language) for query in queries]
        with self._store.reading(project=project, user=user) as connection:
            owner = memory.owner_of(connection, project, user)
            if owner is None:
                return []
            return _Recall(connection, owner, asked, threshold).best(limit)

    def users(self, project: str | None, limit: int = 1000) -> list[dict[str, object]]:
        """Who is remembered, the newest first. Raises: StoreError."""
        self._store.flush()
        with self._store.reading() as connection:
            return memory.users(connection, project, limit)

    def facts(self, project: str, user: str) -> list[Fact]:
        """A user's facts, the newest first, superseded ones too. Raises: StoreError."""
        with self._store.reading(project=project, user=user) as connection:
            owner = memory.owner_of(connection, project, user)
            return [] if owner is None else memory.facts_of(connection, owner, moment)

    def count(self, project: str, user: str) -> int:
        """How many turns of a user can be found. Raises: StoreError."""
        with self._store.reading(project=project, user=user) as connection:
            owner = memory.owner_of(connection, project, user)
            return 0 if owner is None else memory.count_heard(connection, owner)

    def add_fact(self, project: str, user: str, text: str) -> Fact:
        """Write a fact down by hand; it supersedes what was said of the same. Raises: StoreError."""
        self._store.flush()
        with self._store.changing() as connection:
            owner = memory.add_owner(connection, project, user)
            id = _write_down(connection, owner, text)
            [fact] = memory.facts_of(connection, owner, moment, [id])
        self._store.drop_cached()
        return fact

    def edit_fact(self, project: str, user: str, id: int, text: str) -> Fact:
        """Put a fact in the place of another, which stays as superseded. Raises: NotFound, StoreError."""
        self._store.flush()
        with self._store.changing() as connection:
            owner = memory.owner_of(connection, project, user)
            if owner is None or not memory.facts_of(connection, owner, moment, [id]):
                raise NotFound(f"There is no fact {id} of this user.")
            new = _write_down(connection, owner, text)
            memory.supersede(connection, id, new)
            [fact] = memory.facts_of(connection, owner, moment, [new])
        return fact

    def forget_fact(self, project: str, user: str, id: int) -> None:
        """Erase a fact, and its sentence from the turns that say it. Raises: NotFound, StoreError."""
        self._store.flush()
        with self._store.changing() as connection:
            owner = memory.owner_of(connection, project, user)
            found = [] if owner is None else memory.facts_of(connection, owner, moment, [id])
            if owner is None or not found:
                raise NotFound(f"There is no fact {id} of this user.")
            _erase(connection, owner, (project, user), found[0])
        self._store.drop_cached()
        self._store.wipe()

    def forget(self, project: str, user: str) -> tuple[int, int]:
        """Erase a user's facts and turns; how many of each. Raises: StoreError."""
        facts = len(self.facts(project, user))
        return facts, self._store.forget(project, user=user)


class _Recall:
    """One search."""

    def __init__(
        self, connection: sqlite3.Connection, owner: int, asked: Sequence[Asked], threshold: float
    ) -> None:
        self._connection = connection
        self._owner = owner
        self._asked = asked
        self._threshold = threshold
        self._terms = frozenset(
            term
            for one in asked
            for group in one.groups
            if group.weight >= 1
            for term in group.literal | group.concepts
        )
        self._is_past = any(one.is_past for one in asked)

    def best(self, limit: int) -> list[Recalled]:
        hits = self._hits()
        facts = memory.facts_at(self._connection, [hit.place for hit in hits])
        ranked: list[tuple[int, ranking.Hit]] = []
        for hit in hits:
            own = [holds for _, keys, holds in facts.get(hit.place, ()) if keys & self._terms]
            is_former = bool(own) and not any(own)
            if is_former and not self._is_past:
                continue
            tier = 0 if is_former else 1 if hit.is_asked else 2
            ranked.append((tier, hit))
        ranked.sort(key=lambda pair: pair[0])
        del ranked[_SPARE * limit :]
        turns = memory.evidence_of(self._connection, self._owner, [hit.place for _, hit in ranked])
        written = self._written([hit.place for _, hit in ranked], facts)
        found: list[Recalled] = []
        for tier, hit in ranked:
            one = turns.get(hit.place)
            if one is not None:
                role = "assistant" if self._kinds[hit.place] == ANSWER else "user"
                made = Recalled(
                    one.session, one.turn, one.at, self._excerpt(one.text), hit.score, role, tier == 0
                )
            elif hit.place in written:
                made = Recalled(
                    None, 0, written[hit.place].at, written[hit.place].text, hit.score, "user", tier == 0
                )
            else:
                continue
            if all(made.text != other.text for other in found):
                found.append(made)
            if len(found) == limit:
                break
        return found

    def _hits(self) -> list[ranking.Hit]:
        """Above the threshold, by the best of the queries."""
        turns = memory.count_heard(self._connection, self._owner)
        best: dict[int, ranking.Hit] = {}
        self._kinds: dict[int, int] = {}
        order: list[int] = []
        for asked in self._asked:
            if not asked.groups:
                continue
            found = memory.postings(self._connection, self._owner, ranking.terms_of(asked))
            matches = ranking.match(asked, found, turns)
            known = memory.known_turns(self._connection, self._owner, ranking.candidates(matches))
            for hit in ranking.rank(matches, known):
                if hit.score >= self._threshold and (
                    hit.place not in best or hit.score > best[hit.place].score
                ):
                    best[hit.place] = hit
                    self._kinds[hit.place] = known[hit.place].kind
                    order.append(hit.place)
        return [best[place] for place in dict.fromkeys(order)]

    def _written(
        self, places: Sequence[int], facts: dict[int, list[tuple[int, frozenset[str], bool]]]
    ) -> dict[int, Fact]:
        ids = {place: facts[place][0][0] for place in places if place < 0 and place in facts}
        if not ids:
            return {}
        by_id = {
            one.id: one for one in memory.facts_of(self._connection, self._owner, moment, list(ids.values()))
        }
        return {place: by_id[id] for place, id in ids.items() if id in by_id}

    def _excerpt(self, text: str) -> str:
        if len(text) <= _EXCERPT:
            return text
        pieces = [text[at : at + _EXCERPT] for at in range(0, min(len(text), 20_000), _EXCERPT // 2)]
        return max(pieces, key=lambda piece: len(self._terms.intersection(index_terms(piece)))).strip()


def _write_down(connection: sqlite3.Connection, owner: int, text: str) -> int:
    fact = _heard(fact_of(text))
    now = time()
    id = memory.add_fact(connection, owner, fact, now, None)
    memory.take(connection, owner, -id, now, Heard(STATEMENT, index_terms(text), ()))
    memory.ask_for(connection, owner, -id, fact.keys)
    return id


def _erase(connection: sqlite3.Connection, owner: int, who: tuple[str, str], fact: Fact) -> None:
    """A fact, with every other that the same sentence states."""
    for place in memory.drop_fact(connection, owner, fact.id):
        memory.drop_place(connection, owner, place)
        others = [id for id, _, _ in memory.facts_at(connection, [place]).get(place, ())]
        turn = memory.evidence_of(connection, owner, [place]).get(place)
        if turn is None:
            continue
        text = turn.text.replace(fact.text, _FORGOTTEN) if fact.text in turn.text else _FORGOTTEN
        connection.execute(
            "UPDATE turns SET text = ? WHERE project = ? AND user = ? AND session = ? AND turn = ?",
            (text, *who, turn.session, turn.turn),
        )
        memory.drop_evidence(connection, owner, place, others)
        heard = hear("user", text)
        if heard is not None and heard.terms:
            at = datetime.fromisoformat(turn.at)
            memory.take(connection, owner, place, at.timestamp(), heard)


def _heard(fact: SaidFact) -> HeardFact:
    keys = dict.fromkeys(CONCEPT + one for one in fact.concepts)
    keys.update(dict.fromkeys(index_terms(fact.about)))
    return HeardFact(fact.slot, fact.value, fact.text, tuple(keys))


def moment(at: float) -> str:
    """Seconds since 1970 as the store writes them."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
