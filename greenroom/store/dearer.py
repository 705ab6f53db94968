"""Why something costs more than before: the change, split into what changed, so that the parts add up to it.

The cost of an app is a sum over its models, of input and of output:

    requests × part that asks a model × part that asks this one × tokens a call × cached part × price a token

and what was paid for calls whose answer was not given. How much of the change each factor brought is told by
the logarithmic mean Divisia index (LMDI-I; B. W. Ang, "The LMDI approach to decomposition analysis: a
practical guide", Energy Policy 33, 2005): of a product that went from C0 to C1, a factor that went from x0 to
x1 brought L(C1, C0) · ln(x1 / x0), with L the logarithmic mean (C1 - C0) / ln(C1 / C0). Nothing is left over.
What a new model costs, or one that is asked no more, is the mix; what an app without earlier requests costs
is volume.

Input and output are priced apart, and only their sum is known: they are told apart by the ratios of the
model's prices, which change seldom; their level is taken from what was paid.
"""

from collections.abc import Callable, Sequence
from math import log
from typing import NamedTuple

from greenroom.store.bucket import Bucket

Factor = str
FACTORS: dict[Factor, str] = {
    "volume": "More or fewer requests",
    "asked": "Requests that asked no model: from the cache, or refused",
    "mix": "Other models",
    "input": "Tokens asked, per call",
    "output": "Tokens answered, per call",
    "prompt_cache": "Input from the provider's cache",
    "price": "Prices",
    "retries": "Calls whose answer was not given",
}
"""What may change, in the order in which it is told."""


class Ratios(NamedTuple):
    """What tokens cost, as multiples of a new input token."""

    cached: float = 0.5
    output: float = 4.0


class Split(NamedTuple):
    """Two costs in nano-dollars, and the parts of their difference, which add up to it."""

    before: int
    after: int
    parts: dict[Factor, float]

    @property
    def change(self) -> int:
        """What it costs more."""
        return self.after - self.before

    @property
    def main(self) -> Factor:
        """The part that brought most of the change, in its direction."""
        sign = 1 if self.change >= 0 else -1
        return max(self.parts, key=lambda name: sign * self.parts[name])


class _Model(NamedTuple):
    """One model in one of the two times: what its cost is the product of."""

    share: float
    """Of the calls of all models."""
    input: float
    """New-token equivalents of input per call if nothing were cached."""
    discount: float
    """What is left of it by the provider's cache."""
    output: float
    """The same of output, in new input tokens."""
    price: float
    """Nano-dollars per new input token."""

    @property
    def is_there(self) -> bool:
        return self.share > 0 and self.price > 0


_NOTHING = _Model(0, 0, 1, 0, 0)


def split(
    before: Sequence[Bucket], after: Sequence[Bucket], ratios: Callable[[str], Ratios] = lambda _: Ratios()
) -> Split:
    """Split the change of the cost between two times of one app; a bucket for each model (`by="model"`).

    Requests whose cost is not known are no part of either.
    """
    parts = dict.fromkeys(FACTORS, 0.0)
    old, new = _total(before), _total(after)
    parts["retries"] = float(new.retry_nano - old.retry_nano)
    paid = (old.cost_nano - old.retry_nano, new.cost_nano - new.retry_nano)
    if not paid[0] or not paid[1]:
        parts["volume"] += paid[1] - paid[0]
        return Split(old.cost_nano, new.cost_nano, parts)
    calls = sum(map(_calls, before)), sum(map(_calls, after))
    asked = (_per(calls[0], old.requests), _per(calls[1], new.requests))
    models = (_models(before, calls[0], ratios), _models(after, calls[1], ratios))
    common = {"volume": (old.requests, new.requests), "asked": asked}
    for name in models[0].keys() | models[1].keys():
        first, second = (side.get(name, _NOTHING) for side in models)
        sums = [
            _cost(one, *sides)
            for one, sides in zip((first, second), zip(*common.values(), strict=True), strict=True)
        ]
        if not (first.is_there and second.is_there):
            parts["mix"] += sum(sums[1]) - sum(sums[0])
            continue
        shared = {**common, "mix": (first.share, second.share), "price": (first.price, second.price)}
        input = {"input": (first.input, second.input), "prompt_cache": (first.discount, second.discount)}
        output = {"output": (first.output, second.output)}
        _add(parts, sums[0][0], sums[1][0], shared | input)
        _add(parts, sums[0][1], sums[1][1], shared | output)
    return Split(old.cost_nano, new.cost_nano, parts)


def _calls(one: Bucket) -> int:
    """Requests that asked the model. Of those counted from traces without bodies only the cost is known."""
    return one.calls or (one.requests if one.cost_nano != one.retry_nano else 0)


def _models(buckets: Sequence[Bucket], calls: int, ratios: Callable[[str], Ratios]) -> dict[str, _Model]:
    found = {}
    for one in buckets:
        paid = one.cost_nano - one.retry_nano
        asked = _calls(one)
        if not paid or not asked:
            continue
        rate = ratios(one.model or "")
        whole = max(one.input_tokens - one.retry_input, 0)
        fresh = max(whole - one.cached_tokens, 0) + rate.cached * min(one.cached_tokens, whole)
        said = max(one.output_tokens - one.retry_output, 0) * rate.output
        if fresh + said == 0:
            whole = fresh = asked  # paid by the call
        found[one.model or ""] = _Model(
            asked / calls,
            whole / asked,
            _per(fresh, whole) or 1.0,
            said / asked,
            paid / (fresh + said),
        )
    return found


def _cost(one: _Model, requests: float, asked: float) -> tuple[float, float]:
    """What input and output of a model cost."""
    calls = requests * asked * one.share
    return calls * one.input * one.discount * one.price, calls * one.output * one.price


def _add(
    parts: dict[Factor, float], old: float, new: float, factors: dict[Factor, tuple[float, float]]
) -> None:
    """Spread the change of a product over its factors."""
    if old <= 0 or new <= 0:
        # Tokens of a kind that there were none of before, or are none of now.
        zero = next((name for name, (a, b) in factors.items() if (a <= 0) != (b <= 0)), "volume")
        parts[zero] += new - old
        return
    mean = old if abs(new - old) <= 1e-12 * old else (new - old) / log(new / old)
    for name, (a, b) in factors.items():
        if a != b:
            parts[name] += mean * log(b / a)


def _total(buckets: Sequence[Bucket]) -> Bucket:
    whole = Bucket(since_s=0, step_s=60)
    for one in buckets:
        whole.add_counts(one)
    return whole


def _per(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
