"""A page of text as a question: the few words that are there must not drown in those that are not."""

import pytest

from greenroom.grounding import retrieval
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ranking import Statistics, weigh

_OTHER = " ".join(f"w{one}{two}x" for one in "abcdefghij" for two in "klmnopqrst")


def test_words_that_no_passage_has_leave_room_for_those_that_are_there() -> None:
    terms = [*_OTHER.split(), "refund", "warranti"]

    query = weigh([terms], {"refund": 3, "warranti": 1}.get, Statistics(10, 50.0))[0]

    assert list(query.weights) == ["refund", "warranti"]
    assert query.weights["warranti"] > query.weights["refund"]


def test_of_a_page_the_rarest_words_are_sought() -> None:
    found = {f"w{number}": number for number in range(1, 101)}

    query = weigh([list(found)], found.get, Statistics(1000, 50.0))[0]

    assert set(query.weights) == {f"w{number}" for number in range(1, 17)}


@pytest.mark.parametrize("other", ["", _OTHER], ids=["alone", "in a page"])
def test_a_question_finds_its_passage(index: DocumentIndex, other: str) -> None:
    index.add("p", "c", "warranty.md", b"The warranty of the gearbox ends after five years.")
    index.add("p", "c", "lunch.md", b"Lunch is served in the canteen at noon.")

    found = index.search(f"gearbox warranty {other}", project="p", collections=["c"], limit=1)

    assert [one.document for one in found] == ["warranty.md"]


def test_a_page_is_sought_in_its_corrected_wording(index: DocumentIndex) -> None:
    index.add("p", "c", "warranty.md", b"The warranty of the gearbox ends after five years.")

    found = index.search(
        f"gaerbox waranty {_OTHER} {_OTHER}", project="p", collections=["c"], limit=1,
        wordings=[f"gearbox warranty {_OTHER} {_OTHER}"],
    )  # fmt: skip

    assert [one.document for one in found] == ["warranty.md"]


@pytest.mark.parametrize("query", [retrieval._SHOWN, retrieval._THESE], ids=["shown", "these"])
def test_passages_are_fetched_by_number_and_not_through_all_documents(
    index: DocumentIndex, query: str
) -> None:
    values = ["[1]", "p", "[1]"][: query.count("?")]

    plan = index._db.connection().execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()

    steps = [row[3] for row in plan]
    assert any(step.startswith("SEARCH p USING INTEGER PRIMARY KEY") for step in steps)
    assert any(step.startswith("SEARCH d USING INTEGER PRIMARY KEY") for step in steps)


def test_tidying_merges_the_parts_of_the_index_and_changes_nothing_found(index: DocumentIndex) -> None:
    for number in range(12):
        index.add(
            "p", "c", f"{number}.md", f"The warranty of gearbox {number} ends after five years.".encode()
        )
    before = index.search("gearbox warranty", project="p", collections=["c"], limit=12)
    generation = index.generation()

    index.tidy()

    db = index._db.connection()
    assert db.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone()[0] == 1
    assert index.search("gearbox warranty", project="p", collections=["c"], limit=12) == before
    assert index.generation() == generation
