"""What traces say of models: each scored trace once, times and sizes of the answered ones, one project alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.store.by_model import LEAST, Scored
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    ours = [entry_of(make_exchange(id)) for id in "abcd"]
    theirs = [entry_of(make_exchange(f"x{number}", project="other")) for number in range(LEAST)]
    opened.write([*ours, *theirs, entry_of(make_exchange("r", outcome="refused"))])
    yield opened
    opened.close()


def test_each_trace_counts_once_by_the_average_of_its_newest_scores(store: TraceStore) -> None:
    store.score("default", "a", Score(name="helpful", value=0.0))
    store.score("default", "a", Score(name="helpful", value=1.0))
    store.score("default", "a", Score(name="right", value=0.5))
    store.score("default", "b", Score(name="helpful", value=0.25))
    store.score("default", "c", Score(name="stars", value=4.0))  # of another scale
    store.score("other", "x1", Score(name="helpful", value=1.0))

    assert store.by_model("default").scored == [Scored("openai/small", 2, 1.0)]
    assert store.by_model(None).scored == [Scored("openai/small", 3, 2.0)]
    assert store.by_model("nobody").scored == []


def test_times_and_sizes_need_a_few_answers_and_leave_refusals_out(store: TraceStore) -> None:
    few, enough = store.by_model("default").usual, store.by_model("other").usual

    assert (few.seconds, few.input_tokens, few.output_tokens) == ({}, None, None)
    assert list(enough.seconds) == ["openai/small"]
    assert (enough.input_tokens, enough.output_tokens) == (9, 3)
