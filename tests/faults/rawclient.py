"""A client that obeys nobody: bytes as given, at any speed, read only when asked. Every wait has a limit.

Knows sockets and how to tell one HTTP answer from the next; nothing of Greenroom.
"""

import asyncio
import json
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answer:
    """One answer as it was read. `body` is without chunk framing; `whole` says whether it came to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def json(self) -> dict[str, object]:
        """The body, decoded."""
        decoded: dict[str, object] = json.loads(self.body)
        return decoded

    def events(self) -> list[bytes]:
        """The data of each server-sent event."""
        return [line[5:].strip() for line in self.body.split(b"\n") if line.startswith(b"data:")]


class RawClient:
    """One TCP connection to 127.0.0.1. `receive_bytes` makes its receive buffer small, for slow readers.

    What it reads whole is added to `answers`.
    """

    def __init__(
        self,
        port: int,
        *,
        receive_bytes: int | None = None,
        timeout_s: float = 5.0,
        answers: list[Answer] | None = None,
    ) -> None:
        self.port = port
        self.answers: list[Answer] = [] if answers is None else answers
        self.timeout_s = timeout_s
        self.unread = bytearray()
        """Bytes read from the socket and not yet handed out."""
        self.ended: float | None = None
        """When the peer ended or cut the connection, in seconds of the monotonic clock."""
        self.was_reset = False
        self._began = time.monotonic()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self.timeout_s):
                await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", self.port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def age_s(self) -> float:
        """Seconds since this client was made."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Leave in an orderly way, without reading what is still to come."""
        self._socket.close()

    def reset(self) -> None:
        """Leave with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        """End our side, go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    async def send(self, data: bytes, timeout_s: float | None = None) -> None:
        """All of `data`. Raises: TimeoutError when the peer does not take it, OSError when it is gone."""
        async with asyncio.timeout(timeout_s or self.timeout_s):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def send_slowly(self, data: bytes, *, every_s: float = 0.05, size: int = 1) -> int:
        """`size` bytes at a time; returns how many were taken before the peer left."""
        for at in range(0, len(data), size):
            try:
                await self.send(data[at : at + size])
            except OSError:
                return at
            await asyncio.sleep(every_s)
        return len(data)

    async def read_some(self, timeout_s: float | None = None, size: int = 65_536) -> bytes:
        """What comes next, empty at the end of the connection. Raises: TimeoutError."""
        if self.unread:
            data = bytes(self.unread[:size])
            del self.unread[:size]
            return data
        if self.ended is not None:
            return b""
        async with asyncio.timeout(self.timeout_s if timeout_s is None else timeout_s):
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, size)
            except ConnectionError:
                data = b""
                self.was_reset = True
        if not data:
            self.ended = time.monotonic()
        return data

    async def read_until(self, mark: bytes, timeout_s: float | None = None) -> bytes:
        """Everything up to and with `mark`; what there was when the connection ended before it."""
        read = bytearray()
        async with asyncio.timeout(self.timeout_s if timeout_s is None else timeout_s):
            while mark not in read:
                data = await self.read_some(timeout_s)
                if not data:
                    return bytes(read)
                read += data
        end = read.index(mark) + len(mark)
        self.unread[:0] = read[end:]
        return bytes(read[:end])

    async def read_to_end(self, timeout_s: float | None = None) -> bytes:
        """Everything until the peer ends the connection. Raises: TimeoutError when it does not."""
        read = bytearray()
        async with asyncio.timeout(self.timeout_s if timeout_s is None else timeout_s):
            while data := await self.read_some(timeout_s):
                read += data
        return bytes(read)

    async def closed_within(self, seconds: float) -> bool:
        """Whether the peer ends the connection within so many seconds; what it still says is dropped."""
        try:
            await self.read_to_end(seconds)
        except TimeoutError:
            return False
        return True

    async def answer(self, timeout_s: float | None = None) -> Answer:
        """The next answer. Raises: TimeoutError; EOFError when there is none."""
        async with asyncio.timeout(self.timeout_s if timeout_s is None else timeout_s):
            head = await self.read_until(b"\r\n\r\n", timeout_s)
            if not head.endswith(b"\r\n\r\n"):
                how = "was reset" if self.was_reset else "ended"
                raise EOFError(f"The connection {how} after {head[:200]!r}, {self.age_s():.2f} s old.")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            headers = tuple(
                (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
            )
            lower = {name.lower(): value for name, value in headers}
            status = int(first.split(" ")[1])
            if "chunked" in lower.get("transfer-encoding", "").lower():
                body, whole = await self._chunks(timeout_s)
            elif "content-length" in lower:
                body, whole = await self._exactly(int(lower["content-length"]), timeout_s)
            elif status in {204, 304} or status < 200:
                body, whole = b"", True
            else:
                body, whole = await self.read_to_end(timeout_s), True
        self.answers.append(Answer(status, headers, body, whole))
        return self.answers[-1]

    async def _exactly(self, size: int, timeout_s: float | None) -> tuple[bytes, bool]:
        read = bytearray()
        while len(read) < size:
            data = await self.read_some(timeout_s)
            if not data:
                return bytes(read), False
            read += data
        self.unread[:0] = read[size:]
        return bytes(read[:size]), True

    async def _chunks(self, timeout_s: float | None) -> tuple[bytes, bool]:
        body = bytearray()
        while True:
            line = await self.read_until(b"\r\n", timeout_s)
            if not line.endswith(b"\r\n"):
                return bytes(body), False
            size = int(line.split(b";")[0], 16)
            if size == 0:
                end = await self.read_until(b"\r\n", timeout_s)
                return bytes(body), end.endswith(b"\r\n")
            data, whole = await self._exactly(size + 2, timeout_s)
            body += data[:size]
            if not whole:
                return bytes(body), False


def request_bytes(
    body: bytes | dict[str, object],
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    key: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    host: str = "127.0.0.1",
    length: int | None = None,
) -> bytes:
    """A well-formed request; `length` announces another body length than the true one."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines.append(f"Content-Length: {len(data) if length is None else length}")
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def chat_bytes(
    model: str,
    text: str = "Good morning.",
    *,
    stream: bool = False,
    key: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A chat completion request with one user message."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return request_bytes(body, key=key, headers=headers)
