"""Data sets from recorded exchanges: what fits, how many, and what is left out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.recorded import from_traces
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


def test_conversations_are_groups_and_answers_may_be_expected(store: TraceStore) -> None:
    store.write(
        [entry_of(make_exchange(f"t{n}", f"Question {n}?", f"Answer {n}.", session="talk")) for n in range(3)]
    )

    found = from_traces(store, TraceFilter(limit=2), expect_reply=True)

    assert [one.id for one in found.samples] == ["t2", "t1"]
    assert {one.group for one in found.samples} == {"talk"}
    assert [one.expected for one in found.samples] == ["Answer 2.", "Answer 1."]
    assert found.samples[0].messages == ({"role": "user", "content": "Question 2?"},)


def test_more_than_a_page_is_read_and_filters_hold(store: TraceStore) -> None:
    store.write(
        [
            entry_of(make_exchange(f"t{n}", f"Question {n}?", app="shop" if n % 2 else "other"))
            for n in range(500)
        ]
    )

    found = from_traces(store, TraceFilter(app="shop", limit=1_000))

    assert len(found.samples) == 250
    assert {one.item["app"] for one in found.samples} == {"shop"}


def test_what_can_not_be_used_is_counted_or_said(store: TraceStore) -> None:
    bare = entry_of(make_exchange("bare"))._replace(body=None)
    store.write([bare, entry_of(make_exchange("silent", reply="")), entry_of(make_exchange("good"))])

    found = from_traces(store, TraceFilter(limit=10), expect_reply=True)

    assert [one.id for one in found.samples] == ["good"]
    assert found.notes == ("Left out: 1 (it has no answer), 1 (its texts were not kept).",)
    with pytest.raises(MalformedRequest, match="No recorded exchange fits"):
        from_traces(store, TraceFilter(app="none"))


def test_what_evaluations_asked_is_no_traffic(store: TraceStore) -> None:
    asked = make_exchange("own", tags={"eval": "reader"})
    store.write([entry_of(asked), entry_of(make_exchange("real"))])

    assert [one.id for one in from_traces(store, TraceFilter()).samples] == ["real"]
    assert [one.id for one in from_traces(store, TraceFilter(tag="eval=reader")).samples] == ["own"]


def test_where_no_texts_were_kept_that_is_the_reason(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("bare"))._replace(body=None)])

    with pytest.raises(MalformedRequest, match=r"its texts were not kept"):
        from_traces(store, TraceFilter())
