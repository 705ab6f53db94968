"""What a collector says of a message: how many records it did not take, and why."""

from contextlib import suppress

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import GreenroomError
from greenroom.wire.otlp.protobuf_reader import partial_success

_LONGEST = 300


class _Partial(Struct, rename="camel"):
    rejected_spans: int | str = 0
    rejected_data_points: int | str = 0
    rejected_log_records: int | str = 0
    error_message: str = ""


class _Answer(Struct, rename="camel"):
    partial_success: _Partial | None = None


_answer = Decoder(_Answer)


def read_json(body: bytes) -> tuple[int, str]:
    """Rejected records and the reason; none where the answer can't be read."""
    with suppress(DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        found = _answer.decode(body).partial_success
        if found is not None:
            counts = (found.rejected_spans, found.rejected_data_points, found.rejected_log_records)
            return max(int(str(one)[:20]) for one in counts), found.error_message[:_LONGEST]
    return 0, ""


def read_protobuf(body: bytes) -> tuple[int, str]:
    """The same of an answer in protobuf."""
    with suppress(GreenroomError):
        rejected, said = partial_success(body)
        return rejected, said[:_LONGEST]
    return 0, ""
