"""Numbers in digits with their units, in forms that can be compared: what they mean, and how exactly.

Decimal points and commas, scales (million, milhão, mil), units brought to one kind (3 km is 3,000 m).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from greenroom.stages.postprocess.measures import MONEY, SCALES, UNITS, word_set

Readings = tuple[float, ...]
"""What a number may mean, likelier first: "3.000" is 3000 in Portuguese, and 3 in English."""


class Quantity(NamedTuple):
    """A number of a text. `unit` is what it counts in, brought to base units; empty for a plain number."""

    start: int
    end: int
    values: Readings
    unit: str = ""
    is_word: bool = False
    slack: float = 0.0
    """Share by which it may be off: "about", a conversion."""
    bound: int = 0
    """1: said to be more than this; -1: less."""
    digits: int = 15
    """Significant digits it is written with."""
    factor: float = 1.0
    """By which `values` were multiplied to come to base units."""
    raw: str = ""
    """Its digits as they are written."""
    period: float = 0.0
    """Seconds between two, for "three times a day"."""
    is_soft: bool = False
    """What may mean no number at all ("a week"): it bears claims out, and is none itself."""


_numbers = re.compile(
    r"(?<![\w.,])(?P<money>(?:US|R|U)?\$|€|£|EUR|USD|BRL|GBP)?\s?(?P<sign>[-−+](?=\d))?"
    r"(?P<digits>\d{1,3}(?:[.,   ]\d{3})+(?!\d)(?:[.,]\d{1,2}(?!\d))?|\d+(?:[.,]\d+)?)(?![.,]?\d)"
)  # fmt: skip
_after = re.compile(
    r"[\s -]?(?P<ordinal>(?:st|nd|rd|th|º|ª|°(?!\s?[CF]))(?!\w))?"
    r"(?:[\s -]*(?P<scale>[^\W\d_]+)\b)?", re.IGNORECASE
)  # fmt: skip
_unit = re.compile(
    r"[\s -]{0,2}(?:(?:de|of)\s+)?(?P<unit>por\s+cento|por\s+ciento|per\s+cent|%|[°º][CF]\b|km/h"
    r"|m/s|(?:quil[oó]metros|kil[oó]metros|kilomet(?:er|re)s|miles)\s+(?:por|per|an)\s+hou?ra?\b"
    r"|square\s+metres|square\s+meters|metros\s+(?:c|q)uadrados|[^\W\d_]+[²2]?)",
    re.IGNORECASE,
)
_money = re.compile(r"\s?(?P<money>(?:US|R)?\$|€|£)")
_MILLIONS = {"m", "mn"}
_SIGNS = frozenset("€£$")
_APPROXIMATE = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|c\.|~|≈|close to|estimated"
    r"|cerca de|aproximadamente|quase|perto de|por volta de|em torno de|uns|umas"
    r"|casi|unos|unas|alrededor de|en torno a|próximo a)\s*(?:[^\W\d]+\s)?(?:US|R)?[$€£]?\s?\Z",
    re.IGNORECASE,
)
_BEFORE = word_set(
    "about around approximately approx approx. roughly nearly almost some circa c. close estimated cerca"
    " de da la que aproximadamente quase perto por volta torno uns umas casi unos unas alrededor a próximo"
    " than over above least of acima menos más mais under below most up to many much abaixo até máximo"
    " hasta debajo encima partir passar pasar"
)
"""Of the two words before a number that say how exact it is, one is among these."""
_MORE = re.compile(
    r"(?:more than|over|above|at least|greater than|upwards of|mais d[ea]|acima de|pelo menos"
    r"|más de(?: la)?|al menos"
    r"|por encima de|older than|mayores de|maiores de|passar de|pasar de|a partir de)\s*(?:US"
    r"|R)?[$€£]?\s?\Z",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"(?:less than|menos d[ea]|menos de la|under|below|fewer than|up to|at most|no more than"
    r"|as many as|as much as|menos de|abaixo de|até|no máximo|hasta|por debajo de|younger than|menores de)"
    r"\s*(?:US|R)?[$€£]?\s?\Z",
    re.IGNORECASE,
)


def overlaps(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a stretch shares characters with one of the spans."""
    return any(start < other_end and other < end for other, other_end in spans)


