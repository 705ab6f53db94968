"""Answers and scores for samples: each paid for once, several at a time, never past the budget.

`optimize` and `models compare` measure through this, `eval run` through its runner; all three keep answers in
one store under the same keys, so none pays for what another has paid for.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Protocol

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from greenroom.errors import GreenroomError
from greenroom.offline.budget import Budget, BudgetSpent
from greenroom.offline.evals.runner import digest_of
from greenroom.offline.evals.sample import Output, Sample, Score, Scorer
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

CONCURRENCY = 8
PROJECT = "default"
"""Whose answers these are: that of the command line."""
_MARGIN = 2
"""What a judge costs is not known before; a score is taken to cost at most twice the dearest one so far."""
_encode = Encoder(order="deterministic").encode
_output = Decoder(Output).decode
_score = Decoder(Score).decode


class Contender(Protocol):
    """A subject whose answers may be used again, and whose price is known before it is asked."""

    name: str
    fingerprint: str
    """Changes with everything that may change an answer: model, prompt, settings, steps."""

    async def answer(self, sample: Sample) -> Output:
        """As `Subject.answer`."""
        ...

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """What a call can cost at most, in nano-USD; None where the price is not known."""
        ...


class Trial(Struct, kw_only=True, frozen=True):
    """One sample, answered and scored."""

    sample: Sample
    output: Output
    scores: tuple[Score, ...] = ()
    is_new: bool = False
    """Whether it was paid for just now."""

    def value(self, name: str) -> float | None:
        """What the scorer of this name gave; None where it gave none."""
        return next((one.value for one in self.scores if one.name == name), None)

    def without_record(self) -> "Trial":
        """The same without the exchange's record and body, which are large; for those that keep many."""
        return replace(self, output=replace(self.output, record={}, body={}, messages=()))


