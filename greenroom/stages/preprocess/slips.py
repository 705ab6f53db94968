"""How likely a hand slips from one word to another: keys side by side, sounds alike, accents left out.

Knows letters and keyboards (QWERTY as in the US and Brazil; Spain's differs in ñ alone), no language's words.
Costs were set by hand and moved once to make the right words of training pairs likeliest; evals/spell.py
tells how well they do on others.
"""

from functools import cache

from greenroom.stages.preprocess.lexicon import plain as without_accents

ACCENT = 0.25
"""An accent left out, put in or mistaken; also an apostrophe left out."""
DOUBLED = 1.0
"""One of two equal letters left out, or a letter typed twice."""
SWAPPED = 0.55
"""Two neighbours in the wrong order."""
SOUND = 1.2
"""Letters that sound alike in one of the three languages."""
VOWEL = 1.3
KEY = 1.6
"""The key beside the right one."""
MISSING = 1.05
EXTRA_KEY = 1.5
"""A key beside the right one, hit along with it."""
EXTRA = 1.8
OTHER = 2.5
FIRST = 0.6
"""More, where the first letter is wrong: people seldom get it wrong."""
TOO_FAR = 9.0
SLIP_WEIGHT = 1.75
"""Decades of likelihood that a cost of one takes off."""

_ROWS = ("1234567890-=", "qwertyuiop´[", "asdfghjklç~]", "zxcvbnm,.;/")
_VOWELS = frozenset("aeiou")
_SOUNDS = frozenset(
    frozenset(pair)
    for pair in (
        "sc", "sz", "sx", "cz", "ck", "cq", "kq", "gj", "bv", "iy", "uo", "ei", "ea", "mn", "lr", "lu", "fv",
        "dt", "pb", "vw", "xz", "ao", "jy", "ks", "ch",
    )
)  # fmt: skip
_ALIKE = (
    "ph f, ss c, sc s, sc c, ch x, ck k, qu k, ll y, gu g, ss s, ie ei, er re, ao am, am ão, cc x, xc c,"
    " xc ss, ss ç, sh ch, ou o, ei e, kn n, wr r, rh r, gh f, que k, le el, al le, el al, tion sion, lh li,"
    " nh ni, ñ ni, zz z, u oo, ee ea, ai ei"
)
_SOUND_ALIKE = {
    pair
    for one, _, other in (group.strip().partition(" ") for group in _ALIKE.split(","))
    for pair in ((one, other), (other, one))
}
_LONGEST = 12
"""Letters between the first and the last that differ: past that words are compared no further."""


@cache
def _neighbours() -> frozenset[str]:
    """Pairs of letters whose keys touch, both ways."""
    found = set()
    for number, row in enumerate(_ROWS):
        for at, letter in enumerate(row):
            for other, place in (
                (row, at + 1),
                (_ROWS[number + 1] if number < 3 else "", at),
                (_ROWS[number + 1] if number < 3 else "", at - 1),
            ):
                if 0 <= place < len(other):
                    found |= {letter + other[place], other[place] + letter}
    return frozenset(found)


def cost(wrong: str, right: str) -> float:
    """What it takes to slip from `right` to `wrong`; `TOO_FAR` where that is no slip any more."""
    if wrong == right:
        return 0.0
    first = 0.0
    left, most = 0, min(len(wrong), len(right))
    while left < most and wrong[left] == right[left]:
        left += 1
    end = 0
    while end < most - left and wrong[-1 - end] == right[-1 - end]:
        end += 1
    one, two = wrong[left : len(wrong) - end], right[left : len(right) - end]
    before = right[left - 1] if left else ""
    after = right[len(right) - end] if end else ""
    if left == 0 and without_accents(one[:1]) != without_accents(two[:1]):
        first = FIRST
    if len(one) > _LONGEST or abs(len(one) - len(two)) > 2:
        return TOO_FAR
    return _between(one, two, before, after) + first


def _between(one: str, two: str, before: str, after: str) -> float:
    """Weighted edit distance with swaps and sound groups. Source: Damerau, CACM 1964, with unequal costs."""
    if not one:
        return _missing(two, before, after)
    if not two:
        return _extra(one, before, after)
    width = len(two) + 1
    above: list[float] = []
    row = [0.0]
    for at in range(1, width):
        row.append(row[-1] + _missing(two[at - 1], two[at - 2] if at > 1 else before, ""))
    rows = [row]
    for down, letter in enumerate(one, 1):
        previous = one[down - 2] if down > 1 else before
        row = [rows[-1][0] + _extra(letter, previous, "")]
        above = rows[-1]
        for at in range(1, width):
            wanted = two[at - 1]
            best = min(
                above[at - 1] + _instead(letter, wanted),
                above[at] + _extra(letter, two[at - 1], two[at] if at < len(two) else after),
                row[at - 1]
                + _missing(wanted, two[at - 2] if at > 1 else before, two[at] if at < len(two) else after),
            )
            if down > 1 and at > 1:
                if letter == two[at - 2] and previous == wanted:
                    best = min(best, rows[-2][at - 2] + SWAPPED)
                elif without_accents(letter) == without_accents(two[at - 2]) and without_accents(
                    previous
                ) == without_accents(wanted):
                    best = min(best, rows[-2][at - 2] + SWAPPED + ACCENT)
            row.append(best)
        rows.append(row)
    return min(rows[-1][-1], SOUND) if (one, two) in _SOUND_ALIKE else rows[-1][-1]


def _instead(typed: str, wanted: str) -> float:
    if typed == wanted:
        return 0.0
    plain, meant = without_accents(typed), without_accents(wanted)
    if plain == meant:
        return ACCENT
    penalty = 0.0 if typed == plain and wanted == meant else ACCENT
    if frozenset((plain, meant)) in _SOUNDS:
        return SOUND + penalty
    if plain in _VOWELS and meant in _VOWELS:
        return VOWEL + penalty
    if plain + meant in _neighbours():
        return KEY + penalty
    return OTHER


def _missing(letters: str, before: str, after: str) -> float:
    total = 0.0
    for letter in letters:
        if letter in "'-’":
            total += ACCENT
        elif letter in {before, after}:
            total += DOUBLED
        elif letter == "h":
            total += SOUND
        else:
            total += MISSING
        before = letter
    return total


def _extra(letters: str, before: str, after: str) -> float:
    total = 0.0
    for letter in letters:
        if letter in {before, after}:
            total += DOUBLED
        elif letter == "h":
            total += SOUND
        elif letter + before in _neighbours() or letter + after in _neighbours():
            total += EXTRA_KEY
        else:
            total += EXTRA
        before = letter
    return total
