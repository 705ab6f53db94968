import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.postprocess.comparison import bears_out, same
from greenroom.stages.postprocess.numerals import readings
from greenroom.stages.postprocess.quantities import facts


def are_same(claim: str, source: str, language: str, other: str | None = None) -> bool:
    mine, theirs = facts(claim, language), facts(source, other or language)
    assert len(mine.quantities) == len(theirs.quantities) == 1
    return same(mine.quantities[0], theirs.quantities[0])


@pytest.mark.parametrize(
    ("claim", "source", "language"),
    [
        ("3 km", "3,000 m", "en"), ("3 km", "3.000 m", "pt"), ("3,5 km", "3.500 metros", "es"),
        ("1.5 million", "1,500,000", "en"), ("25 mil", "vinte e cinco mil", "pt"), ("dos mil quinientos", "2.500", "es"),
        ("$2.50", "2.5 dollars", "en"), ("R$ 1.234,50", "1234,5 reais", "pt"), ("12 %", "12 por ciento", "es"),
        ("about 50", "48 people", "en"), ("mais de 3 milhões", "3,2 milhões", "pt"), ("90 minutes", "1.5 hours", "en"),
        ("0.5 m", "50 cm", "en"), ("25 paid days", "25 days", "en"), ("48%", "48.3%", "en"),
    ],
)  # fmt: skip
def test_the_same_in_another_form_is_the_same(claim: str, source: str, language: str) -> None:
    assert are_same(claim, source, language)


@pytest.mark.parametrize(
    ("claim", "source", "language"),
    [
        ("3 km", "3 m", "en"), ("1999", "1998", "en"), ("12 %", "12", "pt"), ("R$ 50", "US$ 50", "pt"), ("3,5", "35", "es"),
        ("48.7%", "48.3%", "en"), ("about 80", "48 people", "en"), ("5 kg", "5 km", "es"), ("14", "41", "pt"),
    ],
)  # fmt: skip
def test_what_differs_is_not(claim: str, source: str, language: str) -> None:
    assert not are_same(claim, source, language)


@pytest.mark.parametrize(
    ("claim", "source", "language", "is_borne_out"),
    [
        ("on March 3, 2021", "2021-03-03", "en", True),
        ("in March 2021", "on 3 March 2021", "en", True),
        ("em 03/04/2021", "3 de abril de 2021", "pt", True),
        ("el 3 de abril", "3 de abril de 2021", "es", True),
        ("the 1990s", "in June 1994", "en", True),
        ("século XIX", "em maio de 1850", "pt", True),
        ("on March 4, 2021", "2021-03-03", "en", False),
        ("em março de 2022", "em fevereiro de 2022; a cada março", "pt", False),
        ("siglo XVIII", "en mayo de 1850", "es", False),
    ],
)
def test_dates_are_compared_part_by_part(claim: str, source: str, language: str, is_borne_out: bool) -> None:
    moment = facts(claim, language).moments[0]
    told = facts(source, language)
    years = {int(value) for one in told.quantities for value in one.values if value < 3000}
    years |= {one.year for one in told.moments if one.year is not None}

    assert bears_out(moment, told.moments, years) is is_borne_out


@given(st.integers(1, 10**9), st.sampled_from([("en", ","), ("pt", "."), ("es", ".")]))
def test_grouped_digits_are_read_as_their_number_first(number: int, way: tuple[str, str]) -> None:
    language, sign = way

    assert readings(f"{number:,}".replace(",", sign), language)[0] == number


@given(st.text(max_size=80), st.sampled_from(["en", "pt", "es", "fr"]))
def test_any_text_can_be_read(text: str, language: str) -> None:
    for one in facts(text, language).quantities:
        assert 0 <= one.start < one.end <= len(text)
