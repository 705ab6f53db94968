"""Rows of evaluations, kept out of training: equal, lightly rewritten, or quoted within a longer text.

Compared is what users say. A question counts as found when most of its runs stand in one message, its numbers
in their order, and its names, if perhaps with a slip of the pen. It does not where a word stands for another
one and the row shows that it means something else: by a word that its question and answer share, or by an
answer that is not the expected one. No such row is missed for want of searching: of the runs of a question so
many must be shared that one of its rarest is among them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from greenroom.offline.finetune.rows.duplicates import NEAR
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
_SHORT = 16
"""Characters below which only an equal text counts, all turns together: "and in Lisbon?" is asked often."""


class _Question(NamedTuple):
    name: str
    text: Wording
    runs: "Numbers"
    expected: Wording


class HeldOut:
    """The questions of evaluations, looked up in rows of training."""

    def __init__(self, near: float = HELD) -> None:
        self._near = near
        self._questions: list[_Question] = []
        self._equal: dict[str, str] = {}
        """Short questions, and all turns of conversations, by their plain text: the name of their set."""
        self._postings: dict[int, list[int]] = {}
        self._is_open = True

    def add(self, name: str, row: Asked) -> None:
        """One row of an evaluation."""
        asked = [found for turn in row.turns if (found := wording(turn)).plain]
        if not asked:
            return
        self._equal.setdefault("\n".join(one.plain for one in asked), name)
        if len(asked[-1].plain) >= _SHORT:
            expected = wording(row.expected)
            self._questions.append(_Question(name, asked[-1], grams(asked[-1].plain), expected))

    def close(self) -> None:
        """No more questions: make the index of their rarest runs."""
        often: Counter[int] = Counter()
        for one in self._questions:
            often.update(one.runs.tolist())
        postings: defaultdict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(self._questions):
            by_rarity = sorted(one.runs.tolist(), key=lambda run: (often[run], run))
            needed = -int(-self._near * len(by_rarity) // 1)
            for run in by_rarity[: len(by_rarity) - needed + 1]:
                postings[run].append(number)
        self._postings = dict(postings)

    def find(self, row: Json) -> str | None:
        """The set whose question this row holds, if any."""
        if not self._equal:
            return None
        asked = [one for text in _texts(row, "user") if (one := wording(text)).plain]
        for end in range(1, len(asked) + 1):
            last = asked[end - 1].plain
            found = self._equal.get("\n".join(one.plain for one in asked[:end])) or (
                self._equal.get(last) if len(last) >= _SHORT else None
            )
            if found is not None:
                return found
        if not self._postings:
            return None
        answers = wording("\n".join(_texts(row, "assistant")))
        return next((found for one in asked if (found := self._near_to(one, answers)) is not None), None)

    def _near_to(self, text: Wording, answers: Wording) -> str | None:
        runs = grams(text.plain)
        numbers: set[int] = set()
        for run in runs.tolist():
            numbers.update(self._postings.get(run, ()))
        about = topics(text, answers)
        for number in sorted(numbers):
            question = self._questions[number]
            share = shared(question.runs, runs) / len(question.runs)
            is_long = len(runs) > 2 * len(question.runs)
            if share < (QUOTED if is_long else self._near) or not _has_all(question.text, text):
                continue
            if is_long or not (
                is_exchanged(about, text, question.text) or _answers_other(question, text, answers)
            ):
                return question.name
        return None


def held_out(sets: Iterable[tuple[str, Iterable[Asked]]]) -> HeldOut:
    """The index of all questions of all sets."""
    made = HeldOut()
    for name, rows in sets:
        for row in rows:
            made.add(name, row)
    made.close()
    return made


def _answers_other(question: _Question, text: Wording, answers: Wording) -> bool:
    """Whether a word was exchanged and the answer is another one, where both are sentences."""
    expected = question.expected
    if min(len(expected.plain), len(answers.plain)) < _SHORT:
        return False
    if not is_exchanged(question.text.words - SMALL_WORDS, question.text, text):
        return False
    return expected.numbers != answers.numbers or likeness(grams(expected.plain), grams(answers.plain)) < NEAR


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
