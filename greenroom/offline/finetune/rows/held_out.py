"""Rows of evaluations, kept out of training: equal, lightly rewritten, or quoted within a longer text.

Compared is what users say. A question counts as found when most of its runs stand in one message, its numbers
in their order, and its names, if perhaps with a slip of the pen. It does not where a word stands for another
one and the row shows that it means something else: by a word that its question and answer share, or by an
answer that is not the expected one. No such row is missed for want of searching: of the runs of a question so
many must be shared that some of its rarest are among them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from greenroom.offline.finetune.rows.duplicates import NEAR, Seen
from greenroom.offline.finetune.rows.form import said
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.options import Asked
from greenroom.offline.finetune.rows.small_words import SMALL_WORDS
from greenroom.offline.finetune.rows.wording import (
    Wording,
    grams,
    is_exchanged,
    lacks,
    likeness,
    plain,
    shared,
    topics,
    wording,
)

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

    Numbers = NDArray[uint64]

HELD = 0.6
"""Share of a question's runs that a message must hold which is not much longer (twice)."""
QUOTED = 0.85
"""The same for a message that is longer: the question stands within it."""
_HITS = 5
"""Rare runs that must be shared before texts are compared: fewer are met by chance."""
_SHORT = 16
"""Characters below which only an equal text counts, all turns together: "and in Lisbon?" is asked often."""


class _Question(NamedTuple):
    name: str
    text: Wording
    runs: "Numbers"
    expected: Wording


class HeldOut:
    """The questions of evaluations, looked up in rows of training."""

    def __init__(self) -> None:
        self._questions: list[_Question] = []
        self._equal: dict[str, str] = {}
        """Short questions, and all turns of conversations, by their plain text: the name of their set."""
        self._most_turns = 0
        self._known: set[tuple[str, str]] = set()
        self._postings: dict[int, list[int]] = {}

    def add(self, name: str, row: Asked) -> None:
        """One row of an evaluation."""
        asked = [found for turn in row.turns if (found := wording(turn)).plain]
        if not asked:
            return
        self._equal.setdefault("\n".join(one.plain for one in asked), name)
        self._most_turns = max(self._most_turns, len(asked))
        expected = wording(row.expected)
        known = asked[-1].plain, expected.plain
        if len(asked[-1].plain) >= _SHORT and known not in self._known:  # versions of a set repeat themselves
            self._known.add(known)
            self._questions.append(_Question(name, asked[-1], grams(asked[-1].plain), expected))

    def close(self) -> None:
        """No more questions: make the index of their rarest runs."""
        often: Counter[int] = Counter()
        for one in self._questions:
            often.update(one.runs.tolist())
        postings: defaultdict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(self._questions):
            by_rarity = sorted(one.runs.tolist(), key=lambda run: (often[run], run))
            needed = ceil(HELD * len(by_rarity))
            for run in by_rarity[: len(by_rarity) - needed + min(needed, _HITS)]:
                postings[run].append(number)
        self._postings = dict(postings)

    def find(self, row: Json) -> str | None:
        """The set whose question this row holds, if any."""
        if not self._equal:
            return None
        asked = [(one, text) for text in _texts(row, "user") if (one := plain(text))]
        for end, (last, _) in enumerate(asked, 1):
            so_far = "\n".join(one for one, _ in asked[:end]) if end <= self._most_turns else ""
            found = self._equal.get(so_far) or (self._equal.get(last) if len(last) >= _SHORT else None)
            if found is not None:
                return found
        if not self._postings:
            return None
        answers = cache(lambda: _seen("\n".join(_texts(row, "assistant"))))
        return next(
            (name for one, text in asked if (name := self._near_to(one, text, answers)) is not None), None
        )

    def _near_to(self, said: str, text: str, answered: Callable[[], Seen]) -> str | None:
        near = self._candidates(grams(said))
        if not near:
            return None
        told, answers = wording(text), answered()
        about = topics(told, answers.text)
        for question, is_long in near:
            if _has_all(question.text, told) and (
                is_long
                or not (is_exchanged(about, told, question.text) or _answers_other(question, told, answers))
            ):
                return question.name
        return None

    def _candidates(self, runs: "Numbers") -> list[tuple[_Question, bool]]:
        """Questions of which enough stands in a text, and whether that text is much longer."""
        hits: Counter[int] = Counter()
        for run in runs.tolist():
            own = self._postings.get(run)
            if own is not None:
                hits.update(own)
        found = []
        for number in sorted(hits):
            question = self._questions[number]
            size = len(question.runs)
            is_long = len(runs) > 2 * size
            if hits[number] >= min(ceil(HELD * size), _HITS):
                share = shared(question.runs, runs) / size
                if share >= (QUOTED if is_long else HELD):
                    found.append((question, is_long))
        return found


def held_out(sets: Iterable[tuple[str, Iterable[Asked]]]) -> HeldOut:
    """The index of all questions of all sets."""
    made = HeldOut()
    for name, rows in sets:
        for row in rows:
            made.add(name, row)
    made.close()
    return made


def _seen(text: str) -> Seen:
    read = wording(text)
    return Seen(read, grams(read.plain))


def _answers_other(question: _Question, text: Wording, answers: Seen) -> bool:
    """Whether a word was exchanged and the answer is another one, where both are sentences."""
    expected = question.expected
    if min(len(expected.plain), len(answers.text.plain)) < _SHORT:
        return False
    if not is_exchanged(question.text.words - SMALL_WORDS, question.text, text):
        return False
    return expected.numbers != answers.text.numbers or likeness(grams(expected.plain), answers.runs) < NEAR


def _has_all(question: Wording, text: Wording) -> bool:
    """Whether the question's numbers stand in the text in their order, and its names stand there."""
    left = iter(text.numbers)
    return all(number in left for number in question.numbers) and not lacks(question, text)


def _texts(row: Json, role: str) -> Iterator[str]:
    given = row.get("input", row)
    outputs = (row.get("preferred_output", ()), row.get("non_preferred_output", ()))
    for message in chain(given["messages"], *outputs):
        if message["role"] == role:
            yield said(message.get("content"))
