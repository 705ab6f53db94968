"""Dates, times, amounts, measures, identifiers and addresses in a text, found by patterns and normalised.

One cheap look first: a text without a digit, an `@`, an address or a word such as «amanhã» costs that look.
All patterns are RE2's: the time is linear in the text.
"""

from datetime import date

from greenroom.stages.check.linear import Span, spots
from greenroom.stages.ground.amounts import find_measures, find_money, find_percentages
from greenroom.stages.ground.found import Found, settled
from greenroom.stages.ground.handles import find_links, find_numbers, find_phones
from greenroom.stages.ground.moments import NOON, SAID, find_dates, find_said, find_times

KINDS = ("DATE", "TIME", "MONEY", "MEASURE", "PERCENT", "ID", "EMAIL", "URL", "PHONE")
"""What can be found."""

_WORDS = rf"{SAID}|{NOON}"
_digits = spots("[0-9]")
_said = spots(_WORDS)
_link = spots(r"(?i)@|https?://|www\.")
_MOST = 500


def find(text: str, language: str, today: date | None = None) -> list[Found]:
    """All of them, in order, not overlapping.

    `language` ("en", "pt", "es") decides on decimal signs and the order of day and month. With `today`
    words such as «amanhã» get a value.
    """
    encoded = text.encode("latin-1", "replace")
    found: list[Found] = []
    if _has_digit(encoded):
        found += find_numbers(text, encoded)
        found += find_phones(text, encoded)
        found += find_dates(text, encoded, language)
        found += find_times(text, encoded, language)
        found += find_money(text, encoded, language)
        found += find_percentages(text, encoded, language)
        found += find_measures(text, encoded, language)
    if b"@" in encoded or b"://" in encoded or b"www." in encoded:
        found += find_links(text, encoded)
    found += find_said(text, encoded, today)
    return settled(found)[:_MOST]


_DIGITS = b"0123456789"


def _has_digit(encoded: bytes) -> bool:
    return len(encoded.translate(None, _DIGITS)) != len(encoded)


__all__ = ["KINDS", "Found", "Span", "find"]
