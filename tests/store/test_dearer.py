"""Why an app costs more: each cause by itself is told as that cause, and the parts add up to the change."""

import random

import pytest

from greenroom.store.bucket import Bucket
from greenroom.store.dearer import FACTORS, Ratios, split

RATIOS = Ratios(cached=0.1, output=5.0)


def used(
    model: str = "a", *, requests: int = 1000, calls: int | None = None, input: int = 500, cached: int = 0,
    output: int = 100, price: float = 200.0, retry_nano: int = 0, retry_input: int = 0,
) -> Bucket:  # fmt: skip
    """What one model did: tokens a call, nano-dollars a new token."""
    calls = requests if calls is None else calls
    fresh = calls * (input - cached + cached * RATIOS.cached)
    return Bucket(
        since_s=0, step_s=60, model=model, requests=requests, calls=calls, input_tokens=calls * input + retry_input,
        cached_tokens=calls * cached, output_tokens=calls * output, retry_nano=retry_nano, retry_input=retry_input,
        cost_nano=round((fresh + calls * output * RATIOS.output) * price) + retry_nano,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (used(requests=1300), "volume"),
        (used(calls=800), "asked"),
        (used(input=900), "input"),
        (used(output=180), "output"),
        (used(price=260.0), "price"),
        (used(retry_nano=10**8, retry_input=200_000), "retries"),
        (used(cached=400), "prompt_cache"),
        (used(output=0), "output"),
    ],
)
def test_one_cause_is_told_as_that_cause_alone(after: Bucket, cause: str) -> None:
    found = split([used()], [after], lambda _: RATIOS)
    assert found.change == after.cost_nano - used().cost_nano != 0
    assert found.parts[cause] == pytest.approx(found.change, rel=1e-6)
    assert found.main == cause
    assert sum(abs(value) for name, value in found.parts.items() if name != cause) < abs(found.change) * 1e-6


def test_going_to_a_dearer_model_is_the_mix() -> None:
    before = [used("a", requests=900), used("b", requests=100, price=2_000.0)]
    after = [used("a", requests=100), used("b", requests=900, price=2_000.0)]
    found = split(before, after, lambda _: RATIOS)
    assert found.main == "mix"
    assert found.parts["mix"] == pytest.approx(found.change, rel=1e-6)
    new = split([used("a")], [used("c", price=900.0)], lambda _: RATIOS)
    assert new.parts["mix"] == pytest.approx(new.change, rel=1e-6)


def test_an_app_that_is_new_or_gone_is_volume() -> None:
    assert split([], [used()]).parts["volume"] == used().cost_nano
    assert split([used()], []).parts["volume"] == -used().cost_nano
    assert split([], []) == (0, 0, dict.fromkeys(FACTORS, 0.0))


def test_costs_of_traces_without_bodies_are_parts_too() -> None:
    def counted(cost: int) -> Bucket:
        return Bucket(
            since_s=0, step_s=60, model="a", requests=10, cost_nano=cost, input_tokens=100, output_tokens=10
        )

    found = split([counted(1_000)], [counted(3_000)])
    assert found.parts["price"] == pytest.approx(2_000)
    assert sum(found.parts.values()) == pytest.approx(2_000)
    found = split([used("b"), counted(1_000)], [used("b", calls=0), counted(900)])
    assert sum(found.parts.values()) == pytest.approx(found.change)


def test_whatever_changed_the_parts_add_up() -> None:
    chance = random.Random(5)

    def some() -> list[Bucket]:
        return [
            used(
                name, requests=chance.randrange(1, 5000), calls=chance.randrange(0, 5000), input=chance.randrange(500),
                output=chance.randrange(300), price=chance.choice([0.0, 3.0, 90.0, 700.0]),
                retry_nano=chance.choice([0, 10**7]),
            )
            for name in chance.sample("abcde", chance.randrange(0, 5))
        ]  # fmt: skip

    for _ in range(500):
        before, after = some(), some()
        found = split(before, after, lambda _: RATIOS)
        assert sum(found.parts.values()) == pytest.approx(found.change, rel=1e-6, abs=10.0)
        assert found.before == sum(one.cost_nano for one in before)
