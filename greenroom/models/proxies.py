"""HTTP proxies: which one an origin is called through, and the tunnel to it.

Knows the usual variables and CONNECT; nothing of requests.
"""

import asyncio
import os
import ssl
from base64 import b64encode
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from greenroom.errors import UpstreamUnreachable
from greenroom.models.origin import Origin

ANSWER_LIMIT_BYTES = 65_536
"""Of what a proxy says to CONNECT."""

C = TypeVar("C", bound=asyncio.Protocol)


class Proxy(NamedTuple):
    """An HTTP proxy: where, and its credentials encoded for the header."""

    host: str
    port: int
    authorization: str | None


class Proxies:
    """Which proxy an origin is called through, by the usual variables.

    `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, upper or lower case. Loopback is never proxied.
    """

    def __init__(self, environment: dict[str, str] | os._Environ[str]) -> None:
        def read(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name) or ""

        self._by_scheme = {
            "https": _proxy(read("HTTPS_PROXY") or read("ALL_PROXY")),
            "http": _proxy(read("HTTP_PROXY") or read("ALL_PROXY")),
        }
        self._direct = [
            entry.strip().lstrip(".").lower() for entry in read("NO_PROXY").split(",") if entry.strip()
        ]

    def choose(self, origin: Origin) -> Proxy | None:
        """The proxy for this origin, or None to go directly."""
        proxy = self._by_scheme[origin.scheme]
        host = origin.host.lower()
        if proxy is None or host in ("localhost", "::1") or host.startswith("127."):
            return None
        for entry in self._direct:
            if entry in ("*", host) or host.endswith("." + entry):
                return None
        return proxy


def _proxy(url: str) -> Proxy | None:
    if not url:
        return None
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port or 3128
    except ValueError:  # its text may quote a part of the password
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise ValueError("a proxy variable of the environment is not an http:// address")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Proxy(parts.hostname, port, authorization)


class _Tunnel(asyncio.Protocol):
    """Waits for the proxy's answer to CONNECT."""

    def __init__(self, done: "asyncio.Future[bytes]") -> None:
        self._done = done
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if (b"\r\n\r\n" in self._data or len(self._data) > ANSWER_LIMIT_BYTES) and not self._done.done():
            self._done.set_result(self._data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the proxy closed the connection"))


async def open_through(
    loop: asyncio.AbstractEventLoop,
    proxy: Proxy,
    origin: Origin,
    connection: C,
    tls: ssl.SSLContext | None,
) -> C:
    """Connect `connection` to `origin` by way of a proxy, with TLS to the origin where `tls` is given.

    Raises: UpstreamUnreachable when the proxy refuses; OSError, ssl.SSLError.
    """
    done: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Tunnel(done), proxy.host, proxy.port)
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    transport.write("\r\n".join([*lines, "", ""]).encode())
    try:
        answer = await done
        status = answer.split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise UpstreamUnreachable("The proxy refused to connect to the provider.")
        transport.set_protocol(connection)
        if tls is None:
            connection.connection_made(transport)
            return connection
        upgraded = await loop.start_tls(transport, connection, tls, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    assert upgraded is not None
    connection.connection_made(upgraded)
    return connection
