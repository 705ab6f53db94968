"""What scores of live traffic came to, by day; what each rule did and spent; how far it has come.

Sums only: no text, no id, nobody's name. So they stay when traces go, for as long as anybody may want to
compare. One process writes; several read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

from msgspec import Struct

from greenroom.store.counted import CountedStore

FILE = "quality.db"
DAYS = 400
"""How long sums are kept."""

_MIGRATIONS = (
    """
-- day: of the exchange, whole days since 1970 in UTC. odd: scores that are neither 0 nor 1.
CREATE TABLE cells (
    day INTEGER NOT NULL, project TEXT NOT NULL, app TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
    name TEXT NOT NULL, source TEXT NOT NULL, n INTEGER NOT NULL, total REAL NOT NULL, squares REAL NOT NULL,
    odd INTEGER NOT NULL, PRIMARY KEY (day, project, app, model, prompt, name, source)
) WITHOUT ROWID;
-- What became of the exchanges that a rule drew.
CREATE TABLE work (
    rule TEXT NOT NULL, day INTEGER NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (rule, day, what)
) WITHOUT ROWID;
CREATE TABLE spent (
    rule TEXT NOT NULL, day INTEGER NOT NULL, nano INTEGER NOT NULL, PRIMARY KEY (rule, day)
) WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE hours (hour INTEGER PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
""",
)


class Place(NamedTuple):
    """What a sum is of."""

    day: int
    project: str
    app: str
    model: str
    prompt: str
    """`name@version`, "" without one."""
    name: str
    source: str
    """`person`, `code`, `judge`, or `sample`: measured on a sample of all."""


class Cell(Struct, frozen=True):
    """One sum."""

    place: Place
    n: int
    total: float
    squares: float
    odd: int


Amount = tuple[int, float, float, int]
"""n, total, squares, odd: to be added; negative to be taken away."""


class QualityStore(CountedStore):
    """All of it in one SQLite file. Raises: StoreError from every method."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    def add(self, sums: Mapping[Place, Amount], mark: tuple[str, int] | None = None) -> None:
        """Add to cells, and remember up to where that was, both or neither."""
        with self._changing() as connection:
            _add(connection, sums)
            if mark is not None:
                connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", mark)

    def add_hours(self, hours: Mapping[int, Mapping[Place, Amount]]) -> None:
        """Add what samples of hours show, each hour once."""
        with self._changing() as connection:
            for hour, sums in hours.items():
                if connection.execute("INSERT OR IGNORE INTO hours VALUES (?)", (hour,)).rowcount:
                    _add(connection, sums)

    def mark(self, name: str) -> int | None:
        """Up to where something was gone through; None before the first time."""
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def set_mark(self, name: str, value: int) -> None:
        """Remember up to where something was gone through."""
        with self._changing() as connection:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def worked(
        self, day: int, counts: Mapping[tuple[str, str], int], nano: Mapping[tuple[str, int], int]
    ) -> None:
        """Count what became of exchanges by (rule, what), and what was spent by (rule, day)."""
        with self._changing() as connection:
            connection.executemany(
                "INSERT INTO work VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(rule, day, what, count) for (rule, what), count in counts.items()],
            )
            connection.executemany(
                "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET nano = nano + excluded.nano",
                [(*place, amount) for place, amount in nano.items() if amount],
            )

    def work(self, day: int) -> dict[str, dict[str, int]]:
        """By rule what became of the exchanges that it drew on a day; `nano` is what it spent."""
        found: dict[str, dict[str, int]] = {}
        with self._reading() as connection:
            for rule, what, count in connection.execute(
                "SELECT rule, what, count FROM work WHERE day = ?", (day,)
            ):
                found.setdefault(rule, {})[what] = count
            for rule, nano in connection.execute("SELECT rule, nano FROM spent WHERE day = ?", (day,)):
                found.setdefault(rule, {})["nano"] = nano
        return found

    def cells(
        self, since_day: int, *, project: str | None = None, app: str | None = None, model: str | None = None,
        prompt: str | None = None,
    ) -> Sequence[Cell]:  # fmt: skip
        """Sums since a day, narrowed to what is given."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM cells WHERE day >= ?1 AND (?2 IS NULL OR project = ?2)"
                " AND (?3 IS NULL OR app = ?3) AND (?4 IS NULL OR model = ?4)"
                " AND (?5 IS NULL OR prompt = ?5) AND n > 0",
                (since_day, project, app, model, prompt),
            ).fetchall()
        return [Cell(Place(*row[:7]), *row[7:]) for row in rows]

    def sums(
        self, since_day: int, until_day: int, *, project: str | None = None, app: str | None = None,
        model: str | None = None,
    ) -> Sequence[Cell]:  # fmt: skip
        """One sum for each day, score and source, of the days from one up to another (excluded).

        The places of these sums name no project, app, model and prompt.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT day, name, source, sum(n), sum(total), sum(squares), sum(odd) FROM cells"
                " WHERE day >= ?1 AND day < ?2 AND (?3 IS NULL OR project = ?3) AND (?4 IS NULL OR app = ?4)"
                " AND (?5 IS NULL OR model = ?5) AND n > 0 GROUP BY day, name, source",
                (since_day, until_day, project, app, model),
            ).fetchall()
        return [
            Cell(Place(day, "", "", "", "", name, source), *amount) for day, name, source, *amount in rows
        ]

    def purge(self, before_day: int) -> None:
        """Let go of what is of before a day."""
        with self._changing() as connection:
            connection.execute("DELETE FROM cells WHERE day < ?", (before_day,))
            connection.execute("DELETE FROM work WHERE day < ?", (before_day,))
            connection.execute("DELETE FROM spent WHERE day < ?", (before_day,))
            connection.execute("DELETE FROM hours WHERE hour < ?", (before_day * 24,))


def _add(connection: Connection, sums: Mapping[Place, Amount]) -> None:
    connection.executemany(
        "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET n = n + excluded.n, total = total + excluded.total,"
        " squares = squares + excluded.squares, odd = odd + excluded.odd",
        [(*place, *amount) for place, amount in sums.items()],
    )
