"""The audit log of findings: a chain that shows every change, cut in order, without what was found."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest, StoreError
from greenroom.gateway.record import row_of
from greenroom.store.audit import KEY_NAME, AuditFilter, Line, audit_key, keyed_hash
from greenroom.store.database import open_database
from greenroom.store.schema import TRACES
from greenroom.store.traces import Entry, TraceStore
from tests.store.exchanges import make_exchange

DOUBLED = (
    "INSERT INTO findings SELECT 6, at_ns, project, app, key, exchange, step, rule, category, severity, place,"
    " action, policy, shadow, would, message, start, stop, value, previous, hash FROM findings WHERE number = 5"
)
DAY_NS = 86_400_000_000_000


def line(number: int = 0, **more: object) -> Line:
    return Line(
        at_ns=number, project="p", app="support", key="key_1", exchange=f"x{number}", step="pii", rule="br.cpf",
        category="personal_data", severity=2, place="input", action="mask", policy="", shadow="", would="",
        message=0, start=1, stop=15, value="00ff",
    )._replace(**more)  # type: ignore[arg-type]  # fields of the line  # fmt: skip


def write(store: TraceStore, *lines: Line) -> None:
    store.write([Entry(row_of(make_exchange("a")), None, (), lines)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


def tamper(path: Path, *statements: str) -> None:
    """What somebody with the file in hands can do: the guards against mistakes go first."""
    connection = sqlite3.connect(path)
    for trigger in ("findings_stay", "findings_are_kept", "cuts_stay", "cuts_are_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_untouched_log_holds_and_goes_on_where_it_ended(store: TraceStore, tmp_path: Path) -> None:
    write(store, line(1), line(2))
    store.close()
    again = TraceStore(tmp_path / "traces.db")
    write(again, line(3))

    state = again.audit.verify()

    assert (state.lines, state.broken, state.cut) == (3, None, 0)
    rows = again.audit.list(AuditFilter())
    assert [one["number"] for one in rows] == [3, 2, 1]
    assert [one["previous"] for one in rows] == [rows[1]["hash"], rows[2]["hash"], ""]
    assert rows[0]["hash"] == state.last
    again.close()


def test_an_empty_log_holds(store: TraceStore) -> None:
    assert store.audit.verify().broken is None
    assert store.audit.list(AuditFilter()) == []
    assert store.audit.cut(DAY_NS) == 0


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE findings SET action = 'log' WHERE number = 3", 3),
        ("UPDATE findings SET start = start + 1 WHERE number = 1", 1),
        ("UPDATE findings SET policy = 'x' WHERE number = 5", 5),
        ("DELETE FROM findings WHERE number = 3", 3),
        ("DELETE FROM findings WHERE number = 1", 1),
        ("DELETE FROM findings WHERE number >= 4", 4),
        ("UPDATE findings SET number = number + 100 WHERE number = 5", 5),
        (DOUBLED, 6),
    ],
)
def test_the_first_line_that_was_touched_is_named(
    store: TraceStore, tmp_path: Path, statement: str, broken: int
) -> None:
    write(store, *(line(number) for number in range(1, 6)))
    tamper(tmp_path / "traces.db", statement)

    assert store.audit.verify().broken == broken


def test_a_log_written_anew_no_longer_has_the_noted_hash(store: TraceStore, tmp_path: Path) -> None:
    write(store, line(1), line(2))
    noted = store.audit.verify().last
    assert store.audit.verify(noted).broken is None
    tamper(
        tmp_path / "traces.db", "DELETE FROM findings", "UPDATE counters SET value = 0 WHERE name = 'found'"
    )
    write(store, line(1), line(4))

    assert store.audit.verify().broken is None
    with pytest.raises(MalformedRequest, match=noted):
        store.audit.verify(noted)


def test_lines_can_neither_be_changed_nor_removed_by_mistake(store: TraceStore, tmp_path: Path) -> None:
    write(store, line(1))
    connection = sqlite3.connect(tmp_path / "traces.db")

    for statement in ("UPDATE findings SET rule = 'x'", "DELETE FROM findings"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            connection.execute(statement)
    connection.close()


def test_what_is_left_after_a_cut_holds_and_goes_on(store: TraceStore) -> None:
    write(store, *(line(day * DAY_NS) for day in range(1, 8)))

    assert store.audit.cut(4 * DAY_NS) == 3

    write(store, line(9 * DAY_NS))
    state = store.audit.verify()
    assert (state.lines, state.broken, state.cut) == (5, None, 3)
    assert store.audit.cut(100 * DAY_NS) == 5
    write(store, line(101 * DAY_NS))
    assert store.audit.verify()[0::2] == (1, None)
    assert store.audit.list(AuditFilter())[0]["number"] == 9


def test_a_cut_stops_at_the_first_line_that_is_to_stay(store: TraceStore) -> None:
    write(store, line(1), line(9 * DAY_NS), line(2))

    assert store.audit.cut(5 * DAY_NS) == 1
    assert store.audit.verify().broken is None


def test_removing_lines_behind_a_cut_shows(store: TraceStore, tmp_path: Path) -> None:
    write(store, *(line(day * DAY_NS) for day in range(1, 6)))
    store.audit.cut(3 * DAY_NS)
    tamper(tmp_path / "traces.db", "DELETE FROM findings WHERE number = 3")

    assert store.audit.verify().broken == 3


def test_a_batch_that_is_not_stored_leaves_no_lines(store: TraceStore) -> None:
    broken = row_of(make_exchange("a"))._replace(total_us=object())  # type: ignore[arg-type]  # a value no file takes
    with pytest.raises(sqlite3.Error):
        store.write([Entry(row_of(make_exchange("a")), None, (), (line(1),)), Entry(broken, None)])

    assert store.audit.verify().lines == 0
    write(store, line(1))
    assert store.audit.verify()[0::2] == (1, None)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AuditFilter(project="q"), [2]),
        (AuditFilter(rule="br.*"), [3, 1]),
        (AuditFilter(rule="email"), [2]),
        (AuditFilter(rule="%"), []),
        (AuditFilter(action="block", category="personal_data"), [3]),
        (AuditFilter(exchange="x1"), [1]),
        (AuditFilter(since_ns=2, until_ns=3), [2]),
        (AuditFilter(before=3, limit=1), [2]),
        (AuditFilter(policy="strict"), [3]),
        (AuditFilter(key="'; DROP TABLE findings"), []),
    ],
)
def test_lines_are_found_by_what_they_say(store: TraceStore, wanted: AuditFilter, numbers: list[int]) -> None:
    write(store, line(1), line(2, project="q", rule="email"), line(3, action="block", policy="strict"))

    assert [one["number"] for one in store.audit.list(wanted)] == numbers


def test_values_are_told_apart_by_a_key_that_is_not_in_the_store(tmp_path: Path) -> None:
    key = audit_key(tmp_path)

    assert audit_key(tmp_path) == key
    assert (tmp_path / KEY_NAME).stat().st_mode & 0o777 == 0o600
    assert keyed_hash(key, "p", "390.533.447-05") == keyed_hash(key, "p", "390.533.447-05")
    assert keyed_hash(key, "p", "390.533.447-05") != keyed_hash(key, "q", "390.533.447-05")
    assert keyed_hash(key, "p", "a") != keyed_hash(bytes(32), "p", "a")
    assert len(keyed_hash(key, "p", "\ud800")) == 32


def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).write_bytes(b"short")

    with pytest.raises(StoreError, match=KEY_NAME):
        audit_key(tmp_path)


def test_ten_thousand_lines_are_verified_quickly(store: TraceStore) -> None:
    write(store, *(line(number) for number in range(10_000)))

    began = time.process_time()
    assert store.audit.verify().broken is None
    assert time.process_time() - began < 1.0


def test_a_store_of_an_earlier_version_gets_its_log(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    open_database(path, TRACES[:1]).close()

    store = TraceStore(path)
    write(store, line(1))

    assert store.audit.verify()[0::2] == (1, None)
    assert "found" not in store.counts()
    store.close()
