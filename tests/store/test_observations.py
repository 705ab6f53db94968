"""What traces say of an arm, and how experiments stand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import Conflict, NotFound
from greenroom.store.experiments import ExperimentStore
from greenroom.store.observations import Unit, Wanted
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import START_NS, entry_of, make_exchange

TAGS = {"experiment": "e/new"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    opened.write(
        [
            entry_of(
                make_exchange("a", app="x", user="ana", session="s", tags=TAGS, created_ns=START_NS + 1)
            ),
            entry_of(make_exchange("b", app="x", user="bob", tags=TAGS, outcome="failed", project="other")),
            entry_of(make_exchange("c", app="x", user="ana", tags=TAGS, created_ns=START_NS - 1)),
            entry_of(make_exchange("d", app="y", user="ana", tags=TAGS)),
            entry_of(make_exchange("e", app="x", user="ana", tags={"experiment": "e/control"})),
            entry_of(make_exchange("f", app="x", tags=TAGS)),
        ]
    )
    yield opened
    opened.close()


def wanted(unit: Unit = "user", *scores: str) -> Wanted:
    return Wanted("x", "e/new", START_NS, unit, scores)


@pytest.mark.parametrize(("unit", "expected"), [("user", 2), ("session", 1), ("request", 3)])
def test_only_exchanges_of_the_app_and_arm_since_it_began_that_have_a_unit(
    store: TraceStore, unit: Unit, expected: int
) -> None:
    found = store.observed(wanted(unit))

    assert len(found) == len({one.unit for one in found}) == expected


def test_the_same_name_in_two_projects_is_two_units(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("g", app="x", user="bob", tags=TAGS))])

    assert len({one.unit for one in store.observed(wanted())}) == 3


def test_a_persons_word_counts_before_a_judges_whichever_came_later(store: TraceStore) -> None:
    for source, value in (("judge", 0.2), ("person", 0.9), ("judge", 0.3), ("code", 0.1), ("person", 1.0)):
        store.score(None, "a", Score(name="good", value=value, source=source))  # type: ignore[arg-type]  # literals above

    (first, second) = store.observed(wanted("user", "good"))

    assert first.scores["good"][1] == 1.0
    assert second.scores == {}


def test_erasing_a_user_takes_what_was_observed_too(store: TraceStore) -> None:
    before = store.newest()
    store.delete(None, user="ana")

    assert [one.outcome for one in store.observed(wanted())] == ["failed"]
    assert before == (6, 0)


def test_a_decision_holds_until_another_edition_begins(tmp_path: Path) -> None:
    first, second = ExperimentStore(tmp_path / "e.db"), ExperimentStore(tmp_path / "e.db")
    assert first.key == second.key
    began = first.begin({"e": "one"})["e"]
    second.decide("e", "stopped", why="enough", who="me", edition="one")

    again = first.begin({"e": "one"})["e"]
    with pytest.raises(Conflict):
        first.decide("e", "promoted", arm="new", edition="one")
    with pytest.raises(NotFound):
        first.decide("none", "stopped")
    anew = second.begin({"e": "two"})["e"]

    assert (began.state, again.state, again.why) == ("running", "stopped", "enough")
    assert again.since_ns == began.since_ns
    assert (anew.state, anew.why) == ("running", "")
    assert anew.since_ns > began.since_ns
    first.close()
    second.close()
