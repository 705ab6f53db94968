"""What a provider answered, as whoever asked reads it, and how long that may take. Knows bytes; no socket."""

from typing import TYPE_CHECKING, NamedTuple, Self

from msgspec import Struct

from greenroom.wire.source import Taker

if TYPE_CHECKING:
    from greenroom.models.connection import Connection


class Limits(NamedTuple):
    """How long to wait, in seconds: for the connection, the first byte, between pieces, and in all."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 15.0
    total_s: float = 600.0


class Response(Struct, eq=False):
    """An answer whose head has come. Whole: `await read()`. Stream: `async for data in response`."""

    _connection: "Connection"
    status: int
    headers: dict[bytes, bytes]
    _body: bytes | None = None
    """All of it, where it was waited for."""

    async def read(self) -> bytes:
        """The whole body, decompressed. Raises UpstreamError when it is cut, late or too large."""
        if self._body is not None:
            return self._body
        pieces = [piece async for piece in self]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self._connection.next_piece()
        if data is None:
            raise StopAsyncIteration
        return data

    def push_to(self, taker: Taker) -> None:
        """Give the rest to `taker` as it is read."""
        self._connection.push_to(taker)

    def pause(self) -> None:
        """Stop reading for a while; no deadline runs."""
        self._connection.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._connection.resume()

    def close(self) -> None:
        """Give up on the rest; the connection goes back to the pool only if the answer was read whole."""
        self._connection.finish()
