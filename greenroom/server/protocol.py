"""HTTP/1.1 on one socket: our protocol class under uvicorn's server.

Parses with httptools, refuses what is ambiguous, keeps limits on the size of heads and bodies, and hands each
request on as `connection.py` takes them. Knows bytes; nothing of JSON.
"""

import asyncio
import logging
from typing import Any

import httptools

from greenroom.server.connection import Connection
from greenroom.server.head import HEADER_LIMIT_BYTES, URL_LIMIT_BYTES, Refusal, Refused, Request, check_fields
from greenroom.server.shared import Shared

log = logging.getLogger("greenroom.server")

HEALTH = frozenset({b"/healthz", b"/readyz"})


class HttpProtocol(Connection):
    """What reads a connection: bytes to requests.

    `functools.partial` with `shared` is what uvicorn calls for each new connection (its `http=` seam).
    """

    def __init__(
        self,
        shared: Shared,
        config: Any,  # uvicorn's Config
        server_state: Any,  # uvicorn's ServerState
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        loop = _loop or asyncio.get_event_loop()
        super().__init__(shared, config.loaded_app, server_state, app_state, loop)
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._known_url = b""
        """What `_path` and `_query` were taken from: a client asks for the same again and again."""
        self._query = b""
        self._known_host: bytes | None = None
        self._is_chunked = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._body_size = 0
        self._limit = 0
        """What the body that is being read may take, in bytes."""
        self._is_offer = False
        """Whether the head that was read last offers another protocol."""

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._since = self.loop.time()
            return
        if self._request is None:
            self._head_bytes += len(data)
            if not self._begun:
                self._since = self.loop.time()
        else:
            self._since = self.loop.time()
            self._awaits_go = False
            if self._is_chunked:
                self._head_bytes += len(data)
        read = None
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                read = offer.args[0]
            if read is not None:  # outside of the handler, which would change the cause of further errors
                self._decline(memoryview(data)[read:])
            if self._pieces:
                self._hold(len(data))
        except Refused as refused:
            self._refuse(refused.status, refused.message)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, Refused):
                self._refuse(cause.status, cause.message)
            else:
                log.exception("request parser failed")
                self._refuse(400, "The request is not valid HTTP.")
        except httptools.HttpParserError:
            if not self._closing:
                self._refuse(400, "The request is not valid HTTP/1.1.")
        if self._head_bytes > HEADER_LIMIT_BYTES and (self._request is None or self._is_chunked):
            self._refuse(431, "The request's head is too large, or what its chunks say beside the body.")

    def _decline(self, rest: memoryview) -> None:
        """Go on in HTTP/1.1 with a client that offers another protocol, as Java's does in clear text.

        The parser takes the offer for the end of HTTP: a new one reads the body behind a head without it.
        """
        while True:
            parser = self._parser = httptools.HttpRequestParser(self)
            if self._is_offer:
                parser.feed_data(self._head_without_offer())
            try:
                parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                read = offer.args[0]
            else:
                return
            rest = rest[read:]

    def _head_without_offer(self) -> bytes:
        request = self._request
        assert request is not None, "an offer stands in a head"
        self._begun = False
        names = (b"content-length", b"transfer-encoding")
        framing = b"".join(
            b"%b: %b\r\n" % (name, request.headers[name]) for name in names if name in request.headers
        )
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, self._url, framing)

    def eof_received(self) -> bool:
        return False

    # httptools callbacks

    def on_url(self, url: bytes) -> None:
        if self._begun:
            url = self._url + url
        self._url = url
        self._begun = True
        if len(url) > URL_LIMIT_BYTES:
            raise Refused(414, "The URL is longer than 8 KB.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._closing:
            raise Refused(0, "")  # nothing more is looked at
        if self._request is not None:
            self._is_offer = False  # the head that `_decline` made
            return
        fields = self._fields
        headers = dict(fields)
        if len(headers) < len(fields) or len(fields) > 32 or self._head_bytes > HEADER_LIMIT_BYTES:
            check_fields(fields)
        method = self._parser.get_method()
        if self._url != self._known_url:
            self._check_target(method)
        if headers.get(b"host") != self._known_host or self._known_host is None:
            self._check_host(headers.get(b"host"))
        length = headers.get(b"content-length")
        if b"transfer-encoding" in headers:
            self._check_framing(headers)
        elif length is not None and not length.isdigit():
            raise Refused(400, "The Content-Length is not a number.")
        self._fields = []  # what comes behind the body is not looked at
        request = Request(method, self._path, self._query, headers, fields)
        refusal = self._spared() if self._is_spare else self.shared.fast.admit(request)
        limits = self.shared.limits
        self._limit = limits.body_bytes if request.incoming is None else limits.file_bytes
        if refusal is None:
            if length is not None:
                size = int(length[:20])
                if size > self._limit:
                    raise self._too_large()
                if size > self.shared.room and request.incoming is None:
                    raise self._no_room()
        else:
            if self._is_spare or self._is_chunked or (length is not None and length != b"0"):
                self._refuse_with(refusal)
                raise Refused(0, "")
            request.context = refusal
        request.is_last = not self._parser.should_keep_alive()
        self._is_offer = b"upgrade" in headers and self._parser.should_upgrade()
        self._request = request
        if b"expect" in headers and refusal is None:
            self._expect(headers[b"expect"])
        if request.incoming is not None:
            request.incoming.attach(self._pause_reading, self._resume_reading)
            self._dispatch(request)

    def on_body(self, body: bytes) -> None:
        if self._is_chunked:
            self._body_size += len(body)
            self._head_bytes = 0
            if self._body_size > self._limit:
                raise self._too_large()
        request = self._request
        if request is not None and request.incoming is not None:
            request.incoming.feed(body)
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._is_offer:
            return  # the body is still to come, see `_decline`
        request = self._request
        assert request is not None, "a head comes before its end"
        pieces = self._pieces
        if pieces:
            request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._pieces = []
            if self._held:
                self._let_go()
        self._request = None
        self._awaits_go = False
        if self._fields:
            self._fields = []
        self._head_bytes = 0
        self._begun = False
        if self._is_chunked:
            self._is_chunked = False
            self._body_size = 0
        if request.incoming is not None:
            request.incoming.end()
        else:
            self._dispatch(request)

    # what a head may say

    def _check_target(self, method: bytes) -> None:
        url = self._url
        if not url.startswith(b"/") and (method != b"OPTIONS" or url != b"*"):
            raise Refused(400, "The request target must begin with a slash.")
        if b"#" in url or b"\x00" in url:
            raise Refused(400, "The request target is not valid.")
        self._path, _, self._query = url.partition(b"?")
        self._known_url = url if url != b"*" else b""

    def _check_host(self, host: bytes | None) -> None:
        if host is None:
            raise Refused(400, "The request has no Host header.")
        if host not in self.shared.hosts and not self._is_own_host(host):
            raise Refused(421, "This host name is not served here. Add it to [server] hosts.")
        self._known_host = host

    def _is_own_host(self, host: bytes) -> bool:
        name = host.rpartition(b":")[0] if b":" in host and not host.endswith(b"]") else host
        return name.lower() in self.shared.hosts

    def _check_framing(self, headers: dict[bytes, bytes]) -> None:
        is_chunked = headers[b"transfer-encoding"].lower() == b"chunked"
        if not is_chunked or b"content-length" in headers or self._parser.get_http_version() != "1.1":
            raise Refused(400, "The request's framing is ambiguous.")
        self._is_chunked = True
        self._head_bytes = 0

    def _expect(self, what: bytes) -> None:
        if what.lower() != b"100-continue" or self._parser.get_http_version() != "1.1":
            return
        self._awaits_go = True
        if self._run is None:
            self._tell_to_go()  # else behind the answers before

    def _spared(self) -> Refusal | None:
        """What a connection too many is told, unless it asks how the server is."""
        self._keep_alive = False
        if self._path in HEALTH:
            return None
        return self._overloaded("Too many connections are open here. Try again in a second.")

    # room for bodies

    def _hold(self, size: int) -> None:
        """Count what has come of a body that is not whole yet."""
        shared = self.shared
        self._held += size
        shared.room -= size
        if shared.room < 0:
            self._let_go()
            self._pieces = []
            raise self._no_room()

    def _asks_head(self) -> bool:
        return self._begun and self._parser.get_method() == b"HEAD"

    def _no_room(self) -> Refused:
        return Refused(503, "Too many bodies are being read here at once. Try again in a second.")

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._limit // 1048576} MB.")
