"""The canonical view: a text without its invisible characters and look-alike forms folded, and a way back.

Zero-width, bidirectional and tag characters are dropped; full-width and styled letters, foreign digits, odd
spaces and dashes become their plain form, one character for one. Homoglyphs of other scripts, leet and
encodings are no business of this module.
"""

import re
from bisect import bisect_right
from unicodedata import decimal, normalize

_GONE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_FOLDED = (
    "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # spaces
    "\u2010-\u2015\u2212\ufe58\ufe63"  # dashes
    "\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u2070-\u2079\u2080-\u2089\u2460-\u2468"  # digits
    "\uff01-\uff5e\U0001d400-\U0001d7ff"  # full-width forms, mathematical letters and digits
)

ODD = f"[{_GONE}{_FOLDED}]"
"""A pattern (re2 and re alike) for one character that a plain text does not have."""
ODD_LATIN = "[\u00a0\u00ad]"
"""Those of them that Latin-1 has."""

_odd_runs = re.compile(f"{ODD}+").finditer
_is_gone = re.compile(f"[{_GONE}]").match

_WINDOW, _BUDGET = 256, 128
"""No more than `_BUDGET` characters are dropped in any `_WINDOW`, so that what a detector reads ahead in the
view is bounded in the original as well.
"""


class View:
    """A text as detectors read it; `original` turns a span of it into one of the text it was made from."""

    __slots__ = ("_at", "_shifts", "text")

    def __init__(self, text: str, at: list[int], shifts: list[int]) -> None:
        self.text = text
        self._at = at
        self._shifts = shifts

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original that holds the characters `start` to `end` (excluded) of the view."""
        return self.position(start), self.position(end - 1) + 1

    def position(self, index: int) -> int:
        """Where character `index` of the view stands in the original."""
        place = bisect_right(self._at, index)
        return index + (self._shifts[place - 1] if place else 0)


def canonical(text: str) -> View:
    """The view of `text`. Linear time; a prefix of the text has a prefix of its view."""
    pieces: list[str] = []
    at: list[int] = []
    shifts: list[int] = []
    gone: list[int] = []
    last = length = 0
    for run in _odd_runs(text):
        start, end = run.span()
        piece = text[last:start]
        pieces.append(piece)
        length += start - last
        for position in range(start, end):
            character = text[position]
            if _is_gone(character):
                if len(gone) < _BUDGET or gone[-_BUDGET] <= position - _WINDOW:
                    gone.append(position)
                    continue
            else:
                character = _fold(character)
            pieces.append(character)
            length += 1
            _note(at, shifts, length - 1, len(gone))
        last = end
        _note(at, shifts, length, len(gone))
    pieces.append(text[last:])
    return View("".join(pieces), at, shifts)


def _note(at: list[int], shifts: list[int], index: int, shift: int) -> None:
    """From view position `index` on, the original is `shift` characters ahead."""
    if at and at[-1] == index:
        shifts[-1] = shift
    elif shift != (shifts[-1] if shifts else 0):
        at.append(index)
        shifts.append(shift)


def _fold(character: str) -> str:
    number = decimal(character, None)
    if number is not None:
        return str(number)
    if character in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63":
        return "-"
    plain = normalize("NFKC", character)
    return plain if len(plain) == 1 else " " if character.isspace() else character
