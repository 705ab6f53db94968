"""Requests that are sent again: with an `Idempotency-Key` a repeat gets the answer of the first.

A client that lost its connection may ask again without paying twice: the call goes on though its client left,
and whoever repeats it waits for the same answer. Streams are not kept: their repeat is refused while the
first is at work, and is a request of its own afterwards. Knows answers as bytes; nothing of what they say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import Conflict, MalformedRequest
from greenroom.server.head import Request

if TYPE_CHECKING:
    from greenroom.server.outgoing import Outgoing

HEADER = b"idempotency-key"
WINDOW_S = 600.0
"""So long an answer is kept."""
LIMIT_BYTES = 16 * 1024 * 1024
"""Of all kept answers; the oldest go first."""
LIMIT_COUNT = 10_000
_TRY_AGAIN = frozenset({408, 409, 429})
"""Statuses that a repeat is meant to change, beside all from 500 on."""


class Answered(NamedTuple):
    """One whole answer."""

    status: int
    body: bytes
    headers: bytes


class Tape:
    """Takes a whole answer in the place of a connection."""

    def __init__(self) -> None:
        self.answered: Answered | None = None
        self.is_cut = False

    @property
    def started(self) -> bool:
        """Whether there is an answer."""
        return self.answered is not None

    def respond(self, status: int, body: bytes, headers: bytes = b"") -> None:
        """As a connection's."""
        self.answered = Answered(status, body, headers)

    def respond_fine(self, body: bytes, headers: bytes) -> None:
        """As a connection's."""
        self.answered = Answered(200, body, headers)


class _Streamed(Struct):
    stream: bool | None = None


class _Entry(Struct, eq=False):
    digest: bytes
    began: float
    task: asyncio.Task[Answered] | None = None
    """None for a stream."""
    size_bytes: int = 0


_streamed = Decoder(_Streamed)


class Repeats:
    """The answers of keyed requests, by caller and key. Belongs to one event loop."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._entries: dict[tuple[str, bytes], _Entry] = {}
        """Oldest first."""
        self._size_bytes = 0

    async def answer(
        self,
        request: Request,
        key_id: str,
        out: "Outgoing",
        answer: Callable[[Request, "Outgoing"], Awaitable[None]],
    ) -> None:
        """Answer a keyed request by `answer`, or as the one that it repeats was answered.

        Raises: Conflict for another body under the same key, or a stream at work; MalformedRequest.
        """

        async def taped(tape: Tape) -> None:
            await answer(request, cast("Outgoing", tape))  # of which it has what whole answers use

        answered = await self._whole(request, key_id, taped)
        if answered is not None:
            out.respond(*answered)
            return
        try:
            await answer(_without_key(request), out)
        finally:
            self._ended(request, key_id)

    async def _whole(
        self, request: Request, key_id: str, answer: Callable[[Tape], Awaitable[None]]
    ) -> Answered | None:
        """The answer of this request or of the one it repeats; None for a stream."""
        name, digest = self._name(request, key_id)
        entry = self._entries.get(name)
        if entry is not None:
            if entry.digest != digest:
                raise Conflict("This Idempotency-Key was used with another body. Send a new key.")
            if entry.task is None:
                raise Conflict("A stream with this Idempotency-Key is at work. Wait for its end.")
            answered = await asyncio.shield(entry.task)
            return answered._replace(headers=answered.headers + b"idempotent-replayed: true\r\n")
        entry = self._entries[name] = _Entry(digest, self._now())
        if _is_stream(request.body):
            return None
        entry.task = asyncio.get_running_loop().create_task(self._run(name, entry, answer))
        return await asyncio.shield(entry.task)

    def _ended(self, request: Request, key_id: str) -> None:
        """A stream is over."""
        entry = self._entries.get((key_id, request.headers[HEADER]))
        if entry is not None and entry.task is None:
            del self._entries[key_id, request.headers[HEADER]]

    async def _run(
        self, name: tuple[str, bytes], entry: _Entry, answer: Callable[[Tape], Awaitable[None]]
    ) -> Answered:
        """In a task of its own, kept by its entry: it outlives the connection it was asked on."""
        tape = Tape()
        is_kept = False
        try:
            await answer(tape)
            answered = tape.answered
            assert answered is not None, "whoever does not stream answers whole"
            is_kept = answered.status < 500 and answered.status not in _TRY_AGAIN
            entry.size_bytes = len(answered.body) + len(answered.headers)
            return answered
        finally:
            if not is_kept:
                del self._entries[name]
            else:
                self._size_bytes += entry.size_bytes

    def _name(self, request: Request, key_id: str) -> tuple[tuple[str, bytes], bytes]:
        token = request.headers[HEADER]
        if not 0 < len(token) <= 255:
            raise MalformedRequest("An Idempotency-Key has 1 to 255 characters.", "idempotency-key")
        self._forget()
        return (key_id, token), sha256(request.path + b"\n" + request.body).digest()

    def _forget(self) -> None:
        """Let go of what is too old, and of the oldest where there is too much."""
        oldest = self._now() - WINDOW_S
        for name, entry in list(self._entries.items()):
            too_many = len(self._entries) >= LIMIT_COUNT or self._size_bytes > LIMIT_BYTES
            if entry.began > oldest and not too_many:
                return
            if entry.task is not None and entry.task.done():
                self._size_bytes -= entry.size_bytes
                del self._entries[name]


def _without_key(request: Request) -> Request:
    """The same request as one that may be repeated at will."""
    headers = {name: value for name, value in request.headers.items() if name != HEADER}
    return Request(
        request.method, request.path, request.query, headers, request.raw_headers, True, request.body,
        context=request.context,
    )  # fmt: skip


def _is_stream(body: bytes) -> bool:
    try:
        return bool(_streamed.decode(body).stream)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False  # its answer is an error, and that is whole
