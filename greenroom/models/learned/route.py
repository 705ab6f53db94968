"""The route `learned`: targets by what their answers are expected to be worth, less what they cost.

A good answer more is worth `price_of_quality` US dollars; an answer's worth is that times the chance that it
is good, and its cost is by the price book at the tokens to expect. Where the router has no evidence the safe
target is asked first, and the record says why. Knows no configuration.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from greenroom.exchange import Exchange
from greenroom.models.learned.file import TargetFacts
from greenroom.models.learned.predictor import Guess, Predictor
from greenroom.models.learned.training import FEWEST_LABELS
from greenroom.models.prices import Price
from greenroom.models.routing import ASSUMED_OUTPUT_TOKENS, Order, has_images, tokens_of
from greenroom.usage import Usage

_GUESS = "learned_route"
"""Where an exchange's context keeps the guess."""
_UNTOLD = ("", "und")
"""Of no language: a line of code, say."""


class LearnedRoute:
    """Orders the targets of one model. Shared by all exchanges."""

    def __init__(
        self,
        predictor: Predictor,
        targets: Sequence[str],
        prices: Mapping[str, Price | None],
        *,
        safe: str,
        price_of_quality: float,
        language_of: Callable[[Exchange], str],
    ) -> None:
        self._predictor = predictor
        self._safe_first = (safe, *(one for one in targets if one != safe))
        self._prices = prices
        self._worth = price_of_quality
        self._language_of = language_of
        facts = {one.name: one for one in predictor.header.targets}
        self._known: dict[str, TargetFacts] = {}
        self._left_out: dict[str, object] = {}
        """By target: why its worth is not reckoned."""
        for name in targets:
            one = facts.get(name)
            if one is None or one.labels < FEWEST_LABELS:
                self._left_out[name] = f"{one.labels if one else 0} of {FEWEST_LABELS} labels"
            elif prices.get(name) is None:
                self._left_out[name] = "no known price"
            else:
                self._known[name] = one

    async def foresee(self, exchange: Exchange) -> None:
        """Make the guess that `order` goes by, beside the loop: 0.5 ms, and 4 ms where vectors count."""
        newest = exchange.request.newest_user
        if newest is not None and newest.value and self._reason(exchange) is None:
            exchange.context[_GUESS] = await asyncio.to_thread(self._predictor.guess, newest.value)

    def order(self, exchange: Exchange) -> Order:
        """The targets for a request that was foreseen; the safe one first where there is no evidence."""
        guess = exchange.context.get(_GUESS)
        reason = self._reason(exchange)
        if reason is None and not isinstance(guess, Guess):
            reason = "there is no text to go by"
        if reason is not None:
            return self._fallen_back(reason)
        assert isinstance(guess, Guess)
        if not guess.is_familiar:
            meaning = guess.known_meaning
            near = "" if meaning is None else f", {meaning:.0%} of its meaning"
            return self._fallen_back(
                f"prompts like this were not learned from ({guess.known_share:.0%} of its words{near} known)"
            )
        return self._by_worth(exchange, guess)

    def _reason(self, exchange: Exchange) -> str | None:
        """Why the router has no say, as far as that is plain without a guess."""
        if len(self._known) < 2:
            return "fewer than two targets have labels and a price"
        if has_images(exchange):
            return "the request holds images"
        language = self._language_of(exchange)
        if language not in _UNTOLD and language not in self._predictor.header.languages:
            return f"too few prompts in '{language}' were learned from"
        return None

    def _fallen_back(self, reason: str) -> Order:
        return Order(self._safe_first, f"learned: the safe target first, since {reason}", {**self._left_out})

    def _by_worth(self, exchange: Exchange, guess: Guess) -> Order:
        worth, weighed = {}, {}
        given = tokens_of(exchange)
        for name, facts in self._known.items():
            cost = self._cost_usd(exchange, name, facts, given)
            chance = guess.chances[name]
            worth[name] = self._worth * chance - cost
            weighed[name] = f"{chance:.0%} good, {cost:.6f} USD, worth {worth[name]:.6f} USD"
        ranked = sorted(worth, key=worth.__getitem__, reverse=True)
        why = f"learned: the most worth at {self._worth:g} USD for a good answer"
        dominant = self._predictor.header.dominant
        if dominant in self._known:
            ranked = [dominant, *(one for one in ranked if one != dominant)]
            why = "learned: the first is better than the others and not dearer, whatever is asked"
        rest = (one for one in self._safe_first if one not in worth)
        return Order((*ranked, *rest), why, weighed | self._left_out)

    def _cost_usd(self, exchange: Exchange, name: str, facts: TargetFacts, given: int) -> float:
        expected = facts.output_tokens if facts.output_tokens is not None else ASSUMED_OUTPUT_TOKENS
        most = exchange.request.max_tokens
        if most is not None:
            expected = min(expected, most)
        price = self._prices[name]
        assert price is not None, "targets without a price are left out"
        return (price.cost_nano(Usage(input_tokens=given, output_tokens=round(expected))) or 0) / 1e9
