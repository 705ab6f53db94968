"""How likely a hand slips from one word to another: keys side by side, sounds alike, accents left out.

Knows letters and keyboards (QWERTY as in the US and Brazil; Spain's differs in ñ alone), no language's words.
Costs were set by hand and moved once to make the right words of training pairs likeliest; evals/spell.py
tells how well they do on others.
"""

from functools import cache, lru_cache

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
_LETTERS, _PAIRS, _TRIPLES = 256, 4_096, 16_384
"""Costs of letters that are kept: those of a language's usual letters all find room."""


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
    wanted = [*zip(two, (before, *two), (*two[1:], after), map(_flat, two), strict=False)]
    missing = [_missing_letter(letter, beside, behind) for letter, beside, behind, _ in wanted]
    row = [0.0]
    for letter, beside, _, _ in wanted:
        row.append(row[-1] + _missing_letter(letter, beside, ""))
    above: list[float] = []
    previous = before
    for down, typed in enumerate(one):
        above, over = row, above
        left = above[0] + _extra_letter(typed, previous, "")
        row = [left]
        flat, flat_before = _flat(typed), _flat(previous)
        for at, (letter, beside, behind, meant) in enumerate(wanted):
            best = min(
                above[at] + _instead(typed, letter),
                above[at + 1] + _extra_letter(typed, letter, behind),
                left + missing[at],
            )
            if down and at and flat_before == meant and flat == wanted[at - 1][3]:
                is_exact = typed == beside and previous == letter
                best = min(best, over[at - 1] + (SWAPPED if is_exact else SWAPPED + ACCENT))
            row.append(best)
            left = best
        previous = typed
    return min(row[-1], SOUND) if (one, two) in _SOUND_ALIKE else row[-1]


@lru_cache(maxsize=_LETTERS)
def _flat(letter: str) -> str:
    return without_accents(letter)


@lru_cache(maxsize=_PAIRS)
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
        total += _missing_letter(letter, before, after)
        before = letter
    return total


@lru_cache(maxsize=_TRIPLES)
def _missing_letter(letter: str, before: str, after: str) -> float:
    if letter in "'-’":
        return ACCENT
    if letter in {before, after}:
        return DOUBLED
    return SOUND if letter == "h" else MISSING


def _extra(letters: str, before: str, after: str) -> float:
    total = 0.0
    for letter in letters:
        total += _extra_letter(letter, before, after)
        before = letter
    return total


@lru_cache(maxsize=_TRIPLES)
def _extra_letter(letter: str, before: str, after: str) -> float:
    if letter in {before, after}:
        return DOUBLED
    if letter == "h":
        return SOUND
    near = _neighbours()
    return EXTRA_KEY if letter + before in near or letter + after in near else EXTRA
