"""Dates, times, amounts, measures, identifiers and addresses in a text, found by patterns and normalised.

One look asks for the anchors of all finders, and only those whose anchor occurs read the text: most texts
cost that look. All patterns are RE2's: the time is linear in the text.
"""

from collections.abc import Callable, Iterable
from datetime import date

from greenroom.stages.check.linear import pattern_set
from greenroom.stages.ground import amounts, handles, moments
from greenroom.stages.ground.found import Found, Setting, settled

KINDS = ("DATE", "TIME", "MONEY", "MEASURE", "PERCENT", "ID", "EMAIL", "URL", "PHONE")
"""What can be found."""

Finder = Callable[[str, bytes, Setting], Iterable[Found]]

_MOST = 500
"""Entities of one text: a table of numbers is none of use."""
FINDERS: tuple[tuple[str, Finder], ...] = (
    (handles.FORMED, handles.find_formed),
    (handles.NUMBERED, handles.find_numbered),
    (handles.PHONE, handles.find_phones),
    (moments.DATE, moments.find_dates),
    (moments.TIME, moments.find_times),
    (amounts.MONEY, amounts.find_money),
    (amounts.PERCENT, amounts.find_percentages),
    (amounts.MEASURE, amounts.find_measures),
    (handles.LINK, handles.find_links),
    (moments.SAID, moments.find_said),
    (moments.NOON, moments.find_noons),
)
"""An anchor, without which the finder finds nothing, and the finder; of equal finds the first stays."""
_look = pattern_set(anchor for anchor, _ in FINDERS)


def find(text: str, is_english: Callable[[], bool], today: date | None = None) -> list[Found]:
    """The first 500 of them, in order, not overlapping.

    `is_english` is asked only where the language decides on a decimal sign, a currency, or the order of day
    and month. With `today` words such as «amanhã» get a value.
    """
    encoded = text.encode("latin-1", "replace")
    hits = _look(encoded)
    if not hits:
        return []
    setting = Setting(is_english, today)
    found: list[Found] = []
    for number in sorted(hits):
        found += FINDERS[number][1](text, encoded, setting)
    return settled(found)[:_MOST]
