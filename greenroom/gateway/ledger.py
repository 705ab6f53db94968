"""The ledger at work: balances in memory, lines to the file from a thread of its own.

A request takes what it may cost from its budgets, and what it did cost is put in the place of that when it
ends; both are additions to numbers in memory. The file is asked on the way only when more of a budget is
needed than this process has leased: each time half of what is left. What ended is in the file within 50 ms,
or, with `durability = "sync"`, before the answer leaves. Knows budgets and lines; no provider, no HTTP.
"""

import logging
import threading
from collections.abc import Sequence
from time import monotonic, time

from greenroom.errors import Overloaded, StoreError
from greenroom.exchange import Exchange
from greenroom.gateway.books import Batch, Books, LedgerCounts, Waiting
from greenroom.gateway.charges import at_most, lines_of
from greenroom.gateway.keys import Key
from greenroom.gateway.purse import USUAL, Balance, Calendar, Policy, Purse, Rule
from greenroom.store.lines import Scope, Window

log = logging.getLogger("greenroom.ledger")

PERIOD_S = 0.035
"""From one batch to the next: with the time to write it, within the promise."""
TEND_S = 1.0
"""How often leases that lie idle are given back, and the dead are looked for, while others spend too."""
IDLE_TEND_S = 5.0
REFUSED_S = 0.05
"""For so long nobody asks the file again for a budget of which nothing was left."""
MOST_WAIT_S = 0.5
"""How long a request waits for its turn at the file, where it has to ask it."""
MOST_LINES = 200_000
"""Lines that wait while the store can't be written; further ones are lost, and counted."""
MOST_BALANCES = 10_000
_CLOSED = "Budgets can't be looked up now, so nothing is spent. Try again soon."
BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Ledger:
    """Balances and lines of one process. `start`, `stop` and `counts` apart, it belongs to the event loop."""

    def __init__(
        self, books: Books, rules: Sequence[Rule] = (), policy: Policy = USUAL, *, is_sync: bool = False,
    ) -> None:  # fmt: skip
        self._books = books
        self._is_sync, self._caps = is_sync, dict[str, Rule]()
        self.set_rules(rules, policy)
        self._lock = threading.Lock()
        """Protects balances and what waits: the writer takes both at one stroke. Held for microseconds."""
        self._balances: dict[Window, Balance] = {}
        self._refused_until = 0.0
        """The latest of all balances."""
        self._calendar = Calendar()
        self._waiting = Waiting()
        self._writing = threading.Lock()
        """Protects the order of batches and leases: the thread writes them, or who can't wait for it."""
        self._left: Batch | None = None
        """What the store did not take yet."""
        self._wake = threading.Event()
        self._is_asleep = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._written = self._lost = self._abandoned = self._errors = 0
        self.last_error: str | None = None
        """What the store last complained of, None while it works."""

    def set_rules(self, rules: Sequence[Rule], policy: Policy = USUAL) -> None:
        """Take new budgets; what was spent stays where it was counted."""
        self._configured, self.policy = tuple(rules), policy
        self._rules = (*rules, *self._caps.values())
        self._counts_all = bool(self._rules) or policy.unknown_price == "refuse"
        """Whether keys without a budget of their own need a purse too."""

    def cap(self, name: str, rule: Rule | None) -> None:
        """Keep to one budget more, whatever the configuration says, until None takes its place."""
        kept = (*self._caps.items(), (name, rule))
        self._caps = {one: its for one, its in kept if its is not None and (one != name or its is rule)}
        self.set_rules(self._configured, self.policy)

    def start(self) -> int:
        """Begin to write. Returns how many requests of dead processes were settled. Raises: StoreError."""
        abandoned = self._books.join()
        self._note_abandoned(abandoned)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="greenroom-ledger", daemon=True)
        self._thread.start()
        return abandoned

    def stop(self, timeout_s: float = 10.0) -> None:
        """Write what waits, give back what is leased, end; the file is closed."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._wake.set()
        thread.join(timeout_s)
        self._books.close()

    def counts(self) -> LedgerCounts:
        """What happened so far."""
        return LedgerCounts(self._written, self._lost, self._abandoned, self._errors, self._unwritten)

    @property
    def _unwritten(self) -> int:
        return len(self._waiting.lines) + (len(self._left.lines) if self._left is not None else 0)

    @property
    def has_work(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._waiting or self._left or self._writing.locked())

    # -- the path

    def purse(self, key: Key, exchange: Exchange) -> Purse | None:
        """What an exchange pays from; None when no budget counts it. Raises: BudgetExceeded."""
        if not self._counts_all and key.budget_nano_usd is None:
            return None
        at_s = exchange.created_ns / 1e9
        balances = []
        if key.budget_scope is not None:
            balances.append(self._of_key(key, at_s))
        for rule in self._rules:
            scope = rule.scope(exchange)
            if scope is not None:
                balances.append(self._balance(scope, at_s, rule.limit_nano, f"budget '{rule.name}'"))
        if not balances and self.policy.unknown_price != "refuse":
            return None
        for one in balances:
            self._look(one)
        return Purse(self, exchange, balances)

    def least_left(self, purse: Purse) -> float:
        """The share that is left of the budget of a purse of which the least is; 1 where there is none.

        What other processes have leased counts as spent. Raises: StoreError.
        """
        left = 1.0
        for one in purse.balances:
            free = self._books.left(one.window, one.limit) + one.lease - one.used
            left = min(left, free / one.limit if one.limit > 0 else 0.0)
        return left

    def check(self, key: Key) -> None:
        """Raise BudgetExceeded when a key's own budget is known to be used up."""
        if key.budget_nano_usd == 0 or (self._refused_until and monotonic() < self._refused_until):
            self._look(self._of_key(key, time()))

    def _look(self, one: Balance) -> None:
        if one.limit <= 0 or (
            one.refused_until and one.used >= one.lease and monotonic() < one.refused_until
        ):
            raise one.refusal()

    def _of_key(self, key: Key, at_s: float) -> Balance:
        assert key.budget_scope is not None
        assert key.budget_nano_usd is not None
        return self._balance(key.budget_scope, at_s, key.budget_nano_usd, "budget of this key")

    def _balance(self, scope: Scope, at_s: float, limit: int, name: str) -> Balance:
        window = scope, self._calendar.since(scope.period, at_s)
        found = self._balances.get(window)
        if found is None:
            if len(self._balances) >= MOST_BALANCES:
                self._give_back_idle(forget=True)
            found = self._balances[window] = Balance(window, limit, name)
        elif found.limit != limit:
            found.limit, found.refused_until = limit, 0.0
        return found

    def take(self, purse: Purse, amount: int) -> None:
        """Reserve in every budget of a purse, or in none. Raises: BudgetExceeded, Overloaded."""
        balances = purse.balances
        with self._lock:
            for one in balances:
                if one.used + amount > one.lease:
                    break
            else:
                for one in balances:
                    one.used += amount
                self._note(purse, amount)
                balances = ()
        if balances:
            self._take_asking(purse, amount)
        self._told()

    def _take_asking(self, purse: Purse, amount: int) -> None:
        taken: list[Balance] = []
        try:
            for one in purse.balances:
                self._lease(one, amount)
                taken.append(one)
        except BaseException:
            with self._lock:
                for one in taken:
                    one.used -= amount
            raise
        with self._lock:
            self._note(purse, amount)

    def _lease(self, one: Balance, amount: int) -> None:
        """Reserve so much of a budget, of which too little may be leased."""
        if not self._writing.acquire(timeout=MOST_WAIT_S):  # while it is held, no other lease changes
            raise Overloaded(_CLOSED)
        try:
            with self._lock:
                one.lease -= self._waiting.returned.pop(one.window, 0)
                free = one.lease - one.used
                if amount <= free:
                    one.used += amount
                    return
            try:
                granted = self._books.grant(one.window, one.limit, amount - free, max(free, 0))
            except StoreError as error:
                self._complain(error)
                if not self.policy.fails_open:
                    raise Overloaded(_CLOSED) from error
                granted = amount - free
            if granted == 0:
                with self._lock:
                    self._hand_back(one)  # too little here may be enough beside what others hand back
                one.refused_until = self._refused_until = monotonic() + REFUSED_S
                raise one.refusal()
            with self._lock:
                one.lease += granted
                one.used += amount
        finally:
            self._writing.release()

    def free(self, purse: Purse, amount: int) -> None:
        """Give back a part of what a purse reserved."""
        with self._lock:
            for one in purse.balances:
                one.used -= amount
            self._note(purse, -amount)
        self._told()

    def _note(self, purse: Purse, amount: int) -> None:
        purse.amount += amount
        self._waiting.opened.append(purse)
        for one in purse.balances:
            one.is_busy = True
            one.largest = max(one.largest, amount)

    def _told(self) -> None:
        """See to it that a reservation is written."""
        if self._is_sync and not self._write():
            raise Overloaded("What is reserved can't be written down now. Try again soon.")
        if self._is_asleep:
            self._wake.set()

    def close(self, exchange: Exchange) -> None:
        """Settle an exchange that has ended: what it cost takes the place of what it reserved. Once."""
        purse = exchange.purse
        lines = lines_of(exchange) if exchange.attempts else []
        if purse is None and not lines:
            return
        if isinstance(purse, Purse) and purse.amount and exchange.cost_nano_usd is None:
            lines = at_most(lines, purse.amount)
        with self._lock:
            if len(self._waiting.lines) < MOST_LINES:
                self._waiting.lines += lines
            else:
                self._lost += len(lines)
            if isinstance(purse, Purse):
                self._settle(purse, sum([line.cost_nano for line in lines]))
        if self._is_sync:
            self._write()
        elif self._is_asleep:
            self._wake.set()

    def _settle(self, purse: Purse, cost: int) -> None:
        purse.is_closed = True
        self._waiting.closed.append(purse)
        for one in purse.balances if cost or purse.amount else ():
            one.used += cost - purse.amount
            one.unwritten += cost
            self._waiting.dirty[one.window] = one

    # -- the thread

    def _run(self) -> None:
        failures = 0
        tended = monotonic()
        while True:
            if self.has_work:
                began = monotonic()
                if self._write():
                    failures = 0
                    self._pause(began + PERIOD_S - monotonic())
                elif self._stopping:
                    break
                else:
                    self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                    failures += 1
            elif self._stopping:
                break
            else:
                self._rest()
            if monotonic() - tended >= TEND_S:
                tended = monotonic()
                self._tend()
        self._finish()

    def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if seconds > 0 and not self._stopping:
            self._wake.wait(seconds)

    def _rest(self) -> None:
        """Sleep until there is work, or time to look after the others."""
        self._wake.clear()
        self._is_asleep = True
        if not self.has_work and not self._stopping:  # looked at after the flag: nothing is slept through
            self._wake.wait(IDLE_TEND_S)
        self._is_asleep = False
        if self.has_work:
            self._pause(PERIOD_S)  # others come with the first: one batch for all

    def _write(self) -> bool:
        """Write one batch; False when the store did not take it: it is tried again before any other."""
        with self._writing:
            with self._lock:
                batch = self._left = self._left or self._waiting.take()
            try:
                self._books.write(*batch)
            except Exception as error:  # noqa: BLE001  # the edge that must not die: the batch waits
                self._complain(error)
                return False
            self._left = None
            self.last_error = None
            self._written += len(batch.lines)
        for window in batch.settled:
            self._lease_ahead(window)
        return True

    def _lease_ahead(self, window: Window) -> None:
        """Have at hand what the next request may need, so that it does not wait for the file."""
        one = self._balances.get(window)
        if one is None or self._stopping:
            return
        with self._writing:
            free = one.lease - one.used
            if free >= one.largest:
                return
            try:
                granted = self._books.grant(window, one.limit, one.largest - max(free, 0), 0, strict=True)
            except StoreError as error:
                self._complain(error)
                return
            with self._lock:
                one.lease += granted

    def _tend(self) -> None:
        """Settle what the dead had reserved; where others spend too, give back what lies idle."""
        try:
            abandoned, others = self._books.look_after()
        except StoreError as error:
            self._complain(error)
            return
        self._note_abandoned(abandoned)
        if others:
            self._give_back_idle()

    def _give_back_idle(self, *, forget: bool = False) -> None:
        with self._lock:
            for window, one in list(self._balances.items()):
                if one.used or one.unwritten or window in self._waiting.dirty:
                    continue
                if not one.is_busy or forget:
                    self._hand_back(one)
                    if forget:
                        del self._balances[window]
                one.is_busy = False

    def _hand_back(self, one: Balance) -> None:
        free = one.lease - one.used
        if free > 0:
            self._waiting.returned[one.window] = self._waiting.returned.get(one.window, 0) - free
            one.lease = one.used

    def _finish(self) -> None:
        self._lost += self._unwritten
        try:
            if self._left is None:
                self._books.leave()
        except Exception as error:  # noqa: BLE001  # the edge that must not die
            self._complain(error)

    def _note_abandoned(self, abandoned: int) -> None:
        if abandoned:
            self._abandoned += abandoned
            log.warning("requests of a dead process were settled as reserved", extra={"requests": abandoned})

    def _complain(self, error: Exception) -> None:
        self._errors += 1
        if self.last_error is None:
            log.error("the ledger is not written", extra={"error": type(error).__name__})
        self.last_error = str(error)
