"""Sums beside the audit log: they agree with it, whenever it was written, and outlive it."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.gateway.record import row_of
from greenroom.store.audit import Line
from greenroom.store.database import open_database
from greenroom.store.safety import DAY_S, HOUR_S, MIGRATION, Scope, score_name
from greenroom.store.schema import TRACES
from greenroom.store.scores import NAME, Score, checked
from greenroom.store.traces import Entry, TraceStore
from tests.store.exchanges import make_exchange

NOW_S = int(time.time()) // DAY_S * DAY_S + DAY_S // 2
EVER = Scope(HOUR_S, 0)


def line(at_s: int = NOW_S, **more: object) -> Line:
    return Line(
        at_ns=at_s * 1_000_000_000, project="p", app="support", key="key_1", exchange="a", step="pii", rule="br.cpf",
        category="personal_data", severity=2, place="input", action="mask", policy="", shadow="", would="",
        message=0, start=1, stop=15, value="00ff",
    )._replace(**more)  # type: ignore[arg-type]  # fields of the line  # fmt: skip


def write(store: TraceStore, *lines: Line, id: str = "a") -> None:
    store.write([Entry(row_of(make_exchange(id)), None, (), lines)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


def test_sums_agree_with_the_log_by_time_rule_and_scope(store: TraceStore) -> None:
    write(store, line(), line(), line(action="block", rule="us.ssn"), line(NOW_S - HOUR_S), line(app="shop"))
    counts = store.audit.sums

    steps = counts.over_time(Scope(HOUR_S, NOW_S - HOUR_S))
    assert [(one.start, one.action, one.found) for one in steps] == [
        (NOW_S - HOUR_S, "mask", 1), (NOW_S, "block", 1), (NOW_S, "mask", 3)
    ]  # fmt: skip
    assert [(one.rule, one.found) for one in counts.sums(EVER)] == [("br.cpf", 4), ("us.ssn", 1)]
    assert [one.found for one in counts.sums(EVER._replace(app="shop"))] == [1]
    assert counts.sums(EVER._replace(project="other")) == []
    (day,) = {one.start for one in counts.over_time(Scope(DAY_S, 0))}
    assert day == NOW_S // DAY_S * DAY_S


def test_findings_of_before_are_counted_when_the_file_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    before = TRACES[: TRACES.index(MIGRATION)]
    old = open_database(path, before)
    old.close()
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO findings VALUES (?, ?, 'p', 'a', 'k', 'x', 's', ?, 'secret', 1, 'input', 'log', '', '', '',"
            " 0, 0, 0, '', '', '')",
            [(number, NOW_S * 1_000_000_000, f"secret.{number % 2}") for number in range(1, 6)],
        )
    db.close()
    store = TraceStore(path)
    found = [(one.rule, one.found) for one in store.audit.sums.sums(EVER)]
    store.close()

    assert found == [("secret.1", 3), ("secret.0", 2)]


def test_what_the_log_let_go_of_is_still_counted(store: TraceStore) -> None:
    write(store, line(NOW_S - 30 * DAY_S), line(NOW_S - 401 * DAY_S), line())

    assert store.audit.cut((NOW_S - DAY_S) * 1_000_000_000) == 2
    assert [one.start for one in store.audit.sums.over_time(Scope(DAY_S, 0))] == [
        (NOW_S - 30 * DAY_S) // DAY_S * DAY_S, NOW_S // DAY_S * DAY_S
    ]  # fmt: skip


def test_the_newest_mark_of_an_exchange_counts_and_is_taken_back(store: TraceStore) -> None:
    name = score_name("br.cpf")
    for id in ("a", "b"):
        write(store, line(exchange=id), id=id)
        store.score(None, id, Score(name=name, value=1.0))
    store.score(None, "b", Score(name=name, value=0.0))

    assert store.audit.sums.false_alarms(Scope(HOUR_S, 0)) == {name: 1}
    assert store.audit.sums.marked([("a", name), ("b", name), ("gone", name)]) == {("a", name)}


@pytest.mark.parametrize("rule", ["br.cpf", "topic.Geld & Gier", "x" * 80, "ção", "topic.Geld + Gier", ""])
def test_each_rule_has_a_score_of_its_own(rule: str) -> None:
    name = score_name(rule)

    assert checked(Score(name=name, value=1.0)).name == name
    assert name.startswith("false_alarm.")
    assert score_name(rule + "'") != name, NAME
