"""What the tagger of names sees of each word: itself, its shape, its ends, its group, the gazetteer.

Training and tagging share this file: a model fits only the features that it was trained with.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from greenroom.stages.ground.gazetteer import folded
from greenroom.stages.ground.words import Word

Clusters = Callable[[str], tuple[str, ...]]
"""The names of the clusters that a word belongs to; empty for an unknown word."""


_KEPT = 2048
"""Looks that are kept: some 2 KB each."""


class Lists(Protocol):
    """A gazetteer."""

    def begins(self, word: str) -> bool: ...
    def marks(self, words: Sequence[str], begins: Sequence[bool]) -> list[list[str]]: ...


class Look(NamedTuple):
    """What a word says by itself, as features of itself and of its neighbours."""

    folded: str
    lower: str
    shape: str
    here: tuple[str, ...]
    before: tuple[str, ...]
    """Of the word behind it."""
    behind: tuple[str, ...]
    """Of the word before it."""
    far_before: tuple[str, ...]
    far_behind: tuple[str, ...]
    begins: bool
    """Whether a phrase of the gazetteer may begin with it."""


def shape_of(word: str) -> str:
    """`Xx`, `xx`, `XX`, `X`, `d`, `Xxx` for McDonald, `.` for signs."""
    if word.isalpha():
        if word.islower():
            return "x"
        if word.isupper():
            return "X" if len(word) == 1 else "XX"
        return "Xx" if word[0].isupper() and word[1:].islower() else "xX"
    if word[0] in "@#" and len(word) > 1:
        return word[0]
    if word[0].isdigit():
        return "d" if word.isdigit() else "d."
    if word[0].isalpha():
        return "X." if word[0].isupper() else "x."
    return word[0]


class Features:
    """Makes the features of sentences. Holds the looks of the words it saw last."""

    def __init__(self, clusters: Clusters, lists: Lists) -> None:
        self._lists = lists
        self._clusters = clusters
        self._look = lru_cache(maxsize=_KEPT)(self._look_at)

    def __call__(self, words: Sequence[Word]) -> list[list[str]]:
        """One list of features a word."""
        look = self._look
        looks = [look(one.text) for one in words]
        marks = self._lists.marks([one.folded for one in looks], [one.begins for one in looks])
        case = _case(looks)
        none = _NONE
        padded = [none, none, *looks, none, none]
        sentence: list[list[str]] = []
        empty: list[str] = []
        last = len(words) - 1
        is_first = True
        for place, one in enumerate(looks):
            prev, after = padded[place + 1], padded[place + 3]
            own = [
                *one.here,
                *prev.before,
                *after.behind,
                *padded[place].far_before,
                *padded[place + 4].far_behind,
                case,
                f"ss{prev.shape}{one.shape}{after.shape}",
                f"ws{prev.lower}|{one.shape}",
                f"sw{one.shape}|{after.lower}",
            ]
            here = marks[place]
            before_marks = marks[place - 1] if place else empty
            after_marks = marks[place + 1] if place < last else empty
            if here:
                own += ["g" + name for name in here]
                own.append("gs" + ",".join(here) + one.shape)
            if before_marks:
                own += ["g-" + name for name in before_marks]
            if after_marks:
                own += ["g+" + name for name in after_marks]
            if words[place].is_glued:
                own.append("glued")
            if is_first:
                own.append("1st" + one.shape)
                if one.shape in ("Xx", "XX", "X"):
                    own.append("1stw" + one.lower)
            is_first = one.shape in ".!?…" or (is_first and not one.shape[0].isalpha())
            sentence.append(own)
        return sentence

    def _look_at(self, word: str) -> Look:
        lower = word.lower()
        shape = shape_of(word)
        here = [f"w{lower}", f"s{shape}", f"l{min(len(word), 8)}"]
        before, behind = [f"-w{lower}", f"-s{shape}"], [f"+w{lower}", f"+s{shape}"]
        far_before, far_behind = [f"--w{lower}"], [f"++w{lower}"]
        plain = folded(word)
        if len(word) > 2 and word[0].isalpha():
            here += [
                f"p{plain[:2]}",
                f"p{plain[:3]}",
                f"e{plain[-2:]}",
                f"e{plain[-3:]}",
                f"E{plain[-3:]}{shape}",
            ]
            if len(word) > 4:
                here += [f"p{plain[:4]}", f"e{plain[-4:]}"]
            before.append(f"-e{plain[-3:]}")
            behind.append(f"+e{plain[-3:]}")
        for name in self._clusters(word):
            here += [f"c{name}", f"c{name}{shape}"]
            before.append(f"-c{name}")
            behind.append(f"+c{name}")
            far_before.append(f"--c{name}")
            far_behind.append(f"++c{name}")
        return Look(
            plain,
            lower,
            shape,
            tuple(here),
            tuple(before),
            tuple(behind),
            tuple(far_before),
            tuple(far_behind),
            self._lists.begins(plain),
        )


_NONE = Look("", "", "_", (), ("-w_",), ("+w_",), (), (), False)


def _case(looks: Sequence[Look]) -> str:
    """Whether a sentence's capitals can be trusted: many, none, or as usual."""
    letters = [one.shape for one in looks if one.shape[0] in "xX"]
    if not letters:
        return "case0"
    capitals = sum(shape[0] == "X" for shape in letters)
    loud = sum(shape == "XX" for shape in letters)
    if loud * 2 > len(letters):
        return "caseXX"
    if capitals == 0:
        return "casex"
    if capitals * 3 > len(letters) * 2:
        return "caseXx"
    return "case"
