"""Rollups: sums by minute, group and process, and the percentiles that come of them."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.exchange import Attempt, StepRecord, Verdict
from greenroom.store.cells import Gathered
from greenroom.store.histogram import TOTAL, Histogram
from greenroom.store.material import STREAMED, Body, Row
from greenroom.store.rollup_file import DAYS
from greenroom.store.rollups import SLICE, Rollups
from greenroom.usage import Usage
from greenroom.wire.semconv import DURATION_BOUNDS

NOW_S = int(time.time()) // 86_400 * 86_400 - 3_600  # 23:00 of yesterday
DAY_S = 86_400


def row(at_s: float = NOW_S, **changed: Any) -> Row:
    """An exchange's row, usual but for what is changed (Any: columns)."""
    usual = Row(
        id="a", created_ns=int(at_s * 1e9), project="p", key="k", app="help", asked="help", used="openai/x",
        outcome="answered", status=200, session=None, user=None, language="pt", input_tokens=100,
        output_tokens=51, cost_nano=2_000, total_us=1_200_000, overhead_us=900, first_token_us=200_000,
        flags=STREAMED,
    )  # fmt: skip
    return usual._replace(**changed)


@pytest.fixture
def rollups(tmp_path: Path) -> Iterator[Rollups]:
    store = Rollups(tmp_path / "rollups.db")
    yield store
    store.close()


def test_an_exchange_is_counted_with_all_that_is_known_of_it(rollups: Rollups) -> None:
    found = Verdict(
        step="pii", rule="email", category="personal_data", severity=2, score=1.0, start=0, end=1,
        where="input", action="mask",
    )  # fmt: skip
    body = Body(
        steps=[StepRecord("check", "pii", ns=3_000_000, outcome="changed", verdicts=[found, found])],
        attempts=[
            Attempt(target="openai/x", error="timeout", usage=Usage(input_tokens=9), cost_nano_usd=500),
            Attempt(target="openai/x", status=200, usage=Usage(input_tokens=91), cost_nano_usd=1_500),
        ],
        usage=Usage(input_tokens=100, cached_tokens=40, output_tokens=51),
    )
    rollups.add([(row(), body)])
    (one,) = rollups.read(NOW_S, NOW_S + 60, 60)
    assert (one.since_s, one.requests, one.outcomes, one.streamed) == (NOW_S, 1, {"answered": 1}, 1)
    assert (one.input_tokens, one.cached_tokens, one.output_tokens) == (100, 40, 51)
    assert (one.cost_nano, one.priced, one.retry_nano) == (2_000, 1, 500)
    assert (one.calls, one.attempts) == (1, 2)
    assert one.verdicts == {("personal_data", "mask"): 2}
    assert one.languages == {"pt": 1}
    assert one.surfaces == {"chat": 1}
    (whole,) = rollups.read(NOW_S, NOW_S + 60, 3_600)
    ((step, timing),) = whole.steps.items()
    assert (*step, timing.count, timing.ms) == ("check", "pii", "changed", 1, 3.0)
    assert one.total.total == pytest.approx(1.2)
    assert one.per_token.total == pytest.approx(0.02)
    assert one.first_token.count == one.overhead.count == 1


def test_what_was_asked_again_is_told_apart_from_the_answer_that_was_given(rollups: Rollups) -> None:
    body = Body(
        attempts=[
            Attempt(target="a/x", usage=Usage(input_tokens=9), cost_nano_usd=500, is_given=True),
            Attempt(target="a/x", usage=Usage(input_tokens=91), cost_nano_usd=1_500),
        ],
        usage=Usage(input_tokens=100),
    )

    rollups.add([(row(), body)])

    (one,) = rollups.read(NOW_S, NOW_S + 60, 60)
    assert (one.retry_nano, one.retry_input) == (1_500, 91)


def test_failures_are_counted_by_their_code_and_status(rollups: Rollups) -> None:
    rollups.add([(row(outcome="failed", status=504, cost_nano=None), Body(error="upstream_timeout"))] * 3)
    rollups.add([(row(), None)])
    (one,) = rollups.read(NOW_S, NOW_S + 60, 60)
    assert one.outcomes == {"answered": 1, "failed": 3}
    assert one.errors == {"upstream_timeout": 3}
    assert one.statuses == {504: 3}
    assert one.priced == 1


