"""What two texts have in common, and what must be the same in both before they say the same.

Compared are sets of four-character runs of the words without case, accents, marks and spacing, in any script;
what makes look-alikes differ is known for English, Portuguese and Spanish: a number, a name (a capital within
a sentence), a negation, and a word that question and answer share. Knows no row. numpy is imported when first
used.
"""

import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from greenroom.offline.finetune.rows.small_words import SMALL_WORDS

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

    Grams = NDArray[uint64]

RUN = 4
"""Characters: a changed word of five costs eight runs, a slip of the pen four or five."""
_WORDS = re.compile(
    r"[^\W_]+(?:['’][^\W_]+)*"
    r"|(?:(?<=\d)|(?<=\d\s))[+*/=<>%^$€£]|[+*/=<>%^$€£](?=\s?\d)|(?<![^\W\d_])-(?=\s?\d)"
)
"""Words, and signs of arithmetic and money beside figures."""
_CAPITALS = re.compile(
    r"(?<![^\W_])(?<!['’])[A-Z\u00c0-\u00de\u0391-\u03a9\u0410-\u042f](?:[^\W_]|['’](?=[^\W_]))*"
)
"""Words that begin with a capital: Latin without accents, Greek or Cyrillic."""
_BEGINS = re.compile(r"(?:^|[.!?…:;\n\"“«(>*-])[\s¿¡\"'“«(]*$")
_NEGATIONS = frozenset(
    (
        "not", "no", "never", "none", "nothing", "without", "cannot", "can't", "don't", "doesn't", "isn't",
        "won't", "didn't", "aren't", "shouldn't", "unable", "nao", "nunca", "sem", "nada", "nenhum",
        "nenhuma", "jamais", "sin", "jamas", "tampoco", "ninguno", "ninguna", "ningun",
    )
)  # fmt: skip
_PARTS = (1_000_003, 0x9E3779B97F4A7C15)
_MOST_SLIPS, _MOST_SHARING, _LONGEST_SLIP = 1_000, 16, 40
"""Words that slips are looked for in, those of them that share a rest, and letters of a word: what bounds the
work for rows that were made to keep it busy."""
_LONGEST_NAME_LOOK = 20_000
"""Characters of a text in which names are looked for; behind that, words count alike."""


class Wording(NamedTuple):
    """One text as it is compared."""

    plain: str
    words: frozenset[str]
    numbers: tuple[str, ...]
    """Words with digits in them and signs beside them, in their order."""
    names: frozenset[str]
    """Words with a capital that no sentence begins with."""


def wording(text: str) -> Wording:
    """Read a text once."""
    kept, folded = _folded(text)
    figures = (word for word in folded if not word.isalpha() and _is_figure(word))
    return Wording(" ".join(folded), frozenset(folded), tuple(figures), _names(kept))


def plain(text: str) -> str:
    """`wording(text).plain`, without the rest."""
    return " ".join(_folded(text)[1])


def _folded(text: str) -> tuple[str, list[str]]:
    kept = _without_accents(unicodedata.normalize("NFKC", text)).replace("’", "'")
    return kept, _WORDS.findall(kept.casefold())


def _is_figure(word: str) -> bool:
    return any(map(str.isdigit, word)) or not word[0].isalnum()


def _without_accents(text: str) -> str:
    """People leave them out; nothing that look-alikes differ in hangs on them."""
    if text.isascii():
        return text
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _names(text: str) -> frozenset[str]:
    if text.isupper():
        return frozenset()
    return frozenset(
        one[0].casefold()
        for one in _CAPITALS.finditer(text, 0, _LONGEST_NAME_LOOK)
        if not _BEGINS.search(text, max(0, one.start() - 8), one.start())
    )


def grams(plain: str) -> "Grams":
    """The runs of a text as sorted distinct numbers, at least one: (n,) uint64."""
    import numpy as np  # noqa: PLC0415  # 20 MiB that most processes can do without

    padded = f" {plain} ".ljust(RUN)
    points = np.frombuffer(padded.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    count = len(points) - RUN + 1
    mixed = np.zeros(count, np.uint64)
    for place in range(RUN):
        mixed = mixed * np.uint64(_PARTS[0]) + points[place : place + count]
    return np.unique(mixed * np.uint64(_PARTS[1]))


def shared(one: "Grams", other: "Grams") -> int:
    """How many runs two texts share."""
    import numpy as np  # noqa: PLC0415  # as above

    if len(one) > len(other):
        one, other = other, one
    places = np.searchsorted(other, one)
    places[places == len(other)] = 0
    return int((other[places] == one).sum())


def likeness(one: "Grams", other: "Grams") -> float:
    """Jaccard: shared runs of all that either has."""
    both = shared(one, other)
    return both / (len(one) + len(other) - both)


def says_other(one: Wording, other: Wording) -> bool:
    """Whether the two differ in what look-alikes differ in: a number, a name, a negation."""
    if one.numbers != other.numbers:
        return True
    if (one.words ^ other.words) & _NEGATIONS:
        return True
    return lacks(one, other) or lacks(other, one)


def topics(question: Wording, answer: Wording) -> frozenset[str]:
    """Words that stand in question and answer alike: what a row is about."""
    return (question.words & answer.words) - SMALL_WORDS


def is_exchanged(about: frozenset[str], mine: Wording, other: Wording) -> bool:
    """Whether one of the words `about` which text `mine` is stands in the other for another word.

    Words that were added, or written with a slip, are not exchanged.
    """
    return _has_new(about - other.words, other.words) and _has_new(
        other.words - mine.words - SMALL_WORDS, mine.words
    )


def lacks(one: Wording, other: Wording) -> bool:
    """Whether a name of the first is not in the second, not even with a slip of the pen."""
    return _has_new(one.names - other.words, other.words)


def _has_new(words: frozenset[str], others: frozenset[str]) -> bool:
    """Whether one of the words is none of the others written with a slip.

    Two words that are a slip apart share what is left of them without a letter: so each word is looked up,
    and not compared with all others. More than `_MOST_SLIPS` words are not all taken for slips.
    """
    if len(words) > _MOST_SLIPS or not all(map(_may_slip, words)):
        return True
    left, shortened = set(words), defaultdict[str, list[str]](list)
    for word in words:
        for rest in _without_a_letter(word):
            if len(shortened[rest]) < _MOST_SHARING:
                shortened[rest].append(word)
    for other in filter(_may_slip, others if left else ()):
        for rest in _without_a_letter(other):
            left.difference_update(word for word in shortened.get(rest, ()) if is_slip(word, other))
        if not left:
            return False
    return bool(left)


def _may_slip(word: str) -> bool:
    return 5 <= len(word) <= _LONGEST_SLIP


def _without_a_letter(word: str) -> list[str]:
    return [word, *(word[:place] + word[place + 1 :] for place in range(len(word)))]


def is_slip(one: str, other: str) -> bool:
    """Whether two words of five letters or more differ by one letter, or by two that changed places."""
    if min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, rest_other = one[start:], other[start:]
    return (
        rest[1:] == rest_other[1:]
        or rest[1:] == rest_other
        or rest == rest_other[1:]
        or (rest[:2] == rest_other[1::-1] and rest[2:] == rest_other[2:])
    )
