"""Is this string really a CPF, a card number, an IBAN? Check digits and number plans, nothing about context.

Every function takes the bare characters, without separators. Numbers that are all one digit, and numbers
printed in manuals as examples, are nobody's and answer False.
"""

from stdnum.br import cnpj, cpf
from stdnum.es import cif, dni, nie
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10

from greenroom.stages.check.tables import words

EXAMPLES = words(
    """
    12345678000195
    12ABC34501DE35 00000000T X1234567L X0000000T Y1234567X Z1234567R 078051120 219099999
    123456789 111223333 457555462 4111111111111111 4242424242424242 4012888888881881 4000056655665556
    4222222222222 4917610000000000 5555555555554444 5105105105105100 5200828282828210 2223003122003222
    2223000048400011 5431111111111111 378282246310005 371449635398431 378734493671000 6011111111111117
    6011000990139424 30569309025904 38520000023237 3056930009020004 36227206271667 3530111333300000
    3566002020360505 6200000000000005 1234567812345670 4000000000000002 4000000000009995
    GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555 DE89370400440532013000
    ES9121000418450200051332 FR1420041010050500013M02606 PT50000201231234567890154
    BR1800360305000010009795493C1 NL91ABNA0417164300 IT60X0542811101000000123456
    """
)

"""Published by the issuers, in standards or by payment services for tests."""

IBAN_LENGTHS = {
    pair[:2]: int(pair[2:])
    for pair in words(
        """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24
    FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
    LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24
    SC31 SE24 SI19 SK24 SM27 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
    """
    )
}
"""Characters of an IBAN by country, from the SWIFT IBAN registry."""

AREA_CODES = words(
    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 "
    "55 61 62 "
    "63 64 65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 95 96 97 98 99"
)
"""Brazil's, from Anatel's numbering plan."""

_TWO_DIGIT_COUNTRIES = words(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
    "81 82 84 "
    "86 90 91 92 93 94 95 98"
)
_UNUSED_THREE = words("21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 80 85 87 88 96 97 99")


_VALUES = bytes(byte - 48 if 48 <= byte < 58 else 0 for byte in range(256))
_DOUBLED = bytes(sum(divmod(2 * value, 10)) if value < 10 else 0 for value in range(256))
"""For Luhn's sum: what a digit is, and the digits of its double added up."""


def is_example(digits: str) -> bool:
    """All one character, or printed somewhere as an example."""
    return digits in EXAMPLES or digits == digits[0] * len(digits)


def is_cpf(digits: str) -> bool:
    """Brazil's person number: 11 digits, two of them check digits."""
    return len(digits) == 11 and not is_example(digits) and _passes(cpf.validate, digits)


def is_cnpj(text: str) -> bool:
    """Brazil's company number: 14 characters, the first twelve also letters since July 2026."""
    return len(text) == 14 and not is_example(text) and _passes(cnpj.validate, text)


def is_dni(text: str) -> bool:
    """Spain's identity number: eight digits and a letter."""
    return len(text) == 9 and not is_example(text) and _passes(dni.validate, text)


def is_nie(text: str) -> bool:
    """Spain's number for foreigners: X, Y or Z, seven digits and a letter."""
    return len(text) == 9 and not is_example(text) and _passes(nie.validate, text)


def is_cif(text: str) -> bool:
    """Spain's number for legal persons."""
    return len(text) == 9 and _passes(cif.validate, text)


def _passes(validate: object, text: str) -> bool:
    assert callable(validate)
    try:
        validate(text)
    except ValidationError:
        return False
    return True


