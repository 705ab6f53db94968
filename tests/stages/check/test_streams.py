"""The law of `safe_end`: what starts before it is decided, whatever text follows."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenroom.assembly.furnishing import OUTPUT_ENTITIES
from greenroom.contracts import Detector
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from tests.stages.check.requests import CARD, CPF, made_up

PII = PiiDetector()
SECRETS = SecretDetector()

COMMON = [
    " ", " ", "  ", "\n", "\t", ", ", ". ", "; ", ":", "(", ")", "'", '"', "/", "-", "--", ".", "@", "+", "a", "Z", "9", "0", "é",
    "ñ", "🙂", "\u200b", "\u200d\u200d", "\uff15", "\u2013", "\u00a0", "the ", "casa ", " e ", "is ", "é ", "1234", "<", "_", "=",
]  # fmt: skip
PERSONAL = [
    "meu nome é ", "my name is ", "me llamo ", "paciente ", "Paciente: ", "Dr. ", "em nome de ", "João", "Maria ", "da ", "de ", "dos ",
    "Silva", "Souza ", "mora em ", "lives at ", "nasceu em ", "born ", "nascido em ", "13 de novembro de 1962", "March ", "26, ", "1955",
    "12/03/1980", "CPF ", CPF, "92506083227", "925 060 832 27", "cnpj ", "GY.DL0.L0R/0001-01", "58.474.844/0001-54", "+55 ", "11 ",
    "(11) ", "98765-4321", "98765 4321", "+1 472 ", "380 6243", "x565", "telefone ", "call me at ", "office", "9761 9808", CARD,
    "rua ", "Rua ", "Avenida ", "Augusta", ", 1500", ", apto 12", "1500 ", "Main ", "Street", ", New York", ", NY 10001", "john",
    "ana@acme.test", ".co", "IBAN ", "GB78MSRE40888729221637", "ES60 9440 9062 1942 0495 4417", "placa ", "HQP-8835", "pix ",
    "f5231657-da3c-42d2-af62-24d0871ae1b7", "X0621155V", "50918450S", "212.97.111.4", "SSN ", "799-98-6804", "cep ", "68143-361",
    "RG ", "57.859.220-4", "-X", "pedido ", "título de eleitor 7018 2803 1902", "PIS 315.05573.88-1", "CNH 71022965804",
]  # fmt: skip
SECRET = [
    "password = ", "password: ", "my password is ", "a senha do banco é ", "senha=", "token", "secret", "_count", "api_key=",
    "SECRET_KEY=", '{"token": "', '"}', "Bearer ", "://", "postgres://", "user:", "db.host/app", "-----BEGIN ", "RSA ",
    "PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\n", "-----END RSA PRIVATE KEY-----", "sk-ant-api03-", "ghp_", "AKIA",
    "sk-proj-", "eyJhbGciOiAiSFMyNTYi", ".eyJ", "xxxx", "example", "${TOKEN}", "xoxb-", "\\n", "=>",
    made_up(1, 8), made_up(2, 16), made_up(3, 20), made_up(4, 36), made_up(5, 64), made_up(6, 100), made_up(7, 150),
    made_up(8, 64) + "\n", made_up(9, 40, "0123456789abcdef"), made_up(10, 16, "ABCDEFGHIJ0123456789"),
]  # fmt: skip


def texts(vocabulary: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(vocabulary + COMMON), max_size=24).map("".join)


def holds(detector: Detector, text: str, cut: int) -> bool:
    prefix = text[:cut]
    end = detector.safe_end(prefix)
    before = [one for one in detector.find(prefix) if one.start < end]
    after = [one for one in detector.find(text) if one.start < end]
    return max(0, len(prefix) - 256) <= end <= len(prefix) and before == after


@example(text="rua meu nome é Dr. 13 de novembro de 196213 de novembro de 1962", cuts=[45])
@example(text="Rua Augusta 12 de maio de 1990, casa 5", cuts=[22, 25])
@settings(max_examples=400)
@given(text=texts(PERSONAL), cuts=st.lists(st.integers(0, 400), min_size=4, max_size=4))
def test_personal_data_before_the_safe_end_is_decided(text: str, cuts: list[int]) -> None:
    assert all(holds(PII, text, cut) for cut in cuts)


@settings(max_examples=400)
@given(text=texts(SECRET), cuts=st.lists(st.integers(0, 600), min_size=4, max_size=4))
def test_secrets_before_the_safe_end_are_decided(text: str, cuts: list[int]) -> None:
    assert all(holds(SECRETS, text, cut) for cut in cuts)


@pytest.mark.parametrize("detector", [PII, SECRETS], ids=["pii", "secrets"])
@settings(max_examples=100)
@given(text=st.text(max_size=300), cut=st.integers(0, 300))
def test_any_text_at_all_keeps_the_law(detector: Detector, text: str, cut: int) -> None:
    assert holds(detector, text, cut)


@pytest.mark.parametrize("detector", [PII, SECRETS], ids=["pii", "secrets"])
def test_every_cut_of_one_rich_text_keeps_the_law(detector: Detector) -> None:
    text = (
        f"Olá, meu nome é Ana da Silva (ana@acme.test), CPF {CPF}, moro na Rua Augusta, 1500, apto 12. "
        f"Ligue para +55 11 98765-4321 office. token = {made_up(1, 40)} e Bearer {made_up(2, 200)} fim. Nasci em 5 de maio de 1990."
    )

    assert all(holds(detector, text, cut) for cut in range(len(text) + 1))


@pytest.mark.parametrize("detector", [PII, SECRETS], ids=["pii", "secrets"])
def test_plain_prose_is_held_back_by_its_last_word_only(detector: Detector) -> None:
    text = "the answer to this is simple enough and a recip"

    assert detector.safe_end(text) == text.rindex(" ") + 1
    assert detector.safe_end(text + " ") == len(text) + 1


OUTPUT = PiiDetector(OUTPUT_ENTITIES)
PLAIN = re.compile(r"(?![xyzXYZ] )[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ,.;]{0,23} ").match
WORDS = [
    "word ",
    "The ",
    "segredo ",
    "é ",
    "a ",
    "senha ",
    "dapi",
    "abcdefabcdefabcdefab ",
    "hvs.",
    "Bearer ",
    "is ",
]


@pytest.mark.parametrize("detector", [OUTPUT, SECRETS], ids=["pii", "secrets"])
@settings(max_examples=400)
@given(text=texts(PERSONAL + SECRET + WORDS))
def test_no_finding_begins_in_a_plain_word(detector: Detector, text: str) -> None:
    begun = [text.rfind(" ", 0, one.start + 1) + 1 for one in detector.find(text)]

    assert detector.passes_words
    assert [text[at:] for at in begun if PLAIN(text, at) is not None] == []


def test_names_and_places_are_made_of_words() -> None:
    assert not PiiDetector(("person",)).passes_words
    assert not PiiDetector(("address", "cpf")).passes_words
