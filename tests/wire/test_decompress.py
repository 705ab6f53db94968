"""Compressed bodies: the same bytes however they are cut, and a cap on what they unpack to."""

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import UpstreamProtocol
from greenroom.wire.decompress import Decompressor


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "two gzip members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "gzip with padding": ("gzip", lambda data: gzip.compress(data) + b"\0\0\0"),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "two zstd frames": ("zstd", lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:])),
    "identity": ("identity", bytes),
}
everywhere = pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
packed = pytest.mark.parametrize(
    ("encoding", "pack"), [PACKERS[name] for name in ("gzip", "deflate", "raw deflate", "zstd")]
)


def unpack(encoding: str, data: bytes, step: int, limit: int = 1_000_000) -> bytes:
    decompressor = Decompressor(encoding, limit)
    pieces = [decompressor.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join([*pieces, decompressor.flush()])


@everywhere
@settings(max_examples=30, deadline=None)
@given(data=st.binary(min_size=1, max_size=3000), step=st.integers(1, 4000))
def test_a_body_comes_out_as_it_was_however_it_is_cut(
    encoding: str, pack: Callable[[bytes], bytes], data: bytes, step: int
) -> None:
    assert unpack(encoding, pack(data), step) == data


@packed
def test_a_body_that_ends_early_is_refused(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    data = pack(b"words and more words " * 50)

    for length in (1, 5, len(data) // 2, len(data) - 1):
        with pytest.raises(UpstreamProtocol):
            unpack(encoding, data[:length], 7)


@packed
def test_a_bomb_is_stopped_at_the_limit(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    data = pack(b"\0" * 5_000_000)

    with pytest.raises(UpstreamProtocol, match="more than"):
        unpack(encoding, data, 65_536, limit=100_000)


@packed
def test_a_body_of_just_the_limit_passes(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    assert len(unpack(encoding, pack(b"\0" * 100_000), 65_536, limit=100_000)) == 100_000


def test_a_bomb_never_fills_the_memory() -> None:
    decompressor = Decompressor("gzip", 10_000)

    with pytest.raises(UpstreamProtocol):
        decompressor.feed(gzip.compress(b"\0" * 50_000_000))


@pytest.mark.parametrize("place", [-1, -6], ids=["length", "checksum"])
def test_a_wrong_trailer_is_refused(place: int) -> None:
    data = bytearray(gzip.compress(b"words " * 20))
    data[place] ^= 0xFF

    with pytest.raises(UpstreamProtocol, match="broken"):
        unpack("gzip", bytes(data), 1000)


def test_a_wrong_zstd_checksum_is_refused() -> None:
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"words " * 20))
    data[-1] ^= 0xFF

    with pytest.raises(UpstreamProtocol, match="broken"):
        unpack("zstd", bytes(data), 1000)


@packed
def test_other_bytes_under_its_name_are_refused(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UpstreamProtocol):
        unpack(encoding, b'{"id": "not packed at all"}', 1000)


@settings(max_examples=100, deadline=None)
@given(encoding=st.sampled_from(("gzip", "deflate", "zstd")), data=st.binary(max_size=100))
def test_any_bytes_end_in_an_upstream_error_or_not_at_all(encoding: str, data: bytes) -> None:
    try:
        unpack(encoding, data, 10)
    except UpstreamProtocol as error:
        assert "packing" in str(error)  # noqa: PT017  # both ends are right


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "x" * 500], ids=lambda one: one[:10])
def test_codings_we_do_not_know_are_refused_by_name(encoding: str) -> None:
    with pytest.raises(UpstreamProtocol, match="packed as"):
        Decompressor(encoding)


def test_an_answer_without_a_body_needs_no_end_mark() -> None:
    assert Decompressor("gzip").flush() == b""
