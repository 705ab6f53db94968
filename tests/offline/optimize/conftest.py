"""An optimisation with the scripted model, in a folder of its own."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.optimize.optimizer import METHODS, Method, Plan, Result, Tools, optimize
from greenroom.prompts.version import PromptVersion
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials
from tests.offline.optimize.scripted import Exact, Model, Reflector, prompt, samples


class Workshop:
    """Runs optimisations over one pair of stores; counts what was really asked."""

    def __init__(self, folder: Path) -> None:
        self.answers = EvalStore(folder / "evals.db")
        self.trials = Trials(folder)
        self.asked: list[tuple[str, str]] = []
        """Fingerprint and sample of every call that was made."""
        self.paid_nano = 0
        self.lines: list[str] = []
        self._wanted, self._reached = 0, asyncio.Event()
        self.make: Callable[[PromptVersion], Model] | None = None

    async def until(self, calls: int) -> None:
        """Wait for so many calls."""
        self._wanted, self._reached = calls, asyncio.Event()
        await self._reached.wait()

    def note(self, name: str, asked: str) -> None:
        self.asked.append((name, asked))
        if len(self.asked) >= self._wanted:
            self._reached.set()

    def close(self) -> None:
        self.answers.close()
        self.trials.close()

    async def run(
        self,
        *,
        count: int = 120,
        base: float = 0.4,
        rules: Mapping[str, float] | None = None,
        noise: bool = False,
        budget: int | None = 1_000_000,
        max_calls: int | None = None,
        seed: int = 0,
        methods: tuple[Method, ...] = METHODS,
        version: PromptVersion | None = None,
        lint: Callable[[PromptVersion], list[str]] = lambda _: [],
    ) -> Result:
        rules = {} if rules is None else rules
        workshop = self

        class Counted(Model):
            async def answer(self, sample: Sample) -> Output:
                workshop.note(self.fingerprint, sample.id)
                output = await super().answer(sample)
                workshop.paid_nano += output.cost_nano_usd or 0
                return output

        class CountedReflector(Reflector):
            async def answer(self, sample: Sample) -> Output:
                output = await super().answer(sample)
                workshop.note(self.fingerprint, sample.messages[0]["content"])
                workshop.paid_nano += output.cost_nano_usd or 0
                return output

        make = self.make or (lambda one: Counted(one, base, dict(rules), noise=noise, task=f"task {seed}"))
        tools = Tools(
            make=make, reflector=CountedReflector(list(rules)), metric=Exact(), lint=lint,
            diff=lambda _, new: {"to": new.messages[0].text}, answers=self.answers, trials=self.trials,
            on_step=self.lines.append,
        )  # fmt: skip
        plan = Plan(
            base=version or prompt(), samples=samples(count, f"t{seed}"), subject="app", budget_nano=budget,
            max_calls=max_calls, methods=methods, seed=seed,
        )  # fmt: skip
        return await optimize(plan, tools)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.close()
