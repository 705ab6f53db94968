"""The ledger of one process: nobody refused while money is left, one window after the other, a broken store."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import Overloaded
from greenroom.exchange import Attempt, Exchange
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.purse import BudgetExceeded, Calendar, Policy, PriceUnknown, Rule, end_of, start_of
from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import Account, Line, Scope
from greenroom.store.usage import Asked, usage
from greenroom.usage import Usage
from tests.gateway.ledger_worker import CALLER, Flat, Worker, close, exchange_of, reserve

KEY = Key(caller=CALLER, budget_nano_usd=100)
WINDOW = (Scope("total", key="key_1"), 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def books(path: Path) -> Iterator[LedgerStore]:
    store = LedgerStore(path)
    yield store
    store.close()


def started(path: Path, *rules: Rule, **how: Any) -> Ledger:  # Any: what `Ledger` takes
    ledger = Ledger(LedgerStore(path), rules, **how)
    ledger.start()
    return ledger


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 40), st.one_of(st.none(), st.floats(0, 1)), st.integers(0, 3)), max_size=60
    )
)
def test_nobody_is_refused_while_anything_is_left_and_little_is_given_beyond(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float | None, int]]
) -> None:
    ledger = started(tmp_path_factory.mktemp("ledger") / "ledger.db")
    spent = 0
    at_work: list[tuple[Exchange, int, int | None]] = []
    for number, (amount, share, keep) in enumerate(steps):
        exchange = exchange_of(f"{number:032x}")
        is_left = spent + sum(reserved for _, reserved, _ in at_work) < 100
        for one in ledger._balances.values():
            one.refused_until = 0.0  # time is not what this is about
        is_given = reserve(ledger, KEY, exchange, amount)
        assert is_given or not is_left
        if is_given:
            at_work.append((exchange, amount, None if share is None else int(amount * share)))
        while len(at_work) > keep:
            ended, _, cost = at_work.pop(0)
            close(ledger, ended, cost)
            spent += cost or 0
        assert spent + sum(reserved for _, reserved, _ in at_work) < 100 + 40  # the largest of reservations
    ledger.stop()


def test_what_a_killed_process_had_reserved_is_settled_as_reserved(path: Path, books: LedgerStore) -> None:
    dead = Worker()
    dead.do("start", path=str(path), limit=100)
    dead.do("reserve", id="a" * 32, amount=30)
    dead.flush()
    dead.ledger._books._presence.hide()  # type: ignore[attr-defined]  # the lock goes as the process would

    ledger = started(path)

    assert ledger.counts().abandoned == 1
    assert books.balance(WINDOW) == (30, 0, 0)
    (row,) = usage(books, Asked(("model",)))
    assert (row["model"], row["cost_usd"], row["estimated_calls"]) == ("p/m", "0.00000003", 1)
    ledger.stop()


def test_an_orderly_stop_leaves_nothing_behind(path: Path, books: LedgerStore) -> None:
    ledger = started(path)
    exchange = exchange_of("b" * 32)
    reserve(ledger, KEY, exchange, 10)
    close(ledger, exchange, 4)
    ledger.stop()

    assert books.balance(WINDOW) == (4, 0, 0)
    assert books.totals().processes == 0
    assert list(path.parent.glob("*-process-*")) == []


@pytest.mark.slow
def test_two_that_spend_together_give_back_what_lies_idle(path: Path, books: LedgerStore) -> None:
    one, other = started(path), started(path)
    exchange = exchange_of("c" * 32)
    reserve(one, KEY, exchange, 10)
    close(one, exchange, 10)
    deadline = time.monotonic() + 15
    while books.balance(WINDOW)[1] > 0 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert books.balance(WINDOW) == (10, 0, 0)
    assert all(reserve(other, KEY, exchange_of(f"{number:032x}"), 9) for number in range(10))
    one.stop()
    other.stop()


def test_who_has_too_little_for_a_request_hands_it_back_for_others(path: Path, books: LedgerStore) -> None:
    books.join()
    one = started(path)
    exchange = exchange_of("c" * 32)
    reserve(one, KEY, exchange, 40)
    close(one, exchange, 5)
    while one.has_work:
        time.sleep(0.005)
    mine = books.balance(WINDOW)[1]
    beside = books.grant(WINDOW, 100, 100, 1)  # another's request, which passes the budget

    assert not reserve(one, KEY, exchange_of("d" * 32), mine + 1)
    close(one, exchange_of("d" * 32), None)
    deadline = time.monotonic() + 1
    while books.balance(WINDOW)[1] != beside and time.monotonic() < deadline:
        time.sleep(0.005)

    assert mine > 0
    assert books.balance(WINDOW) == (5, beside, 0)
    one.stop()


def test_a_budget_made_later_counts_what_was_spent_before(path: Path) -> None:
    ledger = started(path)
    plain = Key(caller=CALLER)
    for number in range(3):
        exchange = exchange_of(f"{number:032x}", user="ana")
        assert ledger.purse(plain, exchange) is None
        exchange.attempts.append(Attempt(target="p/m"))
        close(ledger, exchange, 40)
    while ledger.has_work:
        time.sleep(0.005)

    ledger.set_rules([Rule("ana", 100, "month", user="ana")])

    assert not reserve(ledger, plain, exchange_of("d" * 32, user="ana"), 1)
    assert ledger.purse(plain, exchange_of("e" * 32, user="bea")) is None
    ledger.stop()


def test_a_limit_that_is_raised_counts_at_once(path: Path) -> None:
    ledger = started(path)
    assert reserve(ledger, KEY, exchange_of("f" * 32), 200)
    assert not reserve(ledger, KEY, exchange_of("1" * 32), 1)

    assert reserve(ledger, Key(caller=CALLER, budget_nano_usd=300), exchange_of("2" * 32), 50)
    ledger.stop()


def test_where_one_of_two_budgets_refuses_the_other_keeps_its_money(path: Path) -> None:
    ledger = started(path, Rule("all", 10, project="*"))
    assert reserve(ledger, KEY, exchange_of("3" * 32), 15)
    exchange = exchange_of("5" * 32)
    purse = ledger.purse(KEY, exchange)
    assert purse is not None
    with pytest.raises(BudgetExceeded, match="budget 'all'"):
        purse.reserve(Attempt(target="p/m"), Flat(15))

    of_key = next(one for one in ledger._balances.values() if one.window == WINDOW)
    assert of_key.used == 15
    ledger.stop()


def test_attempts_that_failed_for_nothing_leave_their_money_to_the_next(
    path: Path, books: LedgerStore
) -> None:
    ledger = started(path)
    exchange = exchange_of("4" * 32)
    purse = exchange.purse = ledger.purse(KEY, exchange)
    assert purse is not None
    for amount in (60, 80, 50):
        exchange.attempts.append(Attempt(target="p/m"))
        purse.reserve(exchange.attempts[-1], Flat(amount))
        assert purse.amount == amount
        exchange.attempts[-1].error = "upstream_timeout"
    close(ledger, exchange, None)
    while ledger.has_work:
        time.sleep(0.005)

    assert books.balance(WINDOW)[0] == 0
    assert books.balance(WINDOW)[2] == 0
    ledger.stop()


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        (Policy("refuse"), Key(caller=CALLER)),
        (Policy("refuse"), KEY),
        (Policy("refuse_with_budget"), KEY),
    ],
)
def test_unknown_prices_are_refused_where_they_are_to_be(path: Path, policy: Policy, key: Key) -> None:
    ledger = started(path, policy=policy)
    purse = ledger.purse(key, exchange_of("5" * 32))

    assert purse is not None
    with pytest.raises(PriceUnknown, match=r'\[prices."p/m"\]'):
        purse.reserve(Attempt(target="p/m"), None)
    ledger.stop()


def test_an_answer_whose_tier_has_no_price_costs_what_was_reserved(path: Path, books: LedgerStore) -> None:
    ledger = started(path)
    exchange = exchange_of("6" * 32)
    reserve(ledger, KEY, exchange, 30)
    exchange.target, exchange.usage = "p/m", Usage(input_tokens=5, service_tier="priority")
    ledger.close(exchange)  # its cost is not known
    ledger.stop()

    (row,) = usage(books, Asked(()))
    assert books.balance(WINDOW)[0] == books.totals().lines == 30
    assert (row["unpriced_calls"], row["estimated_calls"]) == (0, 1)


def test_unknown_prices_are_let_through_where_that_is_said(path: Path) -> None:
    ledger = started(path, policy=Policy("allow"))
    purse = ledger.purse(KEY, exchange_of("5" * 32))

    assert purse is not None
    purse.reserve(Attempt(target="p/m"), None)
    assert purse.amount == 0
    ledger.stop()


class Broken(LedgerStore):
    """A file that cannot be used for a while."""

    is_broken = False

    def grant(self, *asked: Any, **how: Any) -> int:  # Any: as the original
        self._fail()
        return super().grant(*asked, **how)

    def write(self, *batch: Any, **how: Any) -> None:  # Any: as the original
        self._fail()
        super().write(*batch, **how)

    def _fail(self) -> None:
        if self.is_broken:
            with self._reading():
                raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("fails_open", [False, True])
def test_while_the_disk_is_full_budgets_fail_as_configured_and_nothing_is_lost(
    path: Path, books: LedgerStore, fails_open: bool
) -> None:
    store = Broken(path)
    ledger = Ledger(store, policy=Policy(fails_open=fails_open))
    ledger.start()
    store.is_broken = True
    free = exchange_of("6" * 32)
    free.attempts.append(Attempt(target="p/m"))
    close(ledger, free, 7)  # no budget counts it: it goes on, and its line waits

    if fails_open:
        exchange = exchange_of("7" * 32)
        assert reserve(ledger, KEY, exchange, 10)
        close(ledger, exchange, 3)
    else:
        with pytest.raises(Overloaded):
            reserve(ledger, KEY, exchange_of("7" * 32), 10)
    time.sleep(0.1)
    assert ledger.counts().errors > 0
    store.is_broken = False
    ledger.stop()

    assert ledger.counts().lost == 0
    assert books.totals().lines == (10 if fails_open else 7)


def test_lines_can_be_added_and_nothing_else(path: Path, books: LedgerStore) -> None:
    books.write([Line(0, "8" * 32, Account("p", "k", "a", "m"), 0, 5)])
    with sqlite3.connect(path) as connection:
        for statement in ("UPDATE lines SET cost_nano = 0", "DELETE FROM lines"):
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                connection.execute(statement)
    connection.close()


def test_names_that_hold_personal_data_are_written_as_in_traces(path: Path, books: LedgerStore) -> None:
    ledger = started(path)
    exchange = exchange_of("9" * 32, user="ana@example.com")
    exchange.tags = {"mail": "ana@example.com"}
    exchange.redactions = {"ana@example.com": "<EMAIL_1>"}
    exchange.attempts.append(Attempt(target="p/m"))
    close(ledger, exchange, 1)
    ledger.stop()

    (row,) = usage(books, Asked(("user", "tag")))
    assert row["user"].startswith("#")
    assert row["tag"] == "mail=<EMAIL_1>"
    assert b"ana@example.com" not in path.read_bytes()


def test_a_forgotten_user_is_a_number_and_the_sums_stay(path: Path, books: LedgerStore) -> None:
    lines = [Line(0, "8" * 32, Account("p", "k", app, "m", "ana"), 0, 5) for app in ("a", "b")]
    books.write([*lines, Line(0, "8" * 32, Account("p", "k", "a", "m", "bea"), 0, 5)])

    books.forget("p", "ana")

    rows = usage(books, Asked(("user",)))
    assert sum(row["calls"] for row in rows) == 3
    assert {row["user"] for row in rows if row["user"] and not row["user"].startswith("#")} == {"bea"}


def test_usage_is_summed_up_by_whatever_is_asked(books: LedgerStore) -> None:
    day = 86_400_000_000_000
    both, one = '["team=a","x=y"]', '["team=a"]'
    books.write(
        [
            Line(0, "a" * 32, Account("p", "k", "chat", "o/m", "ana", both), 0, 100, 0, 10, 4, 0, 0, 3),
            Line(day, "b" * 32, Account("p", "k", "chat", "o/m", "ana", one), 0, 50, 1, 20, 0, 0, 0, 5),
            Line(day, "b" * 32, Account("p", "k", "chat", "o/n", "ana", one), 1, 5, 0, 1),
            Line(2 * day, "c" * 32, Account("q", "l", "chat", "o/n"), 0, 0, 2, 7),
        ]
    )

    def told(*by: Any, **conditions: Any) -> list[tuple[Any, ...]]:  # Any: cells
        rows = usage(books, Asked(by, **conditions))
        return [(*(row[name] for name in by), row["calls"], row["cost_usd"]) for row in rows]

    assert told("day") == [
        ("1970-01-01", 1, "0.0000001"), ("1970-01-02", 2, "0.000000055"), ("1970-01-03", 1, "0"),
    ]  # fmt: skip
    assert told("model") == [("o/m", 2, "0.00000015"), ("o/n", 2, "0.000000005")]
    assert told("tag") == [("team=a", 3, "0.000000155"), ("x=y", 1, "0.0000001"), (None, 1, "0")]
    assert told("project", "app", user="ana") == [("p", "chat", 3, "0.000000155")]
    assert told("key", tag="x=y") == [("k", 1, "0.0000001")]
    assert told(since=datetime(1970, 1, 2, tzinfo=UTC).date()) == [(3, "0.000000055")]
    (whole,) = usage(books, Asked(()))
    assert (whole["requests"], whole["unpriced_calls"], whole["estimated_calls"]) == (3, 1, 1)
    assert (whole["input_tokens"], whole["cached_tokens"], whole["output_tokens"]) == (38, 4, 8)


@given(at=st.integers(0, 4_000_000_000), period=st.sampled_from(["day", "week", "month"]))
def test_every_moment_lies_in_one_window_and_the_next_begins_where_it_ends(at: int, period: str) -> None:
    since = start_of(period, at)
    until = end_of(period, since)

    assert until is not None
    assert since <= at < until
    assert start_of(period, until) == until
    assert start_of(period, until - 1) == since
    begins = datetime.fromtimestamp(since, UTC)
    assert (begins.hour, begins.minute, begins.second) == (0, 0, 0)
    assert period != "week" or begins.weekday() == 0
    assert period != "month" or begins.day == 1


def test_a_clock_that_goes_back_opens_no_window_again() -> None:
    calendar = Calendar()

    assert calendar.since("day", 86_400 * 10 + 5) == 86_400 * 10
    assert calendar.since("day", 86_400 * 9) == 86_400 * 10
    assert calendar.since("day", 86_400 * 11) == 86_400 * 11


def test_usage_adds_up_in_all_its_parts() -> None:
    one = Usage(
        input_tokens=1, cached_tokens=2, output_tokens=3, reasoning_tokens=4, cache_write_tokens=5,
        cache_write_1h_tokens=6, input_audio_tokens=7, cached_audio_tokens=8, output_audio_tokens=9,
        service_tier="flex",
    )  # fmt: skip

    assert one.plus(one) == Usage(
        input_tokens=2, cached_tokens=4, output_tokens=6, reasoning_tokens=8, cache_write_tokens=10,
        cache_write_1h_tokens=12, input_audio_tokens=14, cached_audio_tokens=16, output_audio_tokens=18,
        service_tier="flex",
    )  # fmt: skip
