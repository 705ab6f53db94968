"""Calling providers: keep-alive connections by origin.

The only file that opens a socket outward. TLS is verified, proxies come from the environment. Knows
connections; nothing of what is said over them.
"""

import asyncio
import errno
import ssl

from greenroom.errors import (
    Overloaded,
    UpstreamDisconnected,
    UpstreamTimeout,
    UpstreamTLS,
    UpstreamUnreachable,
)
from greenroom.models.connection import Connection
from greenroom.models.names import Names
from greenroom.models.origin import Origin
from greenroom.models.proxies import Proxies, open_through
from greenroom.models.response import Limits, Response

IDLE_KEEP_S = 30.0
PER_ORIGIN_IDLE = 128
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class Pool:
    """Keep-alive connections by origin. `start` before use, `stop` closes everything."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
        names: Names | None = None,
    ) -> None:
        self._context = context
        self._names = names or Names()
        self._proxies = proxies or Proxies({})
        self._idle: dict[Origin, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Bind to the running loop."""
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self._sweep()

    def stop(self) -> None:
        """Close every connection at once."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in [*self._busy, *(one for many in self._idle.values() for one in many)]:
            if connection.transport is not None:
                connection.transport.abort()
        self._idle.clear()

    @property
    def in_use(self) -> int:
        """Connections with a request on them."""
        return len(self._busy)

    async def request(self, origin: Origin, data: bytes, limits: Limits, *, whole: bool = False) -> Response:
        """Send `data` (head and body) and return the answer once its head is there, or all of it.

        A kept socket that turns out dead before a byte came back is replaced once, silently.
        Raises: UpstreamUnreachable, UpstreamTLS, UpstreamTimeout, UpstreamDisconnected, UpstreamProtocol.
        """
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.transport is None or connection.transport.is_closing():
                continue
            connection.used = True
            self._busy.add(connection)
            try:
                return await connection.send(data, limits, whole)
            except UpstreamDisconnected:
                if not connection.is_stale:
                    raise
                break
            except asyncio.CancelledError:
                connection.abort()
                raise
        connection = await self._connect(origin, limits.connect_s)
        self._busy.add(connection)
        try:
            return await connection.send(data, limits, whole)
        except asyncio.CancelledError:
            connection.abort()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep a healthy connection for the next request."""
        self._busy.discard(connection)
        idle = connection.kept
        if len(idle) >= PER_ORIGIN_IDLE:
            if connection.transport is not None:
                connection.transport.abort()
            return
        connection.idle_since = self.now()
        idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is gone."""
        self._busy.discard(connection)
        if connection in connection.kept:
            connection.kept.remove(connection)

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self._busy):
            connection.check_time(now)
        for idle in self._idle.values():
            while idle and idle[0].idle_since + IDLE_KEEP_S < now:
                old = idle.pop(0)
                if old.transport is not None:
                    old.transport.abort()
        self._timer = self.loop.call_later(0.1, self._sweep)

    async def _connect(self, origin: Origin, connect_s: float) -> Connection:
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin)
        except TimeoutError:
            raise UpstreamTimeout("The provider could not be connected to in time.") from None
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise UpstreamTLS(f"The provider's TLS is not to be trusted: {_tls_reason(error)}.") from None
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                raise Overloaded("No more connections can be opened here. Try again in a second.") from None
            raise UpstreamUnreachable("The provider could not be reached.") from None

    async def _open(self, origin: Origin) -> Connection:
        tls = self._tls() if origin.scheme == "https" else None
        proxy = self._proxies.choose(origin)
        connection = Connection(self, origin)
        connection.kept = self._idle.setdefault(origin, [])
        if proxy is not None:
            address = (await self._names.addresses(proxy.host))[0]
            return await open_through(self.loop, proxy._replace(host=address), origin, connection, tls)
        failed: OSError | None = None
        for address in await self._names.addresses(origin.host):
            try:
                await self.loop.create_connection(
                    lambda: connection,
                    address,
                    origin.port,
                    ssl=tls,
                    server_hostname=origin.host if tls else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failed = error
            else:
                return connection
        assert failed is not None, "a name has at least one address"
        raise failed

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate is not valid"
    return (error.reason or "the handshake failed").replace("_", " ").lower()