def test_what_was_paid_for_nothing_is_a_part_of_what_is_known_to_be_paid(rollups: Rollups) -> None:
    attempts = [
        Attempt(target="openai/x", error="timeout", usage=Usage(input_tokens=9), cost_nano_usd=500),
        Attempt(target="there/unpriced", status=200, usage=Usage(input_tokens=91)),
    ]
    rollups.add([(row(cost_nano=None), Body(attempts=attempts))])
    (one,) = rollups.read(NOW_S, NOW_S + 60, 60)
    assert (one.cost_nano, one.priced, one.retry_nano, one.retry_input) == (0, 0, 0, 0)


def test_what_several_processes_add_is_one_sum(tmp_path: Path) -> None:
    some = [Rollups(tmp_path / "rollups.db") for _ in range(3)]
    for one in some:
        one.add([(row(), None)] * 5)
        one.flush()
    assert [one.read(NOW_S, NOW_S + 60, 60)[0].requests for one in some] == [15, 15, 15]
    assert some[0].read(NOW_S, NOW_S + 60, 60)[0].total.count == 15
    for one in some:
        one.close()


@pytest.mark.parametrize("step_s", [60, 300, 600, 3_600, 7_200, DAY_S, 7 * DAY_S])
def test_every_step_adds_up_to_the_same(rollups: Rollups, step_s: int) -> None:
    moments = [NOW_S - 97 * minute * 60 for minute in range(200)]
    rollups.add([(row(at), None) for at in moments])
    found = rollups.read(NOW_S - 20 * DAY_S, NOW_S + 60, step_s)
    assert sum(one.requests for one in found) == 200
    assert sum(one.total.count for one in found) == 200
    assert all(one.since_s % step_s == 0 for one in found)
    assert [one.since_s for one in found] == sorted({at - at % step_s for at in moments})


def test_groups_and_conditions(rollups: Rollups) -> None:
    rollups.add([(row(app="a", used="m/1"), None)] * 2)
    rollups.add([(row(app="b", used="m/1", cost_nano=7), None)] * 3)
    rollups.add([(row(app="b", used=None, outcome="refused", project="q"), None)])

    def read(**asked: object) -> dict[tuple[str | None, str | None, str | None], int]:
        found = rollups.read(NOW_S, NOW_S + 60, 60, **asked)  # type: ignore[arg-type]  # as the test says
        return {(one.project, one.app, one.model): one.requests for one in found}

    assert read() == {(None, None, None): 6}
    assert read(by="app") == {(None, "a", None): 2, (None, "b", None): 4}
    assert read(by=("app", "model")) == {(None, "a", "m/1"): 2, (None, "b", "m/1"): 3, (None, "b", ""): 1}
    assert read(project="p", by="model") == {(None, None, "m/1"): 5}
    assert read(model="m/1", by="app", detail=False) == {(None, "a", None): 2, (None, "b", None): 3}
    assert read(app="nobody", by="app") == {}
    (one,) = rollups.read(NOW_S, NOW_S + 60, 60, app="b", model="m/1", detail=False)
    assert (one.cost_nano, one.requests, one.total.count) == (21, 3, 0)


def test_minutes_are_kept_as_long_as_all_the_rest(rollups: Rollups) -> None:
    old = NOW_S - (DAYS - 2) * DAY_S
    rollups.add([(row(old + 60), None), (row(old + 120), None), (row(NOW_S), None)])
    rollups.flush()
    assert rollups.let_go(NOW_S) == 0
    assert [one.requests for one in rollups.read(old, old + 3_600, 60)] == [1, 1]
    assert rollups.let_go(old + (DAYS + 2) * DAY_S) > 0
    assert rollups.read(old, old + 3_600, DAY_S) == []
    assert [one.requests for one in rollups.read(NOW_S, NOW_S + 60, 60)] == [1]


