"""Numbers in words: "forty-one", "dois milhões e meio", "la mitad", "one in ten", "three times a day".

English, Portuguese and Spanish. What means a number only at times ("a week") is marked as soft.
"""

import re
from collections.abc import Iterator

from greenroom.stages.postprocess.measures import JOINED, UNITS, WORDS, word_set
from greenroom.stages.postprocess.numerals import Quantity, overlaps, quantity, unit_at

_word = re.compile(r"[^\W\d_]+")
_ONES = {"en": {"one"}, "pt": {"um", "uma"}, "es": {"un", "uno", "una", "ún"}}
_HALF = re.compile(r"\s+(?:and\s+a\s+half|e\s+mei[ao]|y\s+medi[ao])\b", re.IGNORECASE)

_TIME = "|".join(
    sorted(
        (name for name, (kind, _) in UNITS.items() if kind == "s" and len(name) > 2), key=len, reverse=True
    )
)
_MEASURE = "|".join(
    sorted(
        (name for name, (kind, _) in UNITS.items() if kind in "smgl" and len(name) > 2), key=len, reverse=True
    )
)
_half_more = re.compile(
    rf"\b(?:an?|one|uma?|una?)?\s*\b(?P<unit>{_MEASURE})\s+(?:and\s+a\s+half|e\s+mei[ao]|y\s+medi[ao])\b",
    re.IGNORECASE,
)
_share_of = re.compile(
    rf"(?<!and\sa\s)(?<!-)\b(?P<part>half|a\s+quarter|three\s+quarters|three-quarters|mei[ao]"
    rf"|medi[ao]|(?:um|três)\s+quartos?|(?:un\s+|tres\s+)?cuartos?)"
    rf"\s+(?:(?:of\s+)?an?\s+|(?:de\s+)(?:uma?\s+|una?\s+)?)?(?P<unit>{_MEASURE})\b",
    re.IGNORECASE,
)
_PARTS = {
    "half": 0.5, "meia": 0.5, "meio": 0.5, "media": 0.5, "medio": 0.5, "quarter": 0.25, "quarto": 0.25,
    "cuarto": 0.25,
    "quartos": 0.25, "cuartos": 0.25, "quarters": 0.25,
}  # fmt: skip
_NAMES = {
    "half": 50, "halves": 50, "halved": 50, "metade": 50, "mitad": 50, "third": 100 / 3, "terço": 100 / 3,
    "tercio": 100 / 3, "tercera parte": 100 / 3, "terça parte": 100 / 3, "quarter": 25, "quarto": 25,
    "cuarto": 25,
    "cuarta parte": 25, "fifth": 20, "quinto": 20, "quinta parte": 20, "tenth": 10, "décimo": 10,
    "décima parte": 10,
    "double": 200, "doubled": 200, "doubles": 200, "dobro": 200, "dobrou": 200, "duplicou": 200,
    "doble": 200,
    "dobló": 200, "duplicó": 200, "tripled": 300, "triplo": 300, "triplicou": 300, "triple": 300,
    "triplicó": 300,
    "quadruple": 400, "quádruplo": 400, "cuádruple": 400,
}  # fmt: skip
_MANY = {
    "two": 2,
    "three": 3,
    "four": 4,
    "dois": 2,
    "duas": 2,
    "três": 3,
    "quatro": 4,
    "dos": 2,
    "tres": 3,
    "cuatro": 4,
}
_fraction = re.compile(
    r"\b(?:(?P<many>two|three|four|dois|duas|três|quatro|dos|tres|cuatro)[\s-]+"
    r"(?P<of>thirds|quarters|fifths|tenths|terços|quartos|quintos|tercios|cuartos|quintos"
    r"|(?:terceras|terças|cuartas|quintas|décimas)\s+partes)"
    r"|(?:a|one|um|un)[\s-]+(?P<one>third|fifth|tenth|terço|quinto|tercio|quarter|quarto|cuarto"
    r"|décimo)\s+(?:of|d[aeo]s?|del|part|is|are)\b"
    r"|by\s+a\s+(?P<by>third|quarter|fifth)|(?:a|one|um|un)\s+(?P<alone>third|terço|tercio)\b(?!\s+\w+th\b)"
    r"|(?:la|a)\s+(?P<part>(?:tercera|terça|cuarta|quarta|quinta|décima)\s+parte)"
    r"|(?P<word>half|halved|metade|mitad|double[sd]?|dobro|dobrou|duplicou|doble|dobló|duplicó"
    r"|tripled?|triplo|triplicou"
    r"|triplicó|quadruple|quádruplo|cuádruple)\b)",
    re.IGNORECASE,
)
_in_each = re.compile(
    r"\b(?P<n>\d{1,3}|[^\W\d_]+)\s+(?:in|out\s+of|em|de|en)\s+(?P<each>(?:every|each|cada"
    r"|a\s+cada)\s+)?(?P<m>\d{1,4}|[^\W\d_]+)\b"
    r"(?!\s*(?:%|de\s+\d{4}))",
    re.IGNORECASE,
)
_often = re.compile(
    rf"\b(?:(?P<n>\d{{1,3}}|[^\W\d_]+)\s+(?:times|veces|vezes)|(?P<once>once|twice))\s+"
    rf"(?:an?|per|each|every|al|por|ao|à|cada|a\s+la)\s+(?P<unit>{_TIME})\b",
    re.IGNORECASE,
)
_soft = re.compile(
    rf"\b(?:within|in|after|for|of|lasts|takes|em|por|durante|de|do|após|vale|dura|tras|en|tiene"
    rf"|tarda|leva|a|um|one)\s+"
    rf"(?P<one>an?|one|uma?|una?)\s+(?P<unit>{_MEASURE}|fortnight)\b",
    re.IGNORECASE,
)
_one_unit = re.compile(rf"(?<!-)\bone\s+(?:\w+\s+)?(?P<unit>{_MEASURE})\b", re.IGNORECASE)


