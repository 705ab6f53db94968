"""Numbers as people write them in English, Portuguese and Spanish, as exact decimals.

Where «1.234» could be a thousand or one and a bit, the language of the text decides.
"""

import re
from collections.abc import Callable
from decimal import Decimal

NUMBER = r"[0-9]{1,3}(?:[.,' \xa0][0-9]{3}){1,6}(?:[.,][0-9]{1,6})?|[0-9]{1,15}(?:[.,][0-9]{1,9})?"
"""A pattern (re2 and re alike): digits, grouped or not, with or without a fraction."""
TIMES = (
    r"mil millones|mil milhões|thousand|millions|million|billions|billion|trillion|milhões|milhão|millones|"
    r"millón|bilhões|bilhão|biliões|bilião|billones|billón|trilhões|trilhão|mil|mi|mn|bi|bn|tri|k|M|B"
)
"""A pattern for the words that multiply."""

_THOUSAND, _MILLION, _BILLION, _TRILLION = (Decimal(10) ** power for power in (3, 6, 9, 12))
_FACTORS = {
    "thousand": _THOUSAND, "mil": _THOUSAND, "k": _THOUSAND,
    "million": _MILLION, "millions": _MILLION, "mi": _MILLION, "milhão": _MILLION, "milhões": _MILLION,
    "millón": _MILLION, "millones": _MILLION, "mn": _MILLION, "m": _MILLION,
    "billion": _BILLION, "billions": _BILLION, "bi": _BILLION, "bilhão": _BILLION, "bilhões": _BILLION,
    "mil millones": _BILLION, "mil milhões": _BILLION, "bn": _BILLION, "b": _BILLION,
    "bilião": _TRILLION, "biliões": _TRILLION, "billón": _TRILLION, "billones": _TRILLION,
    "trillion": _TRILLION, "tri": _TRILLION, "trilhão": _TRILLION, "trilhões": _TRILLION,
}  # fmt: skip
_group = re.compile(r"[.,' \xa0]")


def decimal_of(text: str, is_english: Callable[[], bool], *, is_money: bool = False) -> Decimal:
    """The number that `text` (a match of `NUMBER`) writes.

    Of money, three digits behind a sign are thousands; of anything else the language decides, and only then
    is it asked for.
    """
    signs = _group.findall(text)
    if not signs:
        return Decimal(text)
    last = signs[-1]
    whole, _, rest = text.rpartition(last)
    is_fraction = (
        len(rest) != 3
        if len(signs) == 1 and last in ".,"
        else last in ".," and signs.count(last) == 1 and len(signs) > 1
    )
    if len(signs) == 1 and last in ".," and len(rest) == 3 and not is_money:
        is_fraction = len(whole) > 3 or whole == "0" or (last == ".") == is_english()
    if is_fraction:
        return Decimal(f"{_group.sub('', whole)}.{rest}")
    return Decimal(_group.sub("", text))


def times(word: str | None) -> Decimal:
    """What a word such as «milhões» multiplies by; 1 for None."""
    return Decimal(1) if word is None else _FACTORS[" ".join(word.lower().split())]


def plain(value: Decimal) -> str:
    """Without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
