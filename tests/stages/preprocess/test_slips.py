"""Slips that hands make cost less than those they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.preprocess.slips import TOO_FAR, cost

letters = st.text(alphabet="abcdefghijklmnopqrstuvwxyzáãçéñõ'", min_size=1, max_size=14)


@pytest.mark.parametrize(
    ("likelier", "right", "than"),
    [
        ("informacao", "informação", "informaxão"),
        ("teh", "the", "tge"),
        ("houae", "house", "houpe"),
        ("excesão", "exceção", "excepão"),
        ("definately", "definitely", "defintkely"),
        ("adress", "address", "addrss"),
        ("desarollo", "desarrollo", "desarrllo"),
        ("prezidente", "presidente", "prelidente"),
        ("llegar", "llegar", "yegar"),
        ("hose", "house", "ouse"),
    ],
)
def test_one_slip_is_likelier_than_another(likelier: str, right: str, than: str) -> None:
    assert cost(likelier, right) < cost(than, right)


def test_words_far_from_each_other_are_no_slips() -> None:
    assert cost("house", "parliament") > 5
    assert cost("a", "extraordinary") >= TOO_FAR


@given(one=letters, two=letters)
def test_a_cost_is_nothing_only_for_the_same_word(one: str, two: str) -> None:
    assert (cost(one, two) == 0.0) == (one == two)
    assert cost(one, two) >= 0.0