_OFTEN = word_set("times veces vezes once twice")
_HALVES = word_set("half meio meia medio media")
_SHARES = _HALVES | word_set("quarter quarters quarto quartos cuarto cuartos")
_EACH = word_set("cada every each out ten hundred thousand")
_FRACTIONS = _SHARES | {
    *_NAMES,
    *word_set("thirds fifths tenths terços quintos tercios parte partes doubles"),
}
_ARTICLES = word_set("a an um uma un una one")
_UNITS = frozenset(name for name, (kind, _) in UNITS.items() if kind in "smgl" and len(name) > 2)


def _number(word: str, language: str) -> float | None:
    low = word.lower()
    if low.isdigit():
        return float(low)
    if low in _ONES[language]:
        return 1.0
    return WORDS[language].get(low)


def parts(
    text: str, language: str, words: frozenset[str], taken: list[tuple[int, int]]
) -> Iterator[Quantity]:
    """Halves, shares, how often, and one of a unit; what says it is added to the spans that are taken.

    `words` are those of the text, in lower case.
    """
    if language not in WORDS:
        return
    if not words.isdisjoint(_OFTEN):
        yield from _frequencies(text, language, taken)
    if not words.isdisjoint(_FRACTIONS):
        yield from _fractions(text, language, words, taken)
    if not words.isdisjoint(_EACH) or "10 " in text or "100" in text:
        yield from _ratios(text, language, taken)
    if not words.isdisjoint(_ARTICLES) and not words.isdisjoint(_UNITS):
        yield from _single(text, language, taken)


def _frequencies(text: str, language: str, taken: list[tuple[int, int]]) -> Iterator[Quantity]:
    for found in _often.finditer(text):
        many = {"once": 1.0, "twice": 2.0}.get((found["once"] or "").lower()) or _number(
            found["n"] or "", language
        )
        if many:
            taken.append(found.span())
            period = UNITS[found["unit"].lower()][1] / many
            yield quantity(text, *found.span(), (many,), "", 2, 1.0, is_word=True)._replace(period=period)


def _fractions(
    text: str, language: str, words: frozenset[str], taken: list[tuple[int, int]]
) -> Iterator[Quantity]:
    for found in _half_more.finditer(text) if _HALF.search(text) is not None else ():
        kind, factor = UNITS[found["unit"].lower()]
        before = _number_before(text, found.start(), language)
        if before is None and not overlaps(taken, *found.span()):
            taken.append(found.span())
            yield quantity(text, *found.span(), (1.5 * factor,), kind, 2, factor, is_word=True)
    for found in _share_of.finditer(text) if not words.isdisjoint(_SHARES) else ():
        if overlaps(taken, *found.span()):
            continue
        name = found["part"].lower().replace("-", " ").split()
        times = 3 if name[0] in {"three", "três", "tres"} else 1
        kind, factor = UNITS[found["unit"].lower()]
        taken.append(found.span())
        yield quantity(
            text, *found.span(), (_PARTS[name[-1]] * times * factor,), kind, 2, factor, is_word=True
        )
    for found in _fraction.finditer(text):
        if overlaps(taken, *found.span()):
            continue
        name = " ".join(
            next(one for key, one in found.groupdict().items() if one and key != "many").lower().split()
        )
        if found["many"]:
            name = name.replace("partes", "parte").replace("as parte", "a parte")
            name = name if name.endswith("parte") else name.removesuffix("s")
        value = _NAMES.get(name)
        if value is not None:
            taken.append(found.span())
            share = value * (_MANY[found["many"].lower()] if found["many"] else 1)
            yield quantity(text, *found.span(), (share,), "%", 2, 1.0, is_word=True)._replace(slack=0.02)


