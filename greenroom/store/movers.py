"""What changed most between two times, by app or by model: costs, traffic, failures, times and tokens.

A change is told when it is large and no accident: counts are held to the Poisson distribution, shares to the
difference of two proportions, each at `SIGMAS` standard errors. Means need `LEAST` requests on both sides.
"""

from collections.abc import Callable, Sequence
from math import log, sqrt
from typing import Final, Literal, NamedTuple

from greenroom.store.bucket import Bucket

What = Literal["cost", "requests", "failed", "refused", "cached", "time", "tokens"]
SIGMAS: Final = 4.0
LEAST: Final = 30
"""Requests without which a mean says nothing."""
LEAST_CENTS: Final = 10_000_000
"""Nano-dollars: a change of less than a cent is none."""
_LEAST_CHANGE: Final = 0.1
_LEAST_SHARE: Final = 0.01
_MOST: Final = 8


class Mover(NamedTuple):
    """One change. Costs in nano-dollars, times in seconds for a request, tokens for a call, shares of one."""

    dimension: Literal["app", "model"]
    name: str
    what: What
    before: float
    after: float
    weight: float
    """By which the list is ordered: how large it is, for how much of the traffic."""

    @property
    def is_new(self) -> bool:
        """Whether there was nothing before."""
        return self.before == 0


def movers(
    before: Sequence[Bucket], after: Sequence[Bucket], dimension: Literal["app", "model"]
) -> list[Mover]:
    """The largest changes first. Each bucket is one app or model over all of a time."""
    old = {getattr(one, dimension): one for one in before}
    new = {getattr(one, dimension): one for one in after}
    requests = sum(one.requests for one in (*before, *after)) or 1
    cost = sum(one.cost_nano for one in (*before, *after)) or 1
    nothing = Bucket(since_s=0, step_s=60)
    found = []
    for name in old.keys() | new.keys():
        if not name:
            continue
        sides = (old.get(name, nothing), new.get(name, nothing))
        traffic = sum(one.requests for one in sides) / requests
        money = sum(one.cost_nano for one in sides) / cost
        for what, told in _CHANGES.items():
            pair = told(*sides)
            if pair is not None:
                weight = _size(*pair) * sqrt(money if what == "cost" else traffic)
                found.append(Mover(dimension, name, what, *pair, weight * _IMPORTANCE[what]))
    found.sort(key=lambda one: (-one.weight, one.name, one.what))
    return found[:_MOST]


_IMPORTANCE: dict[What, float] = {
    "cost": 2.0, "failed": 2.0, "refused": 1.5, "time": 1.0, "requests": 0.7, "tokens": 0.7, "cached": 0.5,
}  # fmt: skip
_Pair = tuple[float, float]


def _cost(old: Bucket, new: Bucket) -> _Pair | None:
    change = abs(new.cost_nano - old.cost_nano)
    is_large = change >= max(LEAST_CENTS, _LEAST_CHANGE * old.cost_nano)
    return (old.cost_nano, new.cost_nano) if is_large else None


def _requests(old: Bucket, new: Bucket) -> _Pair | None:
    a, b = old.requests, new.requests
    is_sure = abs(b - a) > SIGMAS * sqrt(a + b)
    return (a, b) if is_sure and abs(b - a) > 0.25 * a else None


def _share(count: Callable[[Bucket], int]) -> Callable[[Bucket, Bucket], _Pair | None]:
    def told(old: Bucket, new: Bucket) -> _Pair | None:
        n, m = old.requests, new.requests
        if min(n, m) < LEAST:
            return None
        a, b = count(old) / n, count(new) / m
        both = (count(old) + count(new)) / (n + m)
        error = sqrt(both * (1 - both) * (1 / n + 1 / m))
        return (a, b) if abs(b - a) > max(SIGMAS * error, _LEAST_SHARE) else None

    return told


def _mean(
    total: Callable[[Bucket], float], count: Callable[[Bucket], int]
) -> Callable[[Bucket, Bucket], _Pair | None]:
    def told(old: Bucket, new: Bucket) -> _Pair | None:
        if min(count(old), count(new)) < LEAST:
            return None
        a, b = total(old) / count(old), total(new) / count(new)
        return (a, b) if a > 0 and abs(b - a) > 0.2 * a else None

    return told


_CHANGES: dict[What, Callable[[Bucket, Bucket], _Pair | None]] = {
    "cost": _cost,
    "requests": _requests,
    "failed": _share(lambda one: one.failed),
    "refused": _share(lambda one: one.refused),
    "cached": _share(lambda one: one.cached),
    "time": _mean(lambda one: one.total_us / 1e6, lambda one: one.requests),
    "tokens": _mean(lambda one: one.input_tokens + one.output_tokens, lambda one: one.calls),
}


def _size(before: float, after: float) -> float:
    """How many times as much or as little, as a logarithm, at most of ten times."""
    if before <= 0 or after <= 0:
        return log(10)
    return min(abs(log(after / before)), log(10))
