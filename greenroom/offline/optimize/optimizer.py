"""One optimisation: divide the data, look for better versions, let the held-back part decide.

Knows prompts, scorers and subjects by their types; what answers, what lints and what tells differences is
handed in. Running it again with the same inputs goes on where it was, and pays for nothing a second time.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from greenroom.errors import RequestError
from greenroom.offline.bench import CONCURRENCY, Bench, Contender, Trial, spent_before
from greenroom.offline.budget import Budget, BudgetSpent, dollars
from greenroom.offline.evals.runner import digest_of_all
from greenroom.offline.evals.sample import Sample, Scorer
from greenroom.offline.optimize.candidate import Candidate, Candidates, Diff, digest_of
from greenroom.offline.optimize.components import Lint
from greenroom.offline.optimize.decision import Decision, Pair, decide
from greenroom.offline.optimize.examples import show_examples
from greenroom.offline.optimize.rewriting import rewrite
from greenroom.offline.optimize.search import Make, Quality, Search
from greenroom.offline.optimize.split import Parts, split
from greenroom.prompts.version import PromptVersion
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

Method = Literal["rewrite", "examples"]
METHODS: tuple[Method, ...] = ("rewrite", "examples")
_SAFETY = 1.3
"""What is set aside for the decision: so many times what the dev part made it look like."""
_LARGEST_END = 0.6
"""A decision that would take more than this share of the budget leaves nothing to search with."""
_FOR_EXAMPLES = 0.3
"""Of what is left to search with, where both methods are used."""
_CHUNK = 8
_encode = Encoder(order="deterministic").encode


class Plan(Struct, kw_only=True, frozen=True):
    """What is to be done."""

    base: PromptVersion
    samples: tuple[Sample, ...]
    subject: str
    """App and model that answer, as one name: other ones make another run."""
    budget_nano: int | None
    max_calls: int | None = None
    methods: tuple[Method, ...] = METHODS
    seed: int = 0
    concurrency: int = CONCURRENCY


class Tools(Struct, kw_only=True, frozen=True):
    """What it is done with."""

    make: Make
    reflector: Contender
    metric: Scorer
    lint: Lint
    diff: Diff
    answers: EvalStore
    trials: Trials
    on_step: Callable[[str], None] = lambda _: None
    on_trial: Callable[[Budget], None] = lambda _: None


class Result(Struct, kw_only=True):
    """What came of it."""

    run: str
    prompt: str
    metric: str
    decision: Decision
    winner: int | None
    """The number of the candidate that was tested; None where none did better on the dev part."""
    candidates: list[Candidate]
    train: int
    dev: int
    held_back: int
    shown_already: int
    """Samples left out, because the prompt shows them as examples."""
    spent_nano: int
    calls: int
    is_out_of_money: bool
    """Whether the search ended because the budget did."""
    seed: int

    @property
    def adopted(self) -> PromptVersion | None:
        """The version to save; None for «no better than what you have»."""
        if self.decision.verdict != "better" or self.winner is None:
            return None
        note = f"greenroom optimize {self.run}: {self.decision.sentence}"
        return replace(self.candidates[self.winner].version, number=0, note=note)


_result = Decoder(Result).decode


def run_id(plan: Plan, metric: Scorer, reflector: str) -> str:
    """The same for the same prompt, data, metric, models and seed; the budget plays no part."""
    whole = _encode(
        (
            digest_of(plan.base), digest_of_all(plan.samples), plan.subject, reflector, metric.name,
            getattr(metric, "fingerprint", ""), plan.methods, plan.seed,
        )
    )  # fmt: skip
    return "opt_" + sha256(whole).hexdigest()[:16]


async def optimize(plan: Plan, tools: Tools) -> Result:
    """Look for a better version and decide.

    Raises: RequestError where data, metric or budget can't work; InfrastructureError where the models can't
    be reached; Conflict where another process does the same; StoreError. Whatever ends it, nothing paid for
    is lost: the same call again goes on.
    """
    quality = Quality(tools.metric)
    samples = _unshown(plan)
    parts = split(samples, plan.seed)
    run = run_id(plan, tools.metric, tools.reflector.fingerprint)
    with tools.trials.working_on(run):
        tools.trials.begin(run, "optimize", _encode((plan.subject, plan.base.reference, tools.metric.name)))
        tools.on_step(f"Run {run}.")
        kept = tools.trials.result(run)
        if kept is not None:
            return _result(kept)
        search = _open(plan, tools, parts, quality, run)
        decision, winner = await _search_and_decide(plan, search)
        search.best()  # so that all are written down as they stand
        result = Result(
            run=run, prompt=plan.base.reference, metric=quality.name, decision=decision,
            winner=None if winner is None else winner.number, candidates=search.candidates.all,
            train=len(parts.train), dev=len(parts.dev), held_back=len(parts.held_back),
            shown_already=len(plan.samples) - len(samples), spent_nano=search.bench.budget.spent,
            calls=search.bench.budget.calls, is_out_of_money=search.is_spent, seed=plan.seed,
        )  # fmt: skip
        if decision.verdict != "undecided":  # with more money there may be more to say
            tools.trials.end(run, _encode(result))
        return result


def _open(plan: Plan, tools: Tools, parts: Parts, quality: Quality, run: str) -> Search:
    base = tools.make(plan.base)
    worst = max((base.worst_nano_usd(one) or 0 for one in plan.samples), default=0)
    spent, calls = spent_before(tools.answers, tools.trials, run, worst)
    budget = Budget(plan.budget_nano, plan.max_calls, spent=spent, calls=calls)

    def told(_: Trial) -> None:
        tools.on_trial(budget)

    bench = Bench(
        tools.answers, tools.trials, run, budget, [tools.metric], concurrency=plan.concurrency, on_trial=told
    )
    candidates = Candidates(tools.trials, run, tools.diff, quality, plan.base)
    return Search(
        parts, bench, candidates, quality, tools.make, tools.reflector, tools.lint, plan.seed, tools.on_step
    )


async def _search_and_decide(plan: Plan, search: Search) -> tuple[Decision, Candidate | None]:
    budget, parts = search.bench.budget, search.parts
    try:
        first = await search.measure(search.base, parts.dev)
    except BudgetSpent:
        worst = max(
            (search.make(search.base.version).worst_nano_usd(one) or 0 for one in parts.dev), default=0
        )
        return _undecided(
            f"The budget does not even reach for the prompt as it is on {len(parts.dev)} dev samples; a call "
            f"may cost up to ${dollars(worst)}. Raise it, or bound the answers with --max-tokens."
        ), None
    _check(first, search.quality)
    end_nano, end_calls = _for_the_end(first, len(parts.held_back))
    if (plan.budget_nano is not None and end_nano > _LARGEST_END * plan.budget_nano) or (
        plan.max_calls is not None and end_calls > _LARGEST_END * plan.max_calls
    ):
        return _undecided(
            f"The decision alone takes {end_calls} calls, about ${dollars(end_nano)}: too much of this "
            "budget to search with the rest. Raise it, or bring fewer samples."
        ), None
    for method in plan.methods:
        share = _FOR_EXAMPLES if method == "rewrite" and "examples" in plan.methods else 0.0
        left_nano = max(0, (plan.budget_nano or 0) - budget.spent - end_nano)
        left_calls = max(0, (plan.max_calls or 0) - budget.calls - end_calls)
        budget.keep(end_nano + int(share * left_nano), end_calls + int(share * left_calls))
        was_spent, search.is_spent = search.is_spent, False
        await (rewrite if method == "rewrite" else show_examples)(search)
        search.is_spent |= was_spent
    budget.keep(0, 0)
    winner = search.best()
    was = search.base.dev
    if winner is search.base or winner.dev is None or was is None or winner.dev.quality <= was.quality:
        sentence = (
            f"No better than what you have: none of {len(search.candidates.all) - 1} candidates did better "
            f"on the {len(parts.dev)} dev samples."
        )
        return Decision(verdict="no better", sentence=sentence), None
    search.on_step(f"Candidate {winner.number} is held against the prompt on the held-back part.")
    return decide(await _pairs(search, winner), search.quality.name, wanted=len(parts.held_back)), winner


async def _pairs(search: Search, winner: Candidate) -> list[Pair]:
    """The held-back part under both; as far as the money reaches, always both alike."""
    held, quality = search.parts.held_back, search.quality
    pairs = []
    try:
        for at in range(0, len(held), _CHUNK):
            samples = held[at : at + _CHUNK]
            old = await search.measure(search.base, samples)
            new = await search.measure(winner, samples)
            pairs += [
                Pair(quality.known(before), quality.known(after), before.sample.group)
                for before, after in zip(old, new, strict=True)
            ]
    except BudgetSpent:
        search.on_step("The budget ended before the held-back part did.")
    return pairs


def _check(first: Sequence[Trial], quality: Quality) -> None:
    """Raise where the prompt as it is can't be measured at all."""
    without = [one for one in first if quality.known(one) is None]
    if len(without) * 2 > len(first):
        score = next((one for one in without[0].scores if one.name == quality.name), None)
        why = (score.error or score.reason) if score is not None else ""
        raise RequestError(
            f"The metric '{quality.name}' gave no value for {len(without)} of {len(first)} answers: "
            f"{why or 'it abstained'}"
        )


def _for_the_end(first: Sequence[Trial], held_back: int) -> tuple[int, int]:
    """Nano-USD and calls to set aside for both prompts on the held-back part."""
    costs = [
        (one.output.cost_nano_usd or 0) + sum(score.cost_nano_usd for score in one.scores) for one in first
    ]
    return int(2 * held_back * _SAFETY * sum(costs) / len(costs)), 2 * held_back


def _undecided(sentence: str) -> Decision:
    return Decision(verdict="undecided", sentence=sentence)


def _unshown(plan: Plan) -> list[Sample]:
    """The samples that the prompt does not already show: an example that it knows proves nothing."""
    items = plan.base.examples.items if plan.base.examples is not None else ()
    shown = {_encode(one.variables) for one in items if one.variables}
    texts = {one.input for one in items if one.input}
    return [
        one
        for one in plan.samples
        if not (one.variables and _encode(one.variables) in shown)
        and not (one.messages and one.messages[-1].get("content") in texts)
    ]
