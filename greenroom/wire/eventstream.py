"""AWS's binary event stream: bytes as they arrive in, complete messages out.

Sans-io. Knows framing only: lengths, headers and two CRC-32 sums a message. However the bytes are cut, the
result is the same. Source: the "vnd.amazon.eventstream" encoding of the Smithy specification.
"""

import struct
from collections.abc import Mapping
from struct import unpack_from
from typing import NamedTuple
from zlib import crc32

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol

MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
_PRELUDE, _SUM = 12, 4
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Type of a header → its size; bytes (6) and strings (7) say theirs in two bytes."""
_STRING = 7


class Message(NamedTuple):
    """One message; of its headers those that are strings."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamParser:
    """Cuts a stream into messages.

    Raises UpstreamProtocol for a sum that is not right, or a message that can't be one.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now."""
        held = self._held
        held += data
        found = []
        at = 0
        while len(held) - at >= _PRELUDE:
            total, headers, told = unpack_from(">III", held, at)
            if crc32(held[at : at + 8]) != told:
                raise UpstreamProtocol("The stream is damaged: a length does not agree with its sum.")
            if not _PRELUDE + _SUM + headers <= total <= MESSAGE_LIMIT_BYTES:
                raise UpstreamProtocol("The stream holds a message of an impossible length.")
            if len(held) - at < total:
                break
            whole = bytes(held[at : at + total])
            at += total
            if crc32(whole[:-_SUM]) != unpack_from(">I", whole, total - _SUM)[0]:
                raise UpstreamProtocol("The stream is damaged: a message does not agree with its sum.")
            found.append(
                Message(_headers(whole[_PRELUDE : _PRELUDE + headers]), whole[_PRELUDE + headers : -_SUM])
            )
        del held[:at]
        return found

    def flush(self) -> list[Message]:
        """Nothing. Raises UpstreamDisconnected when the bytes ended inside a message."""
        if self._held:
            raise UpstreamDisconnected("The stream ended inside a message.")
        return []


def _headers(data: bytes) -> dict[str, str]:
    found = {}
    at = 0
    try:
        while at < len(data):
            length = data[at]
            name = data[at + 1 : at + 1 + length].decode()
            at += 1 + length
            kind = data[at]
            at += 1
            size = _SIZES.get(kind)
            if size is None:
                if kind not in {6, _STRING}:
                    raise UpstreamProtocol("The stream holds a header of an unknown type.")
                size = unpack_from(">H", data, at)[0]
                at += 2
            if at + size > len(data):
                raise IndexError
            if kind == _STRING:
                found[name] = data[at : at + size].decode()
            at += size
    except (IndexError, UnicodeDecodeError, struct.error):
        raise UpstreamProtocol("The stream holds a message whose headers can't be read.") from None
    return found