def written(text: str, language: str, taken: list[tuple[int, int]]) -> Iterator[Quantity]:
    """Numbers in digits, but for those in spans that are taken."""
    for found in _numbers.finditer(text):
        start, end = found.span("digits")
        if overlaps(taken, start, end) or text[end : end + 1] == "_":
            continue
        values = readings(found["digits"], language)
        if found["sign"] in {"-", "−"} and not text[: found.start("sign")].rstrip()[-1:].isalnum():
            values = tuple(-one for one in values)
        digits = len(found["digits"].lstrip("0., ").replace(".", "").replace(",", "").rstrip("0")) or 1
        behind = _after.match(text, end)
        factor = 1.0
        is_ordinal = behind is not None and behind["ordinal"] is not None
        if behind is not None and behind["scale"] is not None:
            name = behind["scale"].lower()
            known = SCALES.get(name)
            if name in _MILLIONS and (found["money"] or text[behind.end() : behind.end() + 1] in _SIGNS):
                known = 1e6  # "€3.6m", "415 M€"
            is_doubtful = name == "mm" or (name == "mi" and language != "pt")
            if known is not None and not (is_doubtful and found["money"] is None):
                factor, end = known, behind.end()
                rest = _after.match(text, end)
                if rest is not None and rest["scale"] and known == 1e3:  # mil milhões, mil millones
                    more = SCALES.get(rest["scale"].lower(), 1.0)
                    factor, end = factor * more, rest.end() if more > 1 else end
        unit, scale, end = ("", 1.0, end) if is_ordinal else unit_at(text, end)
        sign = found["money"] or _money_behind(text, end)
        if sign:
            unit, scale = MONEY[sign.lower()], 1.0
        if factor > 1 and unit == "g" and text[:end].lower().endswith(("pounds", "libras")):
            unit, scale = "gbp", 1.0
        values = tuple(one * factor * scale for one in values)
        made = quantity(text, found.start(), end, values, unit, digits, scale)
        yield made._replace(raw=found["digits"])


def _money_behind(text: str, end: int) -> str | None:
    found = _money.match(text, end)
    return None if found is None else found["money"]


def unit_at(text: str, end: int) -> tuple[str, float, int]:
    """The unit that stands there, what it is multiplied by for base units, and where it ends."""
    found = _unit.match(text, end)
    if found is None:
        return "", 1.0, end
    name = "_".join(found["unit"].lower().split())
    if name in {"t", "s", "h", "m", "l", "g", "b", "w"} and found["unit"] != name:
        return "", 1.0, end
    known = UNITS.get(name)
    return ("", 1.0, end) if known is None else (*known, found.end())


def quantity(
    text: str,
    start: int,
    end: int,
    values: Readings,
    unit: str,
    digits: int,
    factor: float,
    *,
    is_word: bool = False,
) -> Quantity:
    """A number at a place, with what stands before it: about, more than, less than."""
    before = text[max(0, start - 32) : start]
    if _BEFORE.isdisjoint(before.lower().split()[-2:]) and before.rstrip(" $€£RU")[-1:] not in {"~", "≈"}:
        return Quantity(start, end, values, unit, is_word, 0.0, 0, digits, factor)
    slack = 0.06 if _APPROXIMATE.search(before) is not None else 0.0
    bound = 1 if _MORE.search(before) is not None else -1 if _LESS.search(before) is not None else 0
    return Quantity(start, end, values, unit, is_word, slack, bound, digits, factor)


def readings(digits: str, language: str) -> Readings:
    """What a number in digits may mean in a language, likelier first."""
    plain = re.sub(r"[\s   ]", "", digits)
    dots, commas = plain.count("."), plain.count(",")
    if not dots and not commas:
        return (float(plain),)
    if dots and commas:
        point = "." if plain.rfind(".") > plain.rfind(",") else ","
        return (_with(plain, point),)
    sign = "." if dots else ","
    if plain.count(sign) > 1:
        return (_with(plain, ""),)
    whole, _, part = plain.partition(sign)
    if len(part) != 3 or len(whole) > 3 or whole.startswith("0"):
        return (_with(plain, sign),)
    thousands, fraction = _with(plain, ""), _with(plain, sign)
    groups_by = "," if language == "en" else "."
    return (thousands, fraction) if sign == groups_by else (fraction, thousands)


def _with(plain: str, point: str) -> float:
    kept = "".join(
        "." if letter == point else letter for letter in plain if letter.isdigit() or letter == point
    )
    return float(kept)
