"""What two prompts must have in common, besides their meaning, to be given the same answer.

Vectors are near for prompts that differ in one number, name or "not": of 84 own pairs that ask different
things, a cosine of 0.9 alone would take 20 for the same (`evals/own/alike.txt`). So two prompts ask the same
only if they say the same words in the same order, in whatever form, but for words that carry no meaning of
their own. English, as is the encoder whose vectors they go with.
"""

import re
from collections.abc import Callable
from functools import cache

import Stemmer  # type: ignore[import-not-found]  # a C extension without stubs
from msgspec import Struct

LONGEST = 600
"""Characters of a prompt that is compared at all."""

_TOKEN = re.compile(
    r"`[^`]*`|\"[^\"]*\"|[A-Za-z][A-Za-z'’]*(?:[-_./+#][A-Za-z0-9]+)*[+#]*|\d+(?:[.,:/-]\d+)*%?|[^\s]"
)
_EMPTY = frozenset(
    {
        "a", "an", "the", "of", "in", "to", "into", "for", "at", "by", "as", "on", "with", "about",
        "that", "this", "these", "those", "it", "its", "i", "me", "my", "mine", "you", "your", "we",
        "us", "our", "one", "do", "does", "did", "is", "are", "was", "were", "be", "been", "being", "am",
        "have", "has", "had", "can", "could", "may", "might", "would", "will", "shall", "should",
        "please", "kindly", "want", "like", "tell", "explain", "give", "recommend", "using", "use",
        "there", "here", "some", "any", "just", "so", "then", "hi", "hello", "hey", "thanks", "thank",
        "possible", "way", "what", "which", "yet", "make", "get", "contain", "work",
    }
)  # fmt: skip
"""Words that two prompts may differ in."""
_MARKS = frozenset("+-*/=<>%$€£@#&|^~")
"""Signs that mean something by themselves."""


class Likeness(Struct, frozen=True):
    """What counts of a prompt, in order: stems, and numbers, code and quotations as they are."""

    words: tuple[str, ...]

    def agrees(self, other: "Likeness") -> bool:
        """Whether both say the same; prompts of which nothing counts agree with none."""
        return bool(self.words) and self.words == other.words


@cache
def _stem() -> Callable[[str], str]:
    stem: Callable[[str], str] = Stemmer.Stemmer("english", 0).stemWord
    return stem


def likeness(text: str) -> Likeness:
    """What counts of a prompt, in linear time."""
    said: list[str] = []
    stem = _stem()
    for found in _TOKEN.finditer(text):
        token = found[0]
        first = token[0]
        if first.isalpha():
            low = token.lower().replace("’", "'")
            if low not in _EMPTY:
                said.append(token if _is_name(token) else stem(low))
        elif first.isdigit() or first in '`"' or first in _MARKS or not first.isascii():
            said.append(token)
    return Likeness(tuple(said))


def _is_name(word: str) -> bool:
    """Whether a word is written as versions and identifiers are."""
    return any(one in "_./+#" or one.isdigit() for one in word)
