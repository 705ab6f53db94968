"""The numbers of masks where several processes serve one conversation: the same everywhere, by one shared
file.

A number is given in a transaction and never to a second value while its conversation is remembered, so a mask
means the same in every process. Each keeps what it has read, and reads what others added since.
"""

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Container
from time import monotonic

from greenroom.contracts import mask
from greenroom.store.shared import SharedFile

MOST_TALKS = 10_000
MOST_VALUES = 2_000
"""Of one conversation; the one whose mask was given first goes first."""
_NOTE_USE_S = 60.0
"""How seldom it is noted that a conversation is still in use."""
_TIDY_S = 60.0


class _Talk:
    __slots__ = ("born", "masks", "newest", "noted_s", "numbers")

    def __init__(self, born: bytes, noted_s: float) -> None:
        self.born = born
        self.newest = 0
        self.numbers: dict[tuple[str, str], int] = {}
        self.masks: dict[str, str] = {}
        self.noted_s = noted_s


class StoredMasks:
    """A `Vault` that the processes of a server share. Raises: StoreError when its file cannot be used.

    What is not used for `lifetime_s` is forgotten; 10,000 conversations at most. A value that is known costs
    two look-ups (20 µs), a new one a transaction.
    """

    def __init__(
        self, file: SharedFile, lifetime_s: float = 86_400, now: Callable[[], float] = monotonic
    ) -> None:
        self._file = file
        self._lifetime_s = lifetime_s
        self._now = now
        self._read: OrderedDict[bytes, _Talk] = OrderedDict()
        self._tidied_s = now()

    def number(
        self, project: str, session: str, label: str, value: str, taken: Container[str] = frozenset()
    ) -> int:
        """The number of this value's mask; a new value gets the next one whose mask is not `taken`."""
        place = self._file.digest("talk", project, session)
        own = self._known(place)
        if own is not None and (label, value) in own.numbers:
            return own.numbers[label, value]
        try:
            with self._file.changing() as connection:
                own = self._look(connection, place) or self._begin(connection, place)
                number = own.numbers.get((label, value))
                if number is None:
                    number = self._give(connection, place, label, value, taken)
                    self._look(connection, place)
        except BaseException:
            self._read.pop(place, None)  # it may hold a number that was given in vain
            raise
        return number

    def known(self, project: str, session: str) -> dict[str, str]:
        """Mask → value, for all that is remembered of the session."""
        own = self._known(self._file.digest("talk", project, session))
        return own.masks if own is not None else {}

    def _known(self, place: bytes) -> _Talk | None:
        now = self._now()
        if now - self._tidied_s >= _TIDY_S:
            self._tidied_s = now
            with self._file.changing() as connection:
                self._tidy(connection, now)
        with self._file.reading() as connection:
            return self._look(connection, place)

    def _look(self, connection: sqlite3.Connection, place: bytes) -> _Talk | None:
        """What is known of a conversation now; None when nobody remembers it."""
        now = self._now()
        found = connection.execute("SELECT born, used_s FROM talks WHERE talk = ?", (place,)).fetchone()
        if found is None or found[1] <= now - self._lifetime_s:
            self._read.pop(place, None)
            return None
        own = self._read.get(place)
        if own is None or own.born != found[0]:
            own = self._read[place] = _Talk(found[0], found[1])
            if len(self._read) > MOST_TALKS:
                self._read.popitem(last=False)
        self._read.move_to_end(place)
        rows = connection.execute(
            "SELECT id, label, number, box FROM masks WHERE talk = ? AND id > ? ORDER BY id",
            (place, own.newest),
        )
        for id, label, number, box in rows:
            value = self._file.unseal(box, _place(place, label, number))
            own.newest = id
            own.numbers[label, value] = number
            own.masks[mask(label, number)] = value
        if now - own.noted_s >= _NOTE_USE_S:
            own.noted_s = now
            connection.execute("UPDATE talks SET used_s = ? WHERE talk = ?", (now, place))
        return own

    def _begin(self, connection: sqlite3.Connection, place: bytes) -> _Talk:
        born, now = os.urandom(16), self._now()
        _forget(connection, [place])
        connection.execute("INSERT INTO talks VALUES (?, ?, ?)", (place, born, now))
        own = self._read[place] = _Talk(born, now)
        return own

    def _give(
        self, connection: sqlite3.Connection, place: bytes, label: str, value: str, taken: Container[str]
    ) -> int:
        found = connection.execute(
            "SELECT number FROM lasts WHERE talk = ? AND label = ?", (place, label)
        ).fetchone()
        number = (0 if found is None else int(found[0])) + 1
        while mask(label, number) in taken:
            number += 1
        connection.execute("INSERT OR REPLACE INTO lasts VALUES (?, ?, ?)", (place, label, number))
        connection.execute(
            "INSERT INTO masks VALUES (NULL, ?, ?, ?, ?, ?)",
            (
                place,
                label,
                number,
                self._file.digest("value", place.hex(), label, value),
                self._file.seal(value, _place(place, label, number)),
            ),
        )
        connection.execute(
            "DELETE FROM masks WHERE id IN"
            " (SELECT id FROM masks WHERE talk = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (place, MOST_VALUES),
        )
        return number

    def _tidy(self, connection: sqlite3.Connection, now: float) -> None:
        gone = connection.execute(
            "SELECT talk FROM talks WHERE used_s <= ?"
            " UNION SELECT talk FROM (SELECT talk FROM talks ORDER BY used_s DESC LIMIT -1 OFFSET ?)",
            (now - self._lifetime_s, MOST_TALKS),
        ).fetchall()
        _forget(connection, [row[0] for row in gone])


def _forget(connection: sqlite3.Connection, places: list[bytes]) -> None:
    for place in places:
        connection.execute("DELETE FROM masks WHERE talk = ?", (place,))
        connection.execute("DELETE FROM lasts WHERE talk = ?", (place,))
        connection.execute("DELETE FROM talks WHERE talk = ?", (place,))


def _place(talk: bytes, label: str, number: int) -> bytes:
    return b"%b\0%b\0%d" % (talk, label.encode(), number)
