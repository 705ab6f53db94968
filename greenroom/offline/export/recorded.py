"""Records out of the store, newest first, one after the other."""

from collections.abc import Iterator

from msgspec import structs

from greenroom.offline.export.rows import Record
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore

_PAGE = 200


def records(store: TraceStore, wanted: TraceFilter, limit: int | None = None) -> Iterator[Record]:
    """Whole records of what fits, up to `limit`. Raises: StoreError; MalformedRequest for a wrong filter."""
    left = limit
    page = structs.replace(wanted, limit=_PAGE)
    while left is None or left > 0:
        found = store.list(page)
        for one in found.rows[:left]:
            record = store.get(None, one["id"])
            if record is not None:  # erased meanwhile
                yield record
        if found.next is None:
            return
        left = None if left is None else left - len(found.rows)
        page = structs.replace(page, cursor=found.next)
