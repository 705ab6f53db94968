"""A sentence's clauses: their words, whether they deny, and which of two opposites they speak of.

Cut at punctuation and conjunctions, and before what opens a clause of its own ("without", "unless", "si").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from greenroom.stages.postprocess.meaning import Meaning, Word
from greenroom.stages.postprocess.measures import WORDS, word_set

_token = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:['’.&-][^\W_]+)*|[;:()—–,.]")
_ENDS = word_set(
    "; : ( ) — – , . but mas pero while enquanto mientras porque because since pois pues yet although whereas"
)
"""What stands between clauses."""
_JOINS = frozenset({"and", "e", "y"})
_OPENS = word_set("without unless except when if sem exceto salvo quando sin excepto si cuando")
"""What a clause begins with."""
_NUMBER = rf"(?:[$€£r]*\d|(?:{'|'.join(word for words in WORDS.values() for word in words)})\b)"
_SOFT = re.compile(
    r"\b(?:not only|no more than|no less than|no fewer than|no greater than|no later than"
    r"|no longer than|not more than"
    r"|not just|no longer|not until|no matter|no earlier|not before|não antes|no antes|no other"
    r"|at most|at least|never less than|up to"
    r"|maximum of|(?:more than|less than|fewer than|above|below|mais de|menos de|acima de|abaixo de"
    r"|más de)(?= " + _NUMBER + r")"
    r"|a não ser|(?<!kg )(?<!% )(?<! m )(?<!anos )(?<!dias )(?<!reais )a menos que|não só"
    r"|não apenas|não somente|nada menos|sem dúvida|nenhum outro|nenhuma outra|no máximo|pelo menos"
    r"|nunca menos de|não mais (?:que|de)|ao menos|no mínimo|como mínimo"
    r"|a no ser|no solo|no sólo|no solamente|sin duda|ningún otro|ninguna otra|al menos|como máximo"
    r"|como mucho|por lo menos|no más de?"
    r"|no menos de)\b"
)
"""What denies nothing, and compares with a number only."""
_SOFTENS = word_set(
    "not no up at maximum never more less fewer above below mais menos acima abaixo más máximo mínimo"
    " mínimo mucho não nada sem nenhum nenhuma nunca sin ningún ninguna ao al por como"
)
"""What such a phrase has in it."""
_BOUNDS = re.compile(
    r"\b(?:no|não|not|cannot|can't|mustn't)((?: \w+){1,4}?) (?:more than|más de|mais de|hasta|until"
    r"|nada más|nada a mais)\b"
)
"""A denial that is a limit: "not ... more than two", "no ... hasta las nueve"."""
_RULE_OUT = re.compile(r"\brul(?:e[sd]?|ing) out\b")
_TURN = re.compile(r"\b(?:switch|turn|power)(?:s|e[sd]|ed|ing)?(?: \w+){0,2}? (on|off)\b")
_CEASE = {
    "pt": re.compile(r"\bdeix\w+ de\b"),
    "es": re.compile(r"\b(?:dej\w+|ha dejado|han dejado) de\b"),
}
_RELATIVE = word_set("que which who whose where cuyo cuya cuyos cuyas cujo cuja cujos cujas onde donde")


_FEW = 3
"""Stems below which a clause may be one with the next."""


class Clause(NamedTuple):
    """One clause. `marks` is all by which its words are known."""

    stems: tuple[str, ...]
    wanted: tuple[tuple[str, ...], ...]
    """For each stem, the marks by which it is found elsewhere."""
    marks: frozenset[str]
    denies: bool
    denials: int
    """How many words deny."""
    denied: frozenset[str]
    """The marks of the word behind a negator; none where it is not plain what is denied."""
    is_unclear: bool
    around: frozenset[str]
    """The marks of what it may speak of without saying so: the sentence's first words, or those
    before "which"."""
    sides: frozenset[tuple[int, int]]
    sided: frozenset[str]
    """The stems of the words that have a side."""


def read_clauses(text: str, meaning: Meaning) -> list[Clause]:
    """Those with a word that means something."""
    plain = text.lower().replace("’", "'")
    if not _SOFTENS.isdisjoint(plain.split()):
        plain = _SOFT.sub(" ", _BOUNDS.sub(r"\1", plain))
    if meaning.language == "en":
        plain = _TURN.sub(r"turn turn\1", _RULE_OUT.sub("excluded", plain))
        plain = plain.replace(" up from ", " risen from ").replace(" down from ", " fallen from ")
    elif meaning.language in _CEASE and ("dej" in plain or "deix" in plain):
        plain = _CEASE[meaning.language].sub("no" if meaning.language == "es" else "não", plain)
    found: list[Clause] = []
    around: frozenset[str] = _NONE
    before: list[Word] = []
    is_held, denied = False, 0
    for part, joins in _cut(_token.findall(plain)):
        words = [meaning.word(one) for one in part]
        telling = [word for word in words if word.is_telling]
        negates = any(word.negates for word in words)
        if not telling:
            denied, is_held = denied + negates, is_held or any(word.is_unclear for word in words)
            continue
        denying = sum(word.denies for word in words)
        if joins and len(telling) == 1 and found and not negates and not denying:  # "to bathe and fish"
            found[-1] = found[-1]._replace(marks=found[-1].marks | telling[0].marks)
            continue
        stems = tuple(dict.fromkeys(stem for word in telling for stem in word.stems))
        sided = [word for word in words if word.sides]
        found.append(
            Clause(
                stems,
                tuple(meaning.wanted(one) for one in stems),
                frozenset().union(*(word.marks for word in telling)),
                (negates or denied > 0) ^ (denying % 2 == 1),
                sum(word.negates for word in words) + denying + denied,
                _denied(words) if negates and not denying else _NONE,
                is_held or any(word.is_unclear for word in words),
                around | _marks(before[-2:]) if part[0] in _RELATIVE else around,
                frozenset(side for word in sided for side in word.sides),
                frozenset(stem for word in sided for stem in word.stems),
            )
        )
        if joins and len(found) > 1 and found[-1].denies != found[-2].denies:
            for at in (-2, -1):  # "old people and those who ... don't": it may be said of both
                if not found[at].denies and len(found[at].stems) < _FEW:
                    found[at] = found[at]._replace(is_unclear=True)
        around = around or _marks(telling[:2])
        before, is_held, denied = telling, False, 0
    return found


def _denied(words: Sequence[Word]) -> frozenset[str]:
    at = min(place for place, word in enumerate(words) if word.negates)
    return _marks([word for word in words[at:] if word.is_telling][:1])


def _cut(tokens: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """The words of each clause, and whether "and" stands before it."""
    part: list[str] = []
    joins = False
    for one in tokens:
        if one in _ENDS or one in _JOINS:
            if part:
                yield part, joins
            part, joins = [], one in _JOINS
        elif one in _OPENS:
            if part:
                yield part, joins
                joins = False
            part = [one]
        else:
            part.append(one)
    if part:
        yield part, joins


_NONE: frozenset[str] = frozenset()


def _marks(words: Iterable[Word]) -> frozenset[str]:
    return _NONE.union(*(word.marks for word in words))


def shared(claim: Clause, source: Clause, *, but: frozenset[str] = _NONE) -> int:
    """How many of a claim's stems a source's clause has, or has around it where it has one itself."""
    own = more = 0
    for stem, marks in zip(claim.stems, claim.wanted, strict=True):
        if stem in but:
            continue
        if not source.marks.isdisjoint(marks):
            own += 1
        elif not source.around.isdisjoint(marks):
            more += 1
    return own + more if own > 1 or (own and more > 1) else own
