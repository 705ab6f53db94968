"""Providers behind a proxy: the tunnel, its credentials, its refusals, and who is never asked through it."""

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from greenroom.errors import UpstreamError, UpstreamTimeout, UpstreamTLS, UpstreamUnreachable
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
from greenroom.models.proxies import Proxies
from greenroom.models.response import Limits
from tests.faults.certificates import OPENSSL, make_certificate
from tests.faults.upstream import FaultUpstream

NAME = "models.example.test"
LIMITS = Limits(connect_s=1.0, first_byte_s=1.0, idle_s=1.0, total_s=3.0)
BODY = b'{"model": "scripted", "messages": []}'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n%b" % (
    NAME.encode(), len(BODY), BODY,
)  # fmt: skip

needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


class ScriptedProxy:
    """Answers CONNECT with `answer`, then joins the caller to `port` on loopback, whatever name was asked for."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.heads: list[bytes] = []
        self.port = 0
        self._leads_to = port
        self._serving: set[asyncio.Task[None]] = set()
        self._answer = answer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # for the transports to be gone

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self._answer)
            if not self._answer:
                await reader.read()
            if b" 200 " in self._answer:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._leads_to)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def pool_through(
    proxy: ScriptedProxy, *, credentials: str = "", context: ssl.SSLContext | None = None
) -> AsyncIterator[Pool]:
    """A pool that calls everything through the proxy."""
    pool = Pool(context, Proxies({"HTTPS_PROXY": f"http://{credentials}127.0.0.1:{proxy.port}"}))
    pool._proxies._by_scheme["http"] = pool._proxies._by_scheme["https"]
    pool.start()
    try:
        yield pool
    finally:
        pool.stop()


@needs_openssl
async def test_https_goes_through_a_tunnel_with_the_credentials_for_the_proxy_alone(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls", f"DNS:{NAME}")
    async with (
        FaultUpstream(tls=made.serving()) as upstream,
        ScriptedProxy(upstream.port) as proxy,
        pool_through(proxy, credentials="ana:p%40ss@", context=made.trusting()) as pool,
    ):
        for _ in range(2):
            response = await pool.request(Origin("https", NAME, 443, "/v1"), REQUEST, LIMITS)
            assert response.status == 200
            assert b"Good morning." in await response.read()
        in_use = pool.in_use

    (head,) = proxy.heads
    secret = b64encode(b"ana:p@ss")
    assert head.startswith(b"CONNECT models.example.test:443 HTTP/1.1\r\nHost: models.example.test:443\r\n")
    assert b"\r\nProxy-Authorization: Basic " + secret + b"\r\n" in head
    assert in_use == 0
    assert len(upstream.requests) == 2
    assert upstream.requests[0].header("Proxy-Authorization") is None
    assert secret not in upstream.log.bytes_received()


@needs_openssl
async def test_the_certificate_is_checked_for_the_providers_name_not_the_proxys(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls", "IP:127.0.0.1")
    async with (
        FaultUpstream(tls=made.serving()) as upstream,
        ScriptedProxy(upstream.port) as proxy,
        pool_through(proxy, context=made.trusting()) as pool,
    ):
        with pytest.raises(UpstreamTLS):
            await pool.request(Origin("https", NAME, 443, "/v1"), REQUEST, LIMITS)
    assert upstream.requests == []


async def test_plain_http_goes_through_a_tunnel_too(upstream: FaultUpstream) -> None:
    async with ScriptedProxy(upstream.port) as proxy, pool_through(proxy) as pool:
        response = await pool.request(Origin("http", NAME, 80, "/v1"), REQUEST, LIMITS)
        body = await response.read()

    assert b"Good morning." in body
    assert proxy.heads[0].startswith(b"CONNECT models.example.test:80 HTTP/1.1\r\n")
    assert b"Authorization" not in proxy.heads[0]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", UpstreamUnreachable),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", UpstreamUnreachable),
        (b"nonsense\r\n\r\n", UpstreamUnreachable),
        (b"HTTP/1.1 20", UpstreamUnreachable),
        (b"", UpstreamTimeout),
    ],
    ids=["407", "502", "nonsense", "cut", "silent"],
)
async def test_a_proxy_that_does_not_connect_is_an_error_without_its_address_or_credentials(
    upstream: FaultUpstream, answer: bytes, wanted: type[UpstreamError]
) -> None:
    async with (
        ScriptedProxy(upstream.port, answer) as proxy,
        pool_through(proxy, credentials="ana:canary@") as pool,
    ):
        with pytest.raises(wanted) as failed:
            await pool.request(Origin("https", NAME, 443, "/v1"), REQUEST, LIMITS)
        assert pool.in_use == 0
        assert "canary" not in str(failed.value)
        assert str(proxy.port) not in str(failed.value)
    assert upstream.requests == []


async def test_a_proxy_that_is_not_there_is_unreachable_never_gone_around(upstream: FaultUpstream) -> None:
    async with ScriptedProxy(upstream.port) as proxy:
        gone = proxy
    async with pool_through(gone) as pool:
        with pytest.raises(UpstreamUnreachable):
            await pool.request(Origin("http", NAME, upstream.port, "/v1"), REQUEST, LIMITS)
    assert upstream.log.of("connected") == []


def https(host: str) -> Origin:
    return Origin("https", host, 443, "/v1")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.4.2", "::1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_loopback_is_never_called_through_a_proxy(host: str, scheme: str) -> None:
    proxies = Proxies({"ALL_PROXY": "http://proxy.example.test:3128"})

    assert proxies.choose(https("far.example.test")) is not None
    assert proxies.choose(Origin(scheme, host, 8080, "")) is None


async def test_no_proxy_names_hosts_and_their_subdomains() -> None:
    proxies = Proxies(
        {
            "HTTPS_PROXY": "http://proxy.example.test:8080",
            "NO_PROXY": "inside.example.test, .Corp.example,10.0.0.7",
        }
    )

    direct = ("inside.example.test", "deep.inside.example.test", "corp.example", "a.corp.example", "10.0.0.7")
    assert [proxies.choose(https(host)) for host in direct] == [None] * len(direct)
    through = ("outside.example.test", "notinside.example.test", "notcorp.example", "10.0.0.70")
    assert all(proxies.choose(https(host)) is not None for host in through)


async def test_a_star_in_no_proxy_means_everything() -> None:
    assert Proxies({"ALL_PROXY": "proxy:1", "NO_PROXY": "*"}).choose(https("far.example.test")) is None


async def test_the_variables_by_scheme_and_case() -> None:
    assert Proxies({}).choose(https("far.example.test")) is None
    assert Proxies({"HTTP_PROXY": "http://p:1"}).choose(https("far.example.test")) is None
    lower = Proxies({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:2"}).choose(
        https("far.example.test")
    )
    bare = Proxies({"ALL_PROXY": "bare.example.test"}).choose(https("far.example.test"))

    assert lower is not None
    assert lower.host == "low"
    assert bare is not None
    assert (bare.host, bare.authorization) == ("bare.example.test", None)


@pytest.mark.parametrize(
    "url", ["socks5://p:1", "https://ana:canary@p:1", "http://", "http://ana:canary@p:port"]
)
async def test_a_proxy_we_cannot_speak_to_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"proxy|[Pp]ort") as refused:
        Proxies({"HTTPS_PROXY": url})
    assert "canary" not in str(refused.value)
