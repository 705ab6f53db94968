"""What the ledger needs of its file, and what it tells of itself."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from greenroom.store.lines import Held, Line, Window


class Books(Protocol):
    """The file; `LedgerStore` is one. Raises: StoreError from every method when it cannot be used."""

    def join(self) -> int: ...
    def leave(self) -> None: ...
    def close(self) -> None: ...
    def look_after(self) -> tuple[int, int]: ...
    def grant(self, window: Window, limit: int, needed: int, free: int, *, strict: bool = ...) -> int: ...
    def write(
        self,
        lines: Sequence[Line],
        held: Sequence[Held] = ...,
        freed: Sequence[str] = ...,
        settled: Mapping[Window, int] | None = ...,
        leased: Mapping[Window, int] | None = ...,
    ) -> None: ...


class LedgerCounts(NamedTuple):
    """Since the start; `waiting` is now."""

    lines: int
    lost: int
    abandoned: int
    """Requests of processes that died, settled at what was reserved for them."""
    errors: int
    waiting: int


class Batch(NamedTuple):
    """What goes into the file together."""

    lines: list[Line]
    held: list[Held]
    freed: list[str]
    settled: dict[Window, int]
    leased: dict[Window, int]
