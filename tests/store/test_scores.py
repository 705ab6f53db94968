"""Scores of traces: which count, how lists are narrowed by them, and that they go with their trace."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest
from greenroom.store import fresh
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    opened.write([entry_of(make_exchange(id, user=f"user-{id}")) for id in "abc"])
    yield opened
    opened.close()


def shown(store: TraceStore, id: str) -> list[tuple[str, float, str]]:
    record = store.get(None, id)
    assert record is not None
    return [(one["name"], one["value"], one["source"]) for one in record["scores"]]


def found(store: TraceStore, score: str) -> list[str]:
    return [row["id"] for row in store.list(TraceFilter(score=score)).rows]


def test_of_one_name_and_source_the_newest_score_counts(store: TraceStore) -> None:
    store.score("default", "a", Score(name="helpful", value=0.0))
    store.score("default", "a", Score(name="helpful", value=0.25, source="judge"))
    store.score("default", "a", Score(name="helpful", value=1.0, comment="on a second look"))

    assert shown(store, "a") == [("helpful", 0.25, "judge"), ("helpful", 1.0, "person")]
    assert found(store, "helpful:1") == ["a"]
    assert found(store, "helpful:0") == []


def test_a_correction_is_kept_with_its_score_and_goes_with_its_trace(store: TraceStore) -> None:
    store.score("default", "a", Score(name="right", value=0, correction="Oslo is."))
    store.score("default", "b", Score(name="right", value=1))

    def corrections(id: str) -> list[str | None]:
        record = store.get(None, id)
        assert record is not None
        return [one.get("correction") for one in record["scores"]]

    assert (corrections("a"), corrections("b")) == (["Oslo is."], [None])
    store.delete(None, user="user-a")
    with sqlite3.connect(store._path) as file:
        assert file.execute("SELECT count(*) FROM scores WHERE correction IS NOT NULL").fetchone() == (0,)
    with pytest.raises(MalformedRequest, match="at most 100,000"):
        store.score("default", "b", Score(name="right", value=0, correction="x" * 100_001))


def test_another_projects_exchange_takes_no_score(store: TraceStore) -> None:
    assert store.score("other", "a", Score(name="helpful", value=1)) is None
    assert store.score("default", "nowhere", Score(name="helpful", value=1)) is None
    assert shown(store, "a") == []


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("helpful", ["c", "b", "a"]),
        ("helpful:<0.5", ["a"]),
        ("helpful:<=0.5", ["b", "a"]),
        ("helpful:>0.5", ["c"]),
        ("helpful:>=.5", None),
        ("helpful:0.5", ["b"]),
        ("missing", []),
        ("helpful:<1 OR 1=1", None),
        ("helpful'--", None),
    ],
)
def test_lists_are_narrowed_by_a_score(store: TraceStore, score: str, expected: list[str] | None) -> None:
    for id, value in zip("abc", (0.0, 0.5, 1.0), strict=True):
        store.score(None, id, Score(name="helpful", value=value))

    if expected is None:
        with pytest.raises(MalformedRequest, match="a name alone"):
            found(store, score)
    else:
        assert found(store, score) == expected


def test_scores_go_with_the_trace_they_are_of(store: TraceStore, tmp_path: Path) -> None:
    store.score(None, "a", Score(name="helpful", value=1.0, comment="zebra"))
    store.score(None, "b", Score(name="helpful", value=1.0))

    store.delete("default", user="user-a")

    with sqlite3.connect(tmp_path / "traces.db") as connection:
        assert connection.execute("SELECT comment FROM scores").fetchall() == [("",)]
    assert b"zebra" not in (tmp_path / "traces.db").read_bytes()


@pytest.mark.parametrize("name", ["", "Helpful", "1st", "a b", "x" * 65, "cost", "refused", "a\n"])
def test_a_name_that_is_none_or_is_taken_is_refused(store: TraceStore, name: str) -> None:
    with pytest.raises(MalformedRequest):
        store.score(None, "a", Score(name=name, value=1.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_refused(store: TraceStore, value: float) -> None:
    with pytest.raises(MalformedRequest, match="finite"):
        store.score(None, "a", Score(name="helpful", value=value))


def test_who_reads_new_scores_misses_none_that_comes_after_an_erasure(store: TraceStore) -> None:
    for _ in range(3):
        store.score("default", "c", Score(name="helpful", value=1.0))
    _, seen = fresh.newest(store._path)
    store.delete(None, user="user-c")
    store.score("default", "a", Score(name="helpful", value=0.0))

    found, last = fresh.scores(store._path, seen, 10)
    assert [(one.name, one.value) for one in found] == [("helpful", 0.0)]
    assert last > seen


def test_who_reads_new_exchanges_misses_none_that_comes_after_an_erasure(store: TraceStore) -> None:
    seen, _ = fresh.newest(store._path)
    store.delete(None, user="user-c")
    span = store.write([entry_of(make_exchange("d"))])

    assert span.first > seen
