"""What the routes of files and vector stores share: whose turn it is, lists by page, and the search."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from greenroom.contracts import Encoder
from greenroom.errors import Forbidden, MalformedRequest
from greenroom.exchange import Caller, Passage
from greenroom.gateway.access import Access
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.paging import Cursor
from greenroom.grounding.stems import language_of
from greenroom.grounding.vectors import Asked
from greenroom.server.routing import Note, client_address
from greenroom.wire.digits import number_in

MOST_LISTED = 100


class Desk:
    """The index, who may use it, and how to say that something waits to be read."""

    def __init__(
        self,
        access: Access,
        index: DocumentIndex,
        encoder: Encoder | None,
        wake: Callable[[], None],
        file_bytes: int,
        note: Note,
    ) -> None:
        self.index = index
        self.wake = wake
        self.file_bytes = file_bytes
        """The size of a file at most."""
        self._access = access
        self._note = note
        self._encoder = encoder

    @asynccontextmanager
    async def at_work(self, request: Request) -> AsyncIterator[None]:
        """Count what costs something as a request of the key. Raises QuotaExceeded."""
        grant = self._access.admit(self._access.identify(dict(request.scope["headers"])))
        try:
            yield
        finally:
            grant.release(0)

    async def noted(self, request: Request, who: Caller | str | None, what: str, **about: object) -> None:
        """Write a change into the audit log: whose key, what was done, to what."""
        name = who if isinstance(who, str) else who.key_id if who is not None else "unknown"
        address = client_address(request)
        await run_in_threadpool(self._note, name, what, about, address)

    def search(
        self,
        queries: Sequence[str],
        *,
        project: str,
        collection: str,
        limit: int,
        documents: Sequence[str] | None = None,
    ) -> list[Passage]:
        """Passages of a collection, each by the query it answers best; best first. Blocks."""
        found: dict[str, Passage] = {}
        for query in queries:
            for one in self.index.search(
                query, project=project, collections=[collection], limit=limit, documents=documents,
                vector=self._asked(query, project, collection),
            ):  # fmt: skip
                known = found.get(one.id)
                if known is None or known.score < one.score:
                    found[one.id] = one
        return sorted(found.values(), key=lambda one: -one.score)[:limit]

    def _asked(self, query: str, project: str, collection: str) -> Asked | None:
        encoder = self._encoder
        if encoder is None or language_of(query) not in encoder.languages:
            return None
        if not self.index.has_vectors(project, [collection]):
            return None
        return Asked(encoder.name, encoder.encode([query])[0])


def project_of(caller: Caller | None) -> str:
    """The project whose files a key may use.

    Raises: Forbidden for a key that is limited to some apps, since files belong to all of them.
    """
    assert caller is not None, "every route here has a role"
    if caller.apps:
        raise Forbidden(
            "This key is limited to some apps; files and vector stores belong to the whole project. Use a "
            "key without such a limit."
        )
    return caller.project


def cursor_of(query: Mapping[str, str], *, usual: int = 20, most: int = MOST_LISTED) -> Cursor:
    """`limit`, `order`, `after` and `before` of a list. Raises MalformedRequest naming the parameter."""
    limit, order = number_in(query.get("limit", str(usual)), 0, most), query.get("order", "desc")
    if limit is None:
        raise MalformedRequest(f"'limit' must be a number from 0 to {most:,}.", "limit")
    if order not in {"asc", "desc"}:
        raise MalformedRequest("'order' must be 'asc' or 'desc'.", "order")
    return Cursor(
        limit,
        "asc" if order == "asc" else "desc",
        query.get("after") or None,
        query.get("before") or None,
    )


def listed(rows: Sequence[dict[str, object]], *, has_more: bool) -> dict[str, object]:
    """A page of a list."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": has_more,
    }
