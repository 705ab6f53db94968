"""The outbox of alerts: what is sent once, again, later, together, or not at all."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from greenroom.store import deliveries as module
from greenroom.store.alerts import Alert, Alerts, Event, Notice
from greenroom.store.deliveries import MOST_AN_HOUR, MOST_TRIES, Deliveries, Due

NOTICE = Notice("failures", "threshold", "", "support", "warning", "25 % failed.")


def everything(alert: Alert, event: Event) -> bool:
    return True


def nobody(alert: Alert) -> bool:
    return False


CHANNELS: dict[str, Callable[[Alert, Event], bool]] = {"ops": everything}


class Desk:
    """Alerts and their outbox, and what a channel is given."""

    def __init__(self, folder: Path) -> None:
        self.alerts = Alerts(folder / "alerts.db")
        self.outbox = Deliveries(folder / "alerts.db")

    def due(self, is_silenced: Callable[[Alert], bool] = nobody) -> list[Due]:
        self.outbox.dispatch(CHANNELS)
        return self.outbox.due("ops", is_silenced)

    def send(self) -> list[str]:
        """Send what is due; what it was."""
        found = self.due()
        self.outbox.sent([one.id for one in found])
        return [one.event.what for one in found]

    def states(self) -> list[tuple[str, str]]:
        return [(one.what, one.state) for one in reversed(self.outbox.list())]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_opens_and_ends_is_sent_once_each(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    desk.alerts.tell(NOTICE)

    assert desk.send() == ["opened"]
    assert desk.send() == []
    desk.alerts.tell(msgspec.structs.replace(NOTICE, severity="critical"))
    assert desk.send() == ["worsened"]
    desk.alerts.clear("failures", "", "support")
    assert desk.send() == ["ended"]
    assert desk.states() == [("opened", "sent"), ("worsened", "sent"), ("ended", "sent")]


def test_a_channel_gets_what_it_wants_alone(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)

    made = desk.outbox.dispatch({"ops": everything, "pager": lambda _, event: event.severity == "critical"})

    assert made == 1
    assert [one.channel for one in desk.outbox.list()] == ["ops"]


def test_a_channel_that_comes_later_is_not_told_of_the_past(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    desk.outbox.dispatch({})

    assert desk.send() == []


def test_what_fails_comes_again_later_and_is_given_up_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.0)
    desk.alerts.tell(NOTICE)

    for number in range(MOST_TRIES):
        (one,) = desk.due()
        assert one.tries == number
        desk.outbox.failed([one], "The receiver did not answer.")

    assert desk.due() == []
    (kept,) = desk.outbox.list()
    assert (kept.state, kept.tries, kept.error) == ("failed", MOST_TRIES, "The receiver did not answer.")


def test_each_failure_waits_longer_and_as_long_as_the_receiver_says(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    (one,) = desk.due()

    waits = []
    for tries, said in ((0, None), (3, None), (9, None), (0, 120.0)):
        desk.outbox.failed([one._replace(tries=tries)], "no", said)
        waits.append(round((desk.outbox.list()[0].next_ns - time.time_ns()) / 1e9))

    assert waits == [10, 270, 3600, 120]
    assert desk.due() == []


def test_what_is_silenced_is_told_when_it_no_longer_is(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)

    assert desk.due(lambda alert: alert.rule == "failures") == []
    assert desk.states() == [("opened", "silenced")]
    assert desk.send() == ["opened"]


def test_of_what_ended_in_silence_nobody_is_told(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    desk.due(lambda _: True)
    desk.alerts.clear("failures", "", "support")

    assert desk.send() == []
    assert desk.states() == [("opened", "dropped"), ("ended", "dropped")]


def test_what_comes_and_goes_is_held_for_an_hour(desk: Desk) -> None:
    sent = []
    for _ in range(10):
        desk.alerts.tell(NOTICE)
        sent += desk.send()
        desk.alerts.clear("failures", "", "support")
        sent += desk.send()

    assert len(sent) == MOST_AN_HOUR
    desk.alerts.tell(msgspec.structs.replace(NOTICE, subject="sales"))
    assert desk.send() == ["opened"]


def test_a_failed_message_and_its_end_go_together(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    (one,) = desk.due()
    desk.outbox.failed([one], "no", 0.0)
    with desk.outbox._changing() as connection:  # an hour later
        connection.execute("UPDATE deliveries SET next_ns = 0")
    desk.alerts.clear("failures", "", "support")

    assert desk.send() == ["opened", "ended"]


def test_an_alert_that_nobody_acknowledged_is_told_again(desk: Desk) -> None:
    id = desk.alerts.tell(NOTICE).id
    desk.send()

    desk.outbox.remind("ops", 3600)
    assert desk.due() == []
    desk.outbox.remind("ops", 0)
    (one,) = desk.due()
    assert (one.event.what, one.times) == ("opened", 1)
    desk.outbox.sent([one.id])
    desk.alerts.acknowledge(id, "ana")
    desk.outbox.remind("ops", 0)
    assert desk.due() == []


def test_a_crash_between_sending_and_noting_sends_twice_and_loses_nothing(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    first.alerts.tell(NOTICE)
    assert len(first.due()) == 1

    second = Desk(tmp_path)

    assert [one.event.what for one in second.due()] == ["opened"]


def test_many_silenced_alerts_hide_no_other(desk: Desk) -> None:
    for number in range(210):
        desk.alerts.tell(msgspec.structs.replace(NOTICE, rule=f"r{number % 3}", subject=f"app {number}"))
    desk.alerts.tell(msgspec.structs.replace(NOTICE, rule="credentials", severity="critical"))

    found = desk.due(lambda alert: alert.rule != "credentials")

    assert [one.alert.rule for one in found] == ["credentials"]


def test_a_message_given_up_is_tried_anew_while_its_alert_stands(desk: Desk) -> None:
    desk.alerts.tell(NOTICE)
    (one,) = desk.due()
    desk.outbox.failed([one._replace(tries=MOST_TRIES - 1)], "no")
    assert desk.states() == [("opened", "failed")]

    desk.outbox.remind("ops", 0)

    assert desk.send() == ["opened"]


def test_a_clock_put_back_holds_nothing_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 30 * 86_400 * 1_000_000_000)
    for _ in range(4):
        desk.alerts.tell(NOTICE)
        desk.send()
        desk.alerts.clear("failures", "", "support")
        desk.send()
    desk.alerts.tell(msgspec.structs.replace(NOTICE, subject="sales"))
    desk.outbox.failed(desk.due(), "no")

    monkeypatch.setattr(time, "time_ns", lambda: now)
    desk.alerts.tell(NOTICE)

    assert {one.alert.subject for one in desk.due()} == {"support", "sales"}
    assert desk.outbox.last_ns("ops") <= now
