"""The ledger: what calls cost, what is reserved for those at work, and what each budget has left.

Lines are only ever added. Beside them stand what may change: sums reserved for requests at work (`held`),
what each budget's window has settled (`balances`), and what each process may still spend of it without asking
(`leases`). Several processes share the file: whoever wants more of a window than it has leased asks here, in
one transaction. A process that died holds its lock file no longer; the next to look settles what it had
reserved, at the reserved amount. Money is in nano-dollars, windows begin at midnight in UTC.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from greenroom.store.checkpoint import Checkpointer
from greenroom.store.database import empty_log, explained, open_database, transaction
from greenroom.store.days import fold_some, marks
from greenroom.store.lines import ABANDONED, CARRIED, ESTIMATED, Account, Held, Line, Scope, Totals, Window
from greenroom.store.material import pseudonym
from greenroom.store.presence import Presence
from greenroom.store.schema import LEDGER

_DAY_S = 86_400
_KNOWN_ACCOUNTS = 50_000
_LINE_BYTES = 100
"""About what a line adds to the log."""
_WAIT = "PRAGMA busy_timeout = 250"
"""Milliseconds: requests may wait behind this; what is written in the background is tried again."""
_CENTER = (
    "INSERT OR IGNORE INTO centers (project, key, app, model, tags)"
    " VALUES (:project, :key, :app, :model, :tags)"
)
_ACCOUNT = (
    "INSERT OR IGNORE INTO accounts (project, key, app, model, user, tags, center)"
    " SELECT project, key, app, model, :user, tags, number FROM centers"
    " WHERE project = :project AND key = :key AND app = :app AND model = :model AND tags = :tags"
)
_LINE = "INSERT INTO lines VALUES (NULL" + ", ?" * 15 + ")"
_OF_SCOPE = (
    " (:project = '' OR a.project = :project) AND (:key = '' OR a.key = :key)"
    " AND (:user = '' OR a.user = :user)"
    " AND (:tag = '' OR EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = :tag))"
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class LedgerStore:
    """The ledger's file, as one process uses it. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        """Protects the one connection."""
        self._connection = open_database(path, LEDGER, synchronous="FULL" if durable else "NORMAL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 16000")  # pages: 64 MB, a bound, seldom met
        self._checkpointer = Checkpointer(path)
        self._accounts: dict[Account, int] = {}
        self._number = 0
        self._presence = Presence(path)

    def close(self) -> None:
        """Close the file; what this process reserved stays until somebody settles it."""
        self._checkpointer.stop()
        with self._lock:
            self._connection.close()
        self._presence.hide()

    @property
    def is_new(self) -> bool:
        """Whether nothing was carried over into this file yet."""
        with self._reading() as connection:
            return not connection.execute("SELECT value FROM marks WHERE name = 'carried'").fetchone()[0]

    # processes

    def join(self) -> int:
        """Begin to spend. Returns how many requests of processes that died were settled, as reserved."""
        with self._changing() as connection:
            settled = self._bury_dead(connection)
            cursor = connection.execute(
                "INSERT INTO processes (pid, since_ns) VALUES (?, ?)", (os.getpid(), time.time_ns())
            )
            self._number = int(cursor.lastrowid or 0)
            self._presence.show(self._number)
        with self._reading() as connection:
            connection.execute(_WAIT)
        return settled

    def leave(self) -> None:
        """Stop spending: give back what is leased. What is still reserved is settled at its amount."""
        with self._changing() as connection:
            self._bury(connection, self._number)
        self._presence.end()

    def look_after(self) -> tuple[int, int]:
        """Settle what the dead had reserved: of how many requests, and how many others still spend."""
        self.fold()
        with self._reading() as connection:
            others = self._others(connection)
        if not others:
            return 0, 0
        with self._changing() as connection:
            return self._bury_dead(connection), self._others(connection)

    def fold(self) -> None:
        """Add the lines to `days` that are not in it yet, some at a time."""
        is_left = True
        while is_left:
            with self._reading() as connection:
                newest, folded = marks(connection)
            if newest == folded:
                return
            with self._changing() as connection:
                is_left = fold_some(connection)

    def _others(self, connection: sqlite3.Connection) -> int:
        found = connection.execute("SELECT count(*) FROM processes WHERE number <> ?", (self._number,))
        return int(found.fetchone()[0])

    def _bury_dead(self, connection: sqlite3.Connection) -> int:
        numbers = [row[0] for row in connection.execute("SELECT number FROM processes")]
        return sum(
            self._bury(connection, number)
            for number in numbers
            if number != self._number and self._presence.is_dead(number)
        )

    def _bury(self, connection: sqlite3.Connection, number: int) -> int:
        rows = connection.execute(
            "SELECT exchange, at_ns, account, amount, windows FROM held WHERE process = ?", (number,)
        ).fetchall()
        for exchange, at_ns, account, amount, windows in rows:
            told = (at_ns, _id(exchange), account, ABANDONED, amount, ESTIMATED, *(0,) * 8, "")
            connection.execute(_LINE, told)
            for scope, since in msgspec.json.decode(windows):
                _settle(connection, _encode(scope).decode(), since, amount)
        connection.execute("DELETE FROM held WHERE process = ?", (number,))
        connection.execute("DELETE FROM leases WHERE process = ?", (number,))
        connection.execute("DELETE FROM processes WHERE number = ?", (number,))
        return len(rows)

    # money

    def grant(self, window: Window, limit: int, needed: int, free: int, *, strict: bool = False) -> int:
        """Lease more of a window to this process; how much, 0 when there is nothing left.

        `needed` is what a reservation lacks, `free` what this process has leased and not used. Given is half
        of what is left, if that is more; and the whole of what is needed while anything is left: so a budget
        is never passed by more than one reservation, and nobody is refused while it is not used up. With
        `strict` it is not passed at all.
        """
        scope, since = window[0].encoded(), window[1]
        with self._reading() as connection:
            settled, leased = self._standing(connection, scope, since)
        if settled is not None and limit - settled - leased + free <= 0:
            return 0  # without the right to write, which others may be waiting for
        with self._changing() as connection:
            settled, leased = self._standing(connection, scope, since)
            if settled is None:
                settled = self._spent_before(connection, window)
                connection.execute("INSERT INTO balances VALUES (?, ?, ?)", (scope, since, settled))
            left = limit - settled - leased
            if left < needed and (strict or left + free <= 0):
                return 0
            amount = max(needed, left // 2)
            self._lease(connection, scope, since, amount)
            return amount

    def left(self, window: Window, limit: int) -> int:
        """What of a window is neither spent nor leased to any process."""
        with self._reading() as connection:
            settled, leased = self._standing(connection, window[0].encoded(), window[1])
        return limit - (settled or 0) - leased

    def _standing(self, connection: sqlite3.Connection, scope: str, since: int) -> tuple[int | None, int]:
        found = connection.execute(
            "SELECT (SELECT settled FROM balances WHERE scope = ?1 AND since = ?2),"
            " (SELECT coalesce(sum(amount), 0) FROM leases WHERE scope = ?1 AND since = ?2)",
            (scope, since),
        ).fetchone()
        return found[0], found[1]

    def _spent_before(self, connection: sqlite3.Connection, window: Window) -> int:
        """What was spent in a window before anything was reserved from it."""
        while fold_some(connection):
            pass
        return self._sum(connection, window)

    def _sum(self, connection: sqlite3.Connection, window: Window) -> int:
        scope, since = window
        found = connection.execute(
            "SELECT coalesce(sum(d.cost_nano), 0) FROM days d"  # noqa: S608  # constants and named values
            f" JOIN accounts a ON a.number = d.account WHERE d.day >= :day AND {_OF_SCOPE}",  # constants
            {**scope._asdict(), "day": since // _DAY_S},
        ).fetchone()
        return int(found[0])

    def _lease(self, connection: sqlite3.Connection, scope: str, since: int, amount: int) -> None:
        connection.execute(
            "INSERT INTO leases VALUES (?, ?, ?, ?)"
            " ON CONFLICT (scope, since, process) DO UPDATE SET amount = amount + excluded.amount",
            (scope, since, self._number, amount),
        )

    def write(
        self,
        lines: Sequence[Line],
        held: Sequence[Held] = (),
        freed: Sequence[str] = (),
        settled: Mapping[Window, int] | None = None,
        leased: Mapping[Window, int] | None = None,
    ) -> None:
        """Write a batch, all or nothing.

        `held` are new or changed reservations, `freed` the exchanges that have none any more, `settled` what
        was spent of each window, `leased` by how much the lease of each changes.
        """
        with self._changing() as connection:
            if lines:
                rows = [(one[0], _id(one[1]), self._account(connection, one[2]), *one[3:]) for one in lines]
                connection.executemany(_LINE, rows)
            for one in held:
                windows = _encode(one.windows).decode()
                account = self._account(connection, one.account)
                connection.execute(
                    "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)",
                    (one.exchange, self._number, one.at_ns, account, one.amount, windows),
                )
            if freed:
                connection.executemany("DELETE FROM held WHERE exchange = ?", [(one,) for one in freed])
            for (scope, since), amount in (settled or {}).items():
                _settle(connection, scope.encoded(), since, amount)
            for (scope, since), amount in (leased or {}).items():
                self._lease(connection, scope.encoded(), since, amount)
        self._checkpointer.wrote(_LINE_BYTES * (len(lines) + len(held) + 1))

    def _account(self, connection: sqlite3.Connection, account: Account) -> int:
        known = self._accounts.get(account)
        if known is not None:
            return known
        if len(self._accounts) >= _KNOWN_ACCOUNTS:
            self._accounts.clear()
        connection.execute(_CENTER, account._asdict())
        connection.execute(_ACCOUNT, account._asdict())
        number = int(
            connection.execute(
                "SELECT number FROM accounts WHERE project = ? AND key = ? AND app = ? AND model = ?"
                " AND user = ? AND tags = ?",
                account,
            ).fetchone()[0]
        )
        self._accounts[account] = number
        return number

    def carry(self, spent: Mapping[tuple[str, str], int]) -> None:
        """Take over what each (project, key) had spent before there was a ledger. Once."""
        with self._changing() as connection:
            if connection.execute("SELECT value FROM marks WHERE name = 'carried'").fetchone()[0]:
                return
            now = time.time_ns()
            for (project, key), amount in spent.items():
                account = self._account(connection, Account(project, key, "", ""))
                connection.execute(_LINE, (now, b"", account, CARRIED, amount, 0, *(0,) * 8, ""))
            connection.execute("UPDATE marks SET value = 1 WHERE name = 'carried'")

    # reading

    def totals(self) -> Totals:
        """The sums of lines and of days, what is reserved, and how many processes spend."""
        self.fold()
        with self._reading() as connection:
            found = connection.execute(
                "SELECT (SELECT coalesce(sum(cost_nano), 0) FROM lines),"
                " (SELECT coalesce(sum(cost_nano), 0) FROM days),"
                " (SELECT coalesce(sum(cost_nano), 0) FROM center_days),"
                " (SELECT coalesce(sum(amount), 0) FROM held), (SELECT count(*) FROM processes)"
            ).fetchone()
        return Totals(*found)

    def balance(self, window: Window) -> tuple[int, int, int]:
        """Of one window: settled, leased to processes, and reserved for requests at work."""
        scope, since = window[0].encoded(), window[1]
        with self._reading() as connection:
            settled, leased = self._standing(connection, scope, since)
            held = [
                amount
                for amount, windows in connection.execute("SELECT amount, windows FROM held")
                if [[*window[0]], since] in msgspec.json.decode(windows)
            ]
        return settled or 0, leased, sum(held)

    def windows(self) -> dict[Window, tuple[int, int]]:
        """Of every window of which anything was reserved: settled, and reserved for requests at work."""
        with self._reading() as connection:
            settled = connection.execute("SELECT scope, since, settled FROM balances").fetchall()
            held = connection.execute("SELECT amount, windows FROM held").fetchall()
        found = {(Scope(*_decode(scope)), since): (amount, 0) for scope, since, amount in settled}
        for amount, windows in held:
            for scope, since in _decode(windows):
                window = Scope(*scope), since
                before = found.get(window, (0, 0))
                found[window] = before[0], before[1] + amount
        return found

    def spent(self, window: Window) -> int:
        """What all lines of a window add up to, whether or not it is a budget's."""
        self.fold()
        with self._reading() as connection:
            return self._sum(connection, window)

    def query(self, statement: str, values: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Rows of a SELECT over days of accounts or cost centers; every line written so far is counted."""
        self.fold()
        with self._reading() as connection:
            return connection.execute(statement, values).fetchall()

    def forget(self, project: str | None, user: str) -> None:
        """Put a stand-in for a user's name; what was spent stays, and budgets of that user begin anew."""
        with self._changing() as connection:
            rows = connection.execute(
                "SELECT number FROM accounts WHERE user = :user AND (:project IS NULL OR project = :project)",
                {"user": user, "project": project},
            ).fetchall()
            for (number,) in rows:
                # The number keeps apart what would be one account now: lines never change theirs.
                name = f"{pseudonym(user)}-{number}"
                connection.execute("UPDATE accounts SET user = ? WHERE number = ?", (name, number))
            connection.execute("DELETE FROM balances WHERE json_extract(scope, '$[3]') = ?", (user,))
            self._accounts.clear()
        with self._reading() as connection:
            empty_log(connection)

    # connections

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            try:
                with transaction(connection):
                    yield connection
            except BaseException:
                self._accounts.clear()  # numbers given in a transaction that was undone
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
                raise explained(self._path, error) from error


def _settle(connection: sqlite3.Connection, scope: str, since: int, amount: int) -> None:
    connection.execute(
        "INSERT INTO balances VALUES (?, ?, ?)"
        " ON CONFLICT (scope, since) DO UPDATE SET settled = settled + excluded.settled",
        (scope, since, amount),
    )


def _id(exchange: str) -> bytes:
    """An exchange's id in half the bytes, or as it is where it is no number."""
    try:
        return bytes.fromhex(exchange)
    except ValueError:
        return exchange.encode()
