"""Runs: every answer is paid for once, kept before it counts, and nothing is lost on the way."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from greenroom.errors import Conflict, InfrastructureError, MalformedRequest, NotFound
from greenroom.offline.evals.runner import Progress, Run, run
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.store.evals import EvalStore


class Echo:
    """Answers with the question; counts, and may be told what else to do."""

    name = "echo"

    def __init__(self, fingerprint: str | None = "echo-1", cost: int | None = 1_000) -> None:
        if fingerprint is not None:
            self.fingerprint = fingerprint
        self.asked: list[str] = []
        self.at_work = self.most_at_work = 0
        self.cost = cost
        self.wait_s = 0.0
        self.answers: Callable[[str], Output] | None = None

    async def answer(self, sample: Sample) -> Output:
        text = sample.messages[0]["content"]
        self.asked.append(text)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await asyncio.sleep(self.wait_s)
        self.at_work -= 1
        return self.answers(text) if self.answers else Output(text=text, cost_nano_usd=self.cost)


class Bounded(Echo):
    """Knows what a call may cost at most."""

    def worst_nano_usd(self, sample: Sample) -> int | None:
        return 5_000


class Equal:
    """1 where the answer is what was expected; breaks where told to."""

    name = "equal"
    higher_is_better = True

    def __init__(self, cost: int = 7) -> None:
        self.cost = cost

    async def score(self, sample: Sample, output: Output) -> Score:
        if sample.expected == "break":
            raise ValueError("the scorer's own fault")
        return Score(name="equal", value=float(output.text == sample.expected), cost_nano_usd=self.cost)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvalStore]:
    found = EvalStore(tmp_path / "evals.db")
    yield found
    found.close()


def samples(count: int) -> list[Sample]:
    """As many questions."""
    return [
        Sample(id=str(n), messages=({"role": "user", "content": f"question {n}"},), expected=f"question {n}")
        for n in range(count)
    ]


def values(found: Run) -> list[float | None]:
    """What the scorer said, in the order of the samples."""
    return [item.scores[0].value for item in found.items]


async def test_every_sample_is_asked_scored_and_kept_in_order(store: EvalStore) -> None:
    subject, seen = Echo(), list[Progress]()
    subject.wait_s = 0.05

    found = await run(samples(30), subject, [Equal()], store=store, concurrency=4, progress=seen.append)

    assert (found.status, found.total, found.cost_nano_usd) == ("finished", 30, 30 * 1_007)
    assert [item.sample.id for item in found.items] == [str(n) for n in range(30)]
    assert values(found) == [1.0] * 30
    assert subject.most_at_work == 4
    assert [one.done for one in seen] == list(range(1, 31))


async def test_what_is_paid_for_is_not_asked_again_unless_afresh(store: EvalStore) -> None:
    await run(samples(5), Echo(), [Equal()], store=store)
    again, other, afresh, nameless = Echo(), Echo("echo-2"), Echo(), Echo(None)

    found = await run(samples(6), again, [Equal()], store=store)
    await run(samples(5), other, [Equal()], store=store)
    await run(samples(5), afresh, [Equal()], store=store, is_fresh=True)
    await run(samples(5), nameless, [Equal()], store=store)
    await run(samples(5), nameless, [Equal()], store=store)

    assert again.asked == ["question 5"]
    assert [item.is_cached for item in found.items] == [True] * 5 + [False]
    assert found.cost_nano_usd == 1_000 + 6 * 7
    assert (len(other.asked), len(afresh.asked), len(nameless.asked)) == (5, 5, 10)


async def test_answers_stay_within_their_project(store: EvalStore) -> None:
    await run(samples(3), Echo(), [], store=store, project="one")
    other = Echo()

    await run(samples(3), other, [], store=store, project="other")

    assert len(other.asked) == 3


async def test_the_same_question_twice_at_once_is_paid_for_once_and_repeats_are_not(store: EvalStore) -> None:
    subject = Echo()
    subject.wait_s = 0.01
    twice = [*samples(2), *(Sample(id=f"x{one.id}", messages=one.messages) for one in samples(2))]

    found = await run(twice, subject, [Equal()], store=store)
    repeated = await run(samples(2), subject, [Equal()], store=store, repeats=3)

    assert sorted(subject.asked[:2]) == ["question 0", "question 1"]
    assert len(found.items) == 4
    assert len(subject.asked) == 2 + 2 * 2
    assert [(item.sample.id, item.repeat) for item in repeated.items] == [
        (id, repeat) for id in ("0", "1") for repeat in range(3)
    ]


async def test_a_failure_is_an_item_and_is_tried_again_on_resuming(store: EvalStore) -> None:
    subject = Echo()
    subject.answers = lambda text: Output(
        text=text, outcome="failed" if text == "question 1" else "answered", error="It broke."
    )

    first = await run(samples(3), subject, [Equal()], store=store)
    subject.answers = None
    second = await run(samples(3), subject, [Equal()], store=store, resume=first.id)

    assert values(first) == [1.0, None, 1.0]
    assert first.items[1].scores[0].error == "It broke."
    assert subject.asked[3:] == ["question 1"]
    assert (second.id, values(second)) == (first.id, [1.0] * 3)


async def test_a_scorer_that_breaks_is_an_error_and_no_number(store: EvalStore) -> None:
    broken = Sample(id="b", messages=({"role": "user", "content": "b"},), expected="break")

    found = await run([*samples(1), broken], Echo(), [Equal()], store=store)

    assert values(found) == [1.0, None]
    assert found.items[1].scores[0].error == "ValueError: the scorer's own fault"


@pytest.mark.parametrize("subject", [Echo(), Bounded()])
@pytest.mark.parametrize("scorers", [[], [Equal(cost=2_000)]])
async def test_a_budget_is_never_passed(store: EvalStore, subject: Echo, scorers: list[Equal]) -> None:
    subject.wait_s = 0.002
    subject.asked.clear()

    found = await run(samples(50), subject, scorers, store=store, max_cost_nano_usd=30_500)

    assert found.status == "stopped"
    assert "budget" in found.reason
    assert 20_000 <= found.cost_nano_usd <= 30_500
    rest = await run(samples(50), subject, scorers, store=store, resume=found.id)
    assert (rest.status, len(rest.items), len(subject.asked)) == ("finished", 50, 50)


async def test_judging_answers_that_are_there_counts_against_the_budget(store: EvalStore) -> None:
    await run(samples(50), Echo(), [], store=store)

    found = await run(samples(50), Echo(), [Equal(cost=2_000)], store=store, max_cost_nano_usd=30_500)

    assert found.status == "stopped"
    assert 24_000 <= found.cost_nano_usd <= 30_500


async def test_a_budget_without_a_price_is_refused_after_one_call(store: EvalStore) -> None:
    subject = Echo(cost=None)

    with pytest.raises(InfrastructureError, match="price of this model is not known"):
        await run(samples(50), subject, [], store=store, max_cost_nano_usd=1_000)

    assert len(subject.asked) == 1


async def test_a_rate_is_kept(store: EvalStore) -> None:
    began = time.monotonic()

    await run(samples(9), Echo(), [], store=store, rate=40)

    assert 0.2 <= time.monotonic() - began < 2


async def test_what_no_sample_can_survive_stops_the_run_and_is_kept(store: EvalStore) -> None:
    subject = Echo()

    def refuse(text: str) -> Output:
        if text == "question 3":
            raise InfrastructureError("The key was revoked.")
        return Output(text=text, cost_nano_usd=1)

    subject.answers = refuse
    with pytest.raises(InfrastructureError, match="revoked"):
        await run(samples(8), subject, [Equal()], store=store, concurrency=1)
    (stopped,) = store.runs()
    subject.answers = None
    found = await run(samples(8), subject, [Equal()], store=store, resume=stopped.id)

    assert (stopped.status, stopped.reason) == ("stopped", "The key was revoked.")
    assert len(subject.asked) == 9
    assert (len(found.items), found.lost) == (8, 0)


async def test_when_nothing_answers_the_run_ends_early(store: EvalStore) -> None:
    subject = Echo()
    subject.answers = lambda _: Output(outcome="failed", error="No route.")

    with pytest.raises(InfrastructureError, match=r"The first \d+ calls all failed: No route"):
        await run(samples(500), subject, [], store=store)

    assert len(subject.asked) < 30


async def test_a_cancelled_run_can_be_taken_up(store: EvalStore) -> None:
    subject = Echo()
    subject.wait_s = 0.02
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            await run(samples(40), subject, [], store=store, concurrency=2)
    (stopped,) = store.runs()
    answered = len(store.items(stopped.id))

    found = await run(samples(40), subject, [], store=store, resume=stopped.id)

    assert stopped.status == "stopped"
    assert 0 < answered < 40
    assert len(found.items) == 40
    assert len(subject.asked) <= 40 + 2


async def test_a_run_that_is_told_to_stop_ends_what_it_began(store: EvalStore) -> None:
    subject, stop = Echo(), asyncio.Event()
    subject.wait_s = 0.01

    def tell(one: Progress) -> None:
        if one.done == 10:
            stop.set()

    found = await run(samples(40), subject, [], store=store, concurrency=4, progress=tell, stop=stop)
    rest = await run(samples(40), subject, [], store=store, resume=found.id)

    assert (found.status, found.reason) == ("stopped", "It was interrupted.")
    assert 10 <= len(found.items) <= 14
    assert (len(subject.asked), len(rest.items), rest.lost) == (40, 40, 0)


async def test_only_the_same_run_is_resumed_and_by_one_process_alone(
    store: EvalStore, tmp_path: Path
) -> None:
    found = await run(samples(3), Echo(), [], store=store)
    other = EvalStore(tmp_path / "evals.db")
    other.begin(structs.replace(store.find(found.id), id="run_busy00"))

    with pytest.raises(MalformedRequest, match="its data was another"):
        await run(samples(4), Echo(), [], store=store, resume=found.id)
    with pytest.raises(MalformedRequest, match="its fingerprint was another"):
        await run(samples(3), Echo("echo-2"), [], store=store, resume=found.id)
    with pytest.raises(NotFound):
        await run(samples(3), Echo(), [], store=store, resume="run_none")
    with pytest.raises(Conflict, match="Another process"):
        await run(samples(3), Echo(), [], store=store, resume="run_busy00")
    other.close()
    taken = await run(samples(3), Echo(), [], store=store, resume="run_busy00")

    assert taken.status == "finished"


async def test_nothing_to_run_is_said(store: EvalStore) -> None:
    with pytest.raises(MalformedRequest, match="no samples"):
        await run([], Echo(), [], store=store)


async def test_a_removed_run_takes_its_own_answers_along(store: EvalStore) -> None:
    first = await run(samples(2), Echo(), [Equal()], store=store)
    second = await run(samples(3), Echo(), [Equal()], store=store)

    assert store.remove(first.id)
    assert not store.remove(first.id)
    assert [item.sample for item in store.items(second.id)] == ["0", "1", "2"]
    assert store.remove(second.id)
    subject = Echo()
    await run(samples(3), subject, [], store=store)

    assert len(subject.asked) == 3
