"""One comparison: every model answers the same samples, and what differs by more than chance is told.

Knows contenders and scorers by their protocols. Models are asked side by side, some samples at a time, so
that all have the same samples when the money ends early.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal

from msgspec import Struct
from msgspec.json import Encoder

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.bench import CONCURRENCY, Bench, Contender, Trial, spent_before
from greenroom.offline.budget import Budget, BudgetSpent, dollars
from greenroom.offline.evals.runner import digest_of_all
from greenroom.offline.evals.sample import Sample, Scorer
from greenroom.offline.evals.statistics import Difference, Estimate, cases_needed, holm, mean, paired
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

ALPHA = 0.05
LATENCY, COST, REFUSED = "latency_ms", "cost_usd", "refused"
MEASURES = (LATENCY, COST, REFUSED)
"""What is measured whichever scorers are chosen; better low, all three."""
_FEWEST = 6
"""With fewer pairs no test can come out below 0.05."""
_CHUNK = 8
_NANO = 1e9
_encode = Encoder(order="deterministic").encode
Told = Literal["better", "worse", "not told apart"]


class Measured(Struct, kw_only=True, frozen=True):
    """One measure of one model over the samples that all models have."""

    name: str
    higher_is_better: bool
    estimate: Estimate | None
    """None where no sample has a value."""
    missing: int = 0
    """Samples without a value."""
    against: Difference | None = None
    """This model minus the one compared with; None for that one, and where too few samples have both."""
    p_holm: float | None = None
    """The difference's p, adjusted for all models that are compared."""
    told: Told | None = None


class Standing(Struct, kw_only=True):
    """How one model did."""

    model: str
    measures: list[Measured]
    asked: int = 0
    """Samples that count."""
    failed: int = 0
    """Of them, calls that failed; their quality counts as 0."""
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    input_tokens: float = 0.0
    """Mean per sample."""
    output_tokens: float = 0.0
    cost_nano: int | None = None
    """Of all samples together; None where the price is not known."""
    problem: str = ""
    """Why it could not be asked at all."""

    def measure(self, name: str) -> Measured | None:
        """The measure of this name."""
        return next((one for one in self.measures if one.name == name), None)


class Comparison(Struct, kw_only=True, frozen=True):
    """What came of it."""

    run: str
    metric: str
    """The scorer that decides: the first one."""
    against: str
    """The model that the others are compared with."""
    verdict: Literal["decided", "inconclusive"]
    sentences: tuple[str, ...]
    standings: tuple[Standing, ...]
    samples: int
    """Of the data."""
    compared: int
    """That all models have answered."""
    needed: int | None
    """Cases that would tell the two best apart; None where they are, or are the same."""
    spent_nano: int
    calls: int
    is_out_of_money: bool


class Contest(Struct, kw_only=True, frozen=True):
    """What is compared with what."""

    contenders: tuple[Contender, ...]
    samples: tuple[Sample, ...]
    scorers: tuple[Scorer, ...]
    against: str | None = None
    """A model's name; None for the best one by the first scorer."""
    budget_nano: int | None = None
    max_calls: int | None = None
    concurrency: int = CONCURRENCY


