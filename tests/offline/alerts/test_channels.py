"""Messages on real sockets: signatures, Slack's form, mail over TLS; and what becomes of hostile words."""

import hmac
import time
from base64 import b64encode
from collections.abc import Iterator
from email import message_from_bytes, policy
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from greenroom.errors import ConfigError, InfrastructureError, MalformedRequest
from greenroom.offline.alerts.channels import Mailbox, NotTaken, Slack, Webhook
from greenroom.offline.alerts.messages import MOST_SHOWN, secret_of
from greenroom.offline.alerts.settings import ChannelConfig
from greenroom.store.alerts import Alerts, Event, Notice
from greenroom.store.deliveries import Due
from tests.faults.certificates import OPENSSL, Certificate, make_certificate
from tests.receivers import Receiver, receiving, taking_mail

SECRET = b"0123456789abcdefghijklmnop"
LOGIN = b64encode(b"\0me\0word").decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if OPENSSL is None:
        pytest.skip("There is no openssl here.")
    return make_certificate(tmp_path_factory.mktemp("tls") / "made")


@pytest.fixture
def due(tmp_path: Path) -> Due:
    alerts = Alerts(tmp_path / "alerts.db")
    alert = alerts.tell(
        Notice("failures", "threshold", "acme", "support", "critical", "25 % failed.", {"failed_share": 0.25})
    )
    (event,) = alerts.alert(alert.id)[1]
    alerts.close()
    return Due(1, alert, event, 0, 0)


def saying(due: Due, text: str) -> Due:
    event = msgspec.structs.replace(due.event, summary=text)
    return due._replace(event=event, alert=msgspec.structs.replace(due.alert, subject=text[:60]))


