"""Sums of usage over many accounts come at once, whatever they are narrowed to and cut up by."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from greenroom.store.database import open_database, transaction
from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import ANSWER, Account, Line
from greenroom.store.schema import LEDGER
from greenroom.store.usage import DIMENSIONS, Asked, Dimension, Record, total, usage, usage_by

_DAY_NS = 86_400 * 10**9
ACCOUNTS, DAYS = 1_500, 10


@pytest.fixture
def books(tmp_path: Path) -> LedgerStore:
    store = LedgerStore(tmp_path / "ledger.db")
    store.write([
        Line(day * _DAY_NS, f"{day:04x}{number:028x}",
             Account("shop", f"key-{number % 7}", "support", "m", f"user-{number}", "[]"), ANSWER, 10)
        for day in range(20_000, 20_000 + DAYS) for number in range(ACCOUNTS)
    ])  # fmt: skip
    return store


def test_no_way_to_cut_a_project_up_reads_all_days_for_each_account(books: LedgerStore) -> None:
    took = {}
    for dimension in DIMENSIONS:
        began = time.process_time()
        rows = usage(books, Asked((dimension,), project="shop"))
        took[dimension] = time.process_time() - began
        assert total(rows)["calls"] == ACCOUNTS * DAYS
    books.close()

    assert {name: took_s for name, took_s in took.items() if took_s > 0.3} == {}


def test_cut_up_in_several_ways_at_once_is_what_each_way_tells_alone(tmp_path: Path) -> None:
    chance = random.Random(5)
    store = LedgerStore(tmp_path / "ledger.db")

    def account() -> Account:
        tags = json.dumps([f"team={one}" for one in chance.sample("abc", chance.randrange(3))])
        project, key, app, model = (f"{kind}{chance.randrange(3)}" for kind in "pkam")
        return Account(project, key, app, model, chance.choice(("", "ana", "bob")), tags)

    lines = [
        Line((20_000 + chance.randrange(4)) * _DAY_NS, f"{number:032x}", account(), ANSWER, chance.randrange(10**6),
             input=chance.randrange(100), output=chance.randrange(50))
        for number in range(400)
    ]  # fmt: skip
    store.write(lines)
    ways: list[tuple[Dimension, ...]] = [
        (),
        ("day",),
        ("day", "model"),
        ("tag",),
        ("user", "tag"),
        ("key", "app"),
    ]
    few: list[tuple[Dimension, ...]] = [("model",), ("app",)]
    try:
        for narrowed in (Asked(), Asked(project="p1"), Asked(tag="team=a"), Asked(user="nobody")):
            for bys in (ways, ways[1:3], few, ways[1:2], ways[3:4]):
                together = usage_by(store, narrowed, bys)
                alone = [usage(store, narrowed._replace(by=by)) for by in bys]
                assert [_ordered(rows) for rows in together] == [_ordered(rows) for rows in alone]
                assert all(one["calls"] for rows in together for one in rows)
            whole = usage(store, narrowed._replace(by=()))
            for by in (*few, ways[1], ways[5]):
                assert total(usage(store, narrowed._replace(by=by))) == total(whole)
        told = {one["tag"]: one["input_tokens"] for one in usage(store, Asked(("tag",), project="p1"))}
        assert told == _by_tag(one for one in lines if one.account.project == "p1")
        days = [one["day"] for one in usage(store, Asked(("day", "model")))]
        costs = [float(one["cost_usd"]) for one in usage(store, Asked(("model",)))]
        assert (days, costs) == (sorted(days), sorted(costs, reverse=True))
    finally:
        store.close()


def test_a_ledger_without_cost_centers_gets_them_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = open_database(path, LEDGER[:1])
    with transaction(old):
        for number, (app, user) in enumerate([("a", "ana"), ("a", "bob"), ("b", "ana")], start=1):
            old.execute("INSERT INTO accounts VALUES (?, 'p', 'k', ?, 'm', ?, '[]')", (number, app, user))
            old.execute(
                "INSERT INTO days VALUES (20000, ?, 1, 1, 0, 0, ?, 5, 0, 0, 0, 2, 0, 0, 0)",
                (number, 10**number),
            )
        # Of the last account a line has not been folded yet.
        old.execute(
            "INSERT INTO lines VALUES (1, ?, x'', 3, 0, 7, 0, 5, 0, 0, 0, 2, 0, 0, 0, '')", (_DAY_NS,)
        )
    old.close()

    store = LedgerStore(path)
    try:
        store.write([Line(20_000 * _DAY_NS, f"{1:032x}", Account("p", "k", "a", "m", "eva"), ANSWER, 1)])
        by_app = {one["app"]: (one["calls"], one["cost_usd"]) for one in usage(store, Asked(("app",)))}
        by_user = {one["user"]: one["calls"] for one in usage(store, Asked(("user",)))}
    finally:
        store.close()

    assert by_app == {"a": (3, "0.000000111"), "b": (2, "0.000001007")}
    assert by_user == {"ana": 3, "bob": 1, "eva": 1}


def _by_tag(lines: Iterable[Line]) -> dict[str | None, int]:
    sums: Counter[str | None] = Counter()
    for one in lines:
        for tag in json.loads(one.account.tags) or [None]:
            sums[tag] += one.input
    return sums


def _ordered(rows: list[Record]) -> list[str]:
    return sorted(map(str, rows))
