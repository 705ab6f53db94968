"""A bridge from our protocol to an ASGI application, for pages and administration.

Speaks ASGI 3 HTTP: whole body in one `http.request` (an upload piece by piece), streamed responses,
disconnects. No websockets.
"""

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from greenroom.server.connection import Connection
    from greenroom.server.head import Request


class AsgiCycle:
    """One request handed to the app and its answer written back."""

    def __init__(self, connection: "Connection", request: "Request") -> None:
        self._connection = connection
        self._request = request
        self._body_given = False
        self._head: bytes | None = None
        self._chunked = False
        self._is_whole = False
        self._left: int | None = None
        """Bytes of the body that are announced and still to come; None where nothing was announced."""
        self._no_body = request.method == b"HEAD"

    async def run(self) -> None:
        """Call the app. What it raises is the protocol's to report, unless it has answered for it.

        Starlette sends its page on an error and raises the error after it: the connection would be cut before
        the page has left.
        """
        try:
            await self._connection.app(self._scope(), self._receive, self._send)
        except Exception:  # whatever it was: an app that answered whole has told and logged it
            if not self._is_whole or self._left:
                raise
        if not self._is_whole or self._left:
            # The client would take the next answer for the rest of this one.
            raise RuntimeError("the app ended before its answer did")

    def _scope(self) -> dict[str, Any]:
        request = self._request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": None,
            "client": self._connection.client,
            "scheme": "https" if self._connection.secure else "http",
            "method": request.method.decode("ascii"),
            "root_path": "",
            "path": unquote(request.path.decode("latin-1"), errors="replace"),
            "raw_path": request.path,
            "query_string": request.query,
            "headers": request.raw_headers,
            "state": self._connection.app_state.copy(),
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._body_given and self._request.incoming is not None:
            body, more = await self._request.incoming.read()
            self._body_given = not more
            return {"type": "http.request", "body": body, "more_body": more}
        if not self._body_given:
            self._body_given = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        # The app waits for a disconnect; the task is cancelled when it comes.
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            await self._write(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, message: MutableMapping[str, Any]) -> None:
        status = message["status"]
        lines = [b"HTTP/1.1 %d \r\n" % status]
        has_length = False
        for name, value in message.get("headers", ()):
            lines.append(b"%b: %b\r\n" % (name, value))
            if name.lower() == b"content-length":
                has_length, self._left = True, int(value)
        self._no_body = self._no_body or status in {204, 304}
        if self._no_body:
            self._left = None
        if not has_length and not self._no_body:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines += (self._connection.close_after(), b"\r\n")
        self._head = b"".join(lines)

    async def _write(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head or b"", b""
        if self._no_body:
            data = head
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = head + piece + (b"" if more else b"0\r\n\r\n")
        else:
            if self._left is not None:
                body = body[: self._left]
                self._left -= len(body)
            data = head + body
        if data:
            self._connection.raw(data)
        self._is_whole = not more
        await self._connection.drained()
