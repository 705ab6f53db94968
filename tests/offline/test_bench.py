"""Answers and judged scores are paid for once, reserved before, and counted when a run goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.offline.bench import Bench, key_of, spent_before
from greenroom.offline.budget import Budget, BudgetSpent
from greenroom.offline.evals.runner import run
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials
from tests.offline.optimize.scripted import Exact, Model, prompt, samples


class Judge:
    """Costs more the longer it works."""

    name = "judge"
    higher_is_better = True

    def __init__(self) -> None:
        self.asked = 0

    async def score(self, sample: Sample, output: Output) -> Score:
        self.asked += 1
        return Score(name="judge", value=0.5, cost_nano_usd=100 + self.asked)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[EvalStore, Trials]]:
    answers, trials = EvalStore(tmp_path / "evals.db"), Trials(tmp_path)
    yield answers, trials
    answers.close()
    trials.close()


def model() -> Model:
    return Model(prompt(), 0.5, {})


async def test_a_judge_is_paid_once_and_counts_against_the_budget(stores: tuple[EvalStore, Trials]) -> None:
    judge, budget = Judge(), Budget(10**9)
    rows = samples(20)

    first = await Bench(*stores, "a", budget, [judge]).measure(model(), rows)
    again = await Bench(*stores, "a", Budget(10**9), [judge]).measure(model(), rows)

    assert judge.asked == 20
    paid = sum(one.scores[0].cost_nano_usd for one in first)
    assert budget.spent == 20 * 1_000 + paid
    assert spent_before(*stores, "a", 0) == (budget.spent, 40)
    assert [one.scores for one in again] == [one.scores for one in first]


async def test_a_judge_never_passes_the_budget_once_its_price_is_seen(
    stores: tuple[EvalStore, Trials],
) -> None:
    budget = Budget(12_000)

    with pytest.raises(BudgetSpent):
        await Bench(*stores, "a", budget, [Judge()]).measure(model(), samples(20))

    assert budget.spent <= 12_000


async def test_the_same_question_twice_is_asked_once(stores: tuple[EvalStore, Trials]) -> None:
    budget = Budget(10**9)
    rows = samples(4) * 3

    found = await Bench(*stores, "a", budget, [Exact()]).measure(model(), rows)

    assert len(found) == 12
    assert budget.calls == 4


async def test_what_eval_run_has_paid_for_is_used_again(stores: tuple[EvalStore, Trials]) -> None:
    rows = samples(10)
    await run(rows, model(), [Exact()], store=stores[0])
    budget = Budget(10**9)

    found = await Bench(*stores, "a", budget, [Exact()]).measure(model(), rows)

    assert budget.calls == 0
    assert not any(one.is_new for one in found)


async def test_a_call_whose_answer_was_lost_counts_as_the_worst(stores: tuple[EvalStore, Trials]) -> None:
    (row,) = samples(1)
    stores[0].ask("a", key_of(model(), row))  # and the process died

    assert spent_before(*stores, "a", 5_000) == (5_000, 1)


async def test_a_failure_is_tried_again_by_the_next_run_only(stores: tuple[EvalStore, Trials]) -> None:
    class Dead(Model):
        calls = 0

        async def answer(self, sample: Sample) -> Output:
            Dead.calls += 1
            return Output(outcome="failed", error="no")

    dead = Dead(prompt(), 0.5, {})
    bench = Bench(*stores, "a", Budget(10**9), [Exact()])
    rows = samples(3)

    await bench.measure(dead, rows)
    found = await bench.measure(dead, rows)
    assert Dead.calls == 3
    assert found[0].scores[0].error == "no"

    await Bench(*stores, "a", Budget(10**9), [Exact()]).measure(dead, rows)
    assert Dead.calls == 6
