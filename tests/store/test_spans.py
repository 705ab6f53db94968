"""Spans of applications: kept once, found by trace, gone with their time and their user."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from greenroom.store.database import open_database, open_reader
from greenroom.store.spans import MIGRATIONS, SpanStore
from greenroom.wire.otlp.signals import Event, Origin, Span, Spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "1af7651916cd43dd8448eb211c80319c"
SHOP = Origin({"service.name": "shop"}, "app", "1.0")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpanStore]:
    store = SpanStore(tmp_path / "spans.db")
    yield store
    store.close()


def span(number: int, trace: str = TRACE, **more: Any) -> Span:  # Any: fields by name
    return Span(
        trace=trace, id=f"{number:016x}", name=f"work {number}", start_ns=number, end_ns=number + 5, **more
    )


def test_a_span_comes_back_as_it_was(store: SpanStore) -> None:
    sent = span(
        7, parent="00000000000000aa", attributes={"a": [1, 2.5, "x", True, None, b"\x01"], "b": {"c": -1}},
        events=[Event("begun", 3, {"n": 1})], status=2, message="no",
    )  # fmt: skip

    store.add("p", [Spans(SHOP, [sent])])

    (found,) = store.of("p", TRACE).spans
    assert found.span == sent
    assert found.origin == SHOP


def test_who_sends_a_span_again_replaces_it(store: SpanStore) -> None:
    store.add("p", [Spans(SHOP, [span(1)])])
    store.add("p", [Spans(SHOP, [span(1, message="later")])])

    (found,) = store.of("p", TRACE).spans
    assert found.span.message == "later"


def test_a_project_sees_its_own_alone(store: SpanStore) -> None:
    store.add("p", [Spans(SHOP, [span(1)])])
    store.add("q", [Spans(SHOP, [span(1), span(2)])])

    assert [store.of(project, TRACE).total for project in ("p", "q", None)] == [1, 2, 3]


def test_of_many_the_first_are_shown_and_all_are_counted(store: SpanStore) -> None:
    store.add("p", [Spans(SHOP, [span(number) for number in range(20, 0, -1)])])

    found = store.of("p", TRACE, limit=3)

    assert [one.span.start_ns for one in found.spans] == [1, 2, 3]
    assert found.total == 20


def test_with_a_user_go_all_spans_of_their_traces(store: SpanStore) -> None:
    store.add("p", [Spans(SHOP, [span(1, attributes={"enduser.id": "ana"}), span(2), span(3, OTHER)])])
    store.add("q", [Spans(SHOP, [span(1)])])

    assert store.erase("p", "ana") == 2
    assert (store.of("p", TRACE).total, store.of("p", OTHER).total, store.of("q", TRACE).total) == (0, 1, 1)
    assert store.erase("p", "nobody", [OTHER]) == 1


def test_what_is_past_its_time_goes_with_its_origin(store: SpanStore) -> None:
    store.add(
        "p", [Spans(Origin({"service.name": "old"}), [span(number) for number in range(1, 1201)])], now_ns=5
    )
    store.add("p", [Spans(SHOP, [span(1, OTHER)])], now_ns=50)

    assert store.purge(before_ns=10) == 1200
    assert store.purge(before_ns=10) == 0
    (left,) = store.of("p", OTHER).spans
    assert left.origin == SHOP


@pytest.mark.parametrize("trace", ["", "zz", "é" * 32, "0" * 31])
def test_what_is_no_id_has_no_spans(store: SpanStore, trace: str) -> None:
    assert store.of(None, trace).spans == []


def test_who_sent_goes_with_the_last_span_of_a_project_with_days_of_its_own(
    store: SpanStore, tmp_path: Path
) -> None:
    store.add("clinic", [Spans(Origin({"host.name": "ward-7"}), [span(1)])], now_ns=5)
    store.add("p", [Spans(SHOP, [span(2)])], now_ns=5)

    store.erase_before("clinic", 10)

    with closing(open_reader(tmp_path / "spans.db")) as connection:
        assert connection.execute("SELECT count(*) FROM origins").fetchone() == (1,)
    assert store.of("p", TRACE).spans[0].origin == SHOP


def test_where_there_is_no_room_for_all_each_has_an_equal_share(store: SpanStore, tmp_path: Path) -> None:
    store.add("big", [Spans(SHOP, [span(number) for number in range(4)])])
    store.add("small", [Spans(SHOP, [span(9)])])
    big, small = taken(tmp_path)

    assert store.has_room("big", big + small + 1)
    assert not store.has_room("big", big + small)
    assert store.has_room("small", 2 * small + 1)
    assert not store.has_room("small", 2 * small)


def test_what_a_project_takes_follows_what_it_has(store: SpanStore, tmp_path: Path) -> None:
    store.add("big", [Spans(SHOP, [span(1, message="no")])], now_ns=1)
    (before,) = taken(tmp_path)
    store.add("big", [Spans(SHOP, [span(1, message="longer now")])], now_ns=1)
    (after,) = taken(tmp_path)

    assert after == before + len("longer now") - len("no")
    store.purge(2)
    assert taken(tmp_path) == [0]


def test_a_file_of_before_knows_what_its_projects_take(tmp_path: Path) -> None:
    old = open_database(tmp_path / "spans.db", MIGRATIONS[:1])
    old.execute("INSERT INTO origins VALUES (1, x'00', x'80')")
    old.execute("INSERT INTO spans VALUES ('p', x'01', x'02', 1, 1, 1, NULL, x'8080')")
    old.close()

    with closing(SpanStore(tmp_path / "spans.db")) as store:
        assert taken(tmp_path) == [402]
        store.purge(2)
        assert taken(tmp_path) == [0]


def taken(folder: Path) -> list[int]:
    with closing(open_reader(folder / "spans.db")) as connection:
        return [row[0] for row in connection.execute("SELECT bytes FROM held ORDER BY project")]