async def compare(
    contest: Contest,
    answers: EvalStore,
    trials: Trials,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Comparison:
    """Ask all models and compare. The same call again goes on where it was.

    Raises: RequestError where models, samples or scorers are missing or the price is not known;
    InfrastructureError where fewer than two models can be asked; Conflict; StoreError.
    """
    _check(contest)
    fingerprints = sorted(one.fingerprint for one in contest.contenders)
    what = (fingerprints, digest_of_all(contest.samples), [one.name for one in contest.scorers])
    run = "cmp_" + sha256(_encode(what)).hexdigest()[:16]
    with trials.working_on(run):
        trials.begin(run, "compare", _encode([one.name for one in contest.contenders]))
        worst = max(
            one.worst_nano_usd(sample) or 0 for one in contest.contenders for sample in contest.samples
        )
        spent, calls = spent_before(answers, trials, run, worst)
        budget = Budget(contest.budget_nano, contest.max_calls, spent=spent, calls=calls)
        bench = Bench(
            answers, trials, run, budget, contest.scorers, concurrency=contest.concurrency,
            on_trial=lambda _: on_trial(budget),
        )  # fmt: skip
        asked, problems, is_spent = await _ask(contest, bench)
        if is_spent and not min(len(done) for name, done in asked.items() if name not in problems):
            raise RequestError(
                f"The budget does not reach for one sample of each model: a call may cost up to "
                f"${dollars(worst)}. Raise it, or bound the answers with --max-tokens.",
                "budget",
            )
        found = _conclude(contest, run, asked, problems, budget, is_spent=is_spent)
        trials.end(run, _encode(found))
    return found


def _check(contest: Contest) -> None:
    names = [one.name for one in contest.contenders]
    if len(names) < 2 or len(set(names)) < len(names):
        raise RequestError("Name at least two models, each once.", "models")
    if contest.against is not None and contest.against not in names:
        raise RequestError(f"'{contest.against}' is not among the models: {', '.join(names)}.", "against")
    if not contest.scorers or not contest.scorers[0].higher_is_better:
        raise RequestError(
            "Name at least one scorer of quality, first; latency, cost and refusals are measured anyway.",
            "scorers",
        )
    if len(contest.samples) < _FEWEST:
        raise RequestError(
            f"{len(contest.samples)} samples tell nothing: bring at least {_FEWEST}, better 50.", "data"
        )


async def _ask(contest: Contest, bench: Bench) -> tuple[dict[str, list[Trial]], dict[str, str], bool]:
    """Trials by model, why some could not be asked, and whether money ended it."""
    asked: dict[str, list[Trial]] = {one.name: [] for one in contest.contenders}
    problems: dict[str, str] = {}
    for at in range(0, len(contest.samples), _CHUNK):
        for contender in contest.contenders:
            if contender.name in problems:
                continue
            try:
                found = await bench.measure(contender, contest.samples[at : at + _CHUNK])
            except InfrastructureError as error:
                problems[contender.name] = str(error)
            except BudgetSpent:
                return asked, problems, True
            else:
                done = asked[contender.name]
                done += [one.without_record() for one in found]
                if all(one.output.outcome == "failed" for one in done):
                    problems[contender.name] = f"The first {len(done)} calls failed: {done[0].output.error}"
        if len(contest.contenders) - len(problems) < 2:
            raise InfrastructureError(" ".join(f"{name}: {why}" for name, why in problems.items()))
    return asked, problems, False


def _conclude(
    contest: Contest,
    run: str,
    asked: dict[str, list[Trial]],
    problems: dict[str, str],
    budget: Budget,
    *,
    is_spent: bool,
) -> Comparison:
    metric = contest.scorers[0].name
    names = [one.name for one in contest.contenders if one.name not in problems]
    count = min(len(asked[name]) for name in names)
    common = {name: asked[name][:count] for name in names}
    best = max(names, key=lambda name: sum(value or 0.0 for value in _values(common[name], metric)))
    against = contest.against if contest.against in names else best
    standings = {name: _standing(name, common[name], contest.scorers) for name in names}
    _hold_against(standings, common, str(against))
    rivals = [(name, _paired(common[name], common[best], metric)) for name in names if name != best]
    sentences, verdict, needed = _sentences(contest, standings, rivals, best, count, is_spent=is_spent)
    for name, why in problems.items():
        standings[name] = Standing(model=name, measures=[], problem=why)
        sentences.append(f"{name} could not be asked: {why}")
    return Comparison(
        run=run, metric=metric, against=str(against), verdict=verdict, sentences=tuple(sentences),
        standings=tuple(standings[one.name] for one in contest.contenders),
        samples=len(contest.samples), compared=count, needed=needed, spent_nano=budget.spent,
        calls=budget.calls, is_out_of_money=is_spent,
    )  # fmt: skip


def _values(trials: Sequence[Trial], measure: str) -> list[float | None]:
    if measure == LATENCY:
        return [one.output.latency_ms if one.output.outcome != "failed" else None for one in trials]
    if measure == COST:
        return [
            None if one.output.cost_nano_usd is None else one.output.cost_nano_usd / _NANO for one in trials
        ]
    if measure == REFUSED:
        return [float(one.output.outcome == "refused") for one in trials]
    return [
        0.0 if (value := one.value(measure)) is None and one.output.outcome != "answered" else value
        for one in trials
    ]


def _standing(model: str, trials: Sequence[Trial], scorers: Sequence[Scorer]) -> Standing:
    measures = []
    groups = [one.sample.group for one in trials]
    kinds = [(one.name, one.higher_is_better) for one in scorers]
    for name, is_high in (*kinds, *((one, False) for one in MEASURES)):
        known = [
            (value, group)
            for value, group in zip(_values(trials, name), groups, strict=True)
            if value is not None
        ]
        estimate = mean([one for one, _ in known], [one for _, one in known]) if known else None
        missing = len(trials) - len(known)
        measures.append(Measured(name=name, higher_is_better=is_high, estimate=estimate, missing=missing))
    waited = sorted(value for value in _values(trials, LATENCY) if value is not None)
    costs = [one.output.cost_nano_usd for one in trials]
    known_costs = [one for one in costs if one is not None]
    count = max(1, len(trials))
    return Standing(
        model=model, measures=measures, asked=len(trials),
        failed=sum(one.output.outcome == "failed" for one in trials),
        latency_p50_ms=_quantile(waited, 0.5), latency_p95_ms=_quantile(waited, 0.95),
        input_tokens=sum(one.output.input_tokens for one in trials) / count,
        output_tokens=sum(one.output.output_tokens for one in trials) / count,
        cost_nano=sum(known_costs) if len(known_costs) == len(costs) else None,
    )  # fmt: skip


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share does not pass."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _paired(new: Sequence[Trial], old: Sequence[Trial], measure: str) -> Difference | None:
    both = [
        (one, other, trial.sample.group)
        for one, other, trial in zip(_values(new, measure), _values(old, measure), new, strict=True)
        if one is not None and other is not None
    ]
    if len(both) < _FEWEST:
        return None
    return paired([one for one, _, _ in both], [one for _, one, _ in both], [one for _, _, one in both])


def _hold_against(standings: dict[str, Standing], common: dict[str, list[Trial]], against: str) -> None:
    """Fill in the differences, with Holm's adjustment over the models, for each measure by itself."""
    others = [name for name in standings if name != against]
    for place in range(len(standings[against].measures)):
        measure = standings[against].measures[place].name
        found = {name: _paired(common[name], common[against], measure) for name in others}
        whole = [name for name in others if found[name] is not None]
        adjusted = holm([one.p for name in whole if (one := found[name]) is not None])
        for name, p in zip(whole, adjusted, strict=True):
            own, difference = standings[name].measures[place], found[name]
            assert difference is not None
            is_up = difference.value > 0
            told: Told = "not told apart"
            if p < ALPHA:
                told = "better" if is_up == own.higher_is_better else "worse"
            standings[name].measures[place] = Measured(
                name=own.name, higher_is_better=own.higher_is_better, estimate=own.estimate,
                missing=own.missing, against=difference, p_holm=p, told=told,
            )  # fmt: skip


def _sentences(
    contest: Contest,
    standings: dict[str, Standing],
    rivals: Sequence[tuple[str, Difference | None]],
    best: str,
    count: int,
    *,
    is_spent: bool,
) -> tuple[list[str], Literal["decided", "inconclusive"], int | None]:
    """What the data say, for people."""
    metric = contest.scorers[0].name
    top = standings[best].measures[0].estimate
    shown = "–" if top is None else f"{top.value:.3f} ({top.low:.3f} to {top.high:.3f})"
    sentences = [f"Best by {metric}: {best}, {shown} on {count} samples."]
    if is_spent:
        sentences.append(f"The budget ended at {count} of {len(contest.samples)} samples.")
    adjusted = holm([1.0 if one is None else one.p for _, one in rivals])
    close = [
        (name, found)
        for (name, found), p in zip(rivals, adjusted, strict=True)
        if p >= ALPHA or found is None
    ]
    if not close:
        sentences.append("It is better than every other one by more than chance.")
        return sentences, "decided", None
    names = ", ".join(name for name, _ in close)
    sentences.append(f"The data can't decide between {best} and {names}.")
    gaps = [
        cases_needed(found, -found.value, alpha=ALPHA / len(rivals))
        for _, found in close
        if found is not None and found.value < 0
    ]
    needed = max(gaps) if gaps else None
    if needed is not None:
        more = max(0, needed - count)
        sentences.append(
            f"If the differences are as large as they look, about {needed} samples would decide: {more} more."
        )
    else:
        sentences.append("They answered alike: more samples of this kind will hardly decide.")
    priced = [(one.cost_nano, name) for name in (best, *(name for name, _ in close))
              if (one := standings[name]).cost_nano is not None]  # fmt: skip
    if len(priced) > 1:
        cheapest = min(priced)[1]
        sentences.append(f"Until then {cheapest} costs the least of these.")
    return sentences, "inconclusive", needed
