"""`traceparent` by the rules of W3C Trace Context."""

import pytest

from greenroom.wire import tracecontext

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_says_trace_span_and_whether_it_is_recorded() -> None:
    found = tracecontext.parse(GOOD)

    assert found == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert tracecontext.read(b" 01" + GOOD[2:].encode() + b"-more ") == GOOD


@pytest.mark.parametrize(
    "header",
    [
        "", "00", GOOD + "-x", GOOD[:-1], "ff" + GOOD[2:], GOOD.upper(), GOOD.replace("-", "_"),
        "01" + GOOD[2:] + "x", "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01", "00-" + "g" * 32 + "-b7ad6b7169203331-01",
        "é" * 55,
    ],
)  # fmt: skip
def test_a_malformed_header_counts_as_none(header: str) -> None:
    assert tracecontext.read(header.encode()) == ""


def test_a_share_of_traces_is_taken_by_their_random_bits() -> None:
    assert not tracecontext.is_within("f" * 18 + "80000000000000", 0.5)
    assert tracecontext.is_within("f" * 18 + "7fffffffffffff", 0.5)
    assert tracecontext.is_within("f" * 32, 1.0)
    assert not tracecontext.is_within("f" * 18 + "0" * 14, 0.0)


def test_without_a_caller_an_exchange_is_a_trace_of_its_own() -> None:
    id = "0193a1b2c3d4e5f60718293a4b5c6d7e"

    assert tracecontext.trace_of(id) == id
    assert tracecontext.trace_of(id, GOOD) == "0af7651916cd43dd8448eb211c80319c"
    assert tracecontext.span_of(id) == "0718293a4b5c6d7e"
    assert (
        len({tracecontext.span_of(id, *place) for place in ((), ("model", 0), ("model", 1), ("steps",))}) == 4
    )
