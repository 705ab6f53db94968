"""The words of one language in a read-only file, how frequent each is, and which are spelt nearly alike.

Knows the files of `greenroom/data/lexica` (made by scripts/build_lexica.py) and no text. Words are found by
their key (no accents, no doubled letters) and by the keys with one letter less: two words with one slip
between them share one. Source: Garbe's symmetric deletes, here kept for one letter only and by hash.
"""

import mmap
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

from marisa_trie import Trie  # type: ignore[import-not-found]  # compiled, has no stubs

STEPS_A_ZIPF = 15
"""A class of frequency is this fraction of a zipf: log10 of occurrences in 10⁹ words."""
NO_DICTIONARY = 0x80
"""Set in a class: the word is in use, but in no dictionary (names, slang, jargon)."""
HEAD = Struct("<4sIII")
"""`GRL1`, words, buckets, entries; then classes, bounds of buckets, entries."""
_MAGIC = b"GRL1"
_ID_BITS = 19
_ID_MASK = (1 << _ID_BITS) - 1

_PLAIN = str.maketrans("áàâãäåéèêëíìîïóòôõöúùûüçñýÿ", "aaaaaaeeeeiiiiooooouuuucnyy", "'’-")
_REFORM = (
    ("cç", "ç"), ("ct", "t"), ("cc", "c"), ("pç", "ç"), ("pt", "t"), ("éi", "ei"), ("ói", "oi"), ("ü", "u"),
    ("ôo", "oo"), ("êe", "ee"),
)  # fmt: skip
_DOUBLED = re.compile(r"(.)\1+")


def plain(word: str) -> str:
    """A word without accents, apostrophes and hyphens."""
    return word.translate(_PLAIN)


def key_of(word: str) -> str:
    """What a word and its commonest slips share."""
    key = word.translate(_PLAIN)
    return _DOUBLED.sub(r"\1", key) if _DOUBLED.search(key) else key


def shorter(key: str) -> set[str]:
    """All that one letter less can leave."""
    return {key[:at] + key[at + 1 :] for at in range(len(key))}


def reformed(word: str) -> set[str]:
    """What the Portuguese spelling reform of 1990 may have made of an older form: «acções», «idéia»."""
    return {word.replace(old, new) for old, new in _REFORM if old in word}


def pack(classes: bytes, keys: dict[str, list[int]]) -> bytes:
    """The second file of a lexicon: a class for each word and, by hash, the words of each key."""
    buckets = 1 << max(4, (len(keys) - 1).bit_length() - 1)
    filled: list[list[int]] = [[] for _ in range(buckets)]
    for key, numbers in sorted(keys.items()):
        digest = crc32(key.encode())
        mark = (digest >> _ID_BITS) << _ID_BITS
        filled[digest & (buckets - 1)] += [mark | number for number in sorted(numbers)]
    bounds = [0]
    for bucket in filled:
        bounds.append(bounds[-1] + len(bucket))
    entries = [entry for bucket in filled for entry in bucket]
    classes += bytes(-len(classes) % 4)
    places = Struct(f"<{len(bounds) + len(entries)}I").pack(*bounds, *entries)
    return HEAD.pack(_MAGIC, len(classes), buckets, len(entries)) + classes + places


class Lexicon:
    """The words of a language. Their slips are mapped, not read: what no prompt asks for stays on disk."""

    def __init__(self, folder: Path, code: str) -> None:
        self._trie: Any = Trie()  # Any: has no stubs
        self._trie.load(str(folder / f"{code}.marisa"))  # mapped, it would keep a descriptor
        self._number = self._trie.get
        with (folder / f"{code}.edits").open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        magic, words, buckets, entries = HEAD.unpack_from(mapped)
        if magic != _MAGIC:
            raise ValueError(f"{folder / code}.edits is no lexicon of this version; build it again.")
        at = HEAD.size
        self._classes = mapped[at : at + words]
        numbers = mapped[at + words :].cast("I")
        self._bounds = numbers[: buckets + 1]
        self._entries = numbers[buckets + 1 : buckets + 1 + entries]
        self._last = buckets - 1

    def __contains__(self, word: str) -> bool:
        return bool(word in self._trie)

    def is_proper(self, word: str) -> bool:
        """Whether the language's dictionaries have the word."""
        number = self._number(word, -1)
        return bool(number >= 0 and self._classes[number] < NO_DICTIONARY)

    def zipf(self, word: str) -> float:
        """How frequent a word is, from 0; -1 for one that is not known."""
        number = self._number(word, -1)
        return (self._classes[number] & 0x7F) / STEPS_A_ZIPF if number >= 0 else -1.0

    def standing(self, word: str) -> int:
        """-1 for a word that is not known, 0 for one that no dictionary has, 1 for a proper one."""
        number = self._number(word, -1)
        return -1 if number < 0 else int(self._classes[number] < NO_DICTIONARY)

    def has_twin(self, word: str, key: str, least: float) -> bool:
        """Whether a word of this key, as frequent as `least` (zipf), differs by its accents alone."""
        digest = crc32(key.encode())
        bucket, mark, rarest = digest & self._last, digest >> _ID_BITS, least * STEPS_A_ZIPF
        for entry in self._entries[self._bounds[bucket] : self._bounds[bucket + 1]]:
            if entry >> _ID_BITS == mark and self._classes[entry & _ID_MASK] & 0x7F >= rarest:
                twin = self._trie.restore_key(entry & _ID_MASK)
                if twin != word and plain(twin) == word:
                    return True
        return False

    def sharing(self, keys: set[str]) -> dict[str, float]:
        """The words that may be proposed and have one of these keys, or may: with their frequency (zipf)."""
        found: set[int] = set()
        bounds, entries, last = self._bounds, self._entries, self._last
        for key in keys:
            digest = crc32(key.encode())
            bucket = digest & last
            first, end = bounds[bucket], bounds[bucket + 1]
            if first < end:
                mark = digest >> _ID_BITS
                for entry in entries[first:end]:
                    if entry >> _ID_BITS == mark:
                        found.add(entry & _ID_MASK)
        restore, classes = self._trie.restore_key, self._classes
        return {restore(number): (classes[number] & 0x7F) / STEPS_A_ZIPF for number in found}


@cache
def lexicon(code: str) -> Lexicon:
    """The lexicon of en, pt or es; mapped on first need, in about a millisecond."""
    return Lexicon(Path(str(files("greenroom") / "data" / "lexica")), code)
