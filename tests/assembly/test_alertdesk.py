"""What is asked of alerts: whose they are, what may be silenced, and what the audit log then holds."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from greenroom.assembly import applied
from greenroom.assembly.alertdesk import AlertDesk
from greenroom.assembly.house import House
from greenroom.errors import Conflict, MalformedRequest, NotFound
from greenroom.server.alerts import NewSilence
from greenroom.store.alerts import FILE, Notice

NOTICE = Notice("failures", "threshold", "", "support", "warning", "25 % failed.", {"failed_share": 0.25})
CONFIG = """
[alerts.channels.chat]
kind = "slack"
url = "https://hooks.example/T0/secret-words"
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "greenroom.toml").write_text(CONFIG, encoding="utf-8")
    found = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    yield found
    found.stop()


def test_a_project_sees_and_changes_its_own_alerts_alone(house: House) -> None:
    desk = AlertDesk(house)
    ours = house.alerts.tell(NOTICE).id
    theirs = house.alerts.tell(msgspec.structs.replace(NOTICE, project="acme")).id

    assert [one["id"] for one in desk.standing("acme")] == [theirs]
    assert {one["id"] for one in desk.standing(None)} == {ours, theirs}
    with pytest.raises(NotFound):
        desk.show(ours, "acme")
    with pytest.raises(NotFound):
        desk.acknowledge(ours, "", "acme", "key_1", "")
    made = desk.silence(NewSilence(hours=1, project="other"), "acme", "key_1", "")
    assert made["project"] == "acme"
    with pytest.raises(NotFound):
        desk.unsilence(made["id"], "other", "key_1", "")
    states = {one["id"]: one["state"] for one in desk.standing(None)}
    assert states == {ours: "firing", theirs: "silenced"}


def test_what_people_do_is_in_the_audit_log_with_their_name_and_address(house: House) -> None:
    desk = AlertDesk(house)
    id = house.alerts.tell(NOTICE).id

    shown = desk.acknowledge(id, "mine", None, "key_ana", "10.0.0.7")
    made = desk.silence(NewSilence(hours=2, rule="failures", why="known"), None, "key_ana", "10.0.0.7")
    desk.unsilence(made["id"], None, "key_ana", "10.0.0.7")

    assert (shown["state"], shown["acknowledged_by"]) == ("acknowledged", "key_ana")
    log = house.keys.audit_log(10)
    assert [one.what for one in log] == ["alert.unsilence", "alert.silence", "alert.acknowledge"]
    assert {(one.who, one.address) for one in log} == {("key_ana", "10.0.0.7")}


def test_a_silence_of_everything_is_refused(house: House) -> None:
    with pytest.raises(MalformedRequest, match="hides all"):
        AlertDesk(house).silence(NewSilence(hours=1), None, "key_1", "")


def test_channels_are_shown_without_their_addresses(house: House) -> None:
    desk = AlertDesk(house)

    said = msgspec.json.encode([desk.channels(), desk.rules(), desk.deliveries()])

    assert b"chat" in said
    assert b"secret-words" not in said
    assert {one["name"] for one in desk.rules()} == {"failures", "cost"}


def test_the_configuration_that_is_shown_and_kept_has_no_secret_of_an_address(house: House) -> None:
    applied.keep(house.folder(), house.config)

    told = msgspec.json.encode(applied.shown(house.config)) + (house.data / applied.FILE_NAME).read_bytes()

    assert b"https://hooks.example/" in told
    assert b"secret-words" not in told


def test_what_ended_is_told_by_pages(house: House) -> None:
    desk = AlertDesk(house)
    for _ in range(5):
        house.alerts.tell(NOTICE)
        house.alerts.clear("failures", "", "support")

    first = desk.past(None, None, 3)
    second = desk.past(None, first[-1]["id"], 3)

    assert [one["id"] for one in [*first, *second]] == [5, 4, 3, 2, 1]
    with pytest.raises(Conflict, match="ended"):
        desk.acknowledge(1, "", None, "key_1", "")


def test_looking_makes_no_store(house: House, tmp_path: Path) -> None:
    desk = AlertDesk(house)

    assert (desk.standing(None), desk.past(None, None, 5), desk.silences(None)) == ([], [], [])
    with pytest.raises(NotFound):
        desk.show(1, None)
    assert not (tmp_path / "data" / FILE).exists()


def test_a_silence_ends_by_itself(house: House) -> None:
    desk = AlertDesk(house)
    house.alerts.tell(NOTICE)
    desk.silence(NewSilence(hours=0.0001, rule="failures"), None, "key_1", "")
    assert desk.standing(None)[0]["state"] == "silenced"

    time.sleep(0.4)

    assert desk.standing(None)[0]["state"] == "firing"
