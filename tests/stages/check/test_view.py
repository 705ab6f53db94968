from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.check.view import canonical

odd_texts = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("a1 \u200b\u200d\ufeff\u00ad\uff11\uff21\u2013\u00a0\u0661\U000e0041\u202e"),
    ),
    max_size=80,
)


@settings(max_examples=200)
@given(text=odd_texts, cut=st.integers(0, 80))
def test_the_view_of_a_prefix_is_a_prefix_of_the_view(text: str, cut: int) -> None:
    assert canonical(text).text.startswith(canonical(text[:cut]).text)


@settings(max_examples=200)
@given(text=odd_texts)
def test_every_character_leads_back_to_the_one_it_was_made_from(text: str) -> None:
    view = canonical(text)

    places = [view.position(index) for index in range(len(view.text))]

    assert places == sorted(set(places))
    assert all(
        canonical(text[place]).text == character for place, character in zip(places, view.text, strict=True)
    )


def test_full_width_and_foreign_digits_become_plain_ones() -> None:
    assert canonical("\uff11\u0662\U0001d7d1").text == "123"


def test_invisible_characters_go_and_spans_come_back_whole() -> None:
    text = "a\u200b12\u200d\u200d3b"

    view = canonical(text)

    assert view.text == "a123b"
    assert view.original(1, 4) == (2, 7)


def test_no_more_than_half_of_a_window_is_dropped() -> None:
    assert len(canonical("x" + "\u200b" * 1000 + "y").text) > 400


def test_a_plain_text_is_its_own_view() -> None:
    assert canonical("Olá, ñandú! 10 €").text == "Olá, ñandú! 10 €"
