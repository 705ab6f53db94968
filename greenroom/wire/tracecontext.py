"""W3C Trace Context: the header `traceparent`, and the ids of an exchange as a trace.

Source: W3C Recommendation "Trace Context", 23 November 2021, section 3.2.
"""

from hashlib import sha256
from typing import NamedTuple

_HEX = frozenset("0123456789abcdef")
_LENGTH = 55
"""Characters of version 00; later ones may go on after a dash."""

_RANDOM_BITS = 56
"""Of a trace id, from its end."""


class TraceParent(NamedTuple):
    """What called us: its trace, its span, and whether it is recorded there."""

    trace: str
    span: str
    is_sampled: bool


def parse(header: str) -> TraceParent | None:
    """What a `traceparent` says; None for one that is malformed, which counts as none."""
    if len(header) < _LENGTH or header[2] != "-" or header[35] != "-" or header[52] != "-":
        return None
    version, trace, span, flags = header[:2], header[3:35], header[36:52], header[53:55]
    if not _HEX.issuperset(version + trace + span + flags) or version == "ff":
        return None
    if len(header) > _LENGTH and (version == "00" or header[_LENGTH] != "-"):
        return None
    if not trace.strip("0") or not span.strip("0"):
        return None
    return TraceParent(trace, span, bool(int(flags, 16) & 1))


def read(header: bytes) -> str:
    """A header's value as it is kept: version 00's form, empty for one that is malformed."""
    found = parse(header.decode("latin-1").strip(" \t"))
    return "" if found is None else f"00-{found.trace}-{found.span}-{'01' if found.is_sampled else '00'}"


def is_within(trace: str, share: float) -> bool:
    """Whether a trace is among a share of all, by its random bits: the same for whoever looks (level 2)."""
    return int(trace[-_RANDOM_BITS // 4 :], 16) < share * (1 << _RANDOM_BITS)


def trace_of(id: str, kept: str = "") -> str:
    """The trace an exchange belongs to: its caller's, or one of its own with the exchange's id."""
    found = parse(kept)
    if found is not None:
        return found.trace
    return id if len(id) == 32 and _HEX.issuperset(id) else sha256(id.encode()).hexdigest()[:32]


def span_of(id: str, *place: str | int) -> str:
    """The id of a span of an exchange: of the whole, or of a part by its place. The same at every export."""
    if not place and len(id) == 32 and _HEX.issuperset(id) and id[16:].strip("0"):
        return id[16:]
    return sha256("/".join((id, *map(str, place))).encode()).hexdigest()[:16]
