"""Which word was meant: the words that a slip could have turned into an unknown one, likeliest first.

A noisy channel: how frequent a candidate is, times how likely the slip, against the chance that the word is
one no lexicon has. Knows single words of one language. Source: Kernighan, Church, Gale, COLING 1990.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from greenroom.stages.preprocess.derived import is_derived
from greenroom.stages.preprocess.lexicon import key_of, lexicon, plain, shorter
from greenroom.stages.preprocess.slips import SLIP_WEIGHT, TOO_FAR, cost

CODES = ("en", "pt", "es")
_EVERYWHERE = frozenset(CODES)

_STRANGE = 0.0
"""How frequent (zipf) one certain word is that no lexicon has."""
_SHORT_COST = 1.0
"""The most a slip may cost in a word of three letters."""
_DERIVED = 0.6
"""Decades that speak for a word made by rule from known ones."""
_USUAL = 3.0
_FOREIGN = 2.0
"""How much rarer, in decades, a word of another language is than among its own."""
_FAR_COST = 2.6
"""Where nothing nearer costs less, words with a second slip are looked for."""
_FAR_LETTERS = 5
_INFORMAL = 0.7

_STRETCHED = re.compile(r"(.)\1\1(?:\1|$)|([aeiouyáàâãéêíóôõú])\2\2")
_VOWEL = re.compile("[aeiouyáàâãéêíóôõúü]")


class Proposal(NamedTuple):
    """One word that may have been meant."""

    word: str
    likelihood: float
    """0 to 1, over all candidates and the chance that nothing is wrong."""
    cost: float
    zipf: float


def is_written_on_purpose(word: str) -> bool:
    """Laughter, stretched words, abbreviations: no slips. Three equal consonants within a word may be one."""
    return _STRETCHED.search(word) is not None or _VOWEL.search(word) is None


@lru_cache(maxsize=4096)
def proposals(word: str, code: str) -> tuple[Proposal, ...]:
    """What may have been meant by a word that the language's lexicon does not have, likeliest first.

    Cost: about 0.1 ms, with two slips in a long word 0.5 ms.
    """
    words = lexicon(code)
    key = key_of(word)
    keys = {key, *shorter(key)} if len(key) > 3 else {key, *_swapped(key)}
    found = dict(_weighed(word, words.sharing(keys)))
    if len(word) == 3:
        found = {one: told for one, told in found.items() if told[0] <= _SHORT_COST}
    if len(key) >= _FAR_LETTERS and min((one[0] for one in found.values()), default=TOO_FAR) > _FAR_COST:
        found.update(_weighed(word, words.sharing(_far(key))))
    foreign = max((lexicon(one).zipf(word) for one in CODES if lexicon(one).is_proper(word)), default=0.0)
    if foreign:
        found = {one: told for one, told in found.items() if plain(one) == plain(word)}
    if not found:
        return ()
    if foreign:
        strange = 10 ** (foreign - _FOREIGN)
    else:
        strange = 10 ** (_STRANGE + (_DERIVED if is_derived(word, code) else 0.0))
    weights = {one: 10 ** (zipf - SLIP_WEIGHT * slip) for one, (slip, zipf) in found.items()}
    total = sum(weights.values()) + strange
    ranked = sorted(weights, key=lambda one: (-weights[one], one))
    return tuple(
        Proposal(one, min(weights[one] / total, _most(word, one)), *found[one]) for one in ranked[:5]
    )


def _most(word: str, meant: str) -> float:
    """Without their apostrophes many write on purpose: that is suggested, never applied."""
    return _INFORMAL if "'" in meant and "'" not in word else 1.0


def _weighed(word: str, candidates: dict[str, float]) -> Iterator[tuple[str, tuple[float, float]]]:
    for one, zipf in candidates.items():
        if abs(len(one) - len(word)) <= 3:
            slip = cost(word, one)
            if slip < TOO_FAR:
                yield one, (slip, zipf)


def _swapped(key: str) -> Iterator[str]:
    for at in range(len(key) - 1):
        yield key[:at] + key[at + 1] + key[at] + key[at + 2 :]


def _far(key: str) -> set[str]:
    """Keys of words two slips away: with two letters less, and with one likely slip mended and one less."""
    once = shorter(key)
    keys: set[str] = set()
    for one in once:
        keys |= shorter(one)
    for at, letter in enumerate(key):
        for other in _LIKELY.get(letter, ""):
            keys |= shorter(key[:at] + other + key[at + 1 :])
    for one in _swapped(key):
        keys |= shorter(one)
    return keys


_LIKELY = {
    "a": "eo", "e": "ia", "i": "ey", "o": "ua", "u": "oi", "y": "i", "s": "cz", "c": "sk", "z": "s", "k": "c",
    "g": "j", "j": "g", "b": "v", "v": "b", "m": "n", "n": "m", "x": "s", "l": "u", "f": "v",
}  # fmt: skip


def known_to(word: str) -> frozenset[str]:
    """The languages in whose texts a word is no slip: it is one of theirs, or a common one of another.

    A word of another language is a slip after all where it lacks nothing but the accents of a usual one:
    «familia» in Portuguese.
    """
    standing = [lexicon(code).standing(word) for code in CODES]
    if min(standing) >= 0:
        return _EVERYWHERE
    known = {code for code, how in zip(CODES, standing, strict=True) if how >= 0}
    if 1 in standing:
        key = key_of(word) if word.isascii() else ""
        known.update(code for code in CODES if code not in known and not _accented(word, key, code))
    return frozenset(known)


def _accented(word: str, key: str, code: str) -> bool:
    """Whether a usual word of that key is the same but for its accents; none is without a key."""
    return bool(key) and code != "en" and lexicon(code).has_twin(word, key, _USUAL)
