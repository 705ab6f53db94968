"""Characters nobody sees, made visible: which they are and what they are called."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

_NAMES = {
    0x00A0: "NBSP", 0x00AD: "SHY", 0x034F: "CGJ", 0x061C: "ALM", 0x180E: "MVS", 0x200B: "ZWSP",
    0x200C: "ZWNJ", 0x200D: "ZWJ", 0x200E: "LRM", 0x200F: "RLM", 0x2028: "LSEP", 0x2029: "PSEP",
    0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO", 0x202F: "NNBSP",
    0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0x3000: "IDSP",
    0xFE0E: "VS15", 0xFE0F: "VS16", 0xFEFF: "BOM", 0xFFFC: "OBJ",
}  # fmt: skip
_WANTED = frozenset("\u00a0\u200c\u200d\u202f\u3000\ufe0e\ufe0f")
"""Part of good text in many languages and in emoji: shown only where something was changed."""
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc\ud800-\udfff\U000e0000-\U000e0fff]"
)

_MOST_RUNS = 4_000
"""What follows stays text: a body of nothing but invisible characters must not make a page of megabytes."""


class Run(NamedTuple):
    """A stretch of text, or the badge that stands for characters nobody sees."""

    text: str
    is_badge: bool = False
    title: str = ""


def runs(text: str, *, all_of_them: bool = False) -> list[Run]:
    """Split `text` so that invisible characters stand alone as badges, equal neighbours counted in one.

    Joiners, variation selectors and wide spaces stay text unless `all_of_them` is asked for.
    """
    found: list[Run] = []
    at = 0
    place = 0
    while len(found) < _MOST_RUNS and (match := _SUSPECT.search(text, place)) is not None:
        char = match[0]
        place = match.end()
        if char in _WANTED and not all_of_them:
            continue
        while place < len(text) and text[place] == char:
            place += 1
        if match.start() > at:
            found.append(Run(text[at : match.start()]))
        count = place - match.start()
        label, title = badge(char)
        found.append(Run(f"{label} ×{count}" if count > 1 else label, is_badge=True, title=title))
        at = place
    if at < len(text):
        found.append(Run(text[at:]))
    return found


@lru_cache(maxsize=512)
def badge(char: str) -> tuple[str, str]:
    """Return the short and the long name of an invisible character."""
    code = ord(char)
    title = f"U+{code:04X} {unicodedata.name(char, '')}".rstrip()
    if 0xE0020 <= code <= 0xE007E:
        return f"TAG {chr(code - 0xE0000)}", title
    if code < 0x20:
        return chr(0x2400 + code), title
    return _NAMES.get(code, f"U+{code:04X}"), title


def one_line(text: str, limit: int = 200) -> str:
    """Return the first `limit` characters as one line that cannot rearrange what stands around it."""
    line = " ".join(_SUSPECT.sub(_plain, text[: limit * 2]).split())
    return line if len(line) <= limit and len(text) <= limit * 2 else line[:limit].rstrip() + "…"


def _plain(match: re.Match[str]) -> str:
    char = match[0]
    if char in _WANTED:
        return char
    return " " if char.isspace() else ""
