"""Rows from traffic: which exchanges, by whose consent, what is learnt, and whole conversations on one side."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.offline.finetune.rows.form import faults
from greenroom.offline.finetune.rows.options import Consent
from greenroom.offline.finetune.rows.preferences import from_edits, from_experiment
from greenroom.offline.finetune.rows.recorded import Answered, answered, examples
from greenroom.offline.finetune.rows.written import write
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange

YES = {"consent": "true"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


def add(store: TraceStore, id: str, text: str, reply: str = "Oslo.", arm: str = "", **more: Any) -> None:
    tags = more.pop("tags", YES)
    if arm:
        tags = {**tags, "experiment": f"tone/{arm}"}
    store.write([entry_of(make_exchange(id, text, reply, tags=tags, **more))])


def read(
    store: TraceStore, consent: Consent = "stated", limit: int = 100, **filter: Any
) -> tuple[list[Answered], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(answered(store, TraceFilter(limit=limit, **filter), consent, skipped)), skipped


def test_only_exchanges_with_consent_are_taken_unless_less_is_asked(store: TraceStore) -> None:
    for id, tags in (
        ("yes", YES),
        ("silent", {}),
        ("no", {"consent": "false"}),
        ("other", {"consent": "Training"}),
    ):
        add(store, id, f"Where is {id}?", tags=tags)

    assert {one.trace for one in read(store)[0]} == {"yes", "other"}
    assert read(store)[1] == {"no consent": 2}
    assert {one.trace for one in read(store, "not_refused")[0]} == {"yes", "silent", "other"}
    assert len(read(store, "any")[0]) == 4


def test_filters_scores_and_the_limit_hold(store: TraceStore) -> None:
    for number in range(6):
        add(store, f"t{number}", f"Where is town {number}?", app="shop" if number % 2 else "desk")
        store.score("default", f"t{number}", Score(name="helpful", value=number / 5))

    found, _ = read(store, app="shop", score="helpful:>=0.5")

    assert [one.trace for one in found] == ["t5", "t3"]
    assert len(read(store, limit=2)[0]) == 2


def test_what_can_not_be_learnt_from_is_counted_by_reason(store: TraceStore) -> None:
    add(store, "eval", "Asked by an evaluation?", tags={**YES, "eval": "suite"})
    add(store, "refused", "Something bad?", outcome="refused")
    add(store, "silent", "And then?", reply="")
    store.write([entry_of(make_exchange("bare", tags=YES))._replace(body=None)])
    add(store, "good", "Where is the fjord?")

    found, skipped = read(store)

    assert [one.trace for one in found] == ["good"]
    assert skipped["an evaluation asked it"] == skipped["it was refused or failed"] == 1
    assert skipped["it has no answer in words"] == 1
    assert sum(skipped.values()) == 4


def test_a_persons_correction_is_learnt_in_the_place_of_the_answer(store: TraceStore) -> None:
    add(store, "a", "What is the capital?", "Bergen.")
    store.score("default", "a", Score(name="right", value=0, correction="By a program.", source="code"))
    store.score("default", "a", Score(name="right", value=0, correction="Oslo is."))
    add(store, "b", "And of Sweden?", "Stockholm.")

    found, _ = read(store)
    rows = {one.row["metadata"]["trace"]: one.row["messages"][-1] for one in examples(found)}

    assert rows["a"] == {"role": "assistant", "content": "Oslo is."}
    assert rows["b"] == {"role": "assistant", "content": "Stockholm."}
    skipped: Counter[str] = Counter()
    (pair,) = [one.row for one in from_edits(found, skipped)]
    assert pair["preferred_output"][0]["content"] == "Oslo is."
    assert pair["non_preferred_output"][0]["content"] == "Bergen."
    assert skipped == {"nobody corrected it": 1}
    assert list(faults(pair, "dpo")) == []


def test_arms_that_answered_the_same_make_pairs_where_scores_differ(store: TraceStore) -> None:
    asked = [
        ("a1", "warm", "How do I return the boots I bought?", "With pleasure: at any desk.", 0.9),
        ("a2", "cold", "how do i return the boots I bought", "Desk.", 0.2),
        ("b1", "warm", "How do I return the lamps I bought?", "Gladly: by post.", 0.9),
        ("b2", "warm", "How do I return the lamps I bought?", "Post.", 0.1),
        ("c1", "warm", "Where is my parcel now?", "On its way.", 0.5),
        ("c2", "cold", "Where is my parcel now?", "Away.", 0.5),
    ]
    for id, arm, question, reply, value in asked:
        add(store, id, question, reply, arm)
        store.score("default", id, Score(name="kind", value=value))
    add(store, "d1", "Is it open?", "Yes.", "warm")
    add(store, "e1", "Is it closed?", "No.")

    skipped: Counter[str] = Counter()
    pairs = [one.row for one in from_experiment(read(store)[0], "tone", "kind", 0.1, skipped)]

    assert [(one["preferred_output"][0]["content"], one["non_preferred_output"][0]["content"]) for one in pairs] == [
        ("With pleasure: at any desk.", "Desk.")
    ]  # fmt: skip
    assert skipped == {
        "only one arm was asked this": 2, "its scores are too near to each other": 2,
        "it has no score 'kind'": 1, "not of this experiment": 1,
    }  # fmt: skip
    assert list(faults(pairs[0], "dpo")) == []


def test_no_conversation_is_on_both_sides_and_later_rows_move_none(store: TraceStore, tmp_path: Path) -> None:
    for talk in range(60):
        for turn in range(3):
            add(store, f"{talk}-{turn}", f"Talk {talk}, turn {turn}?", session=f"s{talk}")

    def sides(limit: int) -> dict[str, set[str]]:
        train, valid = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
        written = write(examples(read(store, limit=limit)[0]), train, valid, 0.25)
        texts = {path.stem: path.read_text() for path in (train, valid)}
        assert written == tuple(text.count("\n") for text in texts.values())
        return {
            name: {json.loads(line)["metadata"]["trace"] for line in text.splitlines()}
            for name, text in texts.items()
        }

    first, whole = sides(90), sides(180)

    talks = {side: {one.partition("-")[0] for one in traces} for side, traces in whole.items()}
    assert not talks["train"] & talks["valid"]
    assert 5 <= len(talks["valid"]) <= 27
    assert first["train"] <= whole["train"]
    assert first["valid"] <= whole["valid"]


def test_without_a_session_what_a_conversation_began_with_keeps_it_together(store: TraceStore) -> None:
    add(store, "a", "Where is the fjord?")
    add(store, "b", "Where is the fjord?")
    add(store, "c", "Where is the lake?")

    names = {one.trace: one.conversation for one in read(store)[0]}

    assert names["a"] == names["b"] != names["c"]


def test_where_there_are_no_rows_a_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("kept")

    assert write([], path, None, 0.1) == (0, 0)
    assert path.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [path]
