"""How far a job is, whether its process hangs, and when it should be done."""

import pytest

from greenroom.offline.finetune.pace import LOADING_S, QUIET_S, Pace, place, step_of
from greenroom.offline.finetune.plan import Progress


def at(seconds: float, step: int, phase: str = "training", pid: int = 7, total: int = 100) -> Progress:
    return Progress(at=seconds, pid=pid, phase=phase, step=step, total_steps=total)  # type: ignore[arg-type]  # a word of the type


def test_a_place_rises_with_phases_and_steps() -> None:
    places = [
        place(None),
        *(place(at(0, step, phase)) for phase in ("pretraining", "training") for step in (1, 900)),
    ]

    assert places == sorted(places)
    assert step_of(places[-1]) == ("training", 900)


def test_what_is_left_follows_from_the_pace() -> None:
    pace = Pace(0.0)
    pace.look(at(1.0, 10), 7, 10.0)
    pace.look(at(2.0, 20), 7, 20.0)

    assert pace.left_s(at(2.0, 20), 20.0) == pytest.approx(80.0)
    assert pace.left_s(at(2.0, 10), 20.0) is None
    assert pace.left_s(at(2.0, 20, "exporting"), 20.0) is None


def test_steps_on_rows_are_counted_while_plain_text_is_learned() -> None:
    pace = Pace(0.0)
    pace.look(at(1.0, 1, "pretraining"), 7, 10.0)
    newest = at(2.0, 11, "pretraining")
    pace.look(newest, 7, 20.0)

    assert pace.left_s(newest, 20.0, 50) == pytest.approx(89 + 50)


def test_one_that_was_heard_hangs_sooner_than_one_that_loads() -> None:
    pace = Pace(0.0)
    pace.look(at(1.0, 1, pid=8), 7, 5.0)
    assert not pace.is_hanging(LOADING_S)
    assert pace.is_hanging(LOADING_S + 1)

    pace.look(at(2.0, 1), 7, 100.0)
    assert not pace.is_hanging(100 + QUIET_S)
    pace.look(at(2.0, 1), 7, 100 + QUIET_S)
    assert pace.is_hanging(101 + QUIET_S)
