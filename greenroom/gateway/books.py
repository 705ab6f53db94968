"""What the ledger needs of its file, what waits to be written there, and what it tells of itself."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from greenroom.gateway.charges import account_of
from greenroom.gateway.purse import Balance, Purse
from greenroom.store.lines import Held, Line, Window


class Books(Protocol):
    """The file; `LedgerStore` is one. Raises: StoreError from every method when it cannot be used."""

    def join(self) -> int: ...
    def leave(self) -> None: ...
    def close(self) -> None: ...
    def look_after(self) -> tuple[int, int]: ...
    def grant(self, window: Window, limit: int, needed: int, free: int, *, strict: bool = ...) -> int: ...
    def left(self, window: Window, limit: int) -> int: ...
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


class Waiting:
    """What is to be written next; belongs to whoever holds the ledger's lock."""

    __slots__ = ("closed", "dirty", "lines", "opened", "returned")

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.opened: list[Purse] = []
        """Whose reservations are new, or have changed."""
        self.closed: list[Purse] = []
        self.dirty: dict[Window, Balance] = {}
        """Of which something was spent."""
        self.returned: dict[Window, int] = {}
        """By how much leases change that are given back."""

    def __bool__(self) -> bool:
        return bool(self.lines or self.opened or self.closed or self.returned)

    def take(self) -> Batch:
        """All of it. What was spent leaves the balances for the file, with the lease that covered it."""
        settled: dict[Window, int] = {}
        leased, self.returned = self.returned, {}
        for window, one in self.dirty.items():
            spent, one.unwritten = one.unwritten, 0
            one.used -= spent
            change = max(0, one.used - (one.lease - spent)) - spent  # it may have cost more than was reserved
            one.lease += change
            settled[window] = spent
            leased[window] = leased.get(window, 0) + change
        held = []
        for purse in dict.fromkeys(self.opened):
            if not purse.is_closed:
                purse.is_written = True
                held.append(_held(purse))
        freed = [purse.exchange.id for purse in self.closed if purse.is_written]
        batch = Batch(self.lines, held, freed, settled, leased)
        self.lines, self.opened, self.closed, self.dirty = [], [], [], {}
        return batch


def _held(purse: Purse) -> Held:
    exchange = purse.exchange
    windows = tuple([one.window for one in purse.balances])
    account = account_of(exchange, exchange.attempts[-1].target)
    return Held(exchange.id, exchange.created_ns, account, purse.amount, windows)
