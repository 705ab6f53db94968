from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.check.pii import ENTITIES, PiiDetector
from tests.stages.check.requests import CARD, CPF

DETECTOR = PiiDetector()


def found(text: str) -> list[tuple[str, str]]:
    return [(one.label, text[one.start : one.end]) for one in DETECTOR.find(text)]


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        pytest.param(f"meu cpf: {CPF}, pode conferir?", "CPF", CPF, id="cpf"),
        pytest.param("O CPF dela e 92506083227", "CPF", "92506083227", id="cpf bare"),
        pytest.param("cnpj 58474844000154", "CNPJ", "58474844000154", id="cnpj bare"),
        pytest.param("CNPJ GY.DL0.L0R/0001-01.", "CNPJ", "GY.DL0.L0R/0001-01", id="cnpj letters"),
        pytest.param("meu RG é 45.678.912-X SSP", "RG", "45.678.912-X", id="rg"),
        pytest.param("carteira de motorista 71022965804", "CNH", "71022965804", id="cnh"),
        pytest.param("PIS/PASEP: 218.98996.63-8", "PIS", "218.98996.63-8", id="pis"),
        pytest.param("título eleitoral 7018 2803 1902", "TITULO_ELEITOR", "7018 2803 1902", id="título"),
        pytest.param("cartão do SUS 794 6114 7034 2607", "CNS", "794 6114 7034 2607", id="cns"),
        pytest.param("cep 68143-361", "CEP", "68143-361", id="cep"),
        pytest.param("o carro de placa ABC1D23", "PLACA", "ABC1D23", id="plate"),
        pytest.param(
            "chave pix f5231657-da3c-42d2-af62-24d0871ae1b7",
            "PIX_KEY", "f5231657-da3c-42d2-af62-24d0871ae1b7", id="pix",
        ),
        pytest.param("me liga no (21)99876-5432", "PHONE", "(21)99876-5432", id="phone br"),
        pytest.param("whatsapp +55 (31) 98141-9977", "PHONE", "+55 (31) 98141-9977", id="phone br plus"),
        pytest.param("mi móvil es 612345678", "PHONE", "612345678", id="phone es"),
        pytest.param("reach me at 415-736-2671", "PHONE", "415-736-2671", id="phone us"),
        pytest.param("+44 20 7946 0958", "PHONE", "+44 20 7946 0958", id="phone uk"),
        pytest.param("moro na rua augusta, 1500", "ADDRESS", "rua augusta, 1500", id="street small"),
        pytest.param("Vivo en la calle Mayor, 5, 3º B", "ADDRESS", "calle Mayor, 5, 3º B", id="calle"),
        pytest.param(
            "I live at 742 Evergreen Terrace, Springfield",
            "ADDRESS", "742 Evergreen Terrace, Springfield", id="street us",
        ),
        pytest.param("nascido no dia 5 de maio de 1990", "DATE_OF_BIRTH", "5 de maio de 1990", id="birth pt"),
        pytest.param("I was born on April 12th, 1988", "DATE_OF_BIRTH", "April 12th, 1988", id="birth en"),
        pytest.param("nací el 3 de mayo de 1985", "DATE_OF_BIRTH", "3 de mayo de 1985", id="birth es"),
        pytest.param("Meu nome é Ana da Silva e moro aqui", "PERSON", "Ana da Silva", id="name pt"),
        pytest.param("Dear Dr. Emily Carter, hello", "PERSON", "Emily Carter", id="name en"),
        pytest.param("Paciente: José Antônio Pereira, 45", "PERSON", "José Antônio Pereira", id="name field"),
        pytest.param("Ana Prado (ana.prado@acme.test)", "PERSON", "Ana Prado", id="name before mail"),
        pytest.param(f"tarjeta {CARD}", "CREDIT_CARD", CARD, id="card"),
        pytest.param("SSN 531-84-7983", "US_SSN", "531-84-7983", id="ssn"),
        pytest.param("DNI 50.918.450-S", "NIF", "50.918.450-S", id="dni"),
        pytest.param("NIE X-0621155-V", "NIE", "X-0621155-V", id="nie"),
        pytest.param("ES60 9440 9062 1942 0495 4417", "IBAN", "ES60 9440 9062 1942 0495 4417", id="iban"),
        pytest.param("login de 187.12.45.99.", "IP", "187.12.45.99", id="ip"),
        pytest.param("from 2a02:8071:b6a1::1f4", "IP", "2a02:8071:b6a1::1f4", id="ipv6"),
        pytest.param("(bob.o'neil+x@sub.acme.co.uk)", "EMAIL", "bob.o'neil+x@sub.acme.co.uk", id="mail"),
    ],
)  # fmt: skip
def test_personal_data_is_found_exactly(text: str, label: str, value: str) -> None:
    assert (label, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "O processo 0001234-56.2023.8.26.0100 foi julgado",
        "versão 10.0.19045.3803",
        "O total foi 1.234.567,89 reais",
        "timestamp 1700000000",
        "código de barras 7891234567895",
        "NF-e 35190812345678000195550010000001231000001234",
        "lat -23.550520, lon -46.633308",
        "order #415-736-2671",
        "Tel.: 0800 123 4567",
        "000.000.000-00",
        "o código de rastreio 879.961.241-77 não existe",
        "192.168.0.10 is my router",
        "npm install @types/node@18.0.0",
        "git@github.com:foo/bar.git",
        "logo@2x.png",
        "trace 947cc93f-6201-473f-a044-8bd31882e455",
        "from 1914-1918 to 1939-1945",
        "Client Server Architecture",
        "O cliente Premium Gold tem desconto",
        "Fale com o suporte técnico",
        "em nome de Deus",
        "meu nome é muito comum",
        "born in the USA",
        "A Avenida Paulista é famosa",
        "Vale do Silício, 2025",
        "500 Internal Server Error",
        "ABC1234 is the product code",
        "Lei nº 8.078, de 11 de setembro de 1990",
        "",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "disguised",
    [
        pytest.param(CPF[:6] + "\u200b" + CPF[6:], id="zero width"),
        pytest.param("\u200d".join(CPF), id="zero width everywhere"),
        pytest.param("".join(chr(ord(one) + 0xFEE0) for one in CPF), id="full width"),
        pytest.param(CPF.replace("-", "\u2013"), id="dash"),
        pytest.param(CPF[:3] + "\U000e0041" + CPF[3:], id="tag character"),
    ],
)
def test_a_disguised_number_is_found_where_it_stands_in_the_original(disguised: str) -> None:
    assert found(f"é o CPF {disguised} mesmo") == [("CPF", disguised)]


def test_of_the_same_digits_the_words_before_decide_what_they_are() -> None:
    assert found("pedido 92506083227") == []
    assert found("cpf 92506083227") == [("CPF", "92506083227")]


def test_only_the_wanted_kinds_are_found() -> None:
    text = f"CPF {CPF}, mail ana@acme.test, tarjeta {CARD}"

    labels = [one.label for one in PiiDetector(("cpf", "email")).find(text)]

    assert labels == ["CPF", "EMAIL"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="shoe_size"):
        PiiDetector(("cpf", "shoe_size"))


def test_every_kind_can_be_asked_for_alone() -> None:
    assert all(PiiDetector((name,)).find("nothing here") == [] for name in ENTITIES)


def test_a_lone_surrogate_does_no_harm() -> None:
    assert found(f"\ud800 cpf {CPF}") == [("CPF", CPF)]
    assert DETECTOR.safe_end("abc \ud800") <= 5


@settings(max_examples=150)
@given(text=st.text(max_size=200))
def test_findings_are_sorted_and_do_not_overlap(text: str) -> None:
    findings = DETECTOR.find(text)

    assert all(one.start < one.end for one in findings)
    assert all(a.end <= b.start for a, b in pairwise(findings))
