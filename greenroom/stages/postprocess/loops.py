"""Text said over and over: what a loop is, and where one ends. Knows one text; not what becomes of it."""

from collections.abc import Iterable

CHECK_EVERY = 160
"""Characters between the places where a loop is looked for."""
TAIL = 20
"""Characters before such a place that must have been said before."""
_LONGEST_UNIT = 400
_TIMES = 6
_STUTTER = 600
"""Characters that a unit of fewer than 20 must fill before it is a loop: people do ask for a row of words."""
REACH = _LONGEST_UNIT + TAIL
"""How far back the tail is looked for."""
WINDOW = max(_LONGEST_UNIT * _TIMES, _STUTTER) + TAIL
"""How much text decides whether a place ends a loop."""


def _place(end: int) -> tuple[slice, int, int]:
    return slice(end - TAIL, end), _low(end), end - 1


def _low(end: int) -> int:
    # a unit of more than a sixth of the text was not said six times
    longest = end // _TIMES if end < _LONGEST_UNIT * _TIMES else _LONGEST_UNIT
    return max(0, end - longest - TAIL)


_PLACES = tuple(map(_place, range(CHECK_EVERY, 8192, CHECK_EVERY)))
"""Where a tail stands and where it would have been said before, worked out for texts of ordinary length."""


def has_loop(text: str) -> bool:
    """Whether a loop ends at any place of a whole text where one is looked for."""
    count = len(text) // CHECK_EVERY
    places: Iterable[tuple[slice, int, int]] = _PLACES[:count]
    if count > len(_PLACES):
        places = map(_place, range(CHECK_EVERY, len(text) + 1, CHECK_EVERY))
    said = text.rfind
    for tail, low, high in places:
        if said(text[tail], low, high) < 0:
            continue
        if find_loop(text, high + 1):
            return True
    return False


def find_loop(text: str, end: int) -> str:
    """The unit that the text before `end` repeats, or nothing."""
    tail = text[end - TAIL : end]
    low = _low(end)
    place = end - TAIL
    for _ in range(4):
        place = text.rfind(tail, low, place + TAIL - 1)
        if place < 0:
            return ""
        size = end - TAIL - place
        span = size * _TIMES if size >= TAIL else _STUTTER
        if span <= end and text[end - span : end - size] == text[end - span + size : end]:
            unit = text[end - size : end]
            is_prose = "|" not in unit and sum(map(str.isalnum, unit)) * 2 >= size
            return unit if is_prose else ""
    return ""
