"""A trace store written to beside the process that owns its folder, as by `greenroom ask` beside a server."""

from collections.abc import Sequence

from greenroom.store.coverage import Span
from greenroom.store.traces import Entry, TraceStore


class GuestTraces:
    """A `TraceWriter` that adds exchanges and leaves the owner's marks alone.

    The mark "somebody writes here" and the tally of accepted exchanges belong to one process: a guest that
    set them would have the owner count losses that never were.
    """

    def __init__(self, store: TraceStore) -> None:
        self.tally_cells = memoryview(bytearray(8)).cast("Q")
        self._store = store

    def begin(self) -> int:
        """Mark nothing."""
        return 0

    def end(self) -> None:
        """Nothing was marked."""

    def write(self, entries: Sequence[Entry], *, lost_rows: int = 0, lost_bodies: int = 0) -> Span:
        """As `TraceStore.write`."""
        return self._store.write(entries, lost_rows=lost_rows, lost_bodies=lost_bodies)

    def index(self, limit: int = 64) -> int:
        """As `TraceStore.index`."""
        return self._store.index(limit)
