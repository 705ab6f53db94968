"""AWS's binary event stream."""

import struct
from contextlib import suppress
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol
from greenroom.wire.eventstream import EventStreamParser, Message


def header(name: str, value: str) -> bytes:
    named, said = name.encode(), value.encode()
    return bytes([len(named)]) + named + b"\x07" + struct.pack(">H", len(said)) + said


def frame(payload: bytes, headers: dict[str, str], *, raw: bytes = b"") -> bytes:
    """A message, made by the published layout and not by our code."""
    packed = raw + b"".join(header(*one) for one in headers.items())
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack(">I", crc32(prelude)) + packed + payload
    return body + struct.pack(">I", crc32(body))


def read_all(parser: EventStreamParser, data: bytes) -> list[Message]:
    return [*parser.feed(data), *parser.flush()]


# The test vectors that AWS publishes with its event stream libraries (facts: bytes and what they mean).
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
INT32 = bytes.fromhex(
    "0000002d0000001041c424b80a6576656e742d74797065040000a00c7b27666f6f273a27626172277d36f480a0"
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (EMPTY, Message({}, b"")),
        (INT32, Message({}, b"{'foo':'bar'}")),
        (frame(b"{}", {":event-type": "x"}), Message({":event-type": "x"}, b"{}")),
    ],
    ids=["empty", "int32 header", "string header"],
)
def test_published_messages_are_read(data: bytes, message: Message) -> None:
    parser = EventStreamParser()

    assert parser.feed(data) == [message]
    assert parser.flush() == []


def test_headers_of_every_type_are_passed_over() -> None:
    raw = b"".join(
        [
            b"\x01a\x00", b"\x01b\x01", b"\x01c\x02\x07", b"\x01d\x03\x00\x07", b"\x01e\x04" + bytes(4),
            b"\x01f\x05" + bytes(8), b"\x01g\x06\x00\x03abc", b"\x01h\x08" + bytes(8), b"\x01i\x09" + bytes(16),
        ]
    )  # fmt: skip

    (message,) = EventStreamParser().feed(frame(b"p", {"z": "last"}, raw=raw))

    assert message == Message({"z": "last"}, b"p")


MANY = frame(b"{}", {":event-type": "a"}) + EMPTY + frame(b"x" * 300, {"é": "ü"}) + INT32


@settings(deadline=None)  # a busy machine is not a fault
@given(st.lists(st.integers(0, len(MANY)), max_size=20))
def test_however_the_bytes_are_cut_the_messages_are_the_same(cuts: list[int]) -> None:
    edges = sorted({0, len(MANY), *cuts})
    parser = EventStreamParser()

    found = [one for start, end in pairwise(edges) for one in parser.feed(MANY[start:end])]

    assert found == EventStreamParser().feed(MANY)
    assert len(found) == 4


@settings(deadline=None)  # a busy machine is not a fault
@given(st.integers(0, len(INT32) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(place: int, change: int) -> None:
    damaged = bytearray(INT32)
    damaged[place] ^= change
    parser = EventStreamParser()

    with pytest.raises((UpstreamProtocol, UpstreamDisconnected)):
        read_all(parser, bytes(damaged))


@settings(deadline=None)  # a busy machine is not a fault
@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    with suppress(UpstreamProtocol, UpstreamDisconnected):
        assert read_all(EventStreamParser(), data) == []  # no message stands in bytes drawn at random


@settings(deadline=None)  # a busy machine is not a fault
@given(st.binary(min_size=1, max_size=60))
def test_headers_of_any_bytes_are_read_or_an_error(raw: bytes) -> None:
    with suppress(UpstreamProtocol):
        assert len(read_all(EventStreamParser(), frame(b"", {}, raw=raw))) == 1


def test_a_message_of_an_impossible_length_is_not_waited_for() -> None:
    prelude = struct.pack(">II", 1 << 30, 0)

    with pytest.raises(UpstreamProtocol, match="impossible length"):
        EventStreamParser().feed(prelude + struct.pack(">I", crc32(prelude)))


def test_bytes_that_end_inside_a_message_are_cut() -> None:
    parser = EventStreamParser()
    parser.feed(INT32[:-1])

    with pytest.raises(UpstreamDisconnected):
        parser.flush()
