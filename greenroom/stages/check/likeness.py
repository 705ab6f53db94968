"""How like a text is to examples: the share of words they have in common, explained by those words.

A cosine of sets: of the stems of two texts and of their pairs, how many are common, over the root of the
product of how many each has. Needs no model, and knows nothing of meaning: examples bring the words.
"""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from greenroom.stages.check.phrases import folded
from greenroom.stages.check.tables import words

_STEM = 6
"""Letters of a word that count, so that its endings in Portuguese and Spanish don't."""
_LONGEST = 8_000
_SENTENCES = 64

_words = re.compile(r"[^\W_]+").findall
_sentences = re.compile(r"[^.!?\n]+[.!?]*").finditer
_SMALL = words(
    "a al also an and ao aos are as at be by can com como con could cual cuando da das de decir del diga "
    "digame dizer do does dos e el ela ele ella ellos em en era es esa ese eso essa esse esta este esto "
    "eu favor foi for from give gostaria ha have hay how i if in is isso it its just know la las le let "
    "lo los mais mas me meu mi minha mis muy my na nas necesito no nos num numa o of on or os ou para "
    "pela pelo pero please pode por porque posso preciso puede puedo qual quando que quem queria quero "
    "quien quiero quisiera saber say se sem ser seu should si sin su sua sus tambem tambien te tell tem "
    "tenho that the their there this tiene to tu um uma umas un una unas unos uns us voce want was we "
    "what when where which who why will with would y yo you your "
)


class Likeness(NamedTuple):
    """How like, to which example, by which words, and where in the text."""

    score: float
    example: str
    common: tuple[str, ...]
    start: int
    end: int


class Examples:
    """Texts that a text may be like."""

    def __init__(self, examples: Sequence[str]) -> None:
        self._examples = [(one, features(one)) for one in examples]
        self._stems = frozenset(stem for one in examples for stem in stems_of(one))

    def best(self, text: str, stems: Collection[str] | None = None) -> Likeness:
        """The sentence that is most like an example; a score of 0 where none has a word in common.

        `stems` are those of the whole text, where they are known: most texts are told by them.
        """
        best = Likeness(0.0, "", (), 0, 0)
        if self._stems.isdisjoint(stems_of(text) if stems is None else stems):
            return best
        for number, sentence in enumerate(_sentences(text[:_LONGEST])):
            if number == _SENTENCES:
                break
            found = features(sentence[0])
            if self._stems.isdisjoint(found):
                continue
            for example, theirs in self._examples:
                common = found & theirs
                if not common:
                    continue
                score = len(common) / sqrt(len(found) * len(theirs))
                if score > best.score:
                    best = Likeness(score, example, tuple(sorted(common)), *sentence.span())
        return best


def features(text: str) -> frozenset[str]:
    """The stems of a text's words, small ones left out, and its pairs of neighbours."""
    stems = stems_of(text)
    return frozenset((*stems, *(f"{one} {other}" for one, other in pairwise(stems))))


def stems_of(text: str) -> list[str]:
    """The first letters of each word that says something."""
    return [one[:_STEM] for one in _words(folded(text[:_LONGEST])[0]) if one not in _SMALL]
