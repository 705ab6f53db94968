"""Dates of a text, or what of one is said: in digits, in words, decades and centuries."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from greenroom.stages.postprocess.measures import MONTHS


class Moment(NamedTuple):
    """A date, or what of one is said; `decade` and `century` count years."""

    start: int
    end: int
    year: int | None = None
    month: int | None = None
    day: int | None = None
    span: int = 1
    """Years it covers: 10 for "the 1990s", 100 for a century."""
    other: tuple[int, int] | None = None
    """Month and day, if day and month may be the other way round."""


_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_FULL_MONTH = "|".join(sorted((name for name in MONTHS if len(name) > 3), key=len, reverse=True))
_OF = r"(?:(?:de|del|of|do)\s+)?"
_dates = re.compile(
    rf"\b(?P<y1>\d{{4}})-(?P<m1>\d{{2}})-(?P<d1>\d{{2}})\b"
    rf"|\b(?P<a>\d{{1,2}})[/.](?P<b>\d{{1,2}})[/.](?P<y2>\d{{4}}|\d{{2}})\b"
    rf"|\b(?P<a11>[0-3]\d)/(?P<b11>[01]\d)\b(?!/|\d)"
    rf"|\b(?P<d3>\d{{1,2}})(?:st|nd|rd|th|º|°|er)?\s+{_OF}(?P<m3>{_MONTH})\b\.?(?:,?\s+{_OF}(?P<y3>\d{{4}})\b)?"
    rf"|\b(?P<m4>{_MONTH})\b\.?\s+(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d|[.,]\d|\s*%)(?:,?\s+(?P<y4>\d{{4}})\b)?"
    rf"|\b(?P<m5>{_MONTH})\b\.?,?\s+{_OF}(?P<y5>\d{{4}})\b"
    rf"|\b(?:the\s+)?(?P<y6>\d{{3}}0)['’]?s\b"
    rf"|\b(?:anos|años|década\s+de|decade\s+of)\s+(?:de\s+|the\s+)?(?P<y7>\d{{3}}0|\d0)\b"
    rf"|\b(?:século|siglo)\s+(?P<c8>[ivxlc]+|\d{{1,2}})\b"
    rf"|\b(?P<c9>\d{{1,2}})(?:st|nd|rd|th)[\s-]+century\b"
    rf"|\b(?:in|since|until|of|by|from|between|each|every|late|early|and|to)\s+(?P<m11>May)\b"
    rf"|\b(?P<m10>{_FULL_MONTH})\b"
    rf"(?!\.?,?\s+{_OF}\d)",
    re.IGNORECASE,
)
DATED = frozenset(MONTHS) | {"século", "siglo", "century", "década", "decade", "años", "anos", "th"}
"""Words of which dates have one that aren't digits alone."""
has_dashes = re.compile(r"\d[/.-]\d|\d{3}0['’]?s\b|century").search
"""Whether a text may have a date in digits."""
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def moments(text: str, language: str) -> Iterator[Moment]:
    """Those of a text, in order."""
    for found in _dates.finditer(text):
        got = {name: value for name, value in found.groupdict().items() if value is not None}
        start, end = found.span()
        kinds = {name.rstrip("0123456789"): value for name, value in got.items()}
        if "a" in kinds:
            first, second = int(kinds["a"]), int(kinds["b"])
            year = int(kinds["y"]) if "y" in kinds else None
            if not 1 <= first <= 31 or not 1 <= second <= 31:
                continue
            if year is not None and year < 100:
                year += 2000 if year < 50 else 1900
            day, month = (second, first) if language == "en" and first <= 12 else (first, second)
            if month > 12:
                day, month = month, day
            other = (day, month) if day <= 12 else None
            yield Moment(start, end, year, month, day, other=other)
        elif "c" in kinds:
            yield Moment(start, end, (_century(kinds["c"]) - 1) * 100, span=100)
        elif "y6" in got or "y7" in got:
            year = int(kinds["y"])
            yield Moment(start, end, year + 1900 if year < 100 else year, span=10)
        else:
            name = kinds.get("m", "")
            is_bare = "m10" in got or "m11" in got
            if (name.isupper() and len(name) < 4) or (is_bare and name[:1].isupper() != (language == "en")):
                continue  # MAR is no month, nor are Julio and to march
            yield Moment(
                start, end,
                int(kinds["y"]) if "y" in kinds else None,
                (int(name) if name.isdigit() else MONTHS[name.lower()]) if name else None,
                int(kinds["d"]) if "d" in kinds else None,
            )  # fmt: skip


def _century(text: str) -> int:
    if text.isdigit():
        return int(text)
    numbers = [_ROMAN[letter] for letter in text.lower()]
    return sum(-one if one < next_ else one for one, next_ in zip(numbers, [*numbers[1:], 0], strict=True))
