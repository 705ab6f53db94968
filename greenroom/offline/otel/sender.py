"""One connection to a collector: a message out, what it says of it back. Blocking, for a thread of its own.

Redirects are not followed, certificates are checked, and no more of an answer is read than it can need.
"""

import zlib
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from threading import Timer
from time import monotonic
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from greenroom import __version__
from greenroom.models.origin import Origin
from greenroom.models.proxies import Proxies, Proxy
from greenroom.offline.otel.settings import Plan
from greenroom.wire.otlp.answers import read_json, read_protobuf

MOST_ANSWER_BYTES = 65_536
_LATER = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429})
"""What may be mended there, or here: nothing is given up for it. So are redirects and all 5xx."""
_LONGEST_WAIT_S = 300.0


class Answer(NamedTuple):
    """What became of a message.

    "taken": all of it but `rejected` records. "later": none, try again, after `wait_s` if it said so.
    "smaller": it is too large. "refused": none of it, for good. `said`: why, in words, without what was sent.
    """

    kind: Literal["taken", "later", "smaller", "refused"]
    rejected: int = 0
    said: str = ""
    wait_s: float = 0.0


class Sender:
    """Sends to one collector. Never raises for what it or the network does."""

    def __init__(self, plan: Plan, proxies: Proxies) -> None:
        parts = urlsplit(plan.endpoint)
        self._plan = plan
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._base = parts.path
        self._proxy = proxies.choose(
            Origin("https" if self._secure else "http", self._host, self._port, self._base)
        )
        self._connection: HTTPConnection | None = None
        self._used_at = 0.0
        self._is_waiting = False
        self._is_late = False

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def interrupt(self) -> None:
        """Wake who waits for an answer: it does not come. May be called from any thread."""
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None and self._is_waiting:
            with suppress(OSError):  # it may have closed meanwhile
                sock.shutdown(SHUT_RDWR)

    def _end(self) -> None:
        self._is_late = self._is_waiting
        self.interrupt()

    def send(self, path: str, body: bytes, timeout_s: float | None = None) -> Answer:
        """POST a message to `/v1/traces`, `/v1/metrics` or `/v1/logs`."""
        timeout_s = self._plan.config.timeout_s if timeout_s is None else timeout_s
        is_json = self._plan.protocol == "http/json"
        headers = {
            "content-type": "application/json" if is_json else "application/x-protobuf",
            "user-agent": f"greenroom/{__version__}",
            **dict(self._plan.headers),
        }
        if self._plan.compresses:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers["content-encoding"] = "gzip"
        self._is_waiting, self._is_late = True, False
        timer = Timer(timeout_s, self._end)  # a socket's own time begins anew with each byte
        timer.daemon = True
        timer.start()
        try:
            status, found, wait_s = self._post(path, body, headers, timeout_s)
            if self._is_late:
                raise TimeoutError
        except (OSError, HTTPException) as error:
            self.close()
            return Answer(
                "later", said=_said(TimeoutError() if self._is_late else error, self._host, self._port)
            )
        finally:
            timer.cancel()
            self._is_waiting = False
        if 200 <= status < 300:
            rejected, said = (read_json if is_json else read_protobuf)(found)
            return Answer("taken", rejected, said)
        said = f"{self._host} answered {status}"
        if status in _LATER or 300 <= status < 400 or status >= 500:
            return Answer("later", said=said, wait_s=wait_s)
        return Answer("smaller" if status == 413 else "refused", said=said)

    def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes, float]:
        connection = self._connected(timeout_s)
        target = self._base + path
        if self._proxy is not None and not self._secure:
            target = f"http://{self._host}:{self._port}{target}"
            if self._proxy.authorization:
                headers = {**headers, "proxy-authorization": self._proxy.authorization}
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        found = answer.read(MOST_ANSWER_BYTES + 1)
        self._used_at = monotonic()
        if answer.will_close or len(found) > MOST_ANSWER_BYTES or not answer.isclosed():
            self.close()
        return answer.status, found, _wait_s(answer)

    def _connected(self, timeout_s: float) -> HTTPConnection:
        if self._connection is not None and monotonic() - self._used_at > _IDLE_S:
            self.close()  # whoever is there may have hung up meanwhile
        if self._connection is None:
            self._connection = self._open(timeout_s, self._proxy)
        self._connection.timeout = timeout_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        return self._connection

    def _open(self, timeout_s: float, proxy: Proxy | None) -> HTTPConnection:
        host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
        if not self._secure:
            return HTTPConnection(host, port, timeout=timeout_s)
        connection = HTTPSConnection(host, port, timeout=timeout_s)
        if proxy is not None:
            allowed = {"proxy-authorization": proxy.authorization} if proxy.authorization else {}
            connection.set_tunnel(self._host, self._port, allowed)
        return connection


_IDLE_S = 4.0
"""So long unused, and a connection is not used again: below what most servers wait."""


def _wait_s(answer: HTTPResponse) -> float:
    said = answer.getheader("retry-after", "")
    return min(float(said), _LONGEST_WAIT_S) if said.isascii() and said.isdigit() and len(said) < 9 else 0.0


def _said(error: Exception, host: str, port: int) -> str:
    """What went wrong, by the error's name: its words may hold addresses of a proxy with its password."""
    if isinstance(error, TimeoutError):
        return f"{host}:{port} did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {host}:{port}"
    return f"{host}:{port} can't be reached ({type(error).__name__})"
