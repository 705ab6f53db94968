"""What words have to do with each other, as `greenroom/data/meaning` says: the same, opposites, denying ones.

Knows single words by their stems, in one language, and nothing of what they stand beside.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

Stems = Callable[[str, str], Sequence[str]]
"""(text, language code) → stems in order, function words left out."""

LANGUAGES = ("en", "pt", "es")
_PREFIX = 5
"""Letters that two longer stems share to be taken for one word's ("collected", "collection")."""
_PHRASED = ("switch", "turn", "power", "rul", "up", "down", "deix", "dej")
"""How words begin that make such a phrase."""


class Word(NamedTuple):
    """What is known of one word."""

    stems: tuple[str, ...]
    marks: frozenset[str]
    """Its stems, the beginnings of long ones ("colle*"), and the groups that they are in ("=12")."""
    is_telling: bool
    """Whether it has a stem, denies nothing, and says more than "make" or "have"."""
    negates: bool
    """Whether it is a negator ("not", "sem")."""
    denies: bool
    """Whether its meaning denies what stands beside it ("prohibited")."""
    is_unclear: bool
    """Whether it may deny ("closed"), or not."""
    sides: frozenset[tuple[int, int]]
    """Of which opposites it is (number of the pair, side)."""
    may_turn: bool
    """Whether it denies, has an opposite, or makes part of a phrase that does ("switch off", "deixar de")."""


class Meaning:
    """One language's words. Any thread may ask."""

    def __init__(self, language: str, stems: Stems) -> None:
        self.language = language
        self._stems = stems
        self._groups: dict[str, set[str]] = {}
        self._sides: dict[str, set[tuple[int, int]]] = {}
        self.negators: frozenset[str] = frozenset()
        self._denying: frozenset[str] = frozenset()
        self._unclear: frozenset[str] = frozenset()
        self._light: frozenset[str] = frozenset()
        if language in LANGUAGES:
            self._load((files("greenroom") / "data" / "meaning" / f"{language}.txt").read_text("utf-8"))
        self.word = lru_cache(maxsize=16_384)(self._word)

    def _load(self, text: str) -> None:
        denying: list[frozenset[str]] = []
        for number, line in enumerate(text.splitlines()):
            kind, _, rest = line.partition(" ")
            if kind == "=":
                for word in rest.split():
                    for stem in self._stems(word, self.language):
                        self._groups.setdefault(stem, set()).add(f"={number}")
            elif kind == "<>":
                for side, words in enumerate(rest.split("|")):
                    for word in words.split():
                        for key in self._keys(word):
                            self._sides.setdefault(key, set()).add((number, side))
            elif kind == "!":
                denying.append(frozenset(rest.split()))
            elif kind == "?":
                self._unclear = frozenset(rest.split())
            elif kind == "-":
                self._light = frozenset(rest.split())
        self.negators, self._denying = denying

    def _keys(self, word: str) -> Sequence[str]:
        """What a word is known by: its stems, or itself where it is none, or has a mark before it."""
        if word[0] == "'":
            return (word[1:],)
        return self._stems(word, self.language) or (word,)

    def _word(self, word: str) -> Word:
        """A word in lower case."""
        stems = tuple(self._stems(word, self.language))
        marks = set(stems)
        for stem in stems:
            marks |= self._groups.get(stem, _NONE)
            if len(stem) >= _PREFIX:
                marks.add(f"{stem[:_PREFIX]}*")
        negates, denies = word in self.negators, word in self._denying or _lacking(word)
        is_unclear = word in self._unclear
        sides = frozenset(side for key in {word, *stems} for side in self._sides.get(key, ()))
        may_turn = negates or denies or is_unclear or bool(sides) or word.startswith(_PHRASED)
        is_telling = bool(stems) and not negates and word not in self._light
        return Word(stems, frozenset(marks), is_telling, negates, denies, is_unclear, sides, may_turn)

    def wanted(self, stem: str) -> tuple[str, ...]:
        """The marks by which a stem is found in a text."""
        found = (stem, *self._groups.get(stem, ()))
        return (*found, f"{stem[:_PREFIX]}*") if len(stem) >= _PREFIX else found


_NONE: frozenset[str] = frozenset()


def _lacking(word: str) -> bool:
    """Whether it is one such as "flightless"."""
    return (
        word.endswith("less") and len(word) > 7 and word not in {"nevertheless", "nonetheless", "regardless"}
    )


@cache
def meaning_of(language: str, stems: Stems) -> Meaning:
    """A language's words, read once; of one that is not known, no more than stems."""
    return Meaning(language, stems)
