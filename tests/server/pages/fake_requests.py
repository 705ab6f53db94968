"""What the pages of requests ask, answered from records in a list."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenroom.errors import NotFound
from greenroom.server.pages.requests.backend import By, Collected, CostPart, Json
from greenroom.store.bodies import Bodies, Neighbours
from greenroom.store.browsing import Facets, Sight
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.threads import Thread, Threads
from greenroom.store.views import View

if TYPE_CHECKING:
    from tests.server.pages.backend import FakeBackend


class FakeRequests:
    """Reads the records of a fake backend; remembers what was done."""

    def __init__(self, backend: "FakeBackend") -> None:
        self._backend = backend
        self.wanted: list[TraceFilter] = []
        self.scored: list[tuple[str, Score]] = []
        self.saved: list[View] = []

    def get_trace(self, id: str, /) -> Json | None:
        return self._backend.get_trace(id)

    def browse(self, wanted: TraceFilter) -> Sight:
        self.wanted.append(wanted)
        equal = {one.field: one.value for one in wanted.conditions if one.sign == "="}
        outcome = equal.get("outcome", wanted.outcome)
        found = [one for one in self._backend.records if outcome in {None, one.get("outcome")}]
        first = int(wanted.cursor or 0)
        rows = [
            {name: one[name] for name in one if name not in {"stages", "sent", "scores"}}
            for one in found[first : first + wanted.limit]
        ]
        if wanted.q:
            rows = [{**one, "snippet": [("", False), (wanted.q, True)]} for one in rows]
        outcomes = Counter(str(one.get("outcome")) for one in found).most_common()
        facets = Facets(len(found), is_all=True, values={"outcome": outcomes}) if not first else None
        following = str(first + wanted.limit) if len(found) > first + wanted.limit else None
        return Sight(rows, following, None, facets)

    def newer(self, wanted: TraceFilter, after: int) -> Sight:
        return Sight([], "0", None, None)

    def bodies(self, id: str, /) -> Bodies | None:
        return None

    def neighbours(self, id: str, /) -> Neighbours:
        return Neighbours(None, "hostile-1")

    def costs(self, record: Json) -> list[CostPart]:
        return []

    def spans(self, record: Json) -> Json:
        return {"spans": [], "total": 0}

    def otlp(self, id: str, /) -> Json | None:
        return None if self.get_trace(id) is None else {"resourceSpans": []}

    def score(self, id: str, score: Score, by: By) -> Json | None:
        if self.get_trace(id) is None:
            return None
        self.scored.append((id, score))
        return {}

    def data_sets(self) -> list[str]:
        return ["hard"]

    def collect(self, name: str, ids: Sequence[str], *, with_reply: bool, by: By) -> Collected:
        return Collected(name, 1, len(ids), len(ids), 0)

    async def replay(self, id: str, by: By) -> str:
        raise NotFound("The texts of this request were not kept: there is nothing to send again.")

    def sessions(self, cursor: str | None, limit: int) -> Threads:
        return Threads([], None, None)

    def session(self, project: str, session: str, cursor: str | None, limit: int) -> Thread | None:
        return None

    def users(self, days: int) -> list[Json]:
        return []

    def views(self, key: str) -> list[View]:
        return self.saved

    def save_view(self, key: str, name: str, filter: str) -> None:
        self.saved.append(View(name, filter))

    def remove_view(self, key: str, name: str) -> None:
        self.saved = [one for one in self.saved if one.name != name]
