"""The days of the ledger: its lines summed by day and account, and by day and cost center."""

import sqlite3

_FOLDED_AT_ONCE = 50_000
_COUNTS = (
    "cost_nano", "input", "cached", "written", "written_1h", "output", "reasoning", "input_audio",
    "output_audio",
)  # fmt: skip
_SUMS = ", ".join(f"sum({name})" for name in _COUNTS)
_ADDED = ", ".join(
    f"{name} = {name} + excluded.{name}" for name in ("requests", "calls", "unpriced", "estimated", *_COUNTS)
)
_FOLDS = tuple(
    f"INSERT INTO {days} SELECT at_ns / 86400000000000, {whose}, sum(kind = 0 OR kind = 2),"  # noqa: S608  # constants
    " sum(kind < 3),"
    f" sum((flags & 2) > 0), sum(flags & 1), {_SUMS} FROM lines l JOIN accounts a ON a.number = l.account"
    " WHERE l.number > ? AND l.number <= ? GROUP BY 1, 2"
    f" ON CONFLICT (day, {whose}) DO UPDATE SET {_ADDED}"
    for days, whose in (("days", "account"), ("center_days", "center"))
)


def fold_some(connection: sqlite3.Connection) -> bool:
    """Add lines that are not in the sums yet, 50,000 at the most; whether there are more."""
    newest, folded = marks(connection)
    last = min(newest, folded + _FOLDED_AT_ONCE)
    if last > folded:
        for fold in _FOLDS:
            connection.execute(fold, (folded, last))
        connection.execute("UPDATE marks SET value = ? WHERE name = 'folded'", (last,))
    return last < newest


def marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """The newest line, and the newest that is in the sums."""
    found = connection.execute(
        "SELECT (SELECT coalesce(max(number), 0) FROM lines), (SELECT value FROM marks WHERE name = 'folded')"
    ).fetchone()
    return found[0], found[1]
