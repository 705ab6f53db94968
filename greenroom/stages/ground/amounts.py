"""Money, percentages, measures and spans of time, normalised.

Money as decimal and ISO 4217 code (`1250.5 BRL`; `$` stays where the text does not say whose), measures in
SI units (`5000 m`), spans of time as ISO 8601 durations (`PT2H`). Words for numbers («dez reais») are not
read.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from greenroom.stages.check.linear import spots
from greenroom.stages.ground.decimals import NUMBER, TIMES, decimal_of, plain, times
from greenroom.stages.ground.found import Found, Setting

_SIGNS = {
    "R$": "BRL", "US$": "USD", "U$S": "USD", "U$": "USD", "A$": "AUD", "C$": "CAD", "MX$": "MXN", "€": "EUR",
    "£": "GBP", "¥": "JPY",
}  # fmt: skip
_CODES = (
    "BRL",
    "USD",
    "EUR",
    "GBP",
    "MXN",
    "ARS",
    "CLP",
    "COP",
    "PEN",
    "UYU",
    "JPY",
    "CHF",
    "CAD",
    "AUD",
    "CNY",
)
_WORDS = {
    "reais": "BRL", "real": "BRL", "dólares": "USD", "dólar": "USD", "dolares": "USD", "dollars": "USD",
    "dollar": "USD", "bucks": "USD", "euros": "EUR", "euro": "EUR", "libras esterlinas": "GBP",
    "pounds sterling": "GBP", "pesos mexicanos": "MXN", "pesos argentinos": "ARS", "pesos chilenos": "CLP",
    "pesos colombianos": "COP", "pesos": "$", "soles": "PEN", "ienes": "JPY", "yenes": "JPY", "yen": "JPY",
}  # fmt: skip
_MANY = rf"(?: ?(?:{TIMES})\b)?"
_SIGN = r"(?:R\$|US\$|U\$S|U\$|A\$|C\$|MX\$|[$€£¥])"
_CODE = "|".join(_CODES)
_WORD = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))


def _money_with(number: str) -> str:
    return (
        rf"(?i){_SIGN} ?(?:{number}){_MANY}|\b(?:{_CODE}) ?(?:{number}){_MANY}|"
        rf"(?:{number}){_MANY}(?: ?[€£$]| ?\b(?:{_CODE})\b| (?:de )?(?:{_WORD})\b)"
    )


MONEY = _money_with("[0-9]")
"""What a text has that names money: numbers begin and end with a digit."""
_money_spots = spots(_money_with(NUMBER))
_money = re.compile(
    rf"(?P<sign>{_SIGN})?(?P<code>{_CODE})? ?(?P<number>{NUMBER})(?: ?(?P<times>{TIMES})\b)?"
    rf"(?: ?(?P<sign2>[€£$])| ?\b(?P<code2>{_CODE})\b| (?:de )?(?P<word>{_WORD})\b)?",
    re.IGNORECASE,
).match

_PER_HUNDRED = r"(?: ?%| (?:por cento|por ciento|percent|per cent|pct)\b)"
PERCENT = rf"(?i)[0-9]{_PER_HUNDRED}"
"""What a text has that names a percentage."""
_percent_spots = spots(rf"(?i)(?:{NUMBER}){_PER_HUNDRED}")
_number = re.compile(NUMBER).match

_SI: dict[str, tuple[str, str]] = {
    "km": ("1000", "m"), "quilômetro": ("1000", "m"), "quilómetro": ("1000", "m"), "kilómetro": ("1000", "m"),
    "kilometer": ("1000", "m"), "kilometre": ("1000", "m"), "m": ("1", "m"), "metro": ("1", "m"),
    "meter": ("1", "m"), "metre": ("1", "m"), "cm": ("0.01", "m"), "centímetro": ("0.01", "m"),
    "centimeter": ("0.01", "m"), "mm": ("0.001", "m"), "milímetro": ("0.001", "m"),
    "millimeter": ("0.001", "m"),
    "mile": ("1609.344", "m"), "milha": ("1609.344", "m"), "milla": ("1609.344", "m"), "ft": ("0.3048", "m"),
    "foot": ("0.3048", "m"), "feet": ("0.3048", "m"), "inch": ("0.0254", "m"), "inches": ("0.0254", "m"),
    "polegada": ("0.0254", "m"), "pulgada": ("0.0254", "m"), "yard": ("0.9144", "m"),
    "m²": ("1", "m²"), "m2": ("1", "m²"), "km²": ("1000000", "m²"), "km2": ("1000000", "m²"),
    "hectare": ("10000", "m²"), "hectárea": ("10000", "m²"), "ha": ("10000", "m²"),
    "acre": ("4046.8564224", "m²"),
    "metros quadrados": ("1", "m²"), "metros cuadrados": ("1", "m²"), "square meters": ("1", "m²"),
    "square feet": ("0.09290304", "m²"), "m³": ("1", "m³"), "m3": ("1", "m³"), "l": ("0.001", "m³"),
    "litro": ("0.001", "m³"), "liter": ("0.001", "m³"), "litre": ("0.001", "m³"), "ml": ("0.000001", "m³"),
    "gallon": ("0.003785411784", "m³"),
    "kg": ("1", "kg"), "quilo": ("1", "kg"), "kilo": ("1", "kg"), "quilograma": ("1", "kg"),
    "kilogram": ("1", "kg"), "kilogramo": ("1", "kg"), "g": ("0.001", "kg"), "grama": ("0.001", "kg"),
    "gramo": ("0.001", "kg"), "gram": ("0.001", "kg"), "mg": ("0.000001", "kg"), "tonelada": ("1000", "kg"),
    "tonne": ("1000", "kg"), "lb": ("0.45359237", "kg"), "lbs": ("0.45359237", "kg"),
    "pound": ("0.45359237", "kg"), "ounce": ("0.028349523125", "kg"), "oz": ("0.028349523125", "kg"),
    "km/h": ("0.277777777778", "m/s"), "kmh": ("0.277777777778", "m/s"), "mph": ("0.44704", "m/s"),
    "m/s": ("1", "m/s"), "w": ("1", "W"), "watt": ("1", "W"), "kw": ("1000", "W"), "mw": ("1000000", "W"),
    "kwh": ("3600000", "J"), "v": ("1", "V"), "volt": ("1", "V"), "hz": ("1", "Hz"), "khz": ("1000", "Hz"),
    "mhz": ("1000000", "Hz"), "ghz": ("1000000000", "Hz"), "kb": ("1000", "B"), "mb": ("1000000", "B"),
    "gb": ("1000000000", "B"), "tb": ("1000000000000", "B"), "kib": ("1024", "B"), "mib": ("1048576", "B"),
    "gib": ("1073741824", "B"), "byte": ("1", "B"),
}  # fmt: skip
"""Unit, small and singular → how many of which SI unit."""
_WARMTH = {"°c": "C", "ºc": "C", "°f": "F", "ºf": "F", "graus celsius": "C", "grados celsius": "C"}
_SPANS = {
    "ms": ("0.001", "S"), "s": ("1", "S"), "seg": ("1", "S"), "sec": ("1", "S"), "segundo": ("1", "S"),
    "second": ("1", "S"), "min": ("1", "M"), "minuto": ("1", "M"), "minute": ("1", "M"), "h": ("1", "H"),
    "hora": ("1", "H"), "hour": ("1", "H"), "dia": ("1", "D"), "día": ("1", "D"), "day": ("1", "D"),
    "semana": ("1", "W"), "week": ("1", "W"), "mês": ("1", "MO"), "mes": ("1", "MO"), "meses": ("1", "MO"),
    "month": ("1", "MO"), "ano": ("1", "Y"), "año": ("1", "Y"), "year": ("1", "Y"),
}  # fmt: skip
_UNITS = "|".join(
    re.escape(unit) + (r"(?:e?s)?" if len(unit) > 2 and unit[-1].isalpha() else "")
    for unit in sorted((*_SI, *_WARMTH, *_SPANS), key=len, reverse=True)
)
_MEASURED = rf"(?: ?(?:{TIMES}))?(?: de)? ?-?(?:{_UNITS})(?:[^0-9A-Za-zÀ-ÿ_/²³]|\z)"
MEASURE = rf"(?i)[0-9]{_MEASURED}"
"""What a text has that names a measure."""
_measure_spots = spots(rf"(?i)(?:{NUMBER}){_MEASURED}")
_measure = re.compile(
    rf"(?P<number>{NUMBER})(?: ?(?P<times>{TIMES})\b)?(?: de)? ?-?(?P<unit>{_UNITS})(?![^\W_]|[/²³])",
    re.IGNORECASE,
).match


def find_money(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """`R$ 1.250,50`, `US$ 3 million`, `20 euros`."""
    for start, end in _money_spots(encoded):
        one = _money(text, start, end)
        if one is None or (one.end() <= one.end("number") and not (one["sign"] or one["code"])):
            continue
        mark = one["sign"] or one["code"] or one["sign2"] or one["code2"] or one["word"]
        if mark is None or _is_inside_word(text, start):
            continue
        currency = _SIGNS.get(mark.upper()) or _WORDS.get(mark.lower()) or mark.upper()
        if currency == "$" and setting.is_english():
            currency = "USD"
        amount = decimal_of(one["number"], setting.is_english, is_money=True) * times(one["times"])
        yield Found(start, one.end(), "MONEY", f"{plain(amount)} {currency}")


def find_percentages(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """`12,5 %`, `ten` excepted: digits only."""
    for start, end in _percent_spots(encoded):
        one = _number(text, start, end)
        if one is not None and not _is_inside_word(text, start):
            yield Found(start, end, "PERCENT", f"{plain(decimal_of(one[0], setting.is_english))}%")


def find_measures(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """`5 km`, `70 quilos`, `2 horas`."""
    for start, end in _measure_spots(encoded):
        one = _measure(text, start, end)
        if one is None or _is_inside_word(text, start):
            continue
        value = _measured(decimal_of(one["number"], setting.is_english) * times(one["times"]), one["unit"])
        if value:
            yield Found(start, one.end(), "MEASURE", value)


def _measured(amount: Decimal, unit: str) -> str:
    word = unit.lower()
    if unit == "M":
        return ""  # a million or a size, seldom metres
    for name in (word, word.removesuffix("s"), word.removesuffix("es")):
        if name in _SPANS:
            factor, sign = _SPANS[name]
            return _duration(amount * Decimal(factor), sign)
        if name in _WARMTH:
            kelvin = amount + Decimal("273.15")
            if _WARMTH[name] == "F":
                kelvin = (amount + Decimal("459.67")) * 5 / 9
            return f"{plain(round(kelvin, 2))} K"
        if name in _SI:
            factor, base = _SI[name]
            return f"{plain(round(amount * Decimal(factor), 6))} {base}"
    return ""


def _duration(amount: Decimal, sign: str) -> str:
    number = plain(amount)
    if sign == "MO":
        return f"P{number}M"
    return f"PT{number}{sign}" if sign in "SMH" else f"P{number}{sign}"


def _is_inside_word(text: str, start: int) -> bool:
    before = text[start - 1 : start]
    return before.isalnum() or (before in (".", ",", "-", "/", ":") and text[start - 2 : start - 1].isdigit())
