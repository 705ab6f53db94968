"""Server-sent events: however the bytes are cut, the same events come out."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import UpstreamProtocol
from greenroom.wire.sse import EventParser, NamedEventParser

FRAMES = (
    b"data: {}\n\n",
    b'data: {"a":"\xc3\xa7\xc3\xa3o \xf0\x9f\x99\x82"}\n\n',
    b"data:{1}\n\n",
    b"data:  two spaces\n\n",
    b"data: a\ndata: b\n\n",
    b"event: ping\ndata: {}\n\n",
    b"data: x\nevent: late\n\n",
    b"event: empty\n\n",
    b"data:\n\n",
    b"data: \n\n",
    b"data\n\n",
    b": keep alive\n\n",
    b"id: 3\nretry: 100\n\n",
    b"dataset: no\n\n",
    b"\n",
    b"\n\n\n",
    b"data: [DONE]\n\n",
)
LINE_ENDS = (b"\n", b"\r\n", b"\r")

streams = st.builds(
    lambda frames, end, bom, tail: bom + b"".join(frames).replace(b"\n", end) + tail,
    st.lists(st.sampled_from(FRAMES), max_size=8),
    st.sampled_from(LINE_ENDS),
    st.sampled_from((b"", b"\xef\xbb\xbf")),
    st.sampled_from((b"", b"data: unfinished", b"data: line\n", b"\xef\xbb")),
)
raw_streams = st.lists(
    st.sampled_from((b"\n", b"\r", b"\n\n", b"data: ", b"data", b":", b"event: e", b"x", b"\xef\xbb\xbf")),
    max_size=30,
).map(b"".join)
cuts = st.lists(st.integers(0, 120), max_size=10)


def chop(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({min(place, len(data)) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def named(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    parser = NamedEventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.flush()


def payloads(pieces: list[bytes]) -> list[bytes]:
    parser = EventParser()
    return [payload for piece in pieces for payload in parser.feed(piece)] + parser.flush()


def by_the_standard(data: bytes) -> list[tuple[bytes, bytes]]:
    """The standard's own words, one line at a time; at the end, an event of whole lines only counts too."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[tuple[bytes, bytes]] = []
    name, lines = b"", list[bytes]()
    at_end = [b""] if text.endswith(b"\n") else []
    for line in [*text.split(b"\n")[:-1], *at_end]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if b"\n".join(lines):
                events.append((name, b"\n".join(lines)))
            name, lines = b"", []
        elif field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    return events


@settings(max_examples=300, deadline=None)
@given(data=streams | raw_streams, places=cuts)
def test_events_do_not_depend_on_how_the_bytes_are_cut(data: bytes, places: list[int]) -> None:
    expected = by_the_standard(data)

    assert named(chop(data, places)) == expected
    assert payloads(chop(data, places)) == [payload for _, payload in expected]


@settings(max_examples=100, deadline=None)
@given(data=streams)
def test_one_byte_at_a_time_gives_the_same_events(data: bytes) -> None:
    pieces = [data[index : index + 1] for index in range(len(data))]

    assert named(pieces) == by_the_standard(data)
    assert payloads(pieces) == payloads([data])


@settings(max_examples=100, deadline=None)
@given(data=streams)
def test_line_ends_do_not_matter(data: bytes) -> None:
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    assert payloads([data]) == payloads([plain])


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200), places=cuts)
def test_any_bytes_are_survived(data: bytes, places: list[int]) -> None:
    assert named(chop(data, places)) == named([data])


def test_events_that_come_whole_are_cut_without_looking_at_lines() -> None:
    parser = EventParser()
    parser.feed(b"data: first\n\n")

    assert parser.feed(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]
    assert parser.feed(b"data: a\ndata: b\n\n") == [b"a\nb"]
    assert parser.feed(b"data: a\n\ndata: \n\ndata: b\n\n") == [b"a", b"b"]
    assert parser.feed(b"data: a\r\n\r\ndata: b\n\n") == [b"a", b"b"]


def test_a_line_of_five_megabytes_is_read_in_small_pieces() -> None:
    text = json.dumps({"text": "a" * 5_000_000}).encode()
    data = b"data: " + text + b"\n\n"
    parser = EventParser()

    found = [one for at in range(0, len(data), 4096) for one in parser.feed(data[at : at + 4096])]

    assert found == [text]


@pytest.mark.parametrize("piece", [1, 7, 64, 1000], ids=str)
def test_an_event_without_end_is_refused_at_the_limit(piece: int) -> None:
    data = b"data: " + b"a" * 500
    parser = EventParser(limit_bytes=200)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    with pytest.raises(UpstreamProtocol):
        list(map(parser.feed, pieces))


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), max_size=6), places=cuts)
def test_the_limit_does_not_depend_on_how_the_bytes_are_cut(sizes: list[int], places: list[int]) -> None:
    data = b"".join(b"data: " + b"a" * size + b"\n\n" for size in sizes)
    fits = all(size + 6 <= 30 for size in sizes)
    parser = EventParser(limit_bytes=30)

    try:
        for piece in chop(data, places):
            parser.feed(piece)
    except UpstreamProtocol:
        assert not fits
    else:
        assert fits


def test_many_events_may_be_larger_than_the_limit_together() -> None:
    parser = EventParser(limit_bytes=20)
    parser.feed(b"data: x\n\n")

    assert len(parser.feed(b"data: abc\n\n" * 10)) == 10


def test_a_last_event_without_its_blank_line_is_given_at_the_end_only() -> None:
    parser = EventParser()

    assert parser.feed(b"data: [DONE]\n") == []
    assert parser.flush() == [b"[DONE]"]
    assert parser.flush() == []


@pytest.mark.parametrize("data", [b'event: a\ndata: {"x"', b"data: first\ndata: sec", b"data: {}\nda"])
def test_a_last_event_cut_inside_a_line_is_dropped_whole(data: bytes) -> None:
    parser = NamedEventParser()
    parser.feed(data)

    assert parser.flush() == []
