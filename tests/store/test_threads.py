"""Sessions as people see them, and saved views."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest
from greenroom.store import threads
from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import ANSWER, Account
from greenroom.store.lines import Line as Paid
from greenroom.store.scores import Score
from greenroom.store.spenders import spenders
from greenroom.store.traces import TraceStore
from greenroom.store.views import MOST_OF_A_KEY, View, ViewStore
from tests.store.exchanges import entry_of, make_exchange


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    for number in range(12):
        exchange = make_exchange(
            f"x{number}", f"Question {number}", f"Answer {number}", session=f"s{number % 4}" if number % 4 else None,
            user="ana", project="other" if number % 4 == 3 else "default",
            outcome="refused" if number == 9 else "answered",
        )  # fmt: skip
        opened.write([entry_of(exchange)])
    yield opened
    opened.close()


def latest(
    store: TraceStore, cursor: str | None = None, limit: int = 50, project: str | None = None
) -> threads.Threads:
    return store.look(lambda connection, names: threads.latest(connection, names, project, cursor, limit))


def turns(store: TraceStore, session: str, cursor: str | None = None, limit: int = 50) -> threads.Thread:
    found = store.look(lambda c, names: threads.read(c, names, "default", session, cursor, limit))
    assert found is not None
    return found


def test_sessions_stand_by_their_last_turn_with_their_sums(store: TraceStore) -> None:
    rows = latest(store).rows

    assert [(row["session"], row["project"], row["turns"]) for row in rows] == [
        ("s3", "other", 3), ("s2", "default", 3), ("s1", "default", 3),
    ]  # fmt: skip
    assert [(row["refused"], row["cost_usd"], row["tokens"]) for row in rows] == [
        (0, "0.000369", 36), (0, "0.000369", 36), (1, "0.000369", 36),
    ]  # fmt: skip
    assert [row["session"] for row in latest(store, project="default").rows] == ["s2", "s1"]


def test_pages_of_sessions_name_each_once(store: TraceStore) -> None:
    names: list[str] = []
    cursor = None
    while True:
        page = latest(store, cursor, limit=1)
        names += [row["session"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            break

    assert names == ["s3", "s2", "s1"]


def test_a_session_is_read_in_its_order_page_by_page(store: TraceStore) -> None:
    store.score(None, "x5", Score(name="helpful", value=1))

    newest = turns(store, "s1", limit=2)
    before = turns(store, "s1", newest.earlier, limit=2)

    assert [(turn["asked"], turn["said"]) for turn in newest.turns] == [
        ("Question 5", "Answer 5"), ("Question 9", "Answer 9"),
    ]  # fmt: skip
    assert [turn["id"] for turn in before.turns] == ["x1"]
    assert before.earlier is None
    assert newest.turns[0]["scores"][0]["name"] == "helpful"
    assert newest.summary["turns"] == 3


def test_a_session_of_another_project_is_not_there(store: TraceStore) -> None:
    assert store.look(lambda c, names: threads.read(c, names, "default", "s3", None, 5)) is None
    assert store.look(lambda c, names: threads.read(c, names, "nowhere", "s1", None, 5)) is None


def test_views_are_of_the_key_that_saved_them(tmp_path: Path) -> None:
    store = ViewStore(tmp_path / "views.db")
    store.save("key_1", "  dear   ones ", "cost:>1")
    store.save("key_1", "dear ones", "cost:>2")
    store.save("key_2", "mine", "app:x")

    assert store.of("key_1") == [View("dear ones", "cost:>2")]
    assert (store.remove("key_2", "dear ones"), store.remove("key_2", "mine")) == (False, True)
    for name in ("", " ", "x" * 61, "a\x00b"):
        with pytest.raises(MalformedRequest, match="1 to 60 characters"):
            store.save("key_1", name, "app:x")
    for number in range(MOST_OF_A_KEY - 1):
        store.save("key_1", f"v{number}", "app:x")
    with pytest.raises(MalformedRequest, match="Delete one first"):
        store.save("key_1", "one more", "app:x")
    store.close()


def test_users_stand_by_what_they_cost(tmp_path: Path) -> None:
    books = LedgerStore(tmp_path / "ledger.db")
    day_ns = 86_400 * 10**9
    spent = [
        ("ana", "a", 5, 20),
        ("ana", "b", 7, 20),
        ("bo", "a", 9, 20),
        ("bo", "a", 90, 1),
        ("", "a", 99, 20),
    ]
    books.write([
        Paid(day * day_ns, f"{number:032x}", Account("default", "key", app, "m", user, "[]"), ANSWER, nano * 10**6, 0,
             input=3, output=1)
        for number, (user, app, nano, day) in enumerate(spent)
    ])  # fmt: skip

    found = spenders(books, None, date(1970, 1, 11))

    assert [(one["user"], one["requests"], one["cost_usd"], one["tokens"]) for one in found] == [
        ("ana", 2, "0.012", 8), ("bo", 1, "0.009", 4),
    ]  # fmt: skip
    assert spenders(books, "other", date(1970, 1, 11)) == []
    assert [one["user"] for one in spenders(books, "default", date(1970, 1, 1), most=1)] == ["bo"]
    books.close()
