"""What `injection` and `offense` share: which texts are new, their readings, the model that scores them.

A text is assessed once for both. What is assessed: all texts of the newest user message, and everything after
the last message of the assistant (tool results). Earlier turns were checked when they came; the system
message is the operator's; the arguments of tool calls are the model's own. Not the other stages' business:
passages and messages that steps put in are handed over by `injection` itself.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from math import exp
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct
from msgspec.json import decode

from greenroom.exchange import ChatRequest, Exchange, Text
from greenroom.stages.check.attacks import Sign, signs
from greenroom.stages.check.insults import Word, words_in
from greenroom.stages.check.reading import Reading, readings

if TYPE_CHECKING:
    from greenroom.stages.check.ngrams import Classifier

Engine = Literal["rules", "full"]
"""rules: phrases and lists alone, some 30 µs for 2 kB; full: the n-gram classifier as well."""

_LONG = 8_000
"""Texts of more characters in all are assessed in a thread: 1 ms each 4,000."""
_BOUND = 12.0
"""Log-odds of the classifier beyond this say no more."""


class Blend(Struct, frozen=True):
    """How the classifier's log-odds and the signs make one score. Fitted by scripts/train_judges.py."""

    bias: float
    ngrams: float
    signs: dict[str, float]
    """Weight of each kind of sign (`injection`) or severity (`offense`, "1" to "3")."""

    def score(self, logit: float, kinds: Iterable[str]) -> float:
        """From 0 to 1; 0.5 is where a finding begins, 0.8 where an attack is blocked."""
        known = self.signs
        total = (
            self.bias
            + self.ngrams * max(-_BOUND, min(_BOUND, logit))
            + sum(known.get(one, 0.0) for one in kinds)
        )
        return 1 / (1 + exp(-max(-30.0, min(30.0, total))))


class Model(Struct, frozen=True):
    """greenroom/data/judges/judges.json."""

    scales: tuple[float, float]
    biases: tuple[float, float]
    injection: dict[Engine, Blend]
    offense: dict[Engine, Blend]


@cache
def model() -> Model:
    """The shipped one."""
    file = resources.files("greenroom") / "data" / "judges" / "judges.json"
    return decode(file.read_bytes(), type=Model)


@cache
def classifier() -> "Classifier":
    """Of this process: numpy and 2 MiB of weights, loaded on first need (0.1 s)."""
    from greenroom.stages.check.ngrams import Classifier  # noqa: PLC0415  # numpy: 25 MiB that "rules" never need

    shipped = model()
    return Classifier.load(shipped.scales, shipped.biases)


class Judged(NamedTuple):
    """What one judge thinks of a text: the score of its worst reading, and where that comes from."""

    score: float
    start: int
    end: int
    signs: tuple[str, ...]
    reading: str
    """How the text had to be read; "" where it stood there plainly."""


class Assessment(NamedTuple):
    """A text seen by both judges; offsets count in the text as it is."""

    injection: Judged
    offense: Judged
    words: list[Word]
    """The list words of the reading that offends most, led back."""
    disguises: tuple[str, ...]
    """All kinds of readings that had to be made."""


def assess(text: str, engine: Engine) -> Assessment:
    """Read and score one text. Linear time."""
    found = readings(text)
    blends = model()
    attack, offense = blends.injection[engine], blends.offense[engine]
    score = classifier().score if engine == "full" else None
    worst: tuple[Judged, Judged] | None = None
    worst_words: list[Word] = []
    for one in found:
        shown = signs(one.folded)
        words = words_in(one.folded)
        scored = score(one.folded) if score is not None else None
        kinds = tuple(sign.kind for sign in shown)
        grades = {str(word.severity) for word in words}
        attacks = attack.score(scored[0].logit if scored else 0.0, kinds)
        offends = offense.score(scored[1].logit if scored else 0.0, grades)
        if worst is None or attacks > worst[0].score:
            span = _span(one, shown, scored[0][1:] if scored else (0, len(one.folded)))
            judged = Judged(attacks, *span, kinds, one.kind)
            worst = (judged, worst[1] if worst else judged)
        if one is found[0] or offends > worst[1].score:
            start, end = (words[0].start, words[-1].end) if words else scored[1][1:] if scored else (0, 0)
            worst = (
                worst[0],
                Judged(offends, *one.original(start, end), tuple(word.category for word in words), one.kind),
            )
            worst_words = [
                word._replace(start=span[0], end=span[1])
                for word in words
                for span in (one.original(word.start, word.end),)
            ]
    assert worst is not None
    return Assessment(*worst, worst_words, tuple(one.kind for one in found if one.kind))


def _span(reading: Reading, shown: Sequence[Sign], window: tuple[int, int]) -> tuple[int, int]:
    """Where an attack stands: its first sign, else the window that scores highest."""
    against = [one for one in shown if one.kind != "about"]
    start, end = (against[0].start, against[0].end) if against else window
    return reading.original(start, end)


def fresh(request: ChatRequest) -> list[Text]:
    """The texts that no earlier request had: see the module's docstring."""
    texts = request.texts
    newest = answered = -1
    for index, role in enumerate(request.roles):
        if role == "user":
            newest = index
        elif role == "assistant":
            answered = index
    return [
        one
        for one in texts
        if (one.index == newest or one.index > answered)
        and one.kind == "content"
        and one.role not in ("system", "developer", "assistant")
    ]


async def assessed(exchange: Exchange, texts: Sequence[str], engine: Engine) -> list[Assessment]:
    """The assessments of some texts of an exchange; each is made once, long ones in a thread."""
    known = exchange.context.setdefault(f"judged.{engine}", {})
    assert isinstance(known, dict)
    wanted = [one for one in texts if one not in known]
    if wanted:
        is_slow = engine == "full" and not classifier.cache_info().currsize
        if is_slow or sum(map(len, wanted)) > _LONG:
            made = await asyncio.to_thread(_all, wanted, engine)
        else:
            made = _all(wanted, engine)
        known.update(zip(wanted, made, strict=True))
    return [known[one] for one in texts]


def _all(texts: Sequence[str], engine: Engine) -> list[Assessment]:
    return [assess(one, engine) for one in texts]
