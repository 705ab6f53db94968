"""Numbers that clients send as text: what is none, or too many, is none however it is written."""

import pytest

from greenroom.errors import MalformedRequest
from greenroom.server.knowledge.desk import cursor_of
from greenroom.server.knowledge.upload import expires_s
from greenroom.wire.digits import number_in
from greenroom.wire.evals import read_query


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("100", 100), ("0000007", 7), ("0", 0), ("101", None), ("0000001000000000", None),
     ("0" * 9 + "9" * 5_000, None), ("", None), ("-1", None), ("1.0", None), ("٣", None), ("1e2", None)],
)  # fmt: skip
def test_a_number_lies_within_its_bounds(text: str, number: int | None) -> None:
    assert number_in(text, 0, 100) == number


@pytest.mark.parametrize("limit", ["0000001000000000", "0" * 6 + "9" * 5_000])
def test_no_list_is_longer_for_zeros_before_its_limit(limit: str) -> None:
    for read in (cursor_of, read_query):
        with pytest.raises(MalformedRequest, match="'limit'"):
            read({"limit": limit})
    with pytest.raises(MalformedRequest, match="3600 to 2592000"):
        expires_s({"expires_after[anchor]": "created_at", "expires_after[seconds]": "000003600" + limit})
