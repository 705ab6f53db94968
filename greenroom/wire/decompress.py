"""Bodies that come compressed, unpacked piece by piece under a cap.

Sans-io. We ask for none of this (`Accept-Encoding: identity`); some servers send it all the same. Knows gzip
and deflate, and zstd where the `zstandard` package is installed; every other coding, and several on top of
each other, are refused.
"""

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from greenroom.errors import UpstreamProtocol

LIMIT_BYTES = 64 * 1024 * 1024
_ZSTD_PIECE_BYTES = 256
"""A zstd block of 4 bytes may stand for 128 KiB, and the package has no output limit: small pieces bound the
overshoot to 8 MiB."""


class _Coding(Protocol):
    """One coding's decoder: `room` is how many bytes it may give out at most, one more says "too many"."""

    @property
    def is_whole(self) -> bool: ...

    def feed(self, data: bytes, room: int) -> bytes: ...


class Decompressor:
    """Undoes one content coding of a body that arrives in pieces.

    Raises UpstreamProtocol for a coding we do not know, broken data, a wrong checksum, a body that ends
    early, and more than `limit_bytes` of output.
    """

    __slots__ = ("_coding", "_limit", "_name", "_started", "_total")

    def __init__(self, encoding: str, limit_bytes: int = LIMIT_BYTES) -> None:
        self._name = encoding.strip().lower()
        make = _CODINGS.get(self._name)
        if make is None:
            raise UpstreamProtocol(
                f"The answer is packed as {self._name[:40]!r}, which can't be unpacked here."
            )
        self._coding = make()
        self._limit = limit_bytes
        self._total = 0
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Return what `data` unpacks to, so far as it is known yet."""
        if not data:
            return b""
        self._started = True
        try:
            out = self._coding.feed(data, self._limit - self._total)
        except (zlib.error, _Broken) as error:
            raise UpstreamProtocol(f"The answer's {self._name} packing is broken.") from error
        self._total += len(out)
        if self._total > self._limit:
            raise UpstreamProtocol(f"The answer unpacks to more than {self._limit // 1024} KiB.")
        return out

    def flush(self) -> bytes:
        """Say that the body has ended. Always returns nothing: `feed` holds nothing back."""
        if self._started and not self._coding.is_whole:
            raise UpstreamProtocol(f"The answer's {self._name} packing ends too early.")
        return b""


class _Broken(Exception):
    """What a package calls broken data, under one name."""


class _Gzip:
    """One or more gzip members in a row (RFC 1952); zero bytes after the last are padding."""

    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def is_whole(self) -> bool:
        return self._inflate.eof

    def feed(self, data: bytes, room: int) -> bytes:
        pieces: list[bytes] = []
        while data:
            if self._inflate.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._inflate = zlib.decompressobj(31)
            piece = self._inflate.decompress(data, room + 1)
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                break
            data = self._inflate.unused_data
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Deflate:
    """The zlib format as RFC 9110 has it, or the raw deflate that some servers send under its name."""

    __slots__ = ("_head", "_inflate")

    def __init__(self) -> None:
        self._inflate: zlib._Decompress | None = None
        self._head = b""

    @property
    def is_whole(self) -> bool:
        return self._inflate is not None and self._inflate.eof

    def feed(self, data: bytes, room: int) -> bytes:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._head = self._head, b""
            has_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(15 if has_header else -15)
        return self._inflate.decompress(data, room + 1)


class _Zstd:
    """One or more zstd frames (RFC 8878), with a window of at most 8 MiB."""

    __slots__ = ("_error", "_frame", "_make")

    def __init__(self) -> None:
        try:
            package = import_module("zstandard")
        except ImportError:
            raise UpstreamProtocol("The answer is packed as 'zstd', which needs `zstandard`.") from None
        window = 8 * 1024 * 1024
        # Any: the package is optional, and its own types are not there without it.
        self._make: Callable[[], Any] = package.ZstdDecompressor(max_window_size=window).decompressobj
        self._error: type[Exception] = package.ZstdError
        self._frame = self._make()

    @property
    def is_whole(self) -> bool:
        return bool(self._frame.eof)

    def feed(self, data: bytes, room: int) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self.is_whole:
                self._frame = self._make()
            given = data[at : at + _ZSTD_PIECE_BYTES]
            at += len(given)
            try:
                piece: bytes = self._frame.decompress(given)
            except self._error as error:
                raise _Broken from error
            at -= len(self._frame.unused_data)
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                break
        return b"".join(pieces)


class _Identity:
    """Nothing to undo."""

    is_whole = True

    def feed(self, data: bytes, room: int) -> bytes:
        return data


_CODINGS: dict[str, Callable[[], _Coding]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "zstd": _Zstd,
    "identity": _Identity,
    "": _Identity,
}