def test_what_is_too_old_goes_in_slices_that_let_others_write(
    rollups: Rollups, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = NOW_S - 3 * DAY_S
    rollups.add([(row(old + 60 * minute, app=f"a{minute % 3}"), None) for minute in range(SLICE + 20)])
    rollups.add([(row(), None)])
    rollups.flush()
    other = Rollups(rollups._path)
    added: list[float] = []

    def write(pause_s: float) -> None:
        if pause_s and not added:
            added.append(pause_s)
            other.add([(row(NOW_S - 60), None)])
            other.flush()

    monkeypatch.setattr("greenroom.store.rollups.time.sleep", write)
    gone = rollups.let_go(old + (DAYS + 1) * DAY_S, pause_s=0.01)
    assert added
    assert gone >= 2 * (SLICE + 20)
    assert rollups.read(old, old + DAY_S, 60) == []
    assert [one.requests for one in rollups.read(NOW_S - 60, NOW_S + 60, 60)] == [1, 1]
    assert rollups.let_go(NOW_S + 500 * DAY_S, is_unwanted=lambda: True) == 0
    assert rollups.let_go(NOW_S + 500 * DAY_S) > 0
    other.close()


def test_what_is_told_since_the_start_never_falls_while_it_goes_to_the_file(
    rollups: Rollups, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> int:
        return sum(one.requests for one in rollups.since_start().values())

    seen: list[int] = []
    write = rollups._write

    def slow(connection: sqlite3.Connection, gathered: Gathered) -> None:
        seen.append(told())
        rollups.add([(row(app="b"), None)])
        seen.append(told())
        write(connection, gathered)

    monkeypatch.setattr(rollups, "_write", slow)
    rollups.add([(row(), None)] * 5)
    seen.append(told())
    rollups.flush()
    seen.append(told())
    assert seen == [5, 5, 6, 6]


def test_a_step_is_whole_minutes(rollups: Rollups) -> None:
    with pytest.raises(ValueError, match="whole number of minutes"):
        rollups.read(NOW_S, NOW_S + 60, 90)


def test_percentiles_lie_where_the_values_do() -> None:
    one = Histogram(TOTAL)
    values = [0.05 * 1.01**place for place in range(600)]
    for value in values:
        one.put(value)
    for q in (0.5, 0.95, 0.99):
        found = one.percentile(q)
        assert found == pytest.approx(values[int(q * 600) - 1], rel=0.2)
    assert Histogram(TOTAL).percentile(0.5) is None
    assert one.up_to(DURATION_BOUNDS)[-1] == 600
    assert one.up_to([0.32]) == [sum(value <= 0.32 for value in values), 600]


def test_sums_are_those_of_the_rows_whatever_is_asked(tmp_path: Path) -> None:
    chance = random.Random(11)
    stores = [Rollups(tmp_path / "rollups.db") for _ in range(2)]
    rows = [
        row(
            NOW_S - chance.random() * chance.choice([3_600, 40 * DAY_S, 390 * DAY_S]), project=chance.choice("pq"),
            app=chance.choice("ab"), used=chance.choice(["m/1", None]), cost_nano=chance.choice([None, 7, 900]),
        )
        for _ in range(800)
    ]  # fmt: skip
    for start in range(0, len(rows), 40):
        one = chance.choice(stores)
        one.add([(each, None) for each in rows[start : start + 40]])
        one.flush()
    for _ in range(120):
        step_s = chance.choice([60, 420, 600, 1_200, 3_600, 5_400, DAY_S, 4 * DAY_S])
        since_s = NOW_S - chance.random() * chance.choice([7_200, 60 * DAY_S, 380 * DAY_S])
        until_s = min(NOW_S, since_s + chance.random() * step_s * 200)
        asked = {"app": chance.choice([None, "a"]), "model": chance.choice([None, "m/1", ""])}
        first, last = int(since_s) - int(since_s) % step_s, -int(-until_s // step_s) * step_s
        expected: Counter[tuple[int, str, str]] = Counter()
        for each in rows:
            at, told = each.created_ns // 10**9, {"app": each.app, "model": each.used or ""}
            if first <= at < last and all(want in (None, told[name]) for name, want in asked.items()):
                expected[at - at % step_s, each.project, "requests"] += 1
                expected[at - at % step_s, each.project, "nano"] += each.cost_nano or 0
        found: Counter[tuple[int, str, str]] = Counter()
        for sums in stores[0].read(
            since_s, until_s, step_s, app=asked["app"], model=asked["model"], by="project", detail=False
        ):
            found[sums.since_s, sums.project or "", "requests"] = sums.requests
            found[sums.since_s, sums.project or "", "nano"] = sums.cost_nano
        assert +found == +expected, (step_s, since_s, until_s, asked)
    for one in stores:
        one.close()
