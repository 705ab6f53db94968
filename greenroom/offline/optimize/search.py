"""What the two ways to better candidates share: the parts, the bench, the candidates, the end of money."""

from collections.abc import Callable, Sequence

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.bench import Bench, Contender, Trial
from greenroom.offline.budget import BudgetSpent
from greenroom.offline.evals.sample import Output, Sample, Scorer
from greenroom.offline.optimize.candidate import Candidate, Candidates
from greenroom.offline.optimize.components import Lint
from greenroom.offline.optimize.split import Parts
from greenroom.prompts.version import PromptVersion

_FEW = 2
"""So many failures may be chance."""
Make = Callable[[PromptVersion], Contender]
"""What answers with a version of the prompt."""


class Quality:
    """The metric as one number, higher better. Raises: RequestError for a metric that is better low."""

    def __init__(self, scorer: Scorer) -> None:
        if not scorer.higher_is_better:
            raise RequestError(
                f"'{scorer.name}' is better low, and says nothing of the answers. Choose a metric of "
                "quality; cost and tokens are weighed beside it."
            )
        self.name = scorer.name

    def known(self, trial: Trial) -> float | None:
        """None where the scorer gave no value for an answer; a call that failed or was refused is worth 0."""
        value = trial.value(self.name)
        return 0.0 if value is None and trial.output.outcome != "answered" else value

    def __call__(self, trial: Trial) -> float:
        """The value, 0 where there is none."""
        return self.known(trial) or 0.0


class Search:
    """One run at work."""

    def __init__(
        self,
        parts: Parts,
        bench: Bench,
        candidates: Candidates,
        quality: Quality,
        make: Make,
        reflector: Contender,
        lint: Lint,
        seed: int,
        on_step: Callable[[str], None],
    ) -> None:
        self.parts = parts
        self.bench = bench
        self.candidates = candidates
        self.quality = quality
        self.make = make
        self.reflector = reflector
        self.lint = lint
        self.seed = seed
        self.on_step = on_step
        self.is_spent = False
        """Whether a call was turned down for want of money."""
        self.reflections = 0
        self._unreflected = 0
        """Reflections that failed, one after the other."""

    @property
    def base(self) -> Candidate:
        """The prompt as it is."""
        return self.candidates.all[0]

    async def measure(self, candidate: Candidate, samples: Sequence[Sample]) -> list[Trial]:
        """Trials of a candidate. Raises: BudgetSpent, and whatever else `Bench.measure` raises."""
        try:
            trials = await self.bench.measure(self.make(candidate.version), samples)
        except BudgetSpent:
            self.is_spent = True
            raise
        self.candidates.note(candidate, trials)
        failed = [one for one in trials if one.is_new and one.output.outcome == "failed"]
        if len(failed) > max(_FEW, len(trials) // 2):
            # Zeros of a model that is down would pass for what the prompt is worth.
            raise InfrastructureError(
                f"{len(failed)} of {len(trials)} calls failed: {failed[0].output.error}"
            )
        return trials

    def is_measured(self, candidate: Candidate) -> bool:
        """Whether the whole dev part is known of it."""
        return len(self.candidates.trials(candidate, self.parts.dev)) == len(self.parts.dev)

    async def reflect(self, question: str) -> Output:
        """Ask the reflection model. Raises: as `measure`."""
        sample = Sample(id="reflection", messages=({"role": "user", "content": question},))
        try:
            output = await self.bench.ask(self.reflector, sample)
        except BudgetSpent:
            self.is_spent = True
            raise
        self.reflections += 1
        self._unreflected = self._unreflected + 1 if output.outcome == "failed" else 0
        if self._unreflected > _FEW:
            raise InfrastructureError(f"The reflection model does not answer: {output.error}")
        return output

    def best(self) -> Candidate:
        """The best on the dev part, of equals the one with fewer tokens; measured ones alone."""
        self.candidates.stand(self.parts.train, self.parts.dev)
        measured = [one for one in self.candidates.all if one.dev is not None and not one.faults]
        return max(
            measured,
            key=lambda one: (one.dev.quality, -one.dev.tokens, -one.number) if one.dev else (0, 0, 0),
        )
