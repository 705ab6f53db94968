"""Sums of usage over many accounts come at once, whatever they are narrowed to and cut up by."""

import time
from pathlib import Path

import pytest

from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import ANSWER, Account, Line
from greenroom.store.usage import DIMENSIONS, Asked, total, usage

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
