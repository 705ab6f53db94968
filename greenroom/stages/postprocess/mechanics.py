"""Mechanical faults of an answer, alike in every language: words said twice, stray blanks and marks, terms.

Reads text word by word as it comes; knows prose from code, and the operator's terms. A doubled word is a
fault only where it is one of a list: «had had», «muito muito» and «Duran Duran» are none.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from greenroom.exchange import Edit
from greenroom.stages.check.linear import Match, searcher
from greenroom.stages.postprocess.prose import ProseState

LONGEST = 48
"""Characters up to which a word is waited for; longer ones pass as they come."""
LONGEST_TERM = 120

DOUBLED = frozenset(
    """
    the an of to and or for with from by this these those are was were it we they be as but not can will which
    os as de da das do dos em um uma ao pelo pela com seu sua seus suas mais também foi são
    el los las del un una con por su sus al como
    """.split()  # noqa: SIM905  # a list of words reads better so
) - {"do", "as", "como", "can", "we", "are", "was", "will"}  # fmt: skip
"""Words that are never meant twice, in any of the three languages."""

_word = re.compile(r"(\s*)(\S*)")
_pair = "|".join(rf"{one}\s+{one}" for one in sorted(DOUBLED))
_suspicious = rf"(?i)(?:^|[^0-9A-Za-z_\x80-\x{{10ffff}}])(?:{_pair})(?:[^0-9A-Za-z_\x80-\x{{10ffff}}]|\z)"
_MARKS = r"\s[,.](?:\s|\z)|,[,.](?:\s|\z)|[^\s.]\.\.(?:\s|\z)|[^\s]  [^\s]"
_RUNS = "`~$"
"""Marks that mean something else in a run: a text is not cut behind one."""
_trim = "*_()[]\"'“”‘’«».,;:!?…"


class Terms:
    """House terms: spellings that are put in place of others, whatever their case.

    `{"Greenroom": ["green room", "GreenRoom"]}`: each term's other spellings; the term's own letters in
    another case are one of them.
    """

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        self.by_words: dict[tuple[str, ...], str] = {}
        for term, others in terms.items():
            for spelling in (term, *others):
                self.by_words[tuple(spelling.casefold().split())] = term
        self.first: dict[str, int] = {}
        """The first word of a spelling → how many words its longest spelling has."""
        for words in self.by_words:
            self.first[words[0]] = max(self.first.get(words[0], 0), len(words))
        spellings = sorted({" ".join(words) for words in self.by_words})
        self.pattern = "|".join(re.escape(one).replace(r"\ ", r"\s+") for one in spellings)


class _Word:
    """One word with the white space before it; `key` is the word without its marks, in small letters."""

    __slots__ = ("end", "is_prose", "key", "space", "start", "text")

    def __init__(self, space: str, text: str, start: int, is_prose: bool) -> None:
        self.space = space
        self.text = text
        self.start = start
        self.end = start + len(text)
        self.is_prose = is_prose
        self.key = text.strip(_trim).casefold() if is_prose else ""


_NONE = _Word("", "", 0, is_prose=False)


class Mechanics:
    """Finds mechanical faults in text that comes in pieces; what it finds does not depend on the pieces."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._prose = ProseState()
        self._buffer = ""
        self._at = 0
        """Where `_buffer` begins in the whole."""
        self._long: Literal["", "word", "blanks"] = ""
        """What `_buffer` goes on with that was too long to wait for, and has passed in part."""
        self._before = _NONE
        self._waiting: list[_Word] = []
        """Complete words on which no decision was made yet: a term may have begun."""
        self._words_in_line = 0

    @property
    def word_before(self) -> str | None:
        """The last word decided on, in small letters; None where plain words must be waited for."""
        return None if self._long or self._waiting else self._before.text.casefold()

    def feed(self, text: str, edits: list[Edit], *, is_last: bool = False) -> int:
        """Add the faults that are certain now; returns up to where nothing more will be found."""
        buffer = self._buffer + text
        done = 0
        while done < len(buffer):
            size = self._next(buffer, done, is_last=is_last)
            if not size:
                break
            done += size
            self._decide(edits, is_last=False)
        self._buffer = buffer[done:]
        self._at += done
        if is_last:
            self._decide(edits, is_last=True)
        if self._waiting:
            return self._waiting[0].start - len(self._waiting[0].space)
        return self._at

    def _next(self, buffer: str, done: int, *, is_last: bool) -> int:
        """Take the next word with the blanks before it; how many characters that is, 0 to wait."""
        found = _word.match(buffer, done)
        assert found is not None
        space, text = found[1], found[2]
        is_open = found.end() == len(buffer) and not is_last
        if self._long:
            taken = len(space) if self._long == "blanks" else 0 if space else len(text)
            if taken and is_open and self._long == "word":
                taken = max(len(text.rstrip(_RUNS)), len(text) - LONGEST)
                if not taken:
                    return 0
            if taken:
                self._prose.read(buffer[done : done + taken])
                if done + taken < len(buffer):
                    self._long = ""
                return taken
            self._long = ""
        if len(space) > LONGEST:
            self._prose.read(space)
            self._waiting.append(_Word(space, "", self._at + done + len(space), is_prose=False))
            self._long = "blanks" if is_open and not text else ""
            return len(space)
        is_long = len(text) > LONGEST
        if is_open and (not is_long or (text[-1] in _RUNS and len(text) <= 2 * LONGEST)):
            return 0
        if not text:
            return len(space)
        spans = self._prose.read(found[0])
        is_prose = (
            not is_long and bool(spans) and spans[-1][0] <= len(space) and spans[-1][1] == len(found[0])
        )
        self._waiting.append(_Word(space, text, self._at + done + len(space), is_prose=is_prose))
        self._long = "word" if is_long and is_open else ""
        return len(found[0])

    def _decide(self, edits: list[Edit], *, is_last: bool) -> None:
        waiting = self._waiting
        while waiting:
            word = waiting[0]
            longest = self._terms.first.get(word.key, 0) if word.key else 0
            if longest > len(waiting) and not is_last:
                return
            taken = self._term(longest, edits) if longest else 0
            if not taken:
                self._judge(word, edits)
                taken = 1
            self._before = waiting[taken - 1]
            del waiting[:taken]

    def _term(self, longest: int, edits: list[Edit]) -> int:
        """The number of words that a term here takes up, 0 for none."""
        waiting = self._waiting
        for size in range(min(longest, len(waiting)), 0, -1):
            words = waiting[:size]
            term = self._terms.by_words.get(tuple(one.key for one in words))
            if term is None or not all(one.is_prose for one in words):
                continue
            if any(one.text[-1] in _trim for one in words[:-1]) or any(
                one.text[0] in _trim for one in words[1:]
            ):
                continue  # marks within it: these are not the words of one term
            first, last = words[0], words[-1]
            start = first.start + len(first.text) - len(first.text.lstrip(_trim))
            end = last.end - (len(last.text) - len(last.text.rstrip(_trim)))
            written = first.text[start - first.start : end - first.start] if size == 1 else ""
            if size > 1:
                written = "".join((one.space if place else "") + one.text for place, one in enumerate(words))[
                    start - first.start : end - first.start
                ]
            if written != term and not (term.islower() and written[1:] == term[1:]):
                edits.append(_edit(start, end, term, written, "term", "the house's way to write it"))
            return size
        return 0

    def _judge(self, word: _Word, edits: list[Edit]) -> None:
        before = self._before
        text, space = word.text, word.space
        begins_line = "\n" in space
        self._words_in_line = 1 if begins_line else self._words_in_line + 1
        if begins_line or not (word.is_prose and before.is_prose):
            return
        start = word.start - len(space)
        if text in (",", ".") and space == " " and before.text.isalpha():
            edits.append(_edit(start, word.start, "", space, "space", f"no blank before «{text}»"))
        elif word.key in DOUBLED and before.text.casefold() == word.key and text.startswith(word.key):
            if text.rstrip(_trim) == word.key:
                end = word.start + len(word.key)
                edits.append(
                    _edit(start, end, "", space + word.key, "doubled", f"«{word.key}» stood here twice")
                )
        elif (
            space == "  "
            and text[0].islower()
            and (before.text[-1].isalpha() or before.text[-1] == ",")
            and self._words_in_line > 3
        ):
            edits.append(_edit(start, word.start, " ", space, "space", "one blank between words"))
        _marks(word, edits)


def _marks(word: _Word, edits: list[Edit]) -> None:
    text = word.text
    for wrong, right in ((",,", ","), (",.", "."), ("..", ".")):
        stem = text[:-2]
        if text.endswith(wrong) and stem.isalpha() and (stem.islower() or stem.istitle()):
            edits.append(
                _edit(word.end - 2, word.end, right, wrong, "marks", f"«{wrong}» is one mark too many")
            )


def _edit(start: int, end: int, text: str, before: str, rule: str, reason: str) -> Edit:
    return Edit(start=start, end=end, text=text, before=before, rule=f"polish.{rule}", reason=reason)


def suspicion(terms: Terms) -> Callable[[str], Match | None]:
    """A search that finds nothing in a text without mechanical faults."""
    pattern = f"{_suspicious}|{_MARKS}"
    if terms.pattern:
        pattern += f"|(?i:{terms.pattern})"
    return searcher(pattern)
