"""What the pages of requests ask of the rest of Greenroom."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from greenroom.store.bodies import Bodies, Neighbours
from greenroom.store.browsing import Sight
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.threads import Thread, Threads
from greenroom.store.views import View

Json = dict[str, Any]  # Any: what JSON holds


class By(NamedTuple):
    """Who does something: the id of their key, and the address they came from."""

    key: str
    address: str


class CostPart(NamedTuple):
    """What one kind of tokens cost; `share` is its part of the whole."""

    name: str
    tokens: int
    usd: str
    share: float


class Collected(NamedTuple):
    """What a data set has after requests were added to it."""

    name: str
    version: int
    rows: int
    added: int
    skipped: int


class RequestsBackend(Protocol):
    """All but `replay` runs in a worker thread and may raise `GreenroomError`, whose sentence is shown."""

    def get_trace(self, id: str, /) -> Json | None:
        """Return the record of an exchange."""
        ...

    def browse(self, wanted: TraceFilter) -> Sight:
        """Return a page of requests: `store.browsing.browse`."""
        ...

    def newer(self, wanted: TraceFilter, after: int) -> Sight:
        """Return what came after a number: `store.browsing.newest_after`."""
        ...

    def bodies(self, id: str, /) -> Bodies | None:
        """Return what came and what was sent, byte for byte."""
        ...

    def neighbours(self, id: str, /) -> Neighbours:
        """Return the requests that ended just before and after one."""
        ...

    def costs(self, record: Json) -> list[CostPart]:
        """Return what an exchange's tokens cost, by kind; empty where that is not known."""
        ...

    def spans(self, record: Json) -> Json:
        """Return spans of the application around an exchange: `assembly.spans.spans_of`."""
        ...

    def otlp(self, id: str, /) -> Json | None:
        """Return an exchange as OTLP, without its texts; None when there is none of this id."""
        ...

    def score(self, id: str, score: Score, by: By) -> Json | None:
        """Add a score; None when there is no such exchange."""
        ...

    def data_sets(self) -> list[str]:
        """Return the names of the data sets there are."""
        ...

    def collect(self, name: str, ids: Sequence[str], *, with_reply: bool, by: By) -> Collected:
        """Add requests to a data set, as its next version."""
        ...

    async def replay(self, id: str, by: By) -> str:
        """Send a stored request again, through the same app; return the new one's id."""
        ...

    def sessions(self, cursor: str | None, limit: int) -> Threads:
        """Return the sessions in which something happened last."""
        ...

    def session(self, project: str, session: str, cursor: str | None, limit: int) -> Thread | None:
        """Return the turns of a session; None when nothing is kept of it."""
        ...

    def users(self, days: int) -> list[Json]:
        """Return users by what they cost in the last days: `store.spenders.spenders`."""
        ...

    def views(self, key: str) -> list[View]:
        """Return the saved views of a key."""
        ...

    def save_view(self, key: str, name: str, filter: str) -> None:
        """Keep a view."""
        ...

    def remove_view(self, key: str, name: str) -> None:
        """Delete a view."""
        ...
