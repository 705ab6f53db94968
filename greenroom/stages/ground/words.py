"""A text as the words that the tagger of names reads, with their places.

Linear in the text. Portuguese prepositions that stand apart from their article, as corpora write them
(«de o», «em a»), are one word, so that both ways of writing look alike.
"""

import re
from typing import NamedTuple


class Word(NamedTuple):
    """A word, number or sign, and where it stands in the text."""

    text: str
    start: int
    end: int
    is_glued: bool
    """Nothing stands between it and the word before."""


_LETTER = r"[^\W\d_]"
_find = re.compile(
    rf"""
    (?:https?://|www\.)\S{{1,2000}}
    | [\w.+\-]{{1,64}}@[\w\-]{{1,64}}(?:\.[\w\-]{{1,32}}){{1,4}}
    | [@\#]\w+
    | \d+(?:[.,:/]\d+){{0,8}}[ºª°%]?
    | (?:(?<![^\W_])[A-ZÀ-Þ]\.){{1,6}}(?:[A-ZÀ-Þ](?![^\W_]))?
    | ['’](?:s|re|ll|ve|d|m|t)(?!\w)
    | {_LETTER}+(?:['’](?!(?:s|re|ll|ve|d|m|t)(?!\w)){_LETTER}+){{0,3}}
    | \w+
    | [.!?…]{{1,8}}
    | \S
    """,
    re.VERBOSE,
).finditer
_APART = {
    (first, second): joined + second[1:]
    for first, start in (("de", "d"), ("em", "n"), ("por", "pel"), ("a", "a"))
    for second in ("o", "a", "os", "as")
    for joined in ("à" if first == second[0] == "a" else start + second[0],)
}


def words_of(text: str) -> list[Word]:
    """The words of a text, in order."""
    found: list[Word] = []
    last_end = -1
    for match in _find(text):
        start, end = match.span()
        one = match[0]
        if found and one in ("o", "a", "os", "as"):
            before = found[-1]
            joined = _APART.get((before.text, one))
            if joined is not None and start == before.end + 1:
                found[-1] = before._replace(text=joined, end=end)
                last_end = end
                continue
        found.append(Word(one, start, end, start == last_end))
        last_end = end
    return found
