"""Rewrites by GEPA: a model reads how answers turned out and writes the text anew; what does better is kept.

The search is the package `gepa` (Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform
Reinforcement Learning", 2025): parents are drawn from the Pareto front over the dev samples, a child must
beat its parent on a minibatch before the dev part is paid for. GEPA runs in a thread and calls back into the
event loop. It keeps no state of its own: a run that is begun again walks the same way, and finds what
it has paid for in the store.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from importlib import import_module
from typing import Any, TypeVar

from greenroom.errors import ExtraMissing
from greenroom.offline.bench import Trial
from greenroom.offline.budget import BudgetSpent
from greenroom.offline.evals.sample import Sample
from greenroom.offline.evals.statistics import INSTALL
from greenroom.offline.optimize import feedback, reflection
from greenroom.offline.optimize.candidate import Candidate
from greenroom.offline.optimize.components import faults, placeholders, texts_of, with_texts
from greenroom.offline.optimize.search import Search

MINIBATCH = 6
PATIENCE = 25
"""So many rewrites without a better dev score end the search."""
_IDLE = 30
"""So many rounds in which nothing new was asked end it too."""
_TRIED_SHOWN = 3
_TRIES = 2
"""How often a reflection is asked: a text that can't be taken is sent back once, with the reason."""

Texts = dict[str, str]
T = TypeVar("T")


async def rewrite(search: Search) -> None:
    """Look for better texts until money or patience ends. Raises: InfrastructureError; ExtraMissing."""
    try:
        gepa = import_module("gepa")
    except ImportError:
        raise ExtraMissing(f"Optimising needs gepa. Install it with: {INSTALL}") from None
    adapter = _Adapter(search, asyncio.get_running_loop(), gepa)
    parts = search.parts
    dev = [search.quality(one) for one in search.candidates.trials(search.base, parts.dev)]
    top = (
        1.0 if max(dev, default=0.0) <= 1 else None
    )  # where 1 is the best, there is nothing to learn from it
    try:
        await asyncio.to_thread(
            gepa.optimize,
            seed_candidate=texts_of(search.base.version),
            trainset=list(parts.train),
            valset=list(parts.dev),
            adapter=adapter,
            reflection_minibatch_size=min(MINIBATCH, len(parts.train)),
            perfect_score=top,
            skip_perfect_score=top is not None,
            stop_callbacks=[adapter.is_over],
            logger=_Silent(),
            seed=search.seed,
            raise_on_exception=True,
        )
    except BudgetSpent:
        pass
    finally:
        adapter.stop()
    if adapter.problem is not None:
        raise adapter.problem


class _Silent:
    """GEPA's own lines say nothing that `Search.on_step` does not."""

    def log(self, message: str) -> None:
        """Drop a line."""


