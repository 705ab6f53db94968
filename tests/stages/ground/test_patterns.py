from datetime import date
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.ground.found import Found, Setting, settled
from greenroom.stages.ground.patterns import FINDERS, KINDS, find


def found(text: str, language: str = "en", today: date | None = None) -> list[tuple[str, str, str]]:
    all_found = find(text, lambda: language == "en", today)
    return [(text[one.start : one.end], one.kind, one.value) for one in all_found]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        pytest.param("pt", "paguei R$ 1.250,50", ("R$ 1.250,50", "MONEY", "1250.5 BRL"), id="reais"),
        pytest.param(
            "pt", "3 milhões de reais", ("3 milhões de reais", "MONEY", "3000000 BRL"), id="milhões"
        ),
        pytest.param("en", "it costs $1,234.50", ("$1,234.50", "MONEY", "1234.5 USD"), id="dollars"),
        pytest.param("es", "cuesta 1.500 €", ("1.500 €", "MONEY", "1500 EUR"), id="euros"),
        pytest.param("es", "cuesta $ 2.000", ("$ 2.000", "MONEY", "2000 $"), id="whose dollars is not said"),
        pytest.param("pt", "em 15/03/2024", ("15/03/2024", "DATE", "2024-03-15"), id="day first"),
        pytest.param("en", "on 03/04/2024", ("03/04/2024", "DATE", "2024-03-04"), id="month first"),
        pytest.param("en", "on 25/12/2024", ("25/12/2024", "DATE", "2024-12-25"), id="cannot be a month"),
        pytest.param("es", "el 3 de mayo", ("3 de mayo", "DATE", "--05-03"), id="no year"),
        pytest.param("pt", "março de 2024", ("março de 2024", "DATE", "2024-03"), id="month and year"),
        pytest.param("pt", "às 14h30", ("14h30", "TIME", "14:30"), id="h"),
        pytest.param("en", "by 2:30 p.m.", ("2:30 p.m.", "TIME", "14:30"), id="p.m."),
        pytest.param("es", "al mediodía", ("mediodía", "TIME", "12:00"), id="noon"),
        pytest.param("pt", "12,5%", ("12,5%", "PERCENT", "12.5%"), id="percent"),
        pytest.param("es", "a 10 kilómetros", ("10 kilómetros", "MEASURE", "10000 m"), id="kilometres"),
        pytest.param("en", "for 2 hours", ("2 hours", "MEASURE", "PT2H"), id="span of time"),
        pytest.param("pt", "faz 20ºC", ("20ºC", "MEASURE", "293.15 K"), id="warmth"),
        pytest.param("pt", "529.982.247-25", ("529.982.247-25", "ID", "cpf:52998224725"), id="cpf"),
        pytest.param("pt", "CEP 01310-100", ("01310-100", "ID", "cep:01310100"), id="cep"),
        pytest.param("en", "order #48213", ("48213", "ID", "order:48213"), id="order"),
        pytest.param(
            "es", "factura número F-2024-001", ("F-2024-001", "ID", "invoice:F-2024-001"), id="invoice"
        ),
        pytest.param("pt", "(11) 91234-5678", ("(11) 91234-5678", "PHONE", "11912345678"), id="phone"),
        pytest.param("en", "mail Jo@X.org.", ("Jo@X.org", "EMAIL", "jo@x.org"), id="mail"),
        pytest.param("en", "(see https://x.org/a)", ("https://x.org/a", "URL", "https://x.org/a"), id="link"),
    ],
)
def test_what_is_written_gets_its_normal_form(
    language: str, text: str, expected: tuple[str, str, str]
) -> None:
    assert found(text, language) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "Python 3.11.4 and 5 people", "range[3:14] + 27", "scored 3/4 of it", "you may march on",
        "por la mañana", "kill -9 na porta 8080", "x" * 50, "", "🙂" * 9, "a\ud800b",
    ],
)  # fmt: skip
def test_ordinary_text_holds_nothing(text: str) -> None:
    assert found(text, "es" if "mañana" in text else "en") == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("amanhã", "2024-03-01"),
        ("yesterday", "2024-02-28"),
        ("pasado mañana", "2024-03-02"),
        ("next week", ""),
    ],
)
def test_a_word_gets_a_date_only_where_the_day_is_known(word: str, expected: str) -> None:
    assert found(word) == [(word, "DATE", "")]
    assert found(word, today=date(2024, 2, 29)) == [(word, "DATE", expected)]


def test_a_day_that_does_not_exist_is_no_date() -> None:
    assert found("31/02/2024", "pt") == []


def test_a_link_keeps_its_brackets() -> None:
    assert found("https://x.org/a_(b).")[0][0] == "https://x.org/a_(b)"


@given(st.text("0123456789.,/-: R$€%@hkmáº()+aT\n", max_size=80))
@settings(deadline=None)
def test_spans_are_in_order_and_inside_the_text(text: str) -> None:
    end = 0
    for one in find(text, lambda: False):
        assert end <= one.start < one.end <= len(text)
        assert one.kind in KINDS
        end = one.end


_PIECES = (
    "1", "12", "2024", "345", "9912", "98765", "000", "7.5", "1.250,00", "-", "/", ".", ",", ":", "+", "(", ")", "$",
    "R$", "€", "%", "h", "am", "p.m.", "km", "kg", "horas", "mil", "milhões", "reais", "USD", "por cento", "de",
    "março", "March", "dec.", "Mai", "em", "since", "às", "das", "pedido", "Ticket", "nº", "id", "#", "AB", "ABC", "ff",
    "@", "x.org", "www.", "https://", "tomorrow", "mañana", "next week", "noon", "ª", "\u2019", "0800", "\n", " ", " ",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14), st.booleans())
@settings(deadline=None, max_examples=400)
def test_a_finder_that_was_not_asked_would_have_found_nothing(pieces: list[str], is_english: bool) -> None:
    text = "".join(pieces)
    encoded = text.encode("latin-1", "replace")
    setting = Setting(lambda: is_english)
    all_found: list[Found] = []
    for _, finder in FINDERS:
        if finder.__name__ != "find_links" or "@" in text or "://" in text or "www." in text:
            all_found += finder(text, encoded, setting)

    assert find(text, lambda: is_english) == settled(all_found)


def test_the_language_is_asked_only_where_it_decides() -> None:
    asked: list[str] = []

    def is_english() -> bool:
        asked.append("")
        return True

    find("On 18 March 2024 at 14:30 I paid R$ 1.250,00 for 5 km, see x@example.com", is_english)
    assert not asked

    assert [one.value for one in find("12/03/2026, $480.50 and 1.234 km", is_english)] == [
        "2026-12-03", "480.5 USD", "1234 m",
    ]  # fmt: skip
    assert len(asked) == 3


@pytest.mark.parametrize("piece", ["1", "1.", "a@", "a.", "R$ ", "1/", "+1 ", "pedido ", "https://", "em 1"])
def test_hostile_texts_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))

    start = process_time()
    find(text, lambda: False)

    assert process_time() - start < 5
