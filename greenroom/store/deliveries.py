"""What is sent of alerts, where to, and how that went: an outbox beside them, in the same file.

An entry of an alert's history becomes one row for each channel that wants it, in one transaction with the
mark up to which that was done: after a crash nothing is left out, and a message may come twice. Knows nothing
of channels but their names.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.store.alerts import COLUMNS, MIGRATIONS, Alert, Event, read_alert
from greenroom.store.counted import CountedStore

State = Literal["waiting", "silenced", "sent", "failed", "dropped"]

SOUNDED: tuple[str, ...] = ("opened", "worsened", "ended")
"""What of a history is sent."""
MOST_TRIES = 10
"""Then a message is given up: after some five hours."""
FIRST_WAIT_S = 10.0
"""After the first failure; three times longer after each further one, up to an hour."""
_LONGEST_WAIT_S = 3600.0
MOST_AN_HOUR = 6
"""Messages about one rule, project and subject in an hour on one channel: one that comes and goes is held."""
_S = 1_000_000_000
_FARTHEST_NS = 2 * 3600 * _S
"""What waits for longer was written before the clock was put back. Moments to come count nowhere."""

Wants = Callable[[Alert, Event], bool]


class Due(NamedTuple):
    """Something to send on one channel now."""

    id: int
    alert: Alert
    event: Event
    tries: int
    times: int
    """How often it was sent before: a reminder if at all."""


class Delivery(Struct, frozen=True):
    """How the sending of one entry on one channel stands."""

    id: int
    channel: str
    alert: int
    rule: str
    subject: str
    what: str
    state: State
    tries: int
    times: int
    changed_ns: int
    next_ns: int
    error: str


class Deliveries(CountedStore):
    """The outbox. One process alone fills and empties it. Raises: StoreError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MIGRATIONS, synchronous="NORMAL")

    def dispatch(self, channels: dict[str, Wants]) -> int:
        """Make rows for what came into histories since the last call; how many. Without news no write."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM history WHERE id > (SELECT event FROM dispatched) LIMIT 1"
            ).fetchone()
        if found is None:
            return 0
        now, made = time.time_ns(), 0
        with self._changing() as connection:
            rows = connection.execute(
                "SELECT h.id, h.alert, h.at_ns, h.what, h.severity, h.summary, h.who, h.why, "  # noqa: S608  # constants
                + _PREFIXED
                + " FROM history h JOIN alerts a ON a.id = h.alert"
                " WHERE h.id > (SELECT event FROM dispatched) ORDER BY h.id"
            ).fetchall()
            for row in rows:
                event, alert = Event(*row[:8]), read_alert(row[8:])
                if event.what not in SOUNDED:
                    continue
                wanting = [name for name, wants in channels.items() if wants(alert, event)]
                connection.executemany(
                    "INSERT INTO deliveries (channel, event, state, tries, times, next_ns, changed_ns, error)"
                    " VALUES (?, ?, 'waiting', 0, 0, 0, ?, '')",
                    [(name, event.id, now) for name in wanting],
                )
                made += len(wanting)
            if rows:
                connection.execute("UPDATE dispatched SET event = ?", (rows[-1][0],))
        return made

    def remind(self, channel: str, after_s: float) -> None:
        """Have alerts that stand, unacknowledged, sent once more so long after the last message.

        One that was given up counts as a message.
        """
        now = time.time_ns()
        values = (channel, now - int(after_s * _S), now, channel)
        with self._reading() as connection:
            found = connection.execute(_UNHEARD, values).fetchall()
        if found:
            self._mark([row[0] for row in found], "waiting")

    def due(self, channel: str, is_silenced: Callable[[Alert], bool], limit: int = 200) -> list[Due]:
        """What is to be sent on a channel now, oldest first.

        What is silenced is marked so and comes again when it no longer is. What became of an alert meanwhile
        counts: of one that ended before anybody was told, nobody is told.
        """
        now = time.time_ns()
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT d.id, d.tries, d.times, d.state,"  # noqa: S608  # constants
                " h.id, h.alert, h.at_ns, h.what, h.severity, h.summary, h.who, h.why, "
                + _PREFIXED
                + " FROM deliveries d JOIN history h ON h.id = d.event JOIN alerts a ON a.id = h.alert"
                " WHERE d.channel = ? AND d.state IN ('waiting', 'silenced')"
                " AND (d.next_ns <= ? OR d.next_ns > ?) ORDER BY h.id",
                (channel, now, now + _FARTHEST_NS),
            ).fetchall()
        found = [
            (Due(row[0], read_alert(row[12:]), Event(*row[4:12]), row[1], row[2]), row[3]) for row in rows
        ]
        told: list[Due] = []
        for one, state in found:
            if len(told) == limit:
                break
            if self._is_stale(channel, one):
                self._mark([one.id], "dropped", "it ended before anybody was told")
            elif is_silenced(one.alert):
                if state != "silenced":
                    self._mark([one.id], "silenced")
            elif (until_ns := self._held_until(channel, one)) > now:
                self._mark([one.id], "waiting", "it comes and goes", next_ns=until_ns)
            else:
                told.append(one)
        return told

    def _is_stale(self, channel: str, one: Due) -> bool:
        """Whether it is about an alert that ended before this channel was told of it, or that it ended so."""
        if one.alert.ended_ns is None or one.tries:
            return False
        with self._reading() as connection:
            told = connection.execute(
                "SELECT 1 FROM deliveries d JOIN history h ON h.id = d.event WHERE d.channel = ?"
                " AND h.alert = ? AND h.what <> 'ended' AND (d.times > 0 OR d.tries > 0) LIMIT 1",
                (channel, one.alert.id),
            ).fetchone()
        return told is None or one.event.what != "ended"

    def _held_until(self, channel: str, one: Due) -> int:
        """When another message about the same thing may be sent: 0 for now."""
        if one.event.what == "worsened" or one.times:
            return 0
        alert, now = one.alert, time.time_ns()
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT d.changed_ns FROM deliveries d JOIN history h ON h.id = d.event"
                " JOIN alerts a ON a.id = h.alert WHERE d.channel = ? AND d.state = 'sent'"
                " AND d.changed_ns BETWEEN ? AND ? AND a.rule = ? AND a.project = ? AND a.subject = ?"
                " ORDER BY d.changed_ns DESC LIMIT ?",
                (channel, now - 3600 * _S, now, alert.rule, alert.project, alert.subject, MOST_AN_HOUR),
            ).fetchall()
        return rows[-1][0] + 3600 * _S if len(rows) == MOST_AN_HOUR else 0

    def sent(self, ids: Iterable[int]) -> None:
        """It went out."""
        with self._changing() as connection:
            connection.executemany(
                "UPDATE deliveries SET state = 'sent', times = times + 1, changed_ns = ?, error = ''"
                " WHERE id = ?",
                [(time.time_ns(), one) for one in ids],
            )

    def failed(self, tried: Sequence[Due], error: str, retry_after_s: float | None = None) -> None:
        """It did not: it is tried again later, or given up."""
        now = time.time_ns()
        rows = []
        for one in tried:
            wait_s = min(_LONGEST_WAIT_S, max(FIRST_WAIT_S * 3**one.tries, retry_after_s or 0.0))
            state = "failed" if one.tries + 1 >= MOST_TRIES else "waiting"
            rows.append((state, now, now + int(wait_s * _S), error[:200], one.id))
        with self._changing() as connection:
            connection.executemany(
                "UPDATE deliveries SET state = ?, tries = tries + 1, changed_ns = ?, next_ns = ?, error = ?"
                " WHERE id = ?",
                rows,
            )

    def last_ns(self, channel: str, *, is_sent: bool = False) -> int:
        """When something was last tried on a channel, or with `is_sent` went out; 0 for never."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT max(changed_ns) FROM deliveries WHERE channel = ? AND changed_ns <= ?"
                " AND (times > 0 OR (tries > 0 AND NOT ?))",
                (channel, time.time_ns(), is_sent),
            ).fetchone()
        return row[0] or 0

    def list(self, *, alert: int | None = None, limit: int = 50) -> list[Delivery]:
        """How sending went, the newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT d.id, d.channel, h.alert, a.rule, a.subject, h.what, d.state, d.tries, d.times,"
                " d.changed_ns, d.next_ns, d.error FROM deliveries d JOIN history h ON h.id = d.event"
                " JOIN alerts a ON a.id = h.alert WHERE ? IS NULL OR h.alert = ? ORDER BY d.id DESC LIMIT ?",
                (alert, alert, limit),
            ).fetchall()
        return [Delivery(*row) for row in rows]

    def _mark(self, ids: Iterable[int], state: State, error: str = "", *, next_ns: int = 0) -> None:
        with self._changing() as connection:
            connection.executemany(
                "UPDATE deliveries SET state = ?, error = ?, next_ns = ?, changed_ns = ?, tries = 0"
                " WHERE id = ?",
                [(state, error, next_ns, time.time_ns(), one) for one in ids],
            )


_PREFIXED = ", ".join(f"a.{name}" for name in COLUMNS.replace(",", " ").split())
_UNHEARD = (
    "SELECT id FROM deliveries WHERE channel = ? AND state IN ('sent', 'failed')"
    " AND (changed_ns < ? OR changed_ns > ?) AND event IN ("
    " SELECT max(h.id) FROM history h JOIN alerts a ON a.id = h.alert"
    " JOIN deliveries d ON d.event = h.id AND d.channel = ?"
    " WHERE a.ended_ns IS NULL AND a.acknowledged_ns IS NULL GROUP BY a.id)"
)
