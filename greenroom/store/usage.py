"""What was used and what it cost, summed up from the ledger by project, key, model, app, user, tag or day.

Days are days in UTC. A call with several tags counts under each of them. Costs that are not known are counted
apart: they are no part of any sum.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from greenroom.store.ledger import LedgerStore
from greenroom.store.material import dollars

Dimension = Literal["project", "key", "model", "app", "user", "tag", "day"]
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
MOST_ROWS = 10_000
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = 10**6
_COLUMNS: dict[str, str] = {
    "project": "a.project", "key": "a.key", "model": "a.model", "app": "a.app", "user": "a.user",
    "tag": "coalesce(t.value, '')", "day": "d.day",
}  # fmt: skip
_COUNTS = {
    "requests": "requests",
    "calls": "calls",
    "unpriced": "unpriced_calls",
    "estimated": "estimated_calls",
    "cost_nano": "cost_usd",
    "input": "input_tokens",
    "cached": "cached_tokens",
    "written": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
"""Columns and what they are called."""

Record = dict[str, Any]  # Any: JSON


class _Source(NamedTuple):
    """Tables of the ledger: sums by day, whose they are, and the column that says so."""

    days: str
    accounts: str
    number: str


_ACCOUNTS = _Source("days", "accounts", "account")
_CENTERS = _Source("center_days", "centers", "center")


class Asked(NamedTuple):
    """Which usage, and how it is cut up. Conditions are joined by "and"; days end excluded."""

    by: tuple[Dimension, ...] = ("day",)
    project: str | None = None
    key: str | None = None
    model: str | None = None
    app: str | None = None
    user: str | None = None
    tag: str | None = None
    since: date | None = None
    until: date | None = None


def usage(books: LedgerStore, asked: Asked) -> list[Record]:
    """Rows with the dimensions asked for, then counts: days in order, all else with the dearest first.

    At most `MOST_ROWS`. Raises: StoreError.
    """
    return usage_by(books, asked, [asked.by])[0]


def usage_by(
    books: LedgerStore,
    asked: Asked,
    bys: Sequence[tuple[Dimension, ...]],
    counts: Sequence[str] = tuple(_COUNTS),
) -> list[list[Record]]:
    """The same cut up in several ways at once, whatever `asked.by` says: the days are read once for all.

    `counts` are the columns that are summed, of those the ledger has. Raises: StoreError.
    """
    found: list[list[Record]] = [[] for _ in bys]
    for source in (_ACCOUNTS, _CENTERS):
        # Only who asks for users needs accounts; there are far fewer cost centers.
        places = [
            place
            for place, by in enumerate(bys)
            if (source is _ACCOUNTS) == (asked.user is not None or "user" in by)
        ]
        if places:
            _read(books, asked, {place: bys[place] for place in places}, counts, source, found)
    return found


def _read(
    books: LedgerStore,
    asked: Asked,
    bys: Mapping[int, tuple[Dimension, ...]],
    counts: Sequence[str],
    source: _Source,
    found: Sequence[list[Record]],
) -> None:
    """Add to each of `found` that has a way to cut it up, by its place."""
    days, accounts, number = source
    wanted = {name: getattr(asked, name) for name in ("project", "key", "model", "app", "user")}
    conditions = [f"a.{name} = :{name}" for name, value in wanted.items() if value is not None]
    if asked.tag is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = :tag)")
    # CROSS: the days first. Led by the accounts' index, SQLite reads all days again for every account.
    joined = f" CROSS JOIN {accounts} a ON a.number = d.{number}" if conditions else ""
    conditions += ["d.day >= :since", "d.day < :until"]
    # What the ways have in common is summed first, by number: few rows of it are left, mostly, to be cut up.
    cut = f"d.{number}, d.day" if any("day" in by for by in bys.values()) else f"d.{number}"
    sums = ", ".join(f"sum(d.{one}) AS {one}" for one in counts)
    common = (
        f"WITH d AS MATERIALIZED (SELECT {cut}, {sums} FROM {days} d{joined}"  # noqa: S608  # own names
        f" WHERE {' AND '.join(conditions)} GROUP BY {cut})"
    )
    values = {
        **wanted,
        "since": _number(asked.since, 0),
        "until": _number(asked.until, _LAST_DAY),
        "tag": asked.tag,
    }
    width = max(map(len, bys.values()))
    tables = f"d JOIN {accounts} a ON a.number = d.{number}"
    statements = [_cut(place, by, counts, width, tables) for place, by in bys.items()]
    for row in books.query(f"{common} {' UNION ALL '.join(statements)}", values):
        place = msgspec.convert(row[0], int)
        by = bys[place]
        if row[-1] is not None:
            found[place].append(_row(by, counts, [*row[1 : 1 + len(by)], *row[1 + width :]]))


def _cut(place: int, by: Sequence[Dimension], counts: Sequence[str], width: int, tables: str) -> str:
    """One way to cut up what all have in common; `place` tells its rows from those of the others."""
    names = [_COLUMNS[one] for one in by]
    fields = ", ".join([*names, *["NULL"] * (width - len(by)), *(f"sum(d.{one})" for one in counts)])
    with_tags = " LEFT JOIN json_each(a.tags) t" if "tag" in by else ""
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    dearest = ", ".join(f"sum(d.{one}) DESC" for one in ("cost_nano", "calls") if one in counts)
    order = "d.day" if "day" in by or not dearest else dearest
    return (
        f"SELECT * FROM (SELECT {place}, {fields} FROM {tables}{with_tags}{grouped}"  # noqa: S608  # own names
        f" ORDER BY {order} LIMIT {MOST_ROWS})"
    )


def total(rows: Sequence[Record]) -> Record:
    """The sums of rows that count nothing twice."""
    nano = sum(_nano(row["cost_usd"]) for row in rows)
    counts = {name: sum(row[name] for row in rows) for name in _COUNTS.values() if name != "cost_usd"}
    return {**counts, "cost_usd": dollars(nano)}


def parse_by(text: str) -> tuple[Dimension, ...]:
    """Dimensions from `key,model`. Raises ValueError with a sentence."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in DIMENSIONS:
            raise ValueError(f"'{name}' is nothing to sum up by; these are: {', '.join(DIMENSIONS)}")
    return msgspec.convert(tuple(dict.fromkeys(names)), tuple[Dimension, ...])


def _row(
    by: Sequence[Dimension],
    counts: Sequence[str],
    row: Sequence[Any],  # Any: columns of SQLite
) -> Record:
    shown: Record = {}
    for one, value in zip(by, row, strict=False):
        shown[one] = date.fromordinal(_EPOCH + value).isoformat() if one == "day" else value or None
    for column, value in zip(counts, row[len(by) :], strict=True):
        shown[_COUNTS[column]] = dollars(value) if column == "cost_nano" else value
    return shown


def _nano(usd: str) -> int:
    whole, _, rest = usd.partition(".")
    return int(whole) * 10**9 + int(rest.ljust(9, "0") or "0")


def _number(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else day.toordinal() - _EPOCH


def usage_conditions(asked: Asked) -> dict[str, str]:
    """The conditions that are set, but for the days."""
    named = {name: getattr(asked, name) for name in ("project", "key", "model", "app", "user", "tag")}
    return {name: value for name, value in named.items() if value is not None}


def today() -> date:
    """Today in UTC."""
    return datetime.now(UTC).date()
