"""A budget holds: reserved before, settled after, and nothing is given out twice."""

import asyncio

import pytest

from greenroom.errors import RequestError
from greenroom.offline.budget import Budget, BudgetSpent, PriceMissing, dollars


async def test_what_was_not_used_is_given_back() -> None:
    budget = Budget(100)
    first = await budget.reserve(60, "m")

    await budget.settle(first, 10)
    second = await budget.reserve(90, "m")
    await budget.settle(second, 90)

    assert (budget.spent, budget.reserved, budget.calls) == (100, 0, 2)
    with pytest.raises(BudgetSpent, match=r"\$0\.0000001 of \$0\.0000001"):
        await budget.reserve(1, "m")


async def test_a_call_waits_for_what_others_may_give_back() -> None:
    budget = Budget(100)
    first = await budget.reserve(60, "m")
    waiting = asyncio.create_task(budget.reserve(60, "m"))
    await asyncio.sleep(0)
    assert not waiting.done()

    await budget.settle(first, 40)

    assert (await waiting).amount == 60


async def test_a_call_that_nobody_can_give_to_is_turned_down() -> None:
    budget = Budget(100)
    first = await budget.reserve(60, "m")
    waiting = asyncio.create_task(budget.reserve(60, "m"))
    await asyncio.sleep(0)

    await budget.settle(first, 60)

    with pytest.raises(BudgetSpent):
        await waiting


async def test_many_at_once_never_pass_it() -> None:
    budget, highest = Budget(1_000), 0

    async def spend(number: int) -> None:
        nonlocal highest
        held = await budget.reserve(100, "m")
        highest = max(highest, budget.spent + budget.reserved)
        await asyncio.sleep(0)
        await budget.settle(held, 100 - number % 3)

    found = await asyncio.gather(*map(spend, range(40)), return_exceptions=True)

    assert highest <= 1_000
    assert budget.spent <= 1_000
    assert sum(one is None for one in found) == budget.calls == 10
    assert all(isinstance(one, BudgetSpent) for one in found if one is not None)


async def test_a_cost_that_can_not_be_known_counts_as_the_worst() -> None:
    budget = Budget(100)

    await budget.settle(await budget.reserve(70, "m"), None)

    assert budget.spent == 70


async def test_what_is_set_aside_is_not_given_out() -> None:
    budget = Budget(100, 10)
    budget.keep(50, 8)

    await budget.reserve(40, "m")
    budget.keep(0, 0)
    await budget.reserve(60, "m")

    assert budget.reserved == 100


async def test_an_unknown_price_needs_a_cap_on_calls() -> None:
    with pytest.raises(PriceMissing, match=r"'m' is not known.*\[prices\.\"m\"\].*--max-calls"):
        await Budget(100).reserve(None, "m")

    assert (await Budget(100, 1).reserve(None, "m")).amount == 0


@pytest.mark.parametrize(("nano", "calls"), [(None, None), (0, None), (-1, None), (None, 0)])
def test_no_budget_is_no_budget(nano: int | None, calls: int | None) -> None:
    with pytest.raises(RequestError):
        Budget(nano, calls)


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0"), (5_000_000_000, "5"), (12_500_000, "0.0125"), (1, "0.000000001")]
)
def test_dollars_have_no_needless_zeros(nano: int, text: str) -> None:
    assert dollars(nano) == text
