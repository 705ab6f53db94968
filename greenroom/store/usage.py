"""What was used and what it cost, summed up from the ledger by project, key, model, app, user, tag or day.

Days are days in UTC. A call with several tags counts under each of them. Costs that are not known are counted
apart: they are no part of any sum.
"""

from collections.abc import Sequence
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
    names = [_COLUMNS[one] for one in asked.by]
    with_tags = "tag" in asked.by
    fields = ", ".join([*names, *(f"sum(d.{one})" for one in _COUNTS)])
    wanted = {name: getattr(asked, name) for name in ("project", "key", "model", "app", "user")}
    conditions = [f"a.{name} = :{name}" for name, value in wanted.items() if value is not None]
    conditions += ["d.day >= :since", "d.day < :until"]
    if asked.tag is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = :tag)")
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    order = "d.day" if "day" in asked.by else "sum(d.cost_nano) DESC, sum(d.calls) DESC"
    # CROSS: the days first. Led by the accounts' index, SQLite reads all days again for every account.
    statement = (
        f"SELECT {fields} FROM days d CROSS JOIN accounts a ON a.number = d.account"  # noqa: S608  # names of our own
        f"{' LEFT JOIN json_each(a.tags) t' if with_tags else ''}"
        f" WHERE {' AND '.join(conditions)}{grouped} ORDER BY {order} LIMIT {MOST_ROWS}"
    )
    days = {"since": _number(asked.since, 0), "until": _number(asked.until, _LAST_DAY)}
    values = {**wanted, **days, "tag": asked.tag}
    return [_row(asked.by, row) for row in books.query(statement, values) if row[-1] is not None]


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


def _row(by: Sequence[Dimension], row: Sequence[Any]) -> Record:  # Any: columns of SQLite
    shown: Record = {}
    for one, value in zip(by, row, strict=False):
        shown[one] = date.fromordinal(_EPOCH + value).isoformat() if one == "day" else value or None
    for name, value in zip(_COUNTS.values(), row[len(by) :], strict=True):
        shown[name] = dollars(value) if name == "cost_usd" else value
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
