"""POSTs to addresses that somebody wrote down: what may be reached, and what comes of answers."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from greenroom.errors import InfrastructureError, MalformedRequest
from greenroom.models.outside import may_reach, place_of, post
from tests.receivers import Receiver, receiving

INSIDE = (
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1",
    "100.64.0.1", "198.18.0.1", "192.0.0.1", "192.0.2.1", "203.0.113.9", "198.51.100.1", "240.0.0.1",
    "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:1::1", "2001:db8::1",
)  # fmt: skip
NEVER = (
    "0.0.0.0", "169.254.169.254", "169.254.0.1", "::", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "224.0.0.1", "ff02::1", "255.255.255.255", "", "localhost",
    "::ffff:0.0.0.0", "fec0::1", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254",
    "fd20:ce::254", "::ffff:168.63.129.16",
)  # fmt: skip
OUTSIDE = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)
SPELLINGS = (
    "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.1", "localhost", "localhost.",
    "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "0", "0.0.0.0", "[::]",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "１２７.0.0.1",
)  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.mark.parametrize("address", INSIDE + NEVER)
def test_no_address_within_is_reached_unless_that_is_meant(address: str) -> None:
    assert not may_reach(address, is_private_meant=False)


@pytest.mark.parametrize("address", NEVER)
def test_some_are_never_reached(address: str) -> None:
    assert not may_reach(address, is_private_meant=True)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is_reached(address: str) -> None:
    assert may_reach(address, is_private_meant=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_this_machine_and_its_networks_are_reached_where_that_is_meant(address: str) -> None:
    assert may_reach(address, is_private_meant=True)


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_host_within_is_called(host: str) -> None:
    """Refused before anything is connected to, or a name that no resolver knows."""
    with pytest.raises((MalformedRequest, InfrastructureError), match=r"private|no address|no URL"):
        post(f"https://{host}/", b"{}", {})


def test_a_name_with_one_address_within_is_not_called() -> None:
    with pytest.raises(MalformedRequest, match="private network"):
        post("https://example.com/", b"", {}, lookup=lambda _: ["93.184.216.34", "127.0.0.1"])


def test_an_address_that_is_not_reached_from_here_is_passed_over(receiver: Receiver) -> None:
    """As a name's IPv6 address where there is no IPv6."""
    began = time.monotonic()

    answered = post(
        receiver.url, b"{}", {}, is_private_meant=True, lookup=lambda _: ["127.0.0.9", "127.0.0.1"]
    )

    assert (answered.status, time.monotonic() - began < 5) == (204, True)


def test_a_name_is_asked_once_and_what_was_judged_is_connected_to(receiver: Receiver) -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    answered = post(
        f"http://hooks.example:{receiver.port}/", b"{}", {}, is_private_meant=True, lookup=rebinding
    )

    assert (answered.status, asked) == (204, ["hooks.example"])
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "https://", "https://user@example.com/", "//example.com",
     "https://a:b@example.com/", "https://exa mple.com/", "https://example.com/a b", "gopher://x:1/_", "",
     "https://example.com/\r\nX: 1", "https://example.com:99999/", "https://[::1/", "https://ex\x00ample.com/"],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused_and_not_said(url: str) -> None:
    with pytest.raises(MalformedRequest) as raised:
        post(url, b"", {})
    assert "example" not in str(raised.value)


def test_plain_http_is_spoken_within_alone() -> None:
    with pytest.raises(MalformedRequest, match="https"):
        post("http://example.com/", b"", {}, lookup=lambda _: ["93.184.216.34"])


def test_a_redirect_is_told_and_not_followed(receiver: Receiver) -> None:
    with receiving() as other:
        receiver.answer = f"HTTP/1.1 307 Go\r\nLocation: {other.url}\r\n\r\n".encode()

        answered = post(receiver.url, b"{}", {}, is_private_meant=True)

        assert answered.status == 307
        assert other.requests == []


def test_what_is_sent_arrives_and_when_to_come_back_is_read(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Later\r\nretry-after: 7\r\n\r\nbody"

    answered = post(receiver.url, b'{"a":1}', {"X-One": "1"}, is_private_meant=True)

    assert (answered.status, answered.retry_after_s) == (429, 7.0)
    (request,) = receiver.requests
    assert (request.path, request.body, request.headers["x-one"]) == ("/hook?team=1", b'{"a":1}', "1")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 100_000, b"\r\n\r\n"],
    ids=["nothing", "half", "another protocol", "no status", "endless", "empty head"],
)
def test_an_answer_that_is_none_is_told_in_constant_words(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer

    with pytest.raises(InfrastructureError, match=r"^The receiver did not answer\.$"):
        post(receiver.url, b"{}", {}, is_private_meant=True)


def test_a_receiver_that_drips_is_left_in_time() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            for _ in range(100):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return
                time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(InfrastructureError):
        post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"", {}, is_private_meant=True, time_s=0.2)
    assert time.monotonic() - began < 1.0
    listener.close()


def test_an_international_name_is_asked_as_resolvers_want_it() -> None:
    assert place_of("https://bücher.example/ä".replace("ä", "a")).host == "xn--bcher-kva.example"
