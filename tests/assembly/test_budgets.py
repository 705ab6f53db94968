"""What is left of budgets, as the API and the command line tell it."""

import asyncio
import time
from pathlib import Path
from typing import Any

from greenroom.assembly.budgets import budgets
from greenroom.exchange import Attempt, Caller
from greenroom.gateway.keys import key_of
from greenroom.store.keys import Limits
from tests.assembly.test_money import house_of
from tests.gateway.ledger_worker import close, exchange_of, reserve

CONFIG = """
[budgets.all]
usd = 0.000001
period = "month"
project = "*"

[budgets.each-user]
usd = 0.0000005
period = "day"
user = "*"

[budgets.one-team]
usd = 1
tag = "team=search"
"""
NAMES = ("budget", "project", "user", "spent_usd", "reserved_usd", "left_usd", "share")


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in NAMES)


async def test_each_budget_says_what_is_spent_reserved_and_left(tmp_path: Path) -> None:
    house = house_of(tmp_path, CONFIG)
    async with house.running():
        limits = Limits(budget_nano_usd=2_000, budget_period="week")
        row, _ = house.keys.create("lab", "bot", limits=limits)
        house.keys.create("lab", "free")
        gone, _ = house.keys.create("lab", "gone", limits=limits)
        house.keys.revoke(gone.id)
        key = key_of(row)
        for number, user in enumerate(("ana", "ana", "bea")):
            exchange = exchange_of(f"{number:032x}", user=user)
            exchange.caller = Caller(key_id=row.id, project="lab", name="bot")
            exchange.attempts.append(Attempt(target="p/m"))
            assert reserve(house.ledger, key, exchange, 100)
            if user == "ana":
                close(house.ledger, exchange, 40)
        deadline = time.monotonic() + 20
        while house.ledger.has_work and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        found = budgets(house)

        assert [told(one) for one in found] == [
            ("each-user", None, "bea", "0", "0.0000001", "0.0000004", 0.2),
            ("all", "lab", None, "0.00000008", "0.0000001", "0.00000082", 0.18),
            ("each-user", None, "ana", "0.00000008", "0", "0.00000042", 0.16),
            ("key bot", None, None, "0.00000008", "0.0000001", "0.00000182", 0.09),
            ("one-team", None, None, "0", "0", "1", 0.0),
        ]
        by_key = next(one for one in found if one["budget"] == "key bot")
        assert (by_key["key"], by_key["period"]) == (row.id, "week")
        assert by_key["begins"] < by_key["renews"]
        assert next(one["renews"] for one in found if one["budget"] == "one-team") is None


async def test_what_was_spent_before_a_budget_was_made_counts(tmp_path: Path) -> None:
    house = house_of(tmp_path, "")
    async with house.running():
        row, _ = house.keys.create("lab", "bot")
        exchange = exchange_of("a" * 32)
        exchange.caller = Caller(key_id=row.id, project="lab", name="bot")
        exchange.attempts.append(Attempt(target="p/m"))
        assert house.ledger.purse(key_of(row), exchange) is None
        close(house.ledger, exchange, 70)
        while house.ledger.has_work:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        house.keys.limit(row.id, Limits(budget_nano_usd=100))

        (found,) = budgets(house)

    assert told(found) == ("key bot", None, None, "0.00000007", "0", "0.00000003", 0.7)
