"""Dates, times, amounts, measures, identifiers and addresses in a text, found by patterns and normalised.

One cheap look first: a text without a digit, an `@`, an address or a word such as «amanhã» costs that look.
All patterns are RE2's: the time is linear in the text.
"""

from collections.abc import Callable
from datetime import date

from greenroom.stages.ground.amounts import find_measures, find_money, find_percentages
from greenroom.stages.ground.found import Found, settled
from greenroom.stages.ground.handles import find_links, find_numbers, find_phones
from greenroom.stages.ground.moments import find_dates, find_noons, find_said, find_times

KINDS = ("DATE", "TIME", "MONEY", "MEASURE", "PERCENT", "ID", "EMAIL", "URL", "PHONE")
"""What can be found."""

_MOST = 500
"""Entities of one text: a table of numbers is none of use."""
_DIGITS = b"0123456789"


def find(text: str, language: Callable[[], str], today: date | None = None) -> list[Found]:
    """The first 500 of them, in order, not overlapping.

    `language` gives "en", "pt", "es" or another, and is asked only where there are digits: it decides on
    decimal signs and on the order of day and month. With `today` words such as «amanhã» get a value.
    """
    encoded = text.encode("latin-1", "replace")
    found: list[Found] = []
    if len(encoded.translate(None, _DIGITS)) != len(encoded):
        code = language()
        found += find_numbers(text, encoded)
        found += find_phones(text, encoded)
        found += find_dates(text, encoded, code)
        found += find_times(text, encoded)
        found += find_money(text, encoded, code)
        found += find_percentages(text, encoded, code)
        found += find_measures(text, encoded, code)
    if b"@" in encoded or b"://" in encoded or b"www." in encoded:
        found += find_links(text, encoded)
    found += find_said(text, encoded, today)
    found += find_noons(text, encoded)
    return settled(found)[:_MOST]
