"""A run that dies at any step of its bookkeeping goes on without asking anything twice that was written down."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.offline.evals.runner import run
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.store.evals import EvalStore

COUNT = 3
STEPS = ("newest", "ask", "answered", "add_item")


class Dead(BaseException):
    """What a process feels that is killed, as far as one can."""


class Mortal:
    """A store that dies before or after its `last` step, and does nothing from then on."""

    def __init__(self, store: EvalStore, last: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, last, after
        self._is_dead = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def step(*arguments: object) -> object:
            if name in STEPS:
                self._left -= 1
            if self._is_dead or (self._left == 0 and not self._after):
                self._is_dead = True
                raise Dead
            found = method(*arguments)
            if self._left == 0:
                self._is_dead = True
                raise Dead
            return found

        return step


class Counting:
    """Answers with the question and counts."""

    name = fingerprint = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, sample: Sample) -> Output:
        self.asked.append(sample.id)
        return Output(text=sample.id, cost_nano_usd=1)


class Same:
    """1 where the answer is the id."""

    name = "same"
    higher_is_better = True

    async def score(self, sample: Sample, output: Output) -> Score:
        return Score(name=self.name, value=float(output.text == sample.id))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("last", range(1, COUNT * len(STEPS) + 1))
async def test_at_whatever_step_it_dies(tmp_path: Path, last: int, after: bool) -> None:
    samples = [Sample(id=str(n), messages=({"role": "user", "content": str(n)},)) for n in range(COUNT)]
    subject = Counting()
    store = EvalStore(tmp_path / "evals.db")
    mortal: Any = Mortal(store, last, after=after)  # Any: stands for an EvalStore

    with pytest.raises((Dead, asyncio.CancelledError)):
        await run(samples, subject, [Same()], store=mortal, concurrency=1)
    (broken,) = store.runs()
    store.close()
    again = EvalStore(tmp_path / "evals.db")
    found = await run(samples, subject, [Same()], store=again, concurrency=1, resume=broken.id)
    again.close()

    assert [item.scores[0].value for item in found.items] == [1.0] * COUNT
    assert len(subject.asked) <= COUNT + 1
    assert len(subject.asked) - COUNT <= found.lost <= 1
    assert found.cost_nano_usd == COUNT
