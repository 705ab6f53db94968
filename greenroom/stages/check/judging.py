"""What `injection` and `offense` share: which texts are new, their readings, the model that scores them.

A text is assessed once for both. What is assessed: all texts of the newest user message, and everything after
the last message of the assistant (tool results). Earlier turns were checked when they came; the system
message is the operator's; the arguments of tool calls are the model's own. Not the other stages' business:
passages and messages that steps put in are handed over by `injection` itself.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from importlib import resources
from math import exp, log2
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct
from msgspec.json import decode

from greenroom.exchange import ChatRequest, Exchange, Text
from greenroom.stages.check.attacks import ANCHORS, Sign, signs
from greenroom.stages.check.insults import Word, shipped, words_in
from greenroom.stages.check.insults import pattern as word_pattern
from greenroom.stages.check.linear import pattern_set
from greenroom.stages.check.reading import LOOKS, Reading, further, plain

if TYPE_CHECKING:
    from greenroom.stages.check.ngrams import Classifier

Engine = Literal["rules", "full"]
"""rules: phrases and lists alone, some 30 µs for 2 kB; full: the n-gram classifier as well."""

_LONG = 8_000
"""Texts of more characters in all are assessed in a thread: 1 ms each 4,000."""
BOUND = 12.0
"""Log-odds of the classifier beyond this say no more."""
SPOKEN = 0.6
"""Least score for `offense` where a list word of severity 2 or 3 is meant, whatever the classifier says."""
SHORT, DOUBT = 14, 0.7
"""Below so many characters n-grams alone say little: the log-odds taken off for each that is missing."""
WINDOW, LONGEST = 256, 3000
"""Characters between which a text's length weighs."""


class Blend(Struct, frozen=True):
    """How the classifier's log-odds and the signs make one score. Fitted by scripts/train_judges.py."""

    bias: float
    ngrams: float
    signs: dict[str, float]
    """Weight of each kind of sign (`injection`) or severity (`offense`, "1" to "3")."""
    length: float = 0.0
    """Weight of each doubling of the length from 256 characters on: more windows, more chances to err."""

    def score(self, logit: float, kinds: Iterable[str], length: int) -> float:
        """From 0 to 1; 0.5 is where a finding begins, 0.8 where an attack is blocked."""
        known = self.signs
        total = self.bias + self.ngrams * max(-BOUND, min(BOUND, logit))
        total += sum(known.get(one, 0.0) for one in kinds)
        if length > WINDOW:
            total += self.length * log2(min(length, LONGEST) / WINDOW)
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
    """Of this process: numpy and the weights, loaded on first need (15 MiB, 0.2 s)."""
    from greenroom.stages.check.ngrams import Classifier  # noqa: PLC0415  # 15 MiB that "rules" never need

    known = model()
    return Classifier.load(known.scales, known.biases)


@cache
def _looks() -> Callable[[bytes], list[int] | None]:
    return pattern_set(LOOKS)


@cache
def _anchors() -> Callable[[bytes], list[int] | None]:
    return pattern_set((*ANCHORS, word_pattern(shipped())))


class Glance(NamedTuple):
    """What a text's plain reading may hold; most hold nothing."""

    looks: list[int]
    """The looks of `reading` that match."""
    may_offend: bool
    """Whether a list word may stand there."""
    attacks: list[int]
    """The numbers of the signs of attacks that may."""


def glance(folded: bytes) -> Glance | None:
    """Look for everything at once, in two passes: None where there is nothing.

    One automaton of all would be larger than the caches of a processor, and take longer than two.
    """
    looks = _looks()(folded)
    anchors = _anchors()(folded)
    if not looks and not anchors:
        return None
    anchors = anchors or []
    return Glance(looks or [], len(ANCHORS) in anchors, [one for one in anchors if one < len(ANCHORS)])


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
    shown_text, plainly = plain(text)
    seen = glance(plainly.folded)
    if seen is None and engine == "rules" and plainly.places is None:
        return _harmless(len(text))
    looks, may_offend, anchored = seen or _NOTHING
    blends = model()
    score = classifier().score if engine == "full" else None
    attack: Judged | None = None
    offense: Judged | None = None
    worst: list[Word] = []
    found = further(shown_text, plainly, looks)
    for one in found:
        size = len(one.folded)
        nothing = ((0.0, 0, size), (0.0, 0, size))
        (attacks, *window), (offends, *rude) = score(one.folded) if score is not None else nothing
        shown = signs(one.folded, anchored if one is plainly else None)
        kinds = tuple(sign.kind for sign in shown)
        if size < SHORT and not kinds:
            attacks -= (SHORT - size) * DOUBT
        attacks = blends.injection[engine].score(attacks, kinds, size)
        if attack is None or attacks > attack.score:
            attack = Judged(attacks, *_span(one, shown, (window[0], window[1])), kinds, one.kind)
        words = words_in(one.folded) if may_offend or one is not plainly else []
        grades = {str(word.severity) for word in words}
        if size < SHORT and not words:
            offends -= (SHORT - size) * DOUBT
        offends = blends.offense[engine].score(offends, grades, size)
        if not grades <= {"1"}:
            offends = max(offends, SPOKEN)
        if offense is None or offends > offense.score:
            start, end = (words[0].start, words[-1].end) if words else (rude[0], rude[1])
            categories = tuple(word.category for word in words)
            offense = Judged(offends, *one.original(start, end), categories, one.kind)
            worst = [_led_back(one, word) for word in words]
    assert attack is not None
    assert offense is not None
    return Assessment(attack, offense, worst, tuple(one.kind for one in found if one.kind))


_NOTHING = Glance([], may_offend=False, attacks=[])


@lru_cache(1024)
def _harmless(size: int) -> Assessment:
    """What the rules say of a text of this size that holds nothing."""
    blends = model()
    attack = Judged(blends.injection["rules"].score(0.0, (), size), 0, size, (), "")
    return Assessment(attack, attack._replace(score=blends.offense["rules"].score(0.0, (), size)), [], ())


def _led_back(reading: Reading, word: Word) -> Word:
    start, end = reading.original(word.start, word.end)
    return word._replace(start=start, end=end)


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
