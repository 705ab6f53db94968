"""Offensive words and phrases in folded text: their category and severity, and when they are none.

The list is own (greenroom/data/judges/offense.tsv), in English, Portuguese and Spanish; words stand at word
edges, a star lets a word go on. A word that is quoted, spoken about or part of technical talk is left out.
Severity: 1 coarse, 2 an insult, 3 hatred, a threat or a call to hurt oneself.
"""

import re
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from ahocorasick_rs import BytesAhoCorasick

_ENDING = 16
"""The longest ending of a word with a star."""
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_")


class Word(NamedTuple):
    """A list word where it stands."""

    start: int
    end: int
    category: str
    severity: int


class WordList:
    """All words in one automaton."""

    def __init__(self, lines: list[str], least: int = 1) -> None:
        """`lines` are `category<tab>severity<tab>word, word*`; those below severity `least` are left out."""
        self._entries: list[tuple[str, int, bool]] = []
        patterns: list[bytes] = []
        for line in lines:
            if line and not line.startswith("#"):
                category, severity, words = line.split("\t")
                for word in words.split(", ") if int(severity) >= least else ():
                    patterns.append(word.rstrip("*").encode("ascii"))
                    self._entries.append((category, int(severity), word.endswith("*")))
        self._find: Any = BytesAhoCorasick(patterns)  # Any: it brings no types

    def __call__(self, folded: bytes) -> list[Word]:
        """All words in order, not overlapping, whatever is said of them. Linear time."""
        found: list[Word] = []
        length = len(folded)
        matches = self._find.find_matches_as_indexes(folded, overlapping=True)
        if len(matches) > 1:
            matches.sort(key=lambda one: (one[1], -one[2]))
        at = 0
        for number, start, end in matches:
            if start < at or (start and folded[start - 1] in _LETTERS):
                continue
            category, severity, goes_on = self._entries[number]
            bound = min(length, end + (_ENDING if goes_on else 1))
            stop = end
            if goes_on or folded[end:bound] == b"s":
                while stop < bound and folded[stop] in _LETTERS:
                    stop += 1
            if stop < length and folded[stop] in _LETTERS:
                continue
            found.append(Word(start, stop, category, severity))
            at = stop
        return found


def pattern(lines: list[str]) -> str:
    """A pattern (re2) that matches where a word of the list may stand."""
    words = [word for line in lines if line and line[0] != "#" for word in line.split("\t")[2].split(", ")]
    open_ended = [re.escape(word[:-1]) for word in words if word[-1] == "*"]
    closed = [re.escape(word) for word in words if word[-1] != "*"]
    return rf"\b(?:{'|'.join(open_ended)}|(?:{'|'.join(closed)})s?(?:[^a-z0-9_]|\z))"


def shipped() -> list[str]:
    """The lines of the shipped list."""
    file = resources.files("greenroom") / "data" / "judges" / "offense.tsv"
    return file.read_text("utf-8").splitlines()


@cache
def word_list(least: int = 1) -> WordList:
    """The shipped list, or its words from severity `least` on."""
    return WordList(shipped(), least)


def words_in(folded: bytes) -> list[Word]:
    """The list words of a text that are meant, in order."""
    found = word_list()(folded)
    return [one for one in found if not _is_spoken_about(folded, one)] if found else found


_about = re.compile(
    rb"(?:\b(?:word|words|term|slur|called me|calls me|said|says|mean|means|meaning of|translate|palavra|"
    rb"palavras|termo|xingamento|"
    rb"me chamou de|me chamaram de|significa|significado de|traduza|palabra|palabras|termino|insulto|me "
    rb"llamo|me llaman|me llamaron|traduce|"
    rb"not an?|isn't an?|nao e|nao sou|no es|no soy|never say|nunca diga)[ :]{1,2}(?:that |the |a |o |el |"
    rb"la |um |uma |un |una )?[\"'`]?)\Z"
).search


def _is_spoken_about(folded: bytes, one: Word) -> bool:
    before = folded[max(0, one.start - 32) : one.start]
    if (
        one.severity < 3
        and before[-1:] in (b'"', b"'", b"`")
        and folded[one.end : one.end + 1] in (b'"', b"'", b"`")
    ):
        return True
    return _about(before) is not None
