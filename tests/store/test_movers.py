"""What changed most: what chance does is no change, what matters comes first."""

import random

import pytest

from greenroom.store.bucket import Bucket
from greenroom.store.movers import movers


def app(name: str, requests: int, *, failed: int = 0, usd: float = 10.0, seconds: float = 1.0) -> Bucket:
    return Bucket(
        since_s=0, step_s=60, app=name, requests=requests, failed=failed, answered=requests - failed, calls=requests,
        cost_nano=int(usd * 1e9), total_us=int(requests * seconds * 1e6), input_tokens=100 * requests,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_a_stable_week_moves_nothing(seed: int) -> None:
    chance = random.Random(seed)

    def week() -> list[Bucket]:
        return [
            app(
                name, round(chance.gauss(mean, mean**0.5)), failed=sum(chance.random() < 0.03 for _ in range(mean)),
                usd=mean / 100 * chance.gauss(1, 0.02), seconds=chance.gauss(1, 0.03),
            )
            for name, mean in (("a", 200), ("b", 2_000), ("c", 60))
        ]  # fmt: skip

    assert movers(week(), week(), "app") == []


def test_what_costs_more_comes_before_what_is_asked_more() -> None:
    before = [
        app("dear", 1_000, usd=50),
        app("busy", 1_000),
        app("broken", 1_000, failed=10),
        app("same", 900),
    ]
    after = [
        app("dear", 1_000, usd=120), app("busy", 2_000, usd=10.5), app("broken", 1_000, failed=200), app("same", 905),
    ]  # fmt: skip
    found = [(one.name, one.what) for one in movers(before, after, "app")]
    assert set(found) == {("dear", "cost"), ("busy", "requests"), ("broken", "failed")}
    assert found.index(("dear", "cost")) < found.index(("busy", "requests"))


def test_new_and_gone_are_told_and_cents_are_not() -> None:
    found = {
        one.name: one
        for one in movers([app("gone", 100)], [app("new", 100), app("tiny", 5, usd=0.001)], "app")
    }
    assert found["new"].is_new
    assert found["gone"].after == 0
    assert "tiny" not in found
