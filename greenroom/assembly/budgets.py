"""What is left of each budget now: of keys, and of the configuration's rules."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from greenroom.assembly.money import rules_of
from greenroom.gateway.keys import key_of
from greenroom.gateway.purse import Calendar, Rule, end_of
from greenroom.store.lines import Scope, Window
from greenroom.store.material import dollars

if TYPE_CHECKING:
    from greenroom.assembly.stores import Stores

Record = dict[str, Any]  # Any: JSON
MOST = 10_000


def budgets(stores: "Stores") -> list[Record]:
    """Every budget's open window, those nearest to their end first, at most `MOST`. Raises: StoreError.

    A rule for each user, project or tag has a row for each that has spent something in it. What is reserved
    for requests at work is `reserved_usd`; it is written down within 50 ms.
    """
    calendar, now = Calendar(), time.time()
    known = stores.books.windows()
    found: list[Record] = []
    for name, limit, scope in _windows(stores, {window[0] for window in known}):
        window = scope, calendar.since(scope.period, now)
        settled, held = known.get(window, (None, 0))
        if settled is None:  # nobody asked for any of it yet
            settled = stores.books.spent(window)
        found.append(_row(name, limit, window, settled, held))
    found.sort(key=lambda row: (row["share"] is not None, -(row["share"] or 0.0), row["budget"]))
    return found[:MOST]


def _windows(stores: "Stores", seen: set[Scope]) -> Iterator[tuple[str, int, Scope]]:
    """Name, limit in nano-dollars and scope of each budget."""
    rows = stores.keys.list()
    for row in rows:
        key = key_of(row)
        if key.budget_scope is not None and key.budget_nano_usd is not None and row.is_active(time.time_ns()):
            yield f"key {row.name}", key.budget_nano_usd, key.budget_scope
    ids = {row.name: row.id for row in rows}
    for rule in rules_of(stores.config):
        for scope in _scopes(rule, seen, ids):
            yield rule.name, rule.limit_nano, scope


def _scopes(rule: Rule, seen: set[Scope], ids: dict[str, str]) -> list[Scope]:
    """Whom a rule counts: one scope, or with a `*` those that were seen."""
    key = "" if rule.key is None else ids.get(rule.key, rule.key)
    wanted = Scope(rule.period, rule.project or "", key, rule.user or "", rule.tag or "")
    if not any(part == "*" or part.endswith("=*") for part in wanted):
        return [wanted]
    return sorted(scope for scope in seen if all(map(_is_of, wanted, scope)))


def _is_of(wanted: str, part: str) -> bool:
    if wanted.endswith("*"):
        return len(part) >= len(wanted) and part.startswith(wanted[:-1])
    return wanted == part


def _row(name: str, limit: int, window: Window, settled: int, held: int) -> Record:
    scope, since = window
    ends = end_of(scope.period, since)
    return {
        "budget": name,
        **{part: value or None for part, value in scope._asdict().items() if part != "period"},
        "period": scope.period,
        "begins": None if scope.period == "total" else _day(since),
        "renews": None if ends is None else _day(ends),
        "limit_usd": dollars(limit),
        "spent_usd": dollars(settled),
        "reserved_usd": dollars(held),
        "left_usd": dollars(max(0, limit - settled - held)),
        "share": None if limit <= 0 else round((settled + held) / limit, 4),
    }


def _day(at_s: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))