def is_pis(digits: str) -> bool:
    """Brazil's social programme number (PIS, PASEP, NIS, NIT): 11 digits, weights 3, 2, 9 … 2, modulo 11."""
    if len(digits) != 11 or is_example(digits):
        return False
    rest = 11 - _weighted(digits, (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return int(digits[10]) == (rest if rest < 10 else 0)


def is_cnh(digits: str) -> bool:
    """Brazil's driving licence: 11 digits; where the first check digit overflows, the second is 2 lower."""
    if len(digits) != 11 or is_example(digits):
        return False
    first = _weighted(digits, range(9, 0, -1)) % 11
    lowered = 2 if first > 9 else 0
    first = 0 if first > 9 else first
    second = _weighted(digits, range(1, 10)) % 11
    second = 0 if second > 9 else second - lowered
    if second < 0:
        second += 11
    return digits[9:] == f"{first}{second if second < 10 else 0}"


def is_titulo(digits: str) -> bool:
    """Brazil's voter number: eight digits, the state (01 to 28), two check digits.

    São Paulo and Minas Gerais write 1 where the sum gives 0.
    """
    if len(digits) != 12 or is_example(digits) or not 1 <= int(digits[8:10]) <= 28:
        return False
    floor = digits[8:10] in ("01", "02")
    first = _weighted(digits, range(2, 10)) % 11
    first = 0 if first == 10 else first or int(floor)
    second = (int(digits[8]) * 7 + int(digits[9]) * 8 + first * 9) % 11
    second = 0 if second == 10 else second or int(floor)
    return digits[10:] == f"{first}{second}"


def is_cns(digits: str) -> bool:
    """Brazil's health card: 15 digits, weights 15 to 1, modulo 11."""
    if len(digits) != 15 or digits[0] not in "12789" or is_example(digits):
        return False
    return _weighted(digits, range(15, 0, -1)) % 11 == 0


def _weighted(digits: str, weights: range | tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_card(digits: str) -> bool:
    """A payment card: 12 to 19 digits, an issuer that exists, Luhn's sum, no test number."""
    length = len(digits)
    if not 12 <= length <= 19 or is_example(digits) or not _has_issuer(digits, length):
        return False
    figures = digits.encode().translate(_VALUES)
    return (sum(figures[-2::-2].translate(_DOUBLED)) + sum(figures[-1::-2])) % 10 == 0


def _has_issuer(digits: str, length: int) -> bool:
    two, four = int(digits[:2]), int(digits[:4])
    match digits[0]:
        case "4":
            return length in (13, 16, 19)
        case "3":
            return length == 15 if two in (34, 37) else length in (14, 15, 16, 19)
        case "5":
            return length == 16 if 50 < two <= 55 else True
        case "6":
            return True
        case "2":
            return (length == 16 and 2200 <= four <= 2720) or (length == 15 and four in (2014, 2131, 2149))
    return (four == 1800 and length == 15) or (two == 81 and length >= 16)


def is_iban(text: str) -> bool:
    """A bank account: its country's length, modulo 97."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or text in EXAMPLES or not text.isalnum():
        return False
    return _passes(mod_97_10.validate, text[4:] + text[:4])


def is_ssn(digits: str) -> bool:
    """A United States social security number that could have been issued; 9xx are tax numbers."""
    return (
        len(digits) == 9
        and digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and not is_example(digits)
    )


def is_international(digits: str) -> bool:
    """Digits after a plus that begin with a country code of E.164 and are 8 to 15 long."""
    if not 8 <= len(digits) <= 15 or is_example(digits):
        return False
    return digits[0] in "17" or digits[:2] in _TWO_DIGIT_COUNTRIES or digits[:2] in _UNUSED_THREE


def is_brazilian_phone(digits: str) -> bool:
    """Area code and subscriber: nine digits from 9 on for mobiles, else eight that begin with 2 to 5."""
    if digits[:2] not in AREA_CODES or is_example(digits[2:]):
        return False
    return digits[2] == "9" if len(digits) == 11 else len(digits) == 10 and digits[2] in "2345"


def is_american_phone(digits: str) -> bool:
    """Ten digits in which neither area nor exchange begins with 0 or 1."""
    return len(digits) == 10 and digits[0] > "1" and digits[3] > "1" and not is_example(digits)


def is_spanish_phone(digits: str) -> bool:
    """Nine digits that begin with 6, 7, 8 or 9."""
    return len(digits) == 9 and digits[0] in "6789" and not is_example(digits)


def is_public_ip(text: str) -> bool:
    """An IPv4 address that can be somebody's: not private, local, reserved or a public resolver."""
    parts = text.split(".")
    if any(len(part) > 1 and part[0] == "0" for part in parts):
        return False
    a, b, c, d = map(int, parts)
    if max(a, b, c, d) > 255 or a in (0, 10, 127) or a > 223:
        return False
    if (a, b) in ((192, 168), (169, 254), (198, 18), (198, 19)) or (a == 172 and 16 <= b < 32):
        return False
    if (a, b, c) in ((192, 0, 2), (198, 51, 100), (203, 0, 113)):
        return False
    return text not in ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9")


def is_date(year: int, month: int, day: int) -> bool:
    """A day someone alive may be born on."""
    return 1900 <= year <= 2035 and 1 <= month <= 12 and 1 <= day <= 31
