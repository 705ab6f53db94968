"""A provider's stream that pushes: who gives its bytes, and who takes them.

Knows nothing; connections, dialects and the relay meet here.
"""

from typing import Protocol


class Taker(Protocol):
    """Who gets a stream as it comes, in the call that read it; no method raises."""

    def take_chunk(self, data: bytes) -> bool:
        """What one read brought, framed as HTTP frames a chunk; False when it must be parsed instead.

        Asked only when a chunk has to begin; True means that the read was one whole chunk.
        """
        ...

    def take(self, data: bytes) -> None:
        """Bytes of the event stream, cut anywhere."""
        ...

    def end(self, error: Exception | None) -> None:
        """The bytes have ended: properly, or with what broke."""
        ...


class Source(Protocol):
    """A provider's event stream that pushes its bytes, so that no task has to wake up for each of them."""

    @property
    def is_clean(self) -> bool:
        """Whether the next byte begins an event."""
        ...

    def payloads(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete, `[DONE]` the last of them."""
        ...

    def rest(self) -> list[bytes]:
        """The payload the bytes ended in, if only its blank line is missing."""
        ...

    def push_to(self, taker: Taker) -> None:
        """Give all that has come and all that comes to `taker`; nothing may be pulled any more."""
        ...

    def pause(self) -> None:
        """Stop reading: the client is slower."""
        ...

    def resume(self) -> None:
        """Go on reading."""
        ...
