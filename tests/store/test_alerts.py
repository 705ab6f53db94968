"""Alerts: one open alert a rule, project and subject; history; silences; several processes; bounds."""

import threading
import time
from pathlib import Path

import msgspec
import pytest

from greenroom.errors import Conflict, NotFound
from greenroom.store.alerts import MOST_OPEN, MOST_TEXT, Alerts, Notice

NOTICE = Notice(
    rule="drift.language", kind="drift", project="", subject="support", severity="warning",
    summary="Portuguese is 40 % of the prompts, and was 20 %.", figures={"psi": 0.31, "p": 0.001},
    path="/drift?app=support",
)  # fmt: skip


@pytest.fixture
def alerts(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path / "alerts.db")


def test_what_is_told_again_stays_one_alert(alerts: Alerts) -> None:
    first = alerts.tell(NOTICE)
    second = alerts.tell(msgspec.structs.replace(NOTICE, summary="It is 45 % now.", figures={"psi": 0.4}))

    assert (second.id, second.times, second.opened_ns) == (first.id, 2, first.opened_ns)
    assert (second.summary, second.figures) == ("It is 45 % now.", {"psi": 0.4})
    assert [one.what for one in alerts.alert(first.id)[1]] == ["opened"]


def test_another_subject_or_project_is_another_alert(alerts: Alerts) -> None:
    alerts.tell(NOTICE)
    alerts.tell(msgspec.structs.replace(NOTICE, subject="sales"))
    alerts.tell(msgspec.structs.replace(NOTICE, project="acme"))

    assert len(alerts.opened()) == 3


def test_a_severity_that_rises_is_history_and_one_that_falls_is_not(alerts: Alerts) -> None:
    id = alerts.tell(NOTICE).id
    alerts.tell(msgspec.structs.replace(NOTICE, severity="critical"))
    alerts.tell(msgspec.structs.replace(NOTICE, severity="info"))

    found, events = alerts.alert(id)

    assert found.severity == "info"
    assert [(one.what, one.severity) for one in events] == [("opened", "warning"), ("worsened", "critical")]


def test_an_alert_that_ended_opens_anew(alerts: Alerts) -> None:
    first = alerts.tell(NOTICE)

    assert alerts.clear("drift.language", "", "support")
    assert not alerts.clear("drift.language", "", "support")
    second = alerts.tell(NOTICE)

    assert second.id != first.id
    assert [one.id for one in alerts.past()] == [first.id]
    assert [one.what for one in alerts.alert(first.id)[1]] == ["opened", "ended"]


def test_who_acknowledged_an_alert_is_kept(alerts: Alerts) -> None:
    id = alerts.tell(NOTICE).id

    alerts.acknowledge(id, "ana", "looking at it")
    found, events = alerts.alert(id)

    assert found.acknowledged_by == "ana"
    assert (events[-1].who, events[-1].why) == ("ana", "looking at it")
    alerts.clear("drift.language", "", "support")
    with pytest.raises(Conflict, match="ended"):
        alerts.acknowledge(id, "bea")
    with pytest.raises(NotFound, match="no alert 99"):
        alerts.acknowledge(99, "bea")


def test_a_silence_fits_what_it_names_until_it_ends(alerts: Alerts) -> None:
    alert = alerts.tell(NOTICE)
    hour = time.time_ns() + 3_600_000_000_000

    narrow = alerts.silence(hour, "ana", "known", rule="drift.language", subject="sales")
    wide = alerts.silence(hour + 1, "ana", "known", rule="drift.language")
    alerts.silence(time.time_ns() - 1, "ana", "over")

    assert [one.id for one in alerts.silences()] == [narrow.id, wide.id]
    assert (narrow.fits(alert), wide.fits(alert)) == (False, True)
    alerts.unsilence(wide.id)
    assert [one.id for one in alerts.silences()] == [narrow.id]
    with pytest.raises(NotFound):
        alerts.unsilence(wide.id)


def test_hostile_and_endless_texts_are_one_line_within_bounds(alerts: Alerts) -> None:
    found = alerts.tell(
        msgspec.structs.replace(
            NOTICE,
            subject="a\r\nBcc: all@example.com\x00\x1b[31m",
            summary="x" * 10_000 + "\ud800",
            path="//evil.example/",
            figures={"nan": float("nan"), "inf": float("inf"), "ok": 1.0},
        )
    )

    assert found.path == ""
    assert found.subject == "a  Bcc: all@example.com  [31m"
    assert len(found.summary) == MOST_TEXT
    assert found.figures == {"ok": 1.0}
    assert alerts.clear("drift.language", "", "a\r\nBcc: all@example.com\x00\x1b[31m")


def test_a_rule_with_endless_subjects_stays_within_its_bound(alerts: Alerts) -> None:
    for number in range(MOST_OPEN + 20):
        alerts.tell(msgspec.structs.replace(NOTICE, subject=str(number)))

    opened = alerts.opened()

    assert len(opened) == MOST_OPEN
    assert (opened[0].subject, opened[0].times) == (str(MOST_OPEN - 1), 21)


def test_two_stores_that_tell_at_once_make_one_alert(tmp_path: Path) -> None:
    stores = [Alerts(tmp_path / "alerts.db") for _ in range(2)]

    def tell(store: Alerts) -> None:
        for _ in range(20):
            store.tell(NOTICE)

    threads = [threading.Thread(target=tell, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (found,) = stores[0].opened()
    assert found.times == 40


def test_what_ended_long_ago_is_let_go_of_with_its_history(alerts: Alerts) -> None:
    old = alerts.tell(NOTICE).id
    alerts.clear("drift.language", "", "support")
    open_one = alerts.tell(NOTICE).id

    assert alerts.purge(1) == 0
    assert alerts.purge(-1) == 1
    assert [one.id for one in alerts.opened()] == [open_one]
    with pytest.raises(NotFound):
        alerts.alert(old)


def test_no_ends_of_lines_and_no_turned_writing_get_into_a_subject(alerts: Alerts) -> None:
    found = alerts.tell(msgspec.structs.replace(NOTICE, subject="a\u2028b\u202ec"))

    assert found.subject == "a b c"
