"""Blocks: the bodies of one batch, joined and compressed once.

Two levels. Quick, for what was just recorded: finds long texts that repeat within the block and leaves the
rest alone, for a third of the instructions of level 1. Tight, for blocks that are written a second time when
there is time. A body is found again by its place. An erased body leaves a nil, so places stay.
"""

from collections.abc import Sequence

import zstandard
from msgspec import Raw, msgpack

from greenroom.store.material import Body, decode_body

TIGHT_LEVEL = 1
STRIDE = 25
"""How far the quick search goes on where it found nothing: 4.1 µs and 1.6 KB for an exchange of 3.7 KB,
against 7.4 µs and 0.7 KB at level 1. Repeats of 6 bytes count: with 7 it was 2.9 µs and 1.8 KB."""
_QUICK = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, target_length=STRIDE, min_match=6, window_log=19, hash_log=13,
    chain_log=13, search_log=1, write_content_size=1,
)  # fmt: skip
MAX_BLOCK_BYTES = 1 << 30
"""No block of ours is larger; a damaged header must not ask for more."""

_NIL = b"\xc0"
_raws = msgpack.Decoder(list[Raw])


class Packer:
    """Makes blocks. One per thread: it holds two compressors."""

    def __init__(self) -> None:
        self._quick = zstandard.ZstdCompressor(compression_params=_QUICK)
        self._tight = zstandard.ZstdCompressor(level=TIGHT_LEVEL)

    def pack(self, bodies: Sequence[bytes | memoryview | None], *, is_tight: bool = True) -> bytes:
        """One block of encoded bodies; None leaves an empty place."""
        parts: list[bytes | memoryview] = [b"\xdd" + len(bodies).to_bytes(4, "big")]
        parts += [_NIL if body is None else body for body in bodies]
        return (self._tight if is_tight else self._quick).compress(b"".join(parts))


def places(block: bytes) -> list[bytes | None]:
    """The encoded bodies of a block. Raises: zstandard.ZstdError, msgspec.DecodeError for a damaged one."""
    data = zstandard.ZstdDecompressor().decompress(block, max_output_size=MAX_BLOCK_BYTES)
    encoded = (bytes(one) for one in _raws.decode(data))
    return [None if one == _NIL else one for one in encoded]


def body_at(block: bytes, place: int) -> Body | None:
    """The body at one place, None when it was erased. Raises as `places`."""
    encoded = places(block)[place]
    return None if encoded is None else decode_body(encoded)