class _Adapter:
    """How GEPA measures a candidate, learns what was wrong, and gets a new text."""

    def __init__(self, search: Search, loop: asyncio.AbstractEventLoop, gepa: Any) -> None:  # Any: untyped
        self.is_stopped = False
        self.problem: Exception | None = None
        """What ended the search where GEPA does not pass it on."""
        self._search = search
        self._loop = loop
        self._batch = gepa.EvaluationBatch
        self._pending: Future[Any] | None = None  # Any: what the loop works on for GEPA
        self._met = (0, 0)
        self._idle = 0
        self._best = float("-inf")
        self._since = 0
        self._tried: dict[tuple[int, str], list[Candidate]] = {}
        """By parent and component."""

    def stop(self) -> None:
        """End what GEPA still waits for, so that its thread ends too."""
        self.is_stopped = True
        if self._pending is not None:
            self._pending.cancel()

    def is_over(self, state: Any) -> bool:  # Any: GEPA's state
        """Whether the search ends here; asked before each round."""
        search = self._search
        met = (search.candidates.met, search.reflections)
        self._idle = 0 if met != self._met else self._idle + 1
        self._met = met
        best = max(state.program_full_scores_val_set)
        self._since = 0 if best > self._best else self._since + 1
        self._best = max(self._best, best)
        return (
            self.is_stopped
            or self.problem is not None
            or search.is_spent
            or self._since >= PATIENCE
            or self._idle >= _IDLE
        )

    def evaluate(
        self, batch: list[Sample], candidate: Texts, capture_traces: bool = False
    ) -> Any:  # Any: as above
        """GEPA's `EvaluationBatch` of a candidate on some samples."""
        search = self._search
        made = search.candidates.add(with_texts(search.base.version, candidate), search.base, "rewrite")
        trials = self._wait(search.measure(made, batch))
        return self._batch(
            outputs=trials,
            scores=[search.quality(one) for one in trials],
            trajectories=trials if capture_traces else None,
        )

    def make_reflective_dataset(
        self,
        candidate: Texts,
        eval_batch: Any,
        components_to_update: list[str],  # Any: as above
    ) -> dict[str, list[dict[str, Trial]]]:
        """The trials, for each text that is to be rewritten."""
        return {name: [{"trial": one} for one in eval_batch.trajectories] for name in components_to_update}

    def propose_new_texts(
        self,
        candidate: Texts,
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Trial]]],
        components_to_update: list[str],
    ) -> Texts:
        """New texts that can be taken; empty where none came."""
        try:
            return self._wait(self._propose(candidate, reflective_dataset, components_to_update))
        except BudgetSpent:
            return {}
        except Exception as error:  # noqa: BLE001  # GEPA would drop it and go on; `rewrite` raises it
            self.problem = error
            return {}

    async def _propose(
        self,
        candidate: Texts,
        dataset: Mapping[str, Sequence[Mapping[str, Trial]]],
        components: Sequence[str],
    ) -> Texts:
        search = self._search
        base = search.base.version
        parent = search.candidates.add(with_texts(base, candidate), search.base, "rewrite")
        new: Texts = {}
        for component in components:
            cases = [self._case(one["trial"]) for one in dataset[component]]
            marks = list(placeholders(candidate[component]))
            tried = self._tried.setdefault((parent.number, component), [])
            told = [self._told(one, component) for one in tried[-_TRIED_SHOWN:]]
            for _ in range(_TRIES):
                question = reflection.ask(component, candidate[component], marks, cases, told, base.language)
                output = await search.reflect(question)
                text = reflection.new_text(output.text)
                if text is None:
                    search.on_step("The reflection model gave no new text.")
                    break
                texts = {**candidate, **new, component: text}
                wrong = faults(texts, base, search.lint)
                if wrong:
                    told = [*told, reflection.Tried(text, " ".join(wrong))]
                    self._reject(texts, parent, wrong)
                    continue
                made = search.candidates.find(with_texts(base, texts))
                if made is None:
                    made = search.candidates.add(with_texts(base, texts), parent, "rewrite")
                    search.on_step(f"Candidate {made.number} is a rewrite of {parent.number}.")
                if made not in tried:
                    tried.append(made)
                if not search.is_measured(made):  # one that had bad luck gets another minibatch
                    new[component] = text
                break
        return new

    def _reject(self, texts: Texts, parent: Candidate, wrong: Sequence[str]) -> None:
        search = self._search
        try:
            version = with_texts(search.base.version, texts)
        except ValueError:  # no prompt at all: there is nothing to keep
            return
        made = search.candidates.add(version, parent, "rewrite", wrong)
        search.on_step(f"Candidate {made.number} is rejected: {' '.join(wrong)}")

    def _case(self, trial: Trial) -> reflection.Case:
        value = trial.value(self._search.quality.name)
        return reflection.Case(
            asked=feedback.asked(trial),
            answered=feedback.shorten(trial.output.text),
            expected=feedback.expected(trial),
            score="–" if value is None else f"{value:g}",
            notes=tuple(feedback.notes(trial)),
        )

    def _told(self, one: Candidate, component: str) -> reflection.Tried:
        search = self._search
        met = search.candidates.trials(one, (*search.parts.train, *search.parts.dev))
        value = sum(map(search.quality, met)) / len(met) if met else 0.0
        return reflection.Tried(
            texts_of(one.version).get(component, ""), f"{search.quality.name} {value:.2f}, n = {len(met)}"
        )

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:  # Any: nobody sends
        if self.is_stopped:
            work.close()
            raise BudgetSpent("The search has ended.")
        pending = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._pending = pending
        return pending.result()