class Bench:
    """Measures contenders on samples by some scorers, for one run."""

    def __init__(
        self,
        answers: EvalStore,
        trials: Trials,
        run: str,
        budget: Budget,
        scorers: Sequence[Scorer],
        *,
        concurrency: int = CONCURRENCY,
        on_trial: Callable[[Trial], None] = lambda _: None,
    ) -> None:
        self.budget = budget
        self.scorers = tuple(scorers)
        self.run = run
        self._answers = answers
        self._trials = trials
        self._room = asyncio.Semaphore(concurrency)
        self._on_trial = on_trial
        self._failed: dict[str, Output] = {}
        """No answers: the next run asks again, this one does not."""
        self._asking: dict[str, asyncio.Lock] = {}
        self._dearest: dict[str, int] = {}
        """By scorer: its dearest score so far, in nano-USD; 0 for those that cost nothing."""
        self._first = asyncio.Lock()
        """Held while a scorer scores for the first time."""

    async def measure(self, contender: Contender, samples: Sequence[Sample]) -> list[Trial]:
        """A trial for each sample, in order; what was paid for before is taken from the store.

        What is under way when the money ends is still waited for and kept.
        Raises: BudgetSpent, PriceMissing, InfrastructureError, StoreError.
        """
        found: dict[int, Trial] = {}
        problems: list[GreenroomError] = []

        async def one(place: int, sample: Sample) -> None:
            try:
                found[place] = await self._one(contender, sample)
            except GreenroomError as error:
                problems.append(error)

        async with asyncio.TaskGroup() as group:
            for place, sample in enumerate(samples):
                group.create_task(one(place, sample))
        if problems:
            # What money does not mend is told first.
            raise min(problems, key=lambda error: isinstance(error, BudgetSpent))
        return [found[place] for place in range(len(samples))]

    async def ask(self, contender: Contender, sample: Sample) -> Output:
        """One answer, from the store or paid for. Raises: as `measure`."""
        output, _ = await self._answered(contender, sample, key_of(contender, sample))
        return output

    async def _one(self, contender: Contender, sample: Sample) -> Trial:
        key = key_of(contender, sample)
        # Whoever asks the same at the same time waits, and finds it kept.
        async with self._asking.setdefault(key, asyncio.Lock()):
            output, is_new = await self._answered(contender, sample, key)
            scores = [await self._scored(scorer, sample, output, key) for scorer in self.scorers]
        trial = Trial(sample=sample, output=output, scores=tuple(scores), is_new=is_new)
        self._on_trial(trial)
        return trial

    async def _answered(self, contender: Contender, sample: Sample, key: str) -> tuple[Output, bool]:
        if key in self._failed:
            return self._failed[key], False
        kept = await asyncio.to_thread(self._answers.newest, key)
        if kept is not None:
            return _output(kept.output), False
        async with self._room:
            reservation = await self.budget.reserve(contender.worst_nano_usd(sample), contender.name)
            cost: int | None = None
            try:
                call = await asyncio.to_thread(self._answers.ask, self.run, key)
                output = await contender.answer(sample)
                cost = output.cost_nano_usd
                if output.outcome == "failed":
                    cost = cost or 0
            finally:
                await self.budget.settle(reservation, cost)
        charged = reservation.amount if cost is None and reservation.is_priced else cost
        await asyncio.to_thread(self._answers.answered, call, output.outcome, charged, _encode(output))
        if output.outcome == "failed":
            self._failed[key] = output
        else:  # so that the answer is found when the exchange that was asked is erased
            await asyncio.to_thread(
                self._answers.add_item, self.run, call, 0, sample.id, call, _encode(()), 0
            )
        return output, True

    async def _scored(self, scorer: Scorer, sample: Sample, output: Output, key: str) -> Score:
        if output.outcome == "failed" and not getattr(scorer, "scores_failures", False):
            return Score(name=scorer.name, error=output.error or "The call failed.")
        if self._dearest.get(scorer.name) is None:
            async with self._first:  # one goes alone, and tells what the others may cost
                if self._dearest.get(scorer.name) is None:
                    return await self._judged(scorer, sample, output, key)
        if not self._dearest[scorer.name]:
            return await scorer.score(sample, output)
        return await self._judged(scorer, sample, output, key)

    async def _judged(self, scorer: Scorer, sample: Sample, output: Output, key: str) -> Score:
        """A score that may have to be paid for: from the store, or reserved, settled and kept."""
        dearest = self._dearest.get(scorer.name)
        name = _digest(scorer.name, getattr(scorer, "fingerprint", ""), sample.expected, sample.item)
        kept = await asyncio.to_thread(self._trials.score, key, name)
        if kept is not None:
            score = _score(kept)
            self._dearest[scorer.name] = max(dearest or 0, score.cost_nano_usd)
            return score
        reservation = await self.budget.reserve(_MARGIN * (dearest or 0), f"scorer {scorer.name}")
        cost: int | None = None
        try:
            score = await scorer.score(sample, output)
            cost = score.cost_nano_usd
        finally:
            await self.budget.settle(reservation, cost, is_call=bool(cost))
        self._dearest[scorer.name] = max(dearest or 0, score.cost_nano_usd)
        if score.cost_nano_usd and score.error is None:
            await asyncio.to_thread(
                self._trials.keep_score, self.run, key, name, score.cost_nano_usd, _encode(score)
            )
        return score


def key_of(contender: Contender, sample: Sample) -> str:
    """Under which answers are kept: the same as the runner's for a first repeat, in the same project."""
    return sha256(f"{PROJECT}\n{contender.fingerprint}\n{digest_of(sample)}\n0".encode()).hexdigest()


def spent_before(answers: EvalStore, trials: Trials, run: str, worst_nano: int) -> tuple[int, int]:
    """Nano-USD and calls that earlier parts of a run have used.

    Of a call whose answer was lost with its process nobody knows the cost: it counts as `worst_nano`.
    """
    spent, (judged_nano, judged) = answers.spent(run), trials.judged(run)
    return spent.nano_usd + spent.lost * worst_nano + judged_nano, spent.calls + judged


def _digest(*values: object) -> str:
    return sha256(_encode(values)).hexdigest()[:32]
