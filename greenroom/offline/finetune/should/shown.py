"""An app that is shown training rows: the same ones each time, or those most like the question.

What training has to beat: both cost nothing but tokens, and can be taken back at once. Knows contenders by
their protocol. numpy is imported when first used.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from math import log, sqrt
from random import Random

from msgspec.json import Encoder
from msgspec.structs import replace

from greenroom.offline.bench import Contender
from greenroom.offline.evals.leaks import question_of
from greenroom.offline.evals.runner import digest_of_all
from greenroom.offline.evals.sample import Json, Output, Sample
from greenroom.offline.finetune.rows.wording import grams, wording

EXAMPLES = 6
"""Shown as turns before the conversation; more seldom helps, and every one is paid for in every call."""
NEAREST = 4
_LONGEST = 4_000
"""Characters of an example."""
_encode = Encoder(order="deterministic").encode

Show = Callable[[Sample], Sample]


class Shown:
    """A contender whose samples are changed before it sees them."""

    def __init__(self, inner: Contender, name: str, show: Show, what: object) -> None:
        """`what` says in JSON which rows are shown, and how: answers are kept under it."""
        self.name = name
        self.fingerprint = sha256(_encode((inner.fingerprint, name, what))).hexdigest()
        self._inner = inner
        self._show = show

    async def answer(self, sample: Sample) -> Output:
        """As `Contender.answer`."""
        return await self._inner.answer(self._show(sample))

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """As `Contender.worst_nano_usd`."""
        return self._inner.worst_nano_usd(self._show(sample))


def with_examples(inner: Contender, rows: Sequence[Sample], seed: int = 0) -> Shown:
    """A better prompt: rows drawn once, as turns before the conversation."""
    short = [one for one in rows if len(_asked(one)) + len(str(one.expected)) <= _LONGEST] or list(rows)
    chosen = Random(seed).sample(short, min(EXAMPLES, len(short)))  # noqa: S311  # repeats with the seed
    turns = [
        {"role": role, "content": text}
        for one in chosen
        for role, text in (("user", _asked(one)), ("assistant", str(one.expected)))
    ]

    def show(sample: Sample) -> Sample:
        return _placed(sample, turns)

    return Shown(inner, "with examples", show, digest_of_all(chosen))


def with_retrieval(inner: Contender, rows: Sequence[Sample]) -> Shown:
    """Retrieval: the rows most like the question, with their answers, in a system message."""
    nearest = Nearest(rows)

    def show(sample: Sample) -> Sample:
        told = "\n\n".join(
            f"Question: {_asked(one)[:_LONGEST]}\nAnswer: {str(one.expected)[:_LONGEST]}"
            for one in nearest(question_of(sample), NEAREST)
        )
        text = f"Answer as these similar questions were answered:\n\n{told}"
        return _placed(sample, [{"role": "system", "content": text}])

    return Shown(inner, "with retrieval", show, (digest_of_all(rows), NEAREST))


class Nearest:
    """The rows most like a question: shared runs of four letters, the rare ones counting more."""

    def __init__(self, rows: Sequence[Sample]) -> None:
        self._rows = list(rows)
        found = [grams(wording(question_of(one)).plain).tolist() for one in rows]
        holders: defaultdict[int, list[int]] = defaultdict(list)
        for number, runs in enumerate(found):
            for run in runs:
                holders[run].append(number)
        self._holders = dict(holders)
        self._weights = {run: log(1 + len(self._rows) / len(own)) for run, own in holders.items()}
        self._sizes = [sqrt(len(runs)) for runs in found]

    def __call__(self, question: str, count: int) -> list[Sample]:
        """Up to `count` rows, the likest first."""
        scores: defaultdict[int, float] = defaultdict(float)
        for run in grams(wording(question).plain).tolist():
            for number in self._holders.get(run, ()):
                scores[number] += self._weights[run]
        best = sorted(scores, key=lambda number: (-scores[number] / self._sizes[number], number))
        return [self._rows[number] for number in best[:count]]


def _asked(sample: Sample) -> str:
    return question_of(sample)


def _placed(sample: Sample, shown: Sequence[Json]) -> Sample:
    """Behind system messages, before what is said."""
    count = next(
        (at for at, one in enumerate(sample.messages) if one.get("role") not in ("system", "developer")),
        len(sample.messages),
    )
    return replace(sample, messages=(*sample.messages[:count], *shown, *sample.messages[count:]))
