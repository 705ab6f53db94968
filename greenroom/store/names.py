"""Names as small numbers: projects, keys, apps and models repeat, rows stay narrow.

Names are only ever added, so what is remembered here stays true, whoever else writes.
"""

import sqlite3

_REMEMBERED = 50_000
"""Clients choose some of these names; more than this many are looked up in the file again."""

_REMEMBERED_ROWS = 4_096


class Names:
    """Both directions of the table `names`, remembered."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._rows: dict[tuple[str | None, ...], tuple[int | None, ...]] = {}

    def forget(self) -> None:
        """Drop what is remembered: a transaction that added names was undone."""
        self._numbers.clear()
        self._names.clear()
        self._rows.clear()

    def add_all(
        self, connection: sqlite3.Connection, names: tuple[str | None, ...]
    ) -> tuple[int | None, ...]:
        """The numbers of a row's names, which come together again and again; None stays None."""
        numbers = self._rows.get(names)
        if numbers is None:
            numbers = tuple([None if name is None else self.add(connection, name) for name in names])
            if len(self._rows) >= _REMEMBERED_ROWS:
                self._rows.clear()
            self._rows[names] = numbers
        return numbers

    def add(self, connection: sqlite3.Connection, name: str) -> int:
        """The number of a name, given to it now if it has none. Inside the writer's transaction."""
        number = self._numbers.get(name)
        if number is None:
            connection.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (name,))
            number = self.find(connection, name)
            assert number is not None
        return number

    def find(self, connection: sqlite3.Connection, name: str) -> int | None:
        """The number of a name, None when nothing was ever stored under it."""
        number = self._numbers.get(name)
        if number is None:
            row = connection.execute("SELECT number FROM names WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            number = int(row[0])
            self._remember(name, number)
        return number

    def name(self, connection: sqlite3.Connection, number: int) -> str:
        """The name behind a number."""
        name = self._names.get(number)
        if name is None:
            row = connection.execute("SELECT name FROM names WHERE number = ?", (number,)).fetchone()
            name = str(row[0]) if row else ""
            self._remember(name, number)
        return name

    def _remember(self, name: str, number: int) -> None:
        if len(self._numbers) >= _REMEMBERED:
            self.forget()
        self._numbers[name] = number
        self._names[number] = name
