import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.grounding.duplicates import distinct

LONG = "keys have limit of request per minute and budget in dollar which operator can change at any time"


@pytest.mark.parametrize(
    ("passages", "asked", "expected"),
    [
        pytest.param([LONG, LONG, "other text"], set(), [0, 2], id="the same"),
        pytest.param([LONG, LONG + " soon"], set(), [0], id="nearly the same"),
        pytest.param([LONG, LONG + " soon"], {"soon"}, [0, 1], id="apart in a word of the question"),
        pytest.param([LONG + " 2023", LONG + " 2024"], set(), [0, 1], id="apart in a number"),
        pytest.param([LONG, "limit of request"], set(), [0, 1], id="a part of it"),
        pytest.param(["", ""], set(), [0], id="nothing twice"),
        pytest.param([], set(), [], id="none"),
    ],
)
def test_what_says_the_same_again_is_left_out(
    passages: list[str], asked: set[str], expected: list[int]
) -> None:
    assert distinct(passages, asked, 10) == expected


@given(st.lists(st.text(alphabet="abc 1", max_size=30), max_size=12), st.integers(0, 12))
def test_the_first_is_kept_and_the_order_too(passages: list[str], limit: int) -> None:
    kept = distinct(passages, set(), limit)

    assert kept == sorted(set(kept))
    assert len(kept) <= limit
    assert kept[:1] == [0][: min(limit, len(passages))]
