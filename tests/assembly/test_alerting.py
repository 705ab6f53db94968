"""Rules at work in a house: alerts open, hold, end and go out; one process does it; a test tells at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from greenroom.assembly.house import House
from greenroom.errors import ConfigError, GreenroomError, NotFound
from greenroom.gateway.figures import Figures
from greenroom.store.alerts import FILE, Alert, Notice
from greenroom.store.deliveries import Due
from greenroom.store.material import Row
from tests.receivers import Receiver, receiving

CONFIG = """
[alerts]
defaults = false
every_s = 3600
url = "https://green.example"
[alerts.rules.failures]
kind = "threshold"
metric = "failed_share"
above = 0.5
by = "app"
[alerts.channels.ops]
kind = "webhook"
url = "{url}"
private = true
secret_env = "HOOK_SECRET"
wait_s = 0
"""
ENVIRONMENT = {"HOOK_SECRET": "0123456789abcdefghijklmnop"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, receiver: Receiver) -> Path:
    (tmp_path / "greenroom.toml").write_text(CONFIG.format(url=receiver.url), encoding="utf-8")
    return tmp_path


@pytest.fixture
def house(place: Path) -> Iterator[House]:
    """Its stores and its rules; nothing runs."""
    found = House.open(place / "greenroom.toml", place / "data", ENVIRONMENT)
    found.alerting.take(found.config.alerts)
    yield found
    found.stop()


@pytest.fixture
async def running(place: Path) -> AsyncIterator[House]:
    text = (place / "greenroom.toml").read_text(encoding="utf-8").replace("defaults = false", "")
    (place / "greenroom.toml").write_text(text, encoding="utf-8")
    async with House.open(place / "greenroom.toml", place / "data", ENVIRONMENT).running() as found:
        yield found


def fail(house: House, count: int = 30, *, app: str = "support", ago_s: float = 1.0) -> None:
    row = Row(
        id="a", created_ns=time.time_ns() - int(ago_s * 1e9), project="p", key="k", app=app, asked=app, used="m",
        outcome="failed", status=502, session=None, user=None, language=None, input_tokens=1, output_tokens=1,
        cost_nano=1, total_us=1, overhead_us=1, first_token_us=0, flags=0,
    )  # fmt: skip
    house.rollups.add([(row, None)] * count)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [
        (one["event"], one["rule"])
        for request in receiver.requests
        for one in msgspec.json.decode(request.body)["data"]["alerts"]
    ]


def opened(house: House) -> list[Alert]:
    return house.alerts.opened()


def test_a_rule_that_fires_is_delivered_and_its_end_too(house: House, receiver: Receiver) -> None:
    fail(house)

    house.alerting.look(time.time())
    house.alerting.delivering.look()
    (alert,) = opened(house)
    assert (alert.rule, alert.subject, alert.kind) == ("failures", "support", "threshold")
    house.alerting.look(time.time() + 3600)
    house.alerting.delivering.look()

    assert opened(house) == []
    assert told(receiver) == [("opened", "failures"), ("ended", "failures")]


def test_a_rule_that_must_hold_does_not_open_at_once(house: House) -> None:
    table = msgspec.structs.replace(house.config.alerts.rules["failures"], for_s=0.2)
    house.alerting.take(msgspec.structs.replace(house.config.alerts, rules={"failures": table}))
    fail(house)

    house.alerting.look(time.time())
    assert opened(house) == []
    time.sleep(0.21)
    house.alerting.look(time.time())
    assert len(opened(house)) == 1
    house.alerting.look(time.time() + 3600)
    assert len(opened(house)) == 1
    time.sleep(0.21)
    house.alerting.look(time.time() + 3600)
    assert opened(house) == []


def test_what_others_told_is_not_ended_by_rules(house: House, receiver: Receiver) -> None:
    house.alerts.tell(Notice("drift.language", "drift", "", "support", "warning", "It drifted."))

    house.alerting.look(time.time())
    house.alerting.delivering.look()

    assert [one.rule for one in opened(house)] == ["drift.language"]
    assert told(receiver) == [("opened", "drift.language")]


def test_silence_keeps_quiet_and_the_page_still_shows_it(house: House, receiver: Receiver) -> None:
    house.alerts.silence(time.time_ns() + 10**12, "ana", "known", rule="failures")
    fail(house)
    house.alerting.look(time.time())

    house.alerting.delivering.look()

    assert receiver.requests == []
    assert len(opened(house)) == 1


def test_a_receiver_that_is_down_gets_it_when_it_is_back(house: House, receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 500 No\r\n\r\n"
    fail(house)
    house.alerting.look(time.time())
    house.alerting.delivering.look()
    (kept,) = house.deliveries.list()
    assert (kept.state, kept.tries, kept.error) == ("waiting", 1, "The receiver answered with status 500.")

    receiver.answer = b"HTTP/1.1 200 Yes\r\n\r\n"
    with house.deliveries._changing() as connection:  # later
        connection.execute("UPDATE deliveries SET next_ns = 0")
    house.alerting.delivering.look()

    assert house.deliveries.list()[0].state == "sent"
    assert told(receiver) == [("opened", "failures")] * 2


async def test_a_rule_that_is_gone_takes_its_alerts_along(
    running: House, place: Path, receiver: Receiver
) -> None:
    fail(running)
    running.alerting.look(time.time())
    (alert,) = opened(running)
    text = (place / "greenroom.toml").read_text(encoding="utf-8")
    (place / "greenroom.toml").write_text(text.replace("HOOK_SECRET", "OTHER"), encoding="utf-8")
    with pytest.raises(ConfigError, match="OTHER is not set"):
        await running.reload()
    running.alerting.delivering.test("ops")  # a configuration that is refused leaves the old one in force
    assert len(receiver.requests) == 1

    (place / "greenroom.toml").write_text("[alerts]\ndefaults = false\nevery_s = 3600\n", encoding="utf-8")
    await running.reload()
    running.alerting.look(time.time())

    assert opened(running) == []
    assert running.alerts.alert(alert.id)[1][-1].why == "the rule is no more"


async def test_refused_keys_and_lost_exchanges_are_told_without_a_rule(running: House) -> None:
    running.gateway.figures.by_target["openai/gpt"] = Figures(answered=5, errors={"upstream_auth": 2})
    running.traces.write([], lost_rows=3, lost_bodies=1)

    running.alerting.look(time.time())

    lost, refused = sorted(opened(running), key=lambda one: one.rule, reverse=True)
    assert (refused.rule, refused.subject, refused.severity) == ("credentials", "openai/gpt", "critical")
    assert (lost.rule, lost.figures) == ("losses", {"rows": 3.0, "bodies": 1.0})


def test_a_test_tells_at_once_and_names_what_there_is(house: House, receiver: Receiver) -> None:
    house.alerting.delivering.test("ops")
    assert told(receiver) == [("opened", "test")]
    with pytest.raises(NotFound, match="Known: ops"):
        house.alerting.delivering.test("nobody")
    receiver.answer = b"HTTP/1.1 403 No\r\n\r\n"
    with pytest.raises(GreenroomError, match="status 403"):
        house.alerting.delivering.test("ops")


@pytest.mark.parametrize(
    ("environment", "said"),
    [({}, "HOOK_SECRET is not set"), ({"HOOK_SECRET": "short"}, "shorter than 24 bytes")],
)
def test_a_channel_without_its_secret_is_said_at_the_start(
    place: Path, environment: dict[str, str], said: str
) -> None:
    house = House.open(place / "greenroom.toml", place / "data", environment)

    with pytest.raises(ConfigError, match=f"alerts.channels.ops.*{said}"):
        house.alerting.take(house.config.alerts)


def test_a_quiet_house_makes_no_file_of_alerts(house: House, place: Path) -> None:
    house.alerting.look(time.time())

    assert (place / "data" / "rollups.db").exists()
    assert not (place / "data" / FILE).exists()


async def test_the_threads_do_it_by_themselves(place: Path, receiver: Receiver) -> None:
    text = (place / "greenroom.toml").read_text(encoding="utf-8").replace("every_s = 3600", "every_s = 1")
    (place / "greenroom.toml").write_text(text, encoding="utf-8")
    async with House.open(place / "greenroom.toml", place / "data", ENVIRONMENT).running() as house:
        fail(house)
        async with asyncio.timeout(8):
            while not receiver.requests:  # noqa: ASYNC110  # another thread fills it
                await asyncio.sleep(0.05)

    assert told(receiver) == [("opened", "failures")]


def test_a_channel_that_breaks_keeps_no_other_from_being_told(house: House, receiver: Receiver) -> None:
    class Broken:
        def send(self, due: Sequence[Due]) -> None:
            raise ZeroDivisionError

    delivering = house.alerting.delivering
    table = house.config.alerts.channels["ops"]
    house.alerting.take(
        msgspec.structs.replace(house.config.alerts, channels={"broken": table, "ops": table})
    )
    delivering._channels["broken"] = Broken()
    house.alerts.tell(Notice("failures", "threshold", "", "support", "warning", "25 % failed."))

    delivering.look()

    assert told(receiver) == [("opened", "failures")]
    assert {(one.channel, one.state, one.tries) for one in house.deliveries.list()} == {
        ("broken", "waiting", 1),
        ("ops", "sent", 0),
    }
