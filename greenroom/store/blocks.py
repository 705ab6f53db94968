"""Blocks: the bodies of one batch, joined and compressed once.

Zstandard at level 1 costs 8 µs for a 3.3 KB exchange and finds texts that repeat within the block, so equal
texts are stored once. A body is found again by its place. An erased body leaves a nil, so places stay.
"""

from collections.abc import Sequence

import zstandard
from msgspec import Raw, msgpack

from greenroom.store.material import Body, decode_body

LEVEL = 1
MAX_BLOCK_BYTES = 1 << 30
"""No block of ours is larger; a damaged header must not ask for more."""

_NIL = b"\xc0"
_raws = msgpack.Decoder(list[Raw])


class Packer:
    """Makes blocks. One per thread: it holds a compressor."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)

    def pack(self, bodies: Sequence[bytes | memoryview | None]) -> bytes:
        """One block of encoded bodies; None leaves an empty place."""
        parts: list[bytes | memoryview] = [b"\xdd" + len(bodies).to_bytes(4, "big")]
        parts += [_NIL if body is None else body for body in bodies]
        return self._compressor.compress(b"".join(parts))


def places(block: bytes) -> list[bytes | None]:
    """The encoded bodies of a block. Raises: zstandard.ZstdError, msgspec.DecodeError for a damaged one."""
    data = zstandard.ZstdDecompressor().decompress(block, max_output_size=MAX_BLOCK_BYTES)
    encoded = (bytes(one) for one in _raws.decode(data))
    return [None if one == _NIL else one for one in encoded]


def body_at(block: bytes, place: int) -> Body | None:
    """The body at one place, None when it was erased. Raises as `places`."""
    encoded = places(block)[place]
    return None if encoded is None else decode_body(encoded)
