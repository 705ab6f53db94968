"""Which words and phrases are known as names, or stand before and after names.

Knows kinds, not meanings: «Vitória» is a given name and a city, and the tagger's weights decide. Phrases are
kept without case, with and without accents, in `names.marisa` with their kinds in `names.kinds`.
"""

import unicodedata
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

KINDS = (
    "given", "family", "town", "city", "region", "org", "title", "org_head", "place_head", "org_tail",
    "people", "fame",
)  # fmt: skip
"""What a phrase may be: one bit each, from the lowest."""

LONGEST = 6
"""Words of the longest phrase that is looked for."""


def folded(text: str) -> str:
    """Without case and accents."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


class Gazetteer:
    """The phrases of `names.marisa` in a folder; read when first asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _trie(self) -> Any:  # Any: the module has no types
        trie = import_module("marisa_trie").Trie()
        trie.load(str(self._folder / "names.marisa"))  # mapped, it would keep a descriptor
        return trie

    @cached_property
    def _kinds(self) -> memoryview:
        return memoryview((self._folder / "names.kinds").read_bytes()).cast("H")

    def begins(self, word: str) -> bool:
        """Whether a phrase may begin with this folded word."""
        return word[:1].isalpha() and next(self._trie.iterkeys(word + " "), None) is not None

    def marks(self, words: Sequence[str], begins: Sequence[bool]) -> list[list[str]]:
        """For each folded word what it is or begins (`given`, `B-city`) or goes on (`I-city`).

        `begins` says of each whether a phrase may begin with it.
        """
        marks: list[list[str]] = [[] for _ in words]
        phrases, kinds = self._trie.iter_prefixes_with_ids, self._kinds
        for place in range(len(words)):
            if not begins[place]:
                continue
            for phrase, number in phrases(" ".join(words[place : place + LONGEST]) + " "):
                names = _names(kinds[number])
                length = phrase.count(" ")
                if length == 1:
                    marks[place] += names
                    continue
                marks[place] += [f"B-{name}" for name in names]
                for inner in range(place + 1, place + length):
                    marks[inner] += [f"I-{name}" for name in names]
        return marks


_named: dict[int, tuple[str, ...]] = {}


def _names(bits: int) -> tuple[str, ...]:
    names = _named.get(bits)
    if names is None:
        names = _named[bits] = tuple(name for place, name in enumerate(KINDS) if bits >> place & 1)
    return names
