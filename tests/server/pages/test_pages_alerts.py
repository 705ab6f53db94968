"""The pages of alerts over a real store: what is seen, who may do what, and what is hostile in words."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from greenroom.assembly.alertdesk import AlertDesk
from greenroom.assembly.house import House
from greenroom.server.pages.alerts import AlertPages
from greenroom.store.alerts import Notice
from tests.receivers import Receiver, receiving
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor

CONFIG = '[alerts.channels.chat]\nkind = "slack"\nurl = "{url}"\nprivate = true\n'
NOTICE = Notice(
    "failures", "threshold", "acme", "<b>support</b>", "critical", "<script>hit()</script> 25 % failed.",
    {"failed_share": 0.25}, "/requests?outcome=failed",
)  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, receiver: Receiver) -> Iterator[House]:
    (tmp_path / "greenroom.toml").write_text(CONFIG.format(url=receiver.url), encoding="utf-8")
    found = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    found.alerting.take(found.config.alerts)
    yield found
    found.stop()


@pytest.fixture
def visitor(house: House) -> Iterator[Visitor]:
    with Visitor(FakeBackend(), Clock(), more=(AlertPages(AlertDesk(house)).routes,)) as one:
        yield one


def test_an_empty_house_says_what_would_stand_there(visitor: Visitor) -> None:
    visitor.sign_in()

    page = visitor.see("/alerts")

    assert "Nothing fires." in page.text
    assert "failures" in page.text  # the rules that hold without being written


def test_an_alert_is_seen_and_its_words_are_text(visitor: Visitor, house: House) -> None:
    id = house.alerts.tell(NOTICE).id
    visitor.sign_in()

    for path in ("/alerts", f"/alerts/{id}"):
        answer = visitor.get(path)
        page = Seen(answer.text)
        assert "<script>hit()" not in answer.text
        assert "<script>hit()</script> 25 % failed." in page.text
        assert "<b>support</b>" in page.text
        assert page.all("a", href="/requests?outcome=failed")
    twin = visitor.get(f"/alerts/{id}.json").json()
    assert (twin["rule"], twin["state"], twin["figures"]) == ("failures", "firing", {"failed_share": 0.25})
    assert visitor.get("/alerts.json").json()["standing"][0]["id"] == id


def test_an_operator_acknowledges_silences_and_ends_a_silence(visitor: Visitor, house: House) -> None:
    id = house.alerts.tell(NOTICE).id
    visitor.sign_in()
    csrf = visitor.token("/alerts")

    sent = {"csrf": csrf, "alert": str(id), "why": "mine"}
    assert visitor.post("/alerts", {**sent, "do": "acknowledge"}).headers["location"] == "/alerts"
    assert "acknowledged by key-admin" in visitor.see("/alerts").text
    assert visitor.post(f"/alerts/{id}", {**sent, "do": "silence", "hours": "8"}).status_code == 303
    (silence,) = house.alerts.silences()
    assert (silence.rule, silence.subject, silence.project) == ("failures", "<b>support</b>", "acme")
    assert "silent until" in visitor.see(f"/alerts/{id}").text
    ended = {"csrf": csrf, "do": "unsilence", "silence": str(silence.id)}
    assert visitor.post("/alerts", ended).status_code == 303
    assert house.alerts.silences() == []
    assert [one["what"] for one in visitor.get(f"/alerts/{id}.json").json()["history"]] == [
        "opened", "acknowledged",
    ]  # fmt: skip


def test_a_viewer_looks_at_the_own_project_and_changes_nothing(visitor: Visitor, house: House) -> None:
    theirs = house.alerts.tell(NOTICE).id
    id = house.alerts.tell(msgspec.structs.replace(NOTICE, project="default", subject="ours")).id
    visitor.sign_in(VIEWER_KEY)

    page = visitor.get("/alerts")
    csrf = Seen(page.text).all("input", name="csrf")[0]["value"]
    refused = visitor.post("/alerts", {"csrf": csrf, "do": "acknowledge", "alert": str(id)})

    assert "Acknowledge" not in page.text
    assert "ours" in page.text
    assert "acme" not in page.text
    assert "chat" not in Seen(page.text).text  # channels are for admins
    assert refused.status_code == 403
    assert visitor.get(f"/alerts/{theirs}").status_code == 404
    assert visitor.get(f"/alerts/{theirs}.json").status_code == 404
    assert visitor.get("/alerts.json").json()["channels"] == []
    assert {one.acknowledged_ns for one in house.alerts.opened()} == {None}


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"do": "silence", "alert": "1", "hours": "99999"}, 400, "one of the choices"),
        ({"do": "silence", "alert": "99", "hours": "1"}, 404, "no alert 99"),
        ({"do": "acknowledge", "alert": "x" * 50}, 404, "no alert with this id"),
        ({"do": "fly"}, 400, "nothing that can be done"),
        ({"do": "test", "channel": "nobody"}, 404, "Known: chat"),
    ],
)
def test_a_form_that_cannot_be_is_said_on_the_page(
    visitor: Visitor, house: House, form: dict[str, str], status: int, said: str
) -> None:
    house.alerts.tell(NOTICE)
    visitor.sign_in()

    answer = visitor.post("/alerts", {"csrf": visitor.token("/alerts"), **form})

    assert answer.status_code == status
    assert said in Seen(answer.text).text


def test_a_form_without_its_token_does_nothing(visitor: Visitor, house: House) -> None:
    id = house.alerts.tell(NOTICE).id
    visitor.sign_in()

    assert (
        visitor.post("/alerts", {"csrf": "guessed", "do": "acknowledge", "alert": str(id)}).status_code == 403
    )
    assert house.alerts.opened()[0].acknowledged_ns is None


def test_a_test_of_a_channel_goes_out_and_a_refusal_is_shown(visitor: Visitor, receiver: Receiver) -> None:
    visitor.sign_in()
    form = {"csrf": visitor.token("/alerts"), "do": "test", "channel": "chat"}

    assert visitor.post("/alerts", form).status_code == 303
    assert "A test went to the channel 'chat'." in visitor.see("/alerts").text
    receiver.answer = b"HTTP/1.1 404 No\r\n\r\n<secret>"
    refused = Seen(visitor.post("/alerts", form).text)

    assert "The receiver answered with status 404." in refused.text
    assert len(receiver.requests) == 2


def test_older_ones_are_a_page_away(visitor: Visitor, house: House) -> None:
    for number in range(30):
        house.alerts.tell(msgspec.structs.replace(NOTICE, subject=f"app-{number}"))
        house.alerts.clear("failures", "acme", f"app-{number}")
    visitor.sign_in()

    first = visitor.see("/alerts")
    older = first.all("a", **{"class": "older"})[0]["href"]
    second = visitor.see(older)

    assert "app-29" in first.text
    assert "app-2" in second.text
    assert "app-29" not in second.text


def test_a_stranger_is_sent_to_the_door(visitor: Visitor) -> None:
    assert visitor.get("/alerts").headers["location"].startswith("/login")
    assert visitor.get("/alerts.json").status_code == 401
