"""Drift in a house: hours sampled from real traces, looks, alerts, what is accepted, what is forgotten."""

from datetime import date
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from greenroom.assembly.drifting import LATE_S, DriftWatch, sample_hours
from greenroom.assembly.house import House
from greenroom.exchange import Exchange
from tests.assembly.drift import AN_HOUR, BEGIN_H, OTHERS, filled, write
from tests.store.exchanges import entry_of, make_exchange


def looked(house: House, until: int, looks: int = 3) -> list[str]:
    """The rules of open alerts after so many looks, the last of them at `until`."""
    watch = DriftWatch(house)
    for hour in range(until - looks + 1, until + 1):
        watch.turn(hour * 3_600 + LATE_S)
    return sorted(one.rule for one in house.alerts.opened())


def test_a_stable_app_is_learnt_and_raises_nothing(tmp_path: Path) -> None:
    house, end = filled(tmp_path)
    rules = looked(house, end)
    (state,) = house.drift.states()
    looks = house.drift.looks(end)

    assert rules == []
    assert (state.app, state.missing_h, state.hour) == ("support", 0, end)
    assert state.n == 24 * AN_HOUR
    assert {one.metric for one in looks} >= {"language", "topic", "prompt_words", "latency", "refusal"}


def test_a_doubled_share_of_portuguese_is_told_with_its_figures(tmp_path: Path) -> None:
    house, end = filled(tmp_path, last_portuguese=0.4)

    assert "drift.language" in looked(house, end)
    (alert,) = [one for one in house.alerts.opened() if one.rule == "drift.language"]
    assert (alert.kind, alert.project, alert.subject) == ("drift", "default", "support")
    assert alert.figures["new"] > 0.3 > alert.figures["old"]
    assert "the share of the language" in alert.summary
    assert alert.path == "/drift?project=default&app=support&metric=language"


def test_another_model_behind_the_same_name_is_told(tmp_path: Path) -> None:
    def swap(exchange: Exchange, chance: Random) -> None:
        exchange.reply_raw = exchange.reply_text = [chance.choice(OTHERS)]
        exchange.total_ns *= 2

    house, end = filled(tmp_path, last=swap)

    assert {"drift.answer_words", "drift.answer_length", "drift.latency"} <= set(looked(house, end))


def test_what_nobody_asks_any_more_is_not_told_for_ever(tmp_path: Path) -> None:
    house, end = filled(tmp_path, last_portuguese=0.4)
    before = looked(house, end)

    after = looked(house, end + 30, looks=2)

    assert "drift.language" in before
    assert after == []


def test_one_look_alone_raises_nothing(tmp_path: Path) -> None:
    house, end = filled(tmp_path, last_portuguese=0.4)

    assert looked(house, end, looks=1) == []


def test_what_was_sampled_holds_no_text_and_goes_with_its_user(tmp_path: Path) -> None:
    house, _ = filled(tmp_path)
    sample_hours(house, [BEGIN_H])
    stream = ("default", "support")
    kept = house.drift.readings(stream, [BEGIN_H])[BEGIN_H]
    user = house.traces.get(None, f"{BEGIN_H:026x}{0:06x}")

    assert len(kept) == AN_HOUR
    raw = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("drift.db*"))
    assert b"shoes" not in raw
    assert user is not None
    assert house.drift.forget("other", user["user"]) == 0
    assert house.drift.forget("default", user["user"]) == 1
    assert len(house.drift.readings(stream, [BEGIN_H])[BEGIN_H]) == AN_HOUR - 1
    sample_hours(house, [BEGIN_H])
    assert len(house.drift.readings(stream, [BEGIN_H])[BEGIN_H]) == AN_HOUR - 1


@pytest.mark.parametrize("of", ["eval", "embeddings", "failed", "same session", "shadow"])
def test_what_is_no_live_traffic_is_not_sampled(tmp_path: Path, of: str) -> None:
    house, end = filled(tmp_path)
    at_ns = end * 3_600_000_000_000 + 5
    exchanges = [make_exchange(f"{n:032x}", app="odd", created_ns=at_ns + n) for n in range(4)]
    for one in exchanges:
        if of == "eval":
            one.tags = {"eval": "judge"}
        elif of == "embeddings":
            one.surface = "embeddings"
        elif of == "failed":
            one.outcome = "failed"
        elif of == "shadow":
            one.why = "shadow of 1 in the experiment 'x'"
        else:
            one.session = "trip"
    write(house, [entry_of(one) for one in exchanges])

    sample_hours(house, [end])

    found = house.drift.readings(("default", "odd"), [end])[end]
    assert len(found) == (1 if of == "same session" else 0)


def test_a_pinned_week_is_kept_as_long_as_it_is_pinned(tmp_path: Path) -> None:
    house, end = filled(tmp_path)
    looked(house, end, looks=1)
    day = BEGIN_H // 24 + 1
    pinned = date.fromordinal(day + 719_163)
    house.config = replace(house.config, drift=replace(house.config.drift, pinned=pinned))
    watch = DriftWatch(house)
    watch.turn((end + 6 * 7 * 24) * 3_600 + LATE_S)

    assert house.drift.hours(("default", "support"), 0) == list(range(day * 24, day * 24 + 7 * 24))
