"""All of A and B at random, on virtual time: many seeds in seconds. A seed that failed once stays in `seeds.txt`."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.faults.scenarios import play
from tests.faults.virtual import Stuck, VirtualLoop, run

KEPT = Path(__file__).parent / "seeds.txt"
SEEDS = int(os.environ.get("GREENROOM_SEEDS", "200"))
BLOCK = 20


def kept_seeds() -> list[int]:
    return [int(line) for line in KEPT.read_text(encoding="utf-8").split("\n") if line.strip()]


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_is_drawn_the_invariants_hold(first: int) -> None:
    for seed in range(first, min(first + BLOCK, SEEDS)):
        try:
            assert play(seed) > 0
        except BaseException:
            print(f"seed {seed} fails: python -m tests.faults --seed {seed}")
            if seed not in kept_seeds():
                with KEPT.open("a", encoding="utf-8") as file:
                    file.write(f"{seed}\n")
            raise


@pytest.mark.parametrize("seed", kept_seeds())
def test_a_seed_that_failed_once_holds(seed: int) -> None:
    assert play(seed) > 0


def test_time_jumps_and_what_never_ends_is_noticed() -> None:
    async def sleeps(loop: VirtualLoop) -> float:
        began = loop.time()
        await asyncio.sleep(600)
        return loop.time() - began

    async def waits(loop: VirtualLoop) -> None:
        await loop.create_future()

    assert run(1, sleeps) == pytest.approx(600)
    with pytest.raises(Stuck):
        run(1, waits)


def test_the_same_seed_is_the_same_run() -> None:
    async def order(loop: VirtualLoop) -> list[int]:
        done: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(loop.way_s())
            done.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(one(number))
        return done

    assert run(5, order) == run(5, order)
    assert run(5, order) != run(6, order)