def test_a_webhook_is_signed_as_the_standard_says(receiver: Receiver, due: Due) -> None:
    Webhook(receiver.url, SECRET, "https://green.example/", is_private_meant=True).send([due])

    (request,) = receiver.requests
    id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    wanted = hmac.new(SECRET, f"{id}.{at}.".encode() + request.body, sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + b64encode(wanted).decode()
    assert abs(int(at) - time.time()) < 5
    body = msgspec.json.decode(request.body)
    (alert,) = body["data"]["alerts"]
    assert body["type"] == "alerts"
    assert (alert["event"], alert["rule"], alert["subject"], alert["project"]) == (
        "opened", "failures", "support", "acme",
    )  # fmt: skip
    assert (alert["figures"], alert["url"]) == ({"failed_share": 0.25}, "https://green.example/alerts/1")


def test_what_is_sent_again_has_the_same_id_and_a_reminder_another(receiver: Receiver, due: Due) -> None:
    channel = Webhook(receiver.url, SECRET, None, is_private_meant=True)

    for one in (due, due._replace(tries=1), due._replace(times=1)):
        channel.send([one])

    ids = [one.headers["webhook-id"] for one in receiver.requests]
    assert ids[0] == ids[1] != ids[2]


def test_a_secret_is_read_in_both_forms_and_a_short_one_refused() -> None:
    assert secret_of("whsec_" + b64encode(SECRET).decode(), "x") == SECRET
    assert secret_of(f" {SECRET.decode()}\n", "x") == SECRET
    for bad in ("too-small-to-sign", "whsec_!!!", ""):
        with pytest.raises(ConfigError) as raised:
            secret_of(bad, "greenroom.toml: alerts.channels.ops")
        assert "alerts.channels.ops" in str(raised.value)
        assert not bad or bad not in str(raised.value)


def test_a_receiver_that_refuses_is_told_of_with_its_status_alone(receiver: Receiver, due: Due) -> None:
    receiver.answer = b"HTTP/1.1 503 Later\r\nRetry-After: 90\r\n\r\nsecret words"

    with pytest.raises(NotTaken) as raised:
        Slack(receiver.url, None, is_private_meant=True).send([due])

    assert str(raised.value) == "The receiver answered with status 503."
    assert raised.value.retry_after_s == 90.0


def test_without_a_word_in_the_configuration_no_address_within_is_called(
    receiver: Receiver, due: Due
) -> None:
    with pytest.raises(MalformedRequest):
        Slack(receiver.url.replace("http:", "https:"), None, is_private_meant=False).send([due])

    assert receiver.requests == []


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(certificate: Certificate, due: Due) -> None:
    with receiving(certificate.serving()) as receiver:
        with pytest.raises(InfrastructureError, match="certificate was not accepted"):
            Slack(receiver.url, None, is_private_meant=True).send([due])
        assert receiver.requests == []


def test_words_cannot_mention_link_or_mark(receiver: Receiver, due: Due) -> None:
    hostile = saying(due, "<!channel> @here <https://evil.example|Look> *bold* & `code`")

    Slack(receiver.url, "https://green.example", is_private_meant=True).send([hostile])

    text = msgspec.json.decode(receiver.requests[0].body)["text"]
    assert "<!channel>" not in text
    assert "@here" not in text
    assert "<https://evil" not in text
    assert text.endswith("<https://green.example/alerts/1|Look>")


def test_a_flood_is_one_message_that_stays_short(receiver: Receiver, due: Due) -> None:
    Slack(receiver.url, None, is_private_meant=True).send([due] * (MOST_SHOWN + 7))

    text = msgspec.json.decode(receiver.requests[0].body)["text"]
    assert text.count("failures") == MOST_SHOWN
    assert text.endswith("… and 7 more.")


def test_mail_goes_over_tls_with_a_login(
    certificate: Certificate, due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    over = due._replace(
        event=Event(2, 1, due.event.at_ns, "ended", "critical", "Pão de açúcar", "", ""),
        alert=msgspec.structs.replace(due.alert, ended_ns=due.alert.opened_ns + 60_000_000_000),
    )
    with taking_mail(certificate.serving(), login=LOGIN) as server:
        table = ChannelConfig(
            kind="email", host="127.0.0.1", port=server.port, user="me", password_env="P",
            sender="green@example.com", to=("ana@example.com", "bea@example.com"),
        )  # fmt: skip
        Mailbox(table, "word", "https://green.example").send([due, over])

        assert server.was_encrypted
        assert server.recipients == ["<ana@example.com>", "<bea@example.com>"]
        (mail,) = server.mails
    read = message_from_bytes(mail, policy=policy.default)
    assert read["Subject"] == "[Greenroom] critical: failures, support, acme (and 1 more)"
    assert read["Auto-Submitted"] == "auto-generated"
    body = read.get_content()
    assert "failed_share: 0.25" in body
    assert "over: failures" in body
    assert "Pão de açúcar" in body
    assert "https://green.example/alerts/1" in body


@pytest.mark.parametrize(("login", "said"), [(LOGIN, "not take the user"), (None, "not offer")])
def test_what_a_mail_server_does_not_take_is_said(
    certificate: Certificate, due: Due, monkeypatch: pytest.MonkeyPatch, login: str | None, said: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    with taking_mail(certificate.serving() if login else None, login=login) as server:
        table = ChannelConfig(
            kind="email", host="127.0.0.1", port=server.port, user="me", password_env="P",
            sender="green@example.com", to=("ana@example.com",),
        )  # fmt: skip
        with pytest.raises(NotTaken, match=said) as raised:
            Mailbox(table, "hunter2hunter2", None).send([due])
        assert "hunter2" not in str(raised.value)
        assert server.mails == []


def test_a_mail_server_that_is_not_there_is_said(due: Due) -> None:
    table = ChannelConfig(kind="email", host="127.0.0.1", port=1, sender="a@b.c", to=("a@b.c",), tls="off")

    with pytest.raises(InfrastructureError, match="did not answer"):
        Mailbox(table, None, None).send([due])


def test_no_line_of_an_alert_becomes_a_header(due: Due) -> None:
    with taking_mail() as server:
        table = ChannelConfig(
            kind="email", host="127.0.0.1", port=server.port, sender="a@b.c", to=("a@b.c",), tls="off"
        )
        Mailbox(table, None, None).send([saying(due, "x Bcc: all@example.com" + "é" * 300)])

        headers = server.mails[0].partition(b"\r\n\r\n")[0]
    assert b"\nBcc:" not in headers
