"""Text said over and over: what a loop is, and where one ends. Knows one text; not what becomes of it."""

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


def has_loop(text: str) -> bool:
    """Whether a loop ends at any place of a whole text where one is looked for."""
    for end in range(CHECK_EVERY, len(text) + 1, CHECK_EVERY):
        tail = text[end - TAIL : end]
        # a unit of more than a sixth of the text was not said six times
        longest = end // _TIMES if end < _LONGEST_UNIT * _TIMES else _LONGEST_UNIT
        if text.rfind(tail, end - longest - TAIL, end - 1) >= 0 and find_loop(text, end):
            return True
    return False


def find_loop(text: str, end: int) -> str:
    """The unit that the text before `end` repeats, or nothing."""
    tail = text[end - TAIL : end]
    low = max(0, end - REACH)
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
