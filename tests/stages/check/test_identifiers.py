import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.check import identifiers as ids

DIGITS = "0123456789"


@pytest.mark.parametrize(
    ("check", "number"),
    [
        pytest.param(ids.is_cpf, "92506083227", id="cpf"),
        pytest.param(ids.is_cnpj, "58474844000154", id="cnpj"),
        pytest.param(ids.is_cnpj, "GYDL0L0R000101", id="cnpj with letters"),
        pytest.param(ids.is_cnh, "71022965804", id="cnh"),
        pytest.param(ids.is_pis, "59580828115", id="pis"),
        pytest.param(ids.is_titulo, "701828031902", id="título"),
        pytest.param(ids.is_cns, "808652542832022", id="cns"),
        pytest.param(ids.is_dni, "50918450S", id="dni"),
        pytest.param(ids.is_nie, "X0621155V", id="nie"),
        pytest.param(ids.is_card, "4237856533577492", id="card"),
        pytest.param(ids.is_iban, "GB78MSRE40888729221637", id="iban"),
    ],
)
@settings(max_examples=30)
@given(data=st.data())
def test_a_number_is_valid_and_a_wrong_last_character_makes_it_invalid(
    check: object, number: str, data: st.DataObject
) -> None:
    assert callable(check)
    alphabet = DIGITS if number[-1].isdigit() else "ABCDEFGHJKLMNPQRSTVWXYZ"
    other = data.draw(st.sampled_from([letter for letter in alphabet if letter != number[-1]]))

    assert check(number)
    assert not check(number[:-1] + other)


@pytest.mark.parametrize("digit", DIGITS)
def test_a_number_of_one_repeated_digit_is_nobodys(digit: str) -> None:
    assert not ids.is_cpf(digit * 11)
    assert not ids.is_cnpj(digit * 14)
    assert not ids.is_pis(digit * 11)
    assert not ids.is_cnh(digit * 11)
    assert not ids.is_card(digit * 16)
    assert not ids.is_cns(digit * 15)


@pytest.mark.parametrize("card", ["4111111111111111", "5555555555554444", "378282246310005"])
def test_test_cards_of_payment_services_are_nobodys(card: str) -> None:
    assert not ids.is_card(card)


@pytest.mark.parametrize("ssn", ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000"])
def test_social_security_numbers_that_were_never_issued_are_refused(ssn: str) -> None:
    assert not ids.is_ssn(ssn.replace("-", ""))


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "172.20.1.1", "256.1.1.1", "1.02.3.4"]
)
def test_addresses_that_are_nobodys_are_refused(address: str) -> None:
    assert not ids.is_public_ip(address)
