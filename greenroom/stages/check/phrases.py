"""Words and phrases found on word edges, whatever their case and accents, in one pass over the text.

Knows lists, no meaning. A phrase that ends in `*` goes on to the end of its word.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import combining, normalize

from ahocorasick_rs import AhoCorasick

from greenroom.contracts import Finding
from greenroom.exchange import Action
from greenroom.stages.check.view import ODD, canonical

LONGEST = 64
"""Characters of a phrase, so that a stream need not wait long for one."""
_LONGEST_REST = 32
"""Characters that a word may go on behind a `*`."""
_TAIL = 256

_is_odd = re.compile(f"{ODD}|[\u0300-\u036f]").search
_lower = bytes(
    (normalize("NFD", chr(byte).lower())[0] if chr(byte).isalpha() else chr(byte)).encode("latin-1")[0]
    for byte in range(256)
).translate(bytes.maketrans(b"\t\n\r-_", b"     "))


class Entry(NamedTuple):
    """A phrase and what is said of it where it is found."""

    phrase: str
    rule: str
    label: str
    category: str
    severity: int = 2
    action: Action | None = None


class PhraseDetector:
    """A `Detector` of phrases. Raises ValueError for one that is empty or too long."""

    passes_words = False

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)
        phrases = []
        for entry in entries:
            phrase = folded(entry.phrase.removesuffix("*").strip())[0]
            if not phrase or not any(map(str.isalnum, phrase)):
                raise ValueError(f"{entry.phrase!r} has no letter to look for.")
            if len(phrase) > LONGEST:
                raise ValueError(f"{entry.phrase!r} is longer than {LONGEST} characters.")
            phrases.append(phrase)
        self._goes_on = tuple(entry.phrase.endswith("*") for entry in entries)
        self._sorted = sorted(set(phrases))
        self._find = AhoCorasick(phrases).find_matches_as_indexes if phrases else None

    def find(self, text: str) -> list[Finding]:
        """All findings, sorted, not overlapping: the first to start wins, then the longest."""
        if self._find is None:
            return []
        view, places = folded(text)
        findings: list[Finding] = []
        at = 0
        for start, end, number in self._spans(view):
            if start < at:
                continue
            entry = self._entries[number]
            at = end
            first, last = (start, end) if places is None else (places[start], places[end - 1] + 1)
            findings.append(
                Finding(
                    start=first, end=last, rule=entry.rule, label=entry.label, category=entry.category,
                    severity=entry.severity, action=entry.action,
                )
            )  # fmt: skip
        return findings

    def safe_end(self, text: str) -> int:
        """Where a phrase begins that the end of the text cuts off, or whose last word may yet go on."""
        first = max(0, len(text) - _TAIL)
        tail = text[first:]
        view, places = folded(tail)
        length = len(view)
        at = length
        for start, end, _ in self._spans(view):
            if end == length:
                at = min(at, start)
                break
        for start in _word_starts(view[-LONGEST - _LONGEST_REST :]):
            place = start + max(0, length - LONGEST - _LONGEST_REST)
            if place >= at:
                break
            if self._begins(view[place:]):
                at = place
                break
        if at == length:
            return len(text)
        return first + (at if places is None else places[at])

    def _begins(self, end: str) -> bool:
        """Whether some phrase begins with this."""
        place = bisect_left(self._sorted, end)
        return place < len(self._sorted) and self._sorted[place].startswith(end)

    def _spans(self, view: str) -> list[tuple[int, int, int]]:
        """Start, end and entry of all that stand on word edges, by start, the longest first."""
        if self._find is None:
            return []
        spans: list[tuple[int, int, int]] = []
        length = len(view)
        for number, start, end in self._find(view, overlapping=True):
            if start and view[start - 1].isalnum() and view[start].isalnum():
                continue
            stop = end
            if self._goes_on[number]:
                most = min(length, end + _LONGEST_REST)
                while stop < most and view[stop].isalnum():
                    stop += 1
            if stop < length and view[stop].isalnum() and view[stop - 1].isalnum():
                continue
            spans.append((start, stop, number))
        spans.sort(key=lambda span: (span[0], -span[1], span[2]))
        return spans


def folded(text: str) -> tuple[str, list[int] | None]:
    """The text in small letters without accents, line ends and hyphens as blanks, and where each came from.

    No places means: each stands where it stood.
    """
    try:
        encoded = text.encode("latin-1")
    except UnicodeEncodeError:
        return _folded_slowly(text)
    if b"\xa0" in encoded or b"\xad" in encoded:
        return _folded_slowly(text)
    return encoded.translate(_lower).decode("latin-1"), None


def _folded_slowly(text: str) -> tuple[str, list[int] | None]:
    if _is_odd(text) is None:
        return text.translate(_table()), None
    view = canonical(text.encode(errors="replace").decode())
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(view.text.translate(_table())):
        if not combining(character):
            letters.append(character)
            places.append(view.position(place))
    return "".join(letters), places


@lru_cache(1)
def _table() -> dict[int, str]:
    """Letters of Latin, Greek and Cyrillic scripts → small ones without accents, one for one."""
    table: dict[int, str] = {ord(one): " " for one in "\t\n\r-_\u2019"}
    for first, end in ((0x41, 0x530), (0x1E00, 0x2000)):
        for code in range(first, end):
            small = normalize("NFD", chr(code).lower())[:1]
            if small and small != chr(code) and chr(code).isalpha():
                table[code] = small
    return table


def _word_starts(view: str) -> list[int]:
    return [
        place
        for place, character in enumerate(view)
        if not character.isspace() and (place == 0 or not (view[place - 1].isalnum() and character.isalnum()))
    ]
