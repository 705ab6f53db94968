"""Pages of requests: all that fits and nothing else, whatever leads to it and however short the time is."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from greenroom.exchange import StepRecord
from greenroom.store import browsing, walking
from greenroom.store.audit import Line
from greenroom.store.browsing import Sight
from greenroom.store.conditions import Condition
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import START_NS, entry_of, make_exchange

Json = dict[str, Any]
COUNT = 90
_INDEXED = 60


@dataclasses.dataclass
class Kept:
    """A store and what is in it, the newest first."""

    store: TraceStore
    records: list[Json]

    def page(self, wanted: TraceFilter) -> Sight:
        return self.store.look(lambda connection, names: browsing.browse(connection, names, wanted))

    def all(self, wanted: TraceFilter) -> list[str]:
        """The ids on all pages, one after another."""
        ids: list[str] = []
        for _ in range(1000):
            sight = self.page(wanted)
            ids += [row["id"] for row in sight.rows]
            if sight.next is None:
                return ids
            wanted = replace(wanted, cursor=sight.next)
        raise AssertionError("the pages have no end")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    store = TraceStore(tmp_path_factory.mktemp("browsing") / "traces.db")
    for number in range(COUNT):
        store.write([_entry(number)])
        if number == _INDEXED:
            while store.index():
                pass
        if number % 11 == 0:
            store.score(None, f"x{number}", Score(name="helpful", value=number / COUNT))
            store.score(None, f"x{number}", Score(name="helpful", value=0.9, source="judge"))
    records = [record for n in reversed(range(COUNT)) if (record := store.get(None, f"x{n}")) is not None]
    yield Kept(store, records)
    store.close()


def _entry(number: int) -> Any:  # Any: an entry of the store
    exchange = make_exchange(
        f"x{number}", f"Question {number} of the refund" if number % 3 else f"Question {number} of a café",
        project="default" if number % 4 else "other", app="shop" if number % 2 else "desk",
        asked="fast" if number % 5 else "slow", session=f"s{number % 6}" if number % 2 else None,
        user=f"u{number % 7}", tags={"team": "red"} if number % 9 == 0 else None,
        outcome="refused" if number % 10 == 0 else "answered", created_ns=START_NS + number * 10**9,
    )  # fmt: skip
    exchange.cost_nano_usd = None if number % 13 == 0 else number * 1_000_000
    exchange.total_ns = number * 10**8
    exchange.steps.append(StepRecord("check", "pii", outcome="failed" if number % 17 == 0 else "unchanged"))
    exchange.steps.append(
        StepRecord("preprocess", "template", notes={"prompt": {"name": "reply", "version": number % 3}})
    )
    entry = entry_of(exchange)
    if number % 8 == 0:
        line = Line(START_NS, "default", "shop", "key_1", f"x{number}", "pii", "br.cpf", "personal_data", 2, "input",
                    "mask", "", "", "", 0, 0, 1, "")  # fmt: skip
        entry = entry._replace(findings=(line,))
    return entry


def _number(record: Json) -> int:
    return int(record["id"][1:])


Fits = Callable[[Json], bool]
CASES: dict[str, tuple[TraceFilter, Fits]] = {
    "all": (TraceFilter(), lambda _: True),
    "one project": (TraceFilter(project="other"), lambda one: one["project"] == "other"),
    "no such project": (TraceFilter(project="none"), lambda _: False),
    "user": (TraceFilter(user="u3"), lambda one: one["user"] == "u3"),
    "user of a project": (
        TraceFilter(user="u3", project="other"), lambda one: one["user"] == "u3" and one["project"] == "other",
    ),
    "session": (TraceFilter(session="s1"), lambda one: one["session"] == "s1"),
    "session and user": (
        TraceFilter(session="s1", user="u1"), lambda one: one["session"] == "s1" and one["user"] == "u1",
    ),
    "tag": (TraceFilter(tag="team=red"), lambda one: one["tags"] == {"team": "red"}),
    "words": (TraceFilter(q="refund"), lambda one: _number(one) % 3 != 0),
    "words with accents": (TraceFilter(q="cafe"), lambda one: _number(one) % 3 == 0),
    "words of a user": (TraceFilter(q="refu*", user="u2"), lambda one: _number(one) % 3 != 0 and one["user"] == "u2"),
    "words with a tag": (TraceFilter(q="cafe", tag="team=red"), lambda one: one["tags"] == {"team": "red"}),
    "since and until": (
        TraceFilter(since_ns=START_NS + 20 * 10**9, until_ns=START_NS + 40 * 10**9),
        lambda one: 20 <= _number(one) < 40,
    ),
}  # fmt: skip
CONDITIONS: dict[Condition, Fits] = {
    Condition("app", "=", "shop"): lambda one: one["app"] == "shop",
    Condition("app", "!=", "shop"): lambda one: one["app"] != "shop",
    Condition("app", "=", "nothing"): lambda _: False,
    Condition("app", "!=", "nothing"): lambda _: True,
    Condition("model", "=", "slow"): lambda one: one["model"]["asked"] == "slow",
    Condition("model", "!=", "slow"): lambda one: one["model"]["asked"] != "slow",
    Condition("outcome", "=", "refused"): lambda one: one["outcome"] == "refused",
    Condition("project", "!=", "other"): lambda one: one["project"] != "other",
    Condition("surface", "=", "chat"): lambda _: True,
    Condition("status", ">=", 500.0): lambda _: False,
    Condition("cost", ">", 0.05): lambda one: one["cost_usd"] is not None and float(one["cost_usd"]) > 0.05,
    Condition("latency", "<=", 2000.0): lambda one: one["timing_ms"]["total"] <= 2000,
    Condition("tokens", "=", 12.0): lambda _: True,
    Condition("score.helpful", "<", 0.5): lambda one: _number(one) % 11 == 0 and _number(one) / COUNT < 0.5,
    Condition("score.helpful", "=", ""): lambda one: _number(one) % 11 == 0,
    Condition("tag", "!=", "team=red"): lambda one: not one["tags"],
    Condition("step.pii", "=", "mask"): lambda one: _number(one) % 8 == 0,
    Condition("step.pii", "!=", "mask"): lambda one: _number(one) % 8 != 0,
    Condition("step.pii", "=", "failed"): lambda one: _number(one) % 17 == 0,
    Condition("category", "=", "personal_data"): lambda one: _number(one) % 8 == 0,
    Condition("rule", "!=", "br.cpf"): lambda one: _number(one) % 8 != 0,
    Condition("prompt", "=", "reply@2"): lambda one: _number(one) % 3 == 2,
    Condition("prompt", "!=", "reply"): lambda _: False,
    Condition("id", "=", "x7"): lambda one: one["id"] == "x7",
}


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_condition_finds_what_fits(kept: Kept, condition: Condition) -> None:
    expected = [one["id"] for one in kept.records if CONDITIONS[condition](one)]

    assert kept.all(TraceFilter(conditions=(condition,), limit=7)) == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "more", [None, Condition("app", "=", "shop"), Condition("prompt", "=", "reply@1")], ids=str
)
def test_whatever_leads_there_finds_the_same(kept: Kept, case: str, more: Condition | None) -> None:
    wanted, fits = CASES[case]
    also: Fits = CONDITIONS.get(more, lambda one: _number(one) % 3 == 1) if more else (lambda _: True)
    expected = [one["id"] for one in kept.records if fits(one) and also(one)]

    found = kept.all(replace(wanted, limit=7, conditions=(more,) if more else ()))

    assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_short_of_time_the_pages_still_have_all(
    kept: Kept, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "BUDGET_S", -1.0)
    monkeypatch.setattr(walking, "_FIRST_RANGE", 4)
    monkeypatch.setattr(walking, "_FIRST_BODIES", 3)
    wanted, fits = CASES[case]
    more = Condition("step.pii", "!=", "failed")
    expected = [one["id"] for one in kept.records if fits(one) and _number(one) % 17]

    assert kept.all(replace(wanted, limit=7, conditions=(more,))) == expected


def test_a_page_that_is_not_full_says_how_far_it_looked(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "BUDGET_S", -1.0)
    monkeypatch.setattr(walking, "_FIRST_RANGE", 10)

    sight = kept.page(TraceFilter(conditions=(Condition("id", "=", "x0"),)))

    assert sight.rows == []
    assert sight.next is not None
    assert sight.reached == kept.records[9]["created_at"]


def test_a_first_page_counts_what_the_newest_are(kept: Kept) -> None:
    sight = kept.page(TraceFilter(conditions=(Condition("app", "=", "shop"),), limit=5))

    assert sight.facets is not None
    assert (sight.facets.counted, sight.facets.is_all) == (COUNT // 2, True)
    assert sight.facets.values["app"] == [("shop", COUNT // 2)]
    assert dict(sight.facets.values["outcome"]) == {"answered": COUNT // 2}
    assert kept.page(TraceFilter(limit=5, cursor=sight.next)).facets is None


def test_rows_have_their_first_words_and_what_was_searched_for(kept: Kept) -> None:
    row = kept.page(TraceFilter(q="refund", limit=1)).rows[0]

    assert row["preview"] == "Question 89 of the refund"
    assert row["snippet"] == [("Question 89 of the ", False), ("refund", True)]


def test_what_came_since_is_told_with_the_newest_number(kept: Kept) -> None:
    def newer(after: int) -> Sight:
        return kept.store.look(
            lambda connection, names: browsing.newest_after(connection, names, TraceFilter(limit=5), after)
        )

    assert [row["id"] for row in newer(COUNT - 2).rows] == ["x89", "x88"]
    assert (newer(COUNT).rows, newer(2**62).rows, newer(0).next) == ([], [], str(COUNT))
