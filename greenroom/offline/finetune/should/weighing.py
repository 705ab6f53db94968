"""The comparison behind the verdict: rows held back, three ways to answer them, each paid for once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from statistics import median

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import replace

from greenroom.errors import RequestError
from greenroom.offline.bench import CONCURRENCY, Bench, Contender, Trial, spent_before
from greenroom.offline.budget import Budget, BudgetSpent, dollars
from greenroom.offline.evals.leaks import question_of
from greenroom.offline.evals.runner import digest_of_all
from greenroom.offline.evals.sample import Sample, Scorer
from greenroom.offline.evals.splits import split
from greenroom.offline.evals.statistics import paired
from greenroom.offline.finetune.rows.wording import Wording, grams, likeness, wording
from greenroom.offline.finetune.should.shown import Nearest, with_examples, with_retrieval
from greenroom.offline.finetune.should.verdict import (
    ALPHA,
    AS_IS,
    Arm,
    Measured,
    Rows,
    Verdict,
    arms_of,
    judge,
)
from greenroom.prompts.tokens import estimate
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

CASES = 60
"""Held-back rows: a share of 0.5 is known to about ±0.13, a paired gain of 0.2 is mostly seen."""
MOST_HELD = 0.3
"""Of all rows."""
_CHUNK = 8
_NEIGHBOURS = 5
_ALIKE = 0.5
"""Likeness (`wording.likeness`) below which two answers to one question say different things."""
_LABELS = 20
"""Different answers up to which they are labels, if there are ten rows for each at least."""
_encode = Encoder(order="deterministic").encode


class Weighed(Struct, kw_only=True, frozen=True):
    """What came of it."""

    run: str
    metric: str
    target: float
    verdict: Verdict
    arms: tuple[Arm, ...]
    rows: Rows
    spent_nano: int
    calls: int
    is_out_of_money: bool


class Weighing(Struct, kw_only=True, frozen=True):
    """What is asked."""

    samples: tuple[Sample, ...]
    """Training rows: what is asked, and in `expected` the answer."""
    metric: Scorer
    """From 0 to 1."""
    target: float = 0.9
    cases: int = CASES
    budget_nano: int | None = None
    max_calls: int | None = None
    concurrency: int = CONCURRENCY
    seed: int = 0


async def weigh(
    asked: Weighing, app: Contender, answers: EvalStore, trials: Trials,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Weighed:  # fmt: skip
    """Measure and judge. The same call again goes on where it was.

    Raises: RequestError where the budget reaches for nothing or the metric is better low; InfrastructureError
    where the app can't be asked; ExtraMissing; Conflict; StoreError.
    """
    if not asked.metric.higher_is_better:
        raise RequestError(f"'{asked.metric.name}' is better low; name a scorer of quality.", "metric")
    train, held = _parts(asked)
    rows = _rows(train, held)
    run = (
        "shd_"
        + sha256(
            _encode(
                (app.fingerprint, digest_of_all(asked.samples), asked.metric.name, asked.cases, asked.seed)
            )
        ).hexdigest()[:16]
    )
    ways: list[Contender] = [app]
    if train:
        ways += [with_examples(app, train, asked.seed), with_retrieval(app, train)]
    with trials.working_on(run):
        trials.begin(run, "should", _encode([app.name]))
        worst = max((way.worst_nano_usd(one) or 0 for way in ways for one in held), default=0)
        spent, calls = spent_before(answers, trials, run, worst)
        budget = Budget(asked.budget_nano, asked.max_calls, spent=spent, calls=calls)
        bench = Bench(
            answers, trials, run, budget, (asked.metric,), concurrency=asked.concurrency,
            on_trial=lambda _: on_trial(budget),
        )  # fmt: skip
        found, is_spent = await _ask(bench, ways, held)
    done = len(found[0])
    if is_spent and not done:
        raise RequestError(
            f"The budget does not reach for the first {_CHUNK} rows: a call may cost ${dollars(worst)}. "
            "Raise it, or bound the answers with --max-tokens.",
            "budget_usd",
        )
    measured = {
        name: _measured(trials_of, asked.metric.name)
        for name, trials_of in zip((AS_IS, *(one.name for one in ways[1:])), found, strict=True)
    }
    arms = arms_of(measured, [one.group for one in held[:done]]) if done else []
    rows = replace(rows, held=done)
    return Weighed(
        run=run, metric=asked.metric.name, target=asked.target, verdict=judge(arms, rows, asked.target),
        arms=tuple(arms), rows=rows, spent_nano=budget.spent, calls=budget.calls, is_out_of_money=is_spent,
    )  # fmt: skip


def _parts(asked: Weighing) -> tuple[list[Sample], list[Sample]]:
    """To learn from, and held back: by the hash of conversations, whatever order they come in."""
    share = min(MOST_HELD, asked.cases / max(len(asked.samples), 1))
    parts = split(asked.samples, {"held": share, "train": 1 - share})
    return parts["train"], parts["held"]


async def _ask(
    bench: Bench, ways: Sequence[Contender], held: Sequence[Sample]
) -> tuple[list[list[Trial]], bool]:
    """Trials of each way over the same rows, some rows at a time, until the money ends."""
    found: list[list[Trial]] = [[] for _ in ways]
    for at in range(0, len(held), _CHUNK):
        try:
            chunk = [await bench.measure(way, held[at : at + _CHUNK]) for way in ways]
        except BudgetSpent:
            return found, True
        for own, more in zip(found, chunk, strict=True):
            own += [one.without_record() for one in more]
    return found, False


def _measured(trials: Sequence[Trial], metric: str) -> Measured:
    """What failed counts as 0, as it would to a user."""
    costs = [one.output.cost_nano_usd for one in trials]
    known = [one for one in costs if one is not None]
    return Measured(
        values=[one.value(metric) or 0.0 for one in trials],
        cost_nano=sum(known) // len(known) if known and len(known) == len(costs) else None,
        latency_ms=median([one.output.latency_ms for one in trials]) if trials else 0.0,
    )


def _rows(train: Sequence[Sample], held: Sequence[Sample]) -> Rows:
    return Rows(
        train=len(train), held=len(held), tokens=sum(map(_tokens, train)),
        contradicting=_contradicting([*train, *held]), guessed=_guessed(train, held),
    )  # fmt: skip


def _contradicting(rows: Sequence[Sample]) -> float:
    """The share of rows whose question another row answers otherwise: with other numbers, or hardly alike."""
    told: defaultdict[str, list[Wording]] = defaultdict(list)
    for one in rows:
        told[wording(question_of(one)).plain].append(wording(str(one.expected)))
    doubted = 0
    for answers in told.values():
        first = answers[0]
        if any(
            one.plain != first.plain
            and (one.numbers != first.numbers or likeness(grams(one.plain), grams(first.plain)) < _ALIKE)
            for one in answers
        ):
            doubted += len(answers)
    return doubted / max(len(rows), 1)


def _tokens(one: Sample) -> int:
    return estimate(" ".join(str(message.get("content")) for message in one.messages)) + estimate(
        str(one.expected)
    )


def _guessed(train: Sequence[Sample], held: Sequence[Sample]) -> float | None:
    """How often the commonest label is right, where labels of the likest rows tell no more than that."""
    labels = Counter(wording(str(one.expected)).plain for one in train)
    if not held or not train or len(labels) > min(_LABELS, len(train) // 10):
        return None
    ((commonest, often),) = labels.most_common(1)
    nearest = Nearest(train)
    by_likeness, by_chance = [], []
    for one in held:
        found = nearest(question_of(one), _NEIGHBOURS)
        votes = Counter(wording(str(other.expected)).plain for other in found)
        right = wording(str(one.expected)).plain
        by_likeness.append(float(bool(votes) and votes.most_common(1)[0][0] == right))
        by_chance.append(float(right == commonest))
    more = paired(by_likeness, by_chance)
    if more.value > 0 and more.p < ALPHA:
        return None
    return max(sum(by_chance) / len(held), often / len(train))
