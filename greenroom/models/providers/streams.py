"""A provider's stream of another dialect, read and translated as it comes."""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol, TypeVar

from greenroom.exchange import Exchange
from greenroom.models.providers.losses import note_lost
from greenroom.models.response import Response

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Parser(Protocol[T_co]):
    """Cuts bytes into events."""

    def feed(self, data: bytes, /) -> Iterable[T_co]:
        """The events that are complete now."""
        ...

    def flush(self) -> Iterable[T_co]:
        """The event the bytes ended in. Raises UpstreamError where it is cut."""
        ...


class Translator(Protocol[T_contra]):
    """Turns events into encoded chat pieces."""

    lost: list[str]

    def feed(self, event: T_contra, /) -> list[bytes]:
        """The pieces that an event stands for. Raises UpstreamError."""
        ...

    def finish(self) -> list[bytes]:
        """The last pieces, once the bytes have ended. Raises UpstreamError when the answer had not."""
        ...


async def translated(
    response: Response, parser: Parser[T], translator: Translator[T], exchange: Exchange
) -> AsyncIterator[list[bytes]]:
    """The pieces as they come, `[DONE]` the last; the answer's own losses are noted at its end."""
    try:
        async for data in response:
            pieces = [piece for event in parser.feed(data) for piece in translator.feed(event)]
            if pieces:
                yield pieces
        last = [piece for event in parser.flush() for piece in translator.feed(event)]
        last += translator.finish()
        if translator.lost:
            note_lost(exchange, translator.lost, more=True)
        yield [*last, b"[DONE]"]
    finally:
        response.close()
