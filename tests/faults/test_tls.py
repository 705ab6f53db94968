"""FAULTS A3: what is wrong with a provider's TLS stops the call before a byte of it leaves; and our own https."""

import asyncio
import http.client
import socket
import ssl
from pathlib import Path

import pytest

from tests.faults.certificates import OPENSSL, make_certificate
from tests.faults.room import Room, code_of
from tests.faults.test_upstream_faults import outcome_of
from tests.faults.upstream import FaultUpstream
from tests.server_process import ServerProcess, environment_of, greenroom

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
SECRETS = (b"sk-secret-canary", b"Good morning.")


def room_trusting(context: ssl.SSLContext | None, *urls: str) -> Room:
    """A room whose pool trusts `context`, or what this machine trusts."""
    room = Room(urls)
    if context is not None:
        room.pool._context = context
    return room


async def test_a_trusted_certificate_with_the_right_name_is_called(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls")
    async with (
        FaultUpstream(tls=made.serving()) as upstream,
        room_trusting(made.trusting(), upstream.base_url) as room,
    ):
        answers = [await room.ask(), await room.ask(stream=True), await room.ask()]
        connections = len(upstream.log.of("connected"))

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert connections == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong name"])
async def test_a3_a_certificate_not_to_be_trusted_is_502_and_nothing_leaves(
    tmp_path: Path, fault: str, stream: bool
) -> None:
    name = "DNS:elsewhere.example" if fault == "wrong name" else "IP:127.0.0.1"
    made = make_certificate(tmp_path / "tls", name, expired=fault == "expired")
    context = None if fault == "self-signed" else made.trusting()
    async with (
        FaultUpstream(tls=made.serving()) as upstream,
        room_trusting(context, upstream.base_url) as room,
    ):
        answer = await room.ask(stream=stream)
        exchange = await outcome_of(room)

    assert answer.status == 502
    assert code_of(answer) == "upstream_tls"
    assert [attempt.error for attempt in exchange.attempts] == ["upstream_tls"]
    assert len(upstream.log.of("connected")) <= 1
    assert upstream.requests == []
    assert str(upstream.port).encode() not in answer.body


async def test_a3_the_next_target_is_asked_and_the_bad_one_only_once(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    made = make_certificate(tmp_path / "tls", expired=True)
    async with (
        FaultUpstream(tls=made.serving()) as bad,
        room_trusting(made.trusting(), bad.base_url, upstream.base_url) as room,
    ):
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 200
    assert [attempt.error for attempt in exchange.attempts] == ["upstream_tls", None]
    assert bad.requests == []


async def test_a3_plain_text_on_a_tls_port_is_never_taken_for_an_answer(upstream: FaultUpstream) -> None:
    async def say_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nplain")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(say_no, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        async with Room([f"https://127.0.0.1:{port}/v1", upstream.base_url]) as room:
            answer = await room.ask()
            exchange = await outcome_of(room)

    assert answer.status == 200
    assert [attempt.error for attempt in exchange.attempts] == ["upstream_tls", None]


async def test_a3_a_peer_that_hangs_up_at_the_greeting_is_not_tried_in_clear(upstream: FaultUpstream) -> None:
    seen = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(1024))
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
        port = rude.sockets[0].getsockname()[1]
        async with Room([f"https://127.0.0.1:{port}/v1", upstream.base_url]) as room:
            answer = await room.ask()
            exchange = await outcome_of(room)

    assert answer.status == 200
    assert exchange.attempts[0].error in {"upstream_unreachable", "upstream_tls"}
    assert len(exchange.attempts) == 2
    assert [data[:2] for data in seen] == [b"\x16\x03"]


async def test_a3_a_plain_provider_called_by_https_gets_nothing_in_clear(upstream: FaultUpstream) -> None:
    async with Room([upstream.base_url.replace("http:", "https:")]) as room:
        answer = await room.ask()
        await outcome_of(room)

    received = upstream.log.bytes_received()
    assert answer.status == 504  # it waits for the end of a request that never comes
    assert received.startswith(b"\x16\x03")
    assert not any(secret in received for secret in SECRETS)


async def test_a3_a_tls_provider_called_by_http_is_a_protocol_error(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls")
    async with (
        FaultUpstream(tls=made.serving()) as upstream,
        Room([upstream.base_url.replace("https:", "http:")]) as room,
    ):
        answer = await room.ask()
        exchange = await outcome_of(room)

    assert answer.status == 502
    assert exchange.attempts[0].error in {"upstream_protocol", "upstream_disconnected"}
    assert upstream.requests == []


@pytest.mark.slow
def test_the_server_speaks_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls")
    config = f'[server]\ntls_cert = "{made.cert}"\ntls_key = "{made.key}"\n'
    with ServerProcess(tmp_path / "data", config) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert "curl -k https://" in server.greeting
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=10, context=made.trusting()
        )
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {server.local_key}"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
            plain.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"HTTP" not in plain.recv(1024)
        code = server.stop()

    assert answer.status == 200
    assert b"default" in body
    assert code == 0
    assert "Traceback" not in server.log()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["missing", "not a certificate", "key of another", "no key"])
def test_a_certificate_that_cannot_be_used_is_one_sentence_and_exit_3(tmp_path: Path, fault: str) -> None:
    made = make_certificate(tmp_path / "tls")
    cert, key = made
    if fault == "missing":
        cert = tmp_path / "nowhere.pem"
    elif fault == "not a certificate":
        cert = tmp_path / "text.pem"
        cert.write_text("hello\n", encoding="ascii")
    elif fault == "key of another":
        key = make_certificate(tmp_path / "other").key
    lines = [f'tls_cert = "{cert}"'] + ([] if fault == "no key" else [f'tls_key = "{key}"'])
    config = tmp_path / "greenroom.toml"
    config.write_text("\n".join(["[server]", *lines, ""]), encoding="utf-8")

    ran = greenroom(
        tmp_path / "data",
        "serve",
        "--port",
        "0",
        environment=environment_of() | {"GREENROOM_CONFIG": str(config)},
    )

    assert ran.returncode == 3
    assert "Traceback" not in ran.stderr
    assert "tls" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
