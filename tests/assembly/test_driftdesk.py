"""What the pages and the command line are told of drift, from a house with traces."""

from pathlib import Path

import pytest

from greenroom.assembly.driftdesk import DriftDesk
from greenroom.assembly.drifting import LATE_S, DriftWatch
from greenroom.assembly.house import House
from greenroom.errors import NotFound
from tests.assembly.drift import filled


@pytest.fixture
def moved(tmp_path: Path) -> House:
    house, end = filled(tmp_path, last_portuguese=0.45)
    watch = DriftWatch(house)
    for hour in range(end - 1, end + 1):
        watch.turn(hour * 3_600 + LATE_S)
    return house


def test_what_moved_is_shown_with_examples_accepted_and_learnt_anew(moved: House) -> None:
    desk = DriftDesk(moved)
    (app,) = desk.overview(None)["apps"]
    language = next(one for one in app["metrics"] if one["metric"] == "language")
    shown = desk.show("default", "support", "language")
    words = desk.show("default", "support", "prompt_words")

    assert (app["app"], app["state"]) == ("support", "moved")
    assert (language["about"], language["is_over"]) == ("pt", True)
    assert language["open_since"] is not None
    assert [one["language"] for one in shown["examples"]["new"]] == ["pt"] * 5
    assert [one["language"] for one in shown["examples"]["old"]] == ["en"] * 5
    assert len(shown["history"]) == 2
    assert shown["examples"]["new"][0]["asked"].endswith("?")
    assert len(words["examples"]["new"]) == 5
    assert desk.overview("other")["apps"] == []

    desk.accept("default", "support", "key_1", "127.0.0.1")

    assert moved.alerts.opened() == []
    assert moved.keys.audit_log(1)[0].what == "drift.accept"
    (now,) = desk.overview(None)["apps"]
    assert all(one["open_since"] is None for one in now["metrics"])


def test_an_example_whose_trace_went_is_not_shown(moved: House) -> None:
    moved.traces.delete(None, before_ns=2**62)

    assert DriftDesk(moved).show("default", "support", "language")["examples"] == {"new": [], "old": []}


@pytest.mark.parametrize("metric", ["language", "nothing"])
def test_what_is_not_known_is_not_found(tmp_path: Path, metric: str) -> None:
    house, _ = filled(tmp_path)
    with pytest.raises(NotFound):
        DriftDesk(house).show("default", "support", metric)
    with pytest.raises(NotFound):
        DriftDesk(house).accept("default", "support", "key_1", "")
