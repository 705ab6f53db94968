"""Which word was meant: the words that a slip could have turned into an unknown one, likeliest first.

A noisy channel: how frequent a candidate is, times how likely the slip, against the chance that the word is
one no lexicon has. Knows single words of one language. Source: Kernighan, Church, Gale, COLING 1990.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from greenroom.stages.preprocess.derived import is_derived
from greenroom.stages.preprocess.lexicon import key_of, lexicon, plain, shorter
from greenroom.stages.preprocess.slips import SLIP_WEIGHT, TOO_FAR, cost

CODES = ("en", "pt", "es")

_STRANGE = 0.0
"""How frequent (zipf) one certain word of six letters is that no lexicon has."""
_STRANGE_LETTER = 0.2
"""How much more frequent, in decades, with each letter less: short words have neighbours by chance."""
_STRANGE_LEAST, _STRANGE_MOST = -1.0, 1.0
_SHORT_COST = 1.0
"""The most a slip may cost in a word of three letters."""
_DERIVED = 0.6
"""Decades that speak for a word made by rule from known ones."""
_USUAL = 3.0
_FOREIGN = 2.0
"""How much rarer, in decades, a word of another language is than among its own."""
_COMMON = 3.0
"""How frequent (zipf) a word of another language is that nobody is asked about."""
_LONGEST_CHANCE = 5
"""Letters of a slip that may happen to be a rare word of another language."""
_FAR_COST = 2.6
"""Where nothing nearer costs less, words with a second slip are looked for."""
_FAR_LETTERS = 5
_INFORMAL = 0.7
_USUAL_SLIP = 0.995
"""How likely a slip that many make is meant for what the list says."""

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


@cache
def usual_slips(code: str) -> dict[str, str]:
    """Words that many misspell → what they mean, from `greenroom/data/slips`."""
    lines = (files("greenroom") / "data" / "slips" / f"{code}.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {wrong: right.replace("_", " ") for wrong, right in pairs}


@lru_cache(maxsize=4096)
def proposals(word: str, code: str) -> tuple[Proposal, ...]:
    """What may have been meant by a word that is none of the language, likeliest first.

    Cost: about 0.1 ms, with two slips in a long word 0.5 ms.
    """
    ranked = _ranked(word, code)
    usual = usual_slips(code).get(word)
    if usual is None:
        return ranked
    likelihood = min(_USUAL_SLIP, _most(word, usual, code))
    first = Proposal(usual, likelihood, cost(word, usual), max(lexicon(code).zipf(usual), 0.0))
    rest = (one for one in ranked if one.word != usual)
    return (first, *(one._replace(likelihood=one.likelihood * (1 - _USUAL_SLIP)) for one in rest))


def _ranked(word: str, code: str) -> tuple[Proposal, ...]:
    words = lexicon(code)
    key = key_of(word)
    keys = {key, *shorter(key)} if len(key) > 3 else {key, *_swapped(key)}
    keys.add(plain(word))  # «proose»: one letter less in «propose» makes two of one
    found = dict(_weighed(word, words.sharing(keys)))
    if len(word) == 3:
        found = {one: told for one, told in found.items() if told[0] <= _SHORT_COST}
    if len(key) >= _FAR_LETTERS and min((one[0] for one in found.values()), default=TOO_FAR) > _FAR_COST:
        found.update(_weighed(word, words.sharing(_far(key))))
    foreign = max((lexicon(one).zipf(word) for one in CODES if lexicon(one).is_proper(word)), default=0.0)
    if foreign >= _COMMON:
        found = {one: told for one, told in found.items() if plain(one) == plain(word)}
    if not found:
        return ()
    if foreign:
        strange = 10 ** (foreign - _FOREIGN)
    else:
        letters = min(max(_STRANGE_LETTER * (6 - len(word)), _STRANGE_LEAST), _STRANGE_MOST)
        strange = 10 ** (_STRANGE + letters + (_DERIVED if is_derived(word, code) else 0.0))
    weights = {one: 10 ** (zipf - SLIP_WEIGHT * slip) for one, (slip, zipf) in found.items()}
    total = sum(weights.values()) + strange
    ranked = sorted(weights, key=lambda one: (-weights[one], one))
    return tuple(
        Proposal(one, min(weights[one] / total, _most(word, one, code, foreign > 0)), *found[one])
        for one in ranked[:5]
    )


def _most(word: str, meant: str, code: str, is_foreign: bool = False) -> float:
    """What may well be written on purpose is suggested, never applied.

    Words without their apostrophes or blanks; words with accents in English, and others of another language
    that lack more than accents; «chegara», which need not be «chegará».
    """
    is_meant = (
        " " in meant
        or ("'" in meant and "'" not in word)
        or (code == "en" and not word.isascii())
        or (is_foreign and plain(meant) != plain(word))
        or (code == "pt" and word.endswith("ra") and meant == word[:-1] + "á" and is_derived(word, code))
    )
    return _INFORMAL if is_meant else 1.0


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
    """The languages in whose texts a word is no slip: it is one of theirs, or one of another.

    A word of another language may be a slip after all: where it lacks nothing but the accents of a usual one
    («familia» in Portuguese), and where it is short and rare («coom»).
    """
    standing = [lexicon(code).standing(word) for code in CODES]
    known = {code for code, how in zip(CODES, standing, strict=True) if how >= 0}
    if len(known) < len(CODES) and 1 in standing:
        zipf = max(lexicon(code).zipf(word) for code, how in zip(CODES, standing, strict=True) if how > 0)
        key = key_of(word) if word.isascii() else ""
        known.update(
            code
            for code in CODES
            if code not in known
            and (zipf >= _COMMON or _is_foreign(word, code))
            and not _accented(word, key, code)
        )
    return frozenset(code for code in known if word not in usual_slips(code))


def _is_foreign(word: str, code: str) -> bool:
    """Whether a rare word of another language is too long to be a slip by chance, or could be of this one."""
    return len(word) > _LONGEST_CHANCE or is_derived(word, code)


def _accented(word: str, key: str, code: str) -> bool:
    """Whether a usual word of that key is the same but for its accents; none is without a key."""
    return bool(key) and code != "en" and lexicon(code).has_twin(word, key, _USUAL)
