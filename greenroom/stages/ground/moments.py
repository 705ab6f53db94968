"""Dates and times of day, normalised to ISO 8601.

A date without a year is `--03-15`, a month `2024-03`. Words such as «amanhã» have a value only where it is
known on which day they were said. English writes the month first («3/4/2024» is 4 March) unless it cannot.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from greenroom.stages.check.linear import spots
from greenroom.stages.ground.found import Found, Setting

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janeiro january enero jan ene", "fevereiro february febrero fev feb",
            "março marco march marzo mar",
            "abril april abr apr", "maio may mayo mai", "junho june junio jun", "julho july julio jul",
            "agosto august ago aug", "setembro september septiembre setiembre set sep sept",
            "outubro october octubre out oct", "novembro november noviembre nov",
            "dezembro december diciembre dez dec dic",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_LONG_MONTH = "|".join(
    sorted((name for name in _MONTHS if len(name) > 3 and name != "sept"), key=len, reverse=True)
)
_SHIFTS = {
    "hoje": 0, "hoy": 0, "today": 0, "tonight": 0, "esta noite": 0, "esta noche": 0,
    "amanhã": 1, "mañana": 1, "tomorrow": 1,
    "ontem": -1, "ayer": -1, "yesterday": -1,
    "depois de amanhã": 2, "pasado mañana": 2, "anteontem": -2, "anteayer": -2, "antes de ayer": -2,
}  # fmt: skip
"""Words → days from the day they are said."""
_DAYS = (
    "segunda-feira|terça-feira|quarta-feira|quinta-feira|sexta-feira|sábado|domingo|"
    "lunes|martes|miércoles|jueves|viernes|monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
_VAGUE = (
    rf"(?:next|last|this) (?:week|month|year|weekend|{_DAYS})|"
    rf"(?:próxim[oa]|passad[oa]|est[ea]) (?:semana|mês|ano|mes|año|fim de semana|{_DAYS})|"
    rf"(?:semana|mês|ano|mes|año) (?:que vem|que viene|passad[oa]|pasad[oa]|próxim[oa])|"
    rf"(?:{_DAYS})(?: (?:que vem|que viene|passad[oa]|pasad[oa]|próxim[oa]))?"
)
_LAST = r"últim[oa] (?:semana|mês|ano|mes|año|fim de semana)"
_WORD = "|".join(sorted(_SHIFTS, key=len, reverse=True))

_BEFORE_YEAR = "em|in|en|since|desde|until|até|hasta|ano de|año|year"
DATE = (
    r"(?i)[0-9]/[0-9]|[0-9][.-][0-9]{1,2}[/.-][0-9]"
    rf"|[0-9](?:º|ª|st|nd|rd|th)?,? (?:de |of )?(?:{_MONTH})\b|\b(?:{_MONTH})\.?,? (?:del? |of )?[0-9]"
    rf"|\b(?:{_BEFORE_YEAR}) (?:1[5-9]|20)[0-9]"
)
"""What a text has that names a date with a digit."""
_date_spots = spots(
    r"(?i)[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:T[0-9:.]{4,15}(?:Z|[+-][0-9:]{4,6})?)?"
    r"|[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})|[0-9]{1,2}/[0-9]{1,2}|[0-9]{1,2}/(?:19|20)[0-9]{2}"
    rf"|[0-9]{{1,2}}(?:º|ª|st|nd|rd|th)?,? (?:de |of )?(?:{_MONTH})\b\.?(?:,? (?:del? |of )?[0-9]{{4}})?"
    rf"|\b(?:{_MONTH})\b\.?,? (?:del? |of )?[0-9]{{4}}"
    rf"|\b(?:{_MONTH})\.? [0-9]{{1,2}}(?:st|nd|rd|th)?(?:,? [0-9]{{4}})?"
    rf"|\b(?:{_BEFORE_YEAR}) (?:1[5-9]|20)[0-9]{{2}}"
)
_year_first = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(T.*)?").fullmatch
_numbers = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})(?:([/.-])([0-9]{2,4}))?").fullmatch
_month_year = re.compile(r"([0-9]{1,2})/([0-9]{4})").fullmatch
_day_first = re.compile(
    rf"([0-9]{{1,2}})(?:º|ª|st|nd|rd|th)?,? (?:de |of )?({_MONTH})\b\.?(?:,? (?:del? |of )?([0-9]{{4}}))?",
    re.IGNORECASE,
).fullmatch
_month_first = re.compile(
    rf"({_MONTH})\.? ([0-9]{{1,2}})(?:st|nd|rd|th)?(?:,? ([0-9]{{4}}))?", re.IGNORECASE
).fullmatch
_month_of_year = re.compile(rf"({_MONTH})\b\.?,? (?:del? |of )?([0-9]{{4}})", re.IGNORECASE).fullmatch
_year = re.compile(rf"(?:{_BEFORE_YEAR}) ([0-9]{{4}})", re.IGNORECASE).fullmatch

SAID = (
    rf"(?i)(?:{_LAST}|\b(?:{_WORD}|{_VAGUE}|"
    rf"(?:em|in|en|desde|since|until|até|hasta) (?:{_LONG_MONTH})))(?:[^0-9A-Za-zÀ-ÿ_]|\z)"
)
"""A day, a week or a month in words."""
_said_spots = spots(SAID)
_in_month = re.compile(rf"(?:em|in|en|desde|since|until|até|hasta) ({_LONG_MONTH})", re.IGNORECASE).fullmatch
_not_tomorrow = re.compile(r"(?:\b(?:la|esta|de|una|cada|toda la) )\Z", re.IGNORECASE).search

TIME = r"(?i)[0-9]:[0-9]{2}|[0-9]h|[0-9] ?[ap]\.?m\b|(?:\b(?:as|até as|até às|das|a las|las)|às) [0-9]"
"""What a text has that names a time of day with a digit."""
_time_spots = spots(
    r"(?i)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?(?:[ap]\.?m\b\.?|hs?\b|horas\b))?"
    r"|[0-9]{1,2}h(?:[0-9]{2})?(?:min)?\b"
    r"|[0-9]{1,2} ?[ap]\.?m\b\.?|(?:\b(?:as|até as|até às|das|a las|las)|às) [0-9]{1,2}(?: horas?| h\b|h\b)"
)
_clock = re.compile(
    r"(?:(?P<lead>às|as|até as|até às|das|a las|las) )?(?P<hour>[0-9]{1,2})"
    r"(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?|h(?P<minute2>[0-9]{2})?(?:min)?)?"
    r"(?: ?(?P<half>[ap])\.?m\b\.?| ?(?:hs?\b|horas?\b))?",
    re.IGNORECASE,
).match
_NOONS = {
    "noon": "12:00", "meio-dia": "12:00", "mediodía": "12:00",
    "midnight": "00:00", "meia-noite": "00:00", "medianoche": "00:00",
}  # fmt: skip
NOON = r"(?i)\b(?:noon|midnight|meio-dia|meia-noite|mediodía|medianoche)\b"
"""A time of day in one word."""
_noon_spots = spots(NOON)
_led = re.compile(r"(?:^|\W)(?:às|as|até|das|a las|las|at|by|until) \Z", re.IGNORECASE).search


def find_dates(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """Dates with a digit."""
    for start, stop in _date_spots(encoded):
        before, after = text[start - 1 : start], text[stop : stop + 1]
        if before.isalnum() or before in ("/", "-", ".", "$") or (after.isalnum()):
            continue
        if after in ("/", "-", ".", "%") and text[stop + 1 : stop + 2].isdigit():
            continue
        piece = text[start:stop].rstrip(".")
        end = start + len(piece)
        year = _year(piece)
        if year is not None:
            yield Found(end - 4, end, "DATE", year[1])
            continue
        value = _date_value(piece, setting.is_english)
        if value:
            yield Found(start, end, "DATE", value)


def _date_value(piece: str, is_english: Callable[[], bool]) -> str:
    if one := _year_first(piece):
        day = _day(int(one[1]), int(one[2]), int(one[3]))
        return day + (one[4] or "") if day else ""
    if one := _month_year(piece):
        return f"{one[2]}-{int(one[1]):02d}" if 1 <= int(one[1]) <= 12 else ""
    if one := _numbers(piece):
        return _from_numbers(one, is_english)
    if one := _day_first(piece):
        return _day(_int(one[3]), _MONTHS[one[2].lower()], int(one[1]))
    if one := _month_first(piece):
        if piece[0] == "m" and one[1] in ("may", "march"):
            return ""
        return _day(_int(one[3]), _MONTHS[one[1].lower()], int(one[2]))
    if one := _month_of_year(piece):
        return f"{one[2]}-{_MONTHS[one[1].lower()]:02d}"
    return ""


def _from_numbers(one: re.Match[str], is_english: Callable[[], bool]) -> str:
    first, second = int(one[1]), int(one[3])
    year = _int(one[5])
    if year is None and (one[2] != "/" or is_english()):
        return ""  # «3/4» is a fraction or a score in English, «1.5» a number
    if one[4] is not None and one[4] != one[2]:
        return ""
    if year is not None and year < 100:
        year += 2000 if year < 50 else 1900
    if first <= 12 and is_english():
        first, second = second, first
    return _day(year, second, first)


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


def _day(year: int | None, month: int, day: int) -> str:
    """ISO 8601, or "" where there is no such day. A year that is not said may have a 29 February."""
    try:
        shown = date(2000 if year is None else year, month, day).isoformat()
    except ValueError:
        return ""
    return f"-{shown[4:]}" if year is None else shown


def find_said(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """«amanhã», «next week», «in March»."""
    today = setting.today
    for start, stop in _said_spots(encoded):
        end = stop if text[stop - 1].isalpha() else stop - 1
        word = text[start:end].lower()
        month = _in_month(word)
        if month is not None:
            place = end - len(month[1])
            if _is_month(text, place, month[1]):
                yield Found(place, end, "DATE", f"--{_MONTHS[month[1]]:02d}")
            continue
        if word == "mañana" and _not_tomorrow(text, max(0, start - 12), start):
            continue
        shift = _SHIFTS.get(word)
        value = "" if today is None or shift is None else (today + timedelta(shift)).isoformat()
        yield Found(start, end, "DATE", value)


def _is_month(text: str, place: int, month: str) -> bool:
    """Months that are also words («in may», «until march») count with a capital only."""
    return month not in ("may", "march") or text[place].isupper()


def find_times(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """`14h30`, `2:30 p.m.`, «às 9 horas»."""
    for start, end in _time_spots(encoded):
        before, after = text[start - 1 : start], text[end : end + 1]
        if before.isalnum() or before in (*":.,/[",) or after.isdigit() or after == ":":
            continue
        one = _clock(text, start, end)
        if one is None:
            continue
        hour, minute, second = int(one["hour"]), int(one["minute"] or one["minute2"] or 0), one["second"]
        is_bare = one["minute"] is None and one["minute2"] is None and one["half"] is None
        if is_bare and one["lead"] is None and not _led(text, max(0, start - 8), start):
            continue  # «5 h» is as likely a span
        if one["half"]:
            if not 1 <= hour <= 12:
                continue
            hour = hour % 12 + (12 if one["half"].lower() == "p" else 0)
        if hour > 24 or minute > 59 or int(second or 0) > 59:
            continue
        value = f"{hour % 24:02d}:{minute:02d}" + (f":{second}" if second else "")
        yield Found(one.start("hour"), one.end(), "TIME", value)


def find_noons(text: str, encoded: bytes, setting: Setting) -> Iterator[Found]:
    """«noon», «meia-noite»."""
    for start, end in _noon_spots(encoded):
        yield Found(start, end, "TIME", _NOONS[text[start:end].lower()])