def _ratios(text: str, language: str, taken: list[tuple[int, int]]) -> Iterator[Quantity]:
    for found in _in_each.finditer(text):
        n, m = _number(found["n"], language), _number(found["m"], language)
        is_share = (
            n and m and n < m and (found["each"] or (m in {10, 100, 1000} and n < 10 and language == "en"))
        )
        if is_share and n and m and not overlaps(taken, *found.span()):
            taken.append(found.span())
            yield quantity(text, *found.span(), (100 * n / m,), "%", 2, 1.0, is_word=True)


def _single(text: str, language: str, taken: list[tuple[int, int]]) -> Iterator[Quantity]:
    for pattern, is_soft in ((_soft, True), (_one_unit, False)):
        for found in pattern.finditer(text):
            if language == "en" or is_soft:
                kind, factor = UNITS[found["unit"].lower()]
                if not overlaps(taken, *found.span()):
                    taken.append(found.span())
                    made = quantity(text, *found.span(), (factor,), kind, 1, factor, is_word=True)
                    yield made._replace(is_soft=is_soft and found["one"].lower() != "one")


def _number_before(text: str, start: int, language: str) -> float | None:
    before = text[max(0, start - 20) : start].split()
    return _number(before[-1], language) if before and before[-1].lower() not in _ONES[language] else None


def spelled(
    text: str, language: str, told: frozenset[str], taken: list[tuple[int, int]]
) -> Iterator[Quantity]:
    """Numbers in words, with the half that may stand behind them; `told` are the words of the text."""
    words = WORDS.get(language)
    if words is None or told.isdisjoint(words):
        return
    joined, ones = JOINED[language], _ONES[language]
    run: list[tuple[float, int, int]] = []
    pending = False
    one: tuple[float, int, int] | None = None
    for found in _word.finditer(text):
        word = found[0].lower()
        value = words.get(word)
        if (
            value is None
            and word in ones
            and run
            and run[-1][0] >= 20
            and _follows(text, run[-1][2], found.start())
        ):
            value = 1.0
        if run and (value is None or not _follows(text, run[-1][2], found.start())):
            if value is None and word in joined and not pending:
                pending = True
                continue
            yield from _sum(text, run)
            run = []
        pending = False
        before = text[max(0, found.start() - 5) : found.start()].rstrip()
        if (
            value is not None
            and not overlaps(taken, found.start(), found.end())
            and not before[-1:].isdigit()
            and not (word in {"cento", "ciento"} and before.lower().endswith("por"))
        ):
            if not run and one is not None and value >= 1000 and _follows(text, one[2], found.start()):
                run.append(one)
            run.append((value, found.start(), found.end()))
        one = (1.0, *found.span()) if word in ones or word == "a" else None
    if run:
        yield from _sum(text, run)


def _follows(text: str, end: int, start: int) -> bool:
    between = text[end:start].strip(" -").lower()
    return between in {"", "e", "y", "and"} and start - end < 8


def _sum(text: str, run: list[tuple[float, int, int]]) -> Iterator[Quantity]:
    total = current = 0.0
    for value, _, _ in run:
        if value >= 1000:
            total, current = (total + max(current, 1) * value), 0.0
        elif value == 100 and 0 < current < 10:
            current *= 100
        else:
            current += value
    start, end = run[0][1], run[-1][2]
    if len(run) == 1 and run[0][0] >= 1000 and text[start:end].lower() != "mil":
        return  # "millions of": how many is not said
    half = _HALF.match(text, end)
    if half is not None:
        end = half.end()
        current += 0.5 * (run[-1][0] if run[-1][0] >= 1000 else 1)
    value = total + current
    unit, scale, end = unit_at(text, end)
    if half is None and (behind := _HALF.match(text, end)) is not None and unit:
        value, end = value + 0.5, behind.end()  # "two years and a half"
    yield quantity(text, start, end, (value * scale,), unit, _digits(value), scale, is_word=True)


def _digits(value: float) -> int:
    return len(f"{value:.0f}".rstrip("0")) or 1
