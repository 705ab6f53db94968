"""Which target is asked first: the order of a model's targets for one request, and what it was weighed by.

Pure: everything it goes by is given. Who fails or is broken is dispatch's matter; here only wishes count,
but a target whose breaker is open or that asked to be left alone stands behind all others.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import log
from random import Random
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from greenroom.exchange import Exchange
from greenroom.models.health import Health
from greenroom.models.prices import Price
from greenroom.usage import Usage

Route = Literal["ordered", "weighted", "cheapest", "fastest", "least_busy", "sticky", "rules", "learned"]
CHARACTERS_A_TOKEN = 4
ASSUMED_OUTPUT_TOKENS = 256
"""What an answer is reckoned with when the request sets no limit."""
MOST_LOAD = 1.25
"""A sticky target takes no more than so many times its share of the calls at work."""
_STICKY_BYTES = 512
"""Of the messages that tell one conversation from another: their beginning, which providers cache."""


class Rule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[[models.NAME.rules]]: the targets for requests of which everything said here is true."""

    targets: tuple[str, ...]
    """Asked first, in this order; the other targets of the model follow."""
    languages: tuple[str, ...] = ()
    """The newest prompt is in one of these, by code: "pt"."""
    min_tokens: int | None = None
    max_tokens: int | None = None
    """The prompt's length, at about four characters a token."""
    tools: bool | None = None
    """Whether the request offers tools."""
    images: bool | None = None
    """Whether the request holds images."""


class Candidate(NamedTuple):
    """A target as routing sees it."""

    name: str
    price: Price | None
    health: Health
    weight: float


class Order(NamedTuple):
    """Names of targets, first to last, and the reason."""

    names: tuple[str, ...]
    why: str
    weighed: dict[str, object]
    """By target: what decided, in the route's own unit; and which targets rest."""

    def __str__(self) -> str:
        if not self.weighed:
            return self.why
        return f"{self.why} ({', '.join(f'{name}: {_said(fact)}' for name, fact in self.weighed.items())})"


class Foresight(Protocol):
    """What the route `learned` goes by; see `learned.route`."""

    async def foresee(self, exchange: Exchange) -> None:
        """Look at the prompt, before `order` is asked."""
        ...

    def order(self, exchange: Exchange) -> Order:
        """The targets for this request."""
        ...


class Router:
    """Orders the targets of one model."""

    def __init__(
        self,
        route: Route,
        candidates: Sequence[Candidate],
        rules: Sequence[Rule] = (),
        language_of: Callable[[Exchange], str] = lambda _: "",
        random: Random | None = None,
        learned: Foresight | None = None,
    ) -> None:
        self.route = route
        self.learned = learned
        """Set for the route `learned`: dispatch has it look at the prompt first."""
        self._candidates = tuple(candidates)
        self._rules = tuple(rules)
        self._language_of = language_of
        self._random = random or Random()  # noqa: S311  # spreads load; guards nothing
        self._ways: Mapping[Route, Callable[[Exchange, float], Order]] = {
            "ordered": self._ordered,
            "weighted": self._weighted,
            "cheapest": self._cheapest,
            "fastest": self._fastest,
            "least_busy": self._least_busy,
            "sticky": self._sticky,
            "rules": self._by_rules,
            "learned": self._by_worth,
        }

    def order(self, exchange: Exchange, now: float) -> Order:
        """The targets for this request, the wished for first, those that can't be called now last."""
        wished = self._ways[self.route](exchange, now)
        resting = {
            one.name
            for one in self._candidates
            if now < max(one.health.open_until, one.health.back_at) or one.health.is_full
        }
        if resting and len(resting) < len(self._candidates):
            names = sorted(wished.names, key=resting.__contains__)
            wished = wished._replace(names=tuple(names))
            if resting & set(wished.names[-len(resting) :]):
                wished.weighed["resting"] = sorted(resting)
        return wished

    def _ordered(self, exchange: Exchange, now: float) -> Order:
        return Order(tuple(one.name for one in self._candidates), "ordered: as configured", {})

    def _weighted(self, exchange: Exchange, now: float) -> Order:
        # The smallest of exponential variables with these rates: each is first as often as its weight says.
        drawn = {
            one.name: -log(1.0 - self._random.random()) / one.weight if one.weight > 0 else float("inf")
            for one in self._candidates
        }
        weights: dict[str, object] = {one.name: one.weight for one in self._candidates}
        return Order(tuple(sorted(drawn, key=drawn.__getitem__)), "weighted: drawn by weight", weights)

    def _cheapest(self, exchange: Exchange, now: float) -> Order:
        usage = Usage(
            input_tokens=tokens_of(exchange),
            output_tokens=exchange.request.max_tokens or ASSUMED_OUTPUT_TOKENS,
        )
        costs = {
            one.name: None if one.price is None else one.price.cost_nano(usage) for one in self._candidates
        }
        names = sorted(costs, key=lambda name: (costs[name] is None, costs[name] or 0))
        weighed: dict[str, object] = {
            name: "no known price" if cost is None else f"{cost / 1e9:.9f} USD"
            for name, cost in costs.items()
        }
        return Order(tuple(names), "cheapest: by the cost to expect", weighed)

    def _fastest(self, exchange: Exchange, now: float) -> Order:
        expected = {one.name: one.health.expected_s(now) for one in self._candidates}
        known = {one.name: one.health.latency_s is not None for one in self._candidates}
        weighed: dict[str, object] = {
            name: f"{seconds * 1000:.1f} ms" if known[name] else "not measured yet"
            for name, seconds in expected.items()
        }
        return Order(
            tuple(sorted(expected, key=expected.__getitem__)),
            "fastest: by the time to first content of late",
            weighed,
        )

    def _least_busy(self, exchange: Exchange, now: float) -> Order:
        busy = {one.name: one.health.at_work / max(one.weight, 1e-9) for one in self._candidates}
        weighed: dict[str, object] = {one.name: one.health.at_work for one in self._candidates}
        return Order(
            tuple(sorted(busy, key=busy.__getitem__)), "least_busy: by calls at work and weight", weighed
        )

    def _sticky(self, exchange: Exchange, now: float) -> Order:
        kind, key = affinity_of(exchange)
        # Rendezvous hashing: each request has an order of its own, and a target that goes or comes moves
        # only its own share.
        drawn = {
            one.name: -log((_hash(key, one.name) + 1) / (1 << 64)) / max(one.weight, 1e-9)
            for one in self._candidates
        }
        names = sorted(drawn, key=drawn.__getitem__)
        total = sum(one.health.at_work for one in self._candidates) + 1
        weights = sum(one.weight for one in self._candidates) or 1.0
        overfull = {
            one.name
            for one in self._candidates
            if one.health.at_work + 1 > MOST_LOAD * total * one.weight / weights + 1
        }
        names.sort(key=overfull.__contains__)
        weighed: dict[str, object] = {"by": kind}
        if overfull:
            weighed["more than its share"] = sorted(overfull)
        return Order(tuple(names), f"sticky: by {kind}", weighed)

    def _by_rules(self, exchange: Exchange, now: float) -> Order:
        rest = tuple(one.name for one in self._candidates)
        for number, rule in enumerate(self._rules, 1):
            facts = self._fits(rule, exchange)
            if facts is not None:
                names = tuple(dict.fromkeys((*rule.targets, *rest)))
                return Order(names, f"rules: rule {number} fits", facts)
        return Order(rest, "rules: none fits, so as configured", {})

    def _by_worth(self, exchange: Exchange, now: float) -> Order:
        assert self.learned is not None, "assembly gives the route learned its router"
        return self.learned.order(exchange)

    def _fits(self, rule: Rule, exchange: Exchange) -> dict[str, object] | None:
        """What a rule was held against, or None where it does not fit. The dearest fact is asked for last."""
        facts: dict[str, object] = {}
        request = exchange.request
        if rule.tools is not None:
            facts["tools"] = request.has_tools
            if request.has_tools != rule.tools:
                return None
        if rule.images is not None:
            facts["images"] = has_images(exchange)
            if facts["images"] != rule.images:
                return None
        if rule.min_tokens is not None or rule.max_tokens is not None:
            count = facts["tokens"] = tokens_of(exchange)
            if rule.min_tokens is not None and count < rule.min_tokens:
                return None
            if rule.max_tokens is not None and count > rule.max_tokens:
                return None
        if rule.languages:
            code = facts["language"] = self._language_of(exchange)
            if code not in rule.languages:
                return None
        return facts


def _said(fact: object) -> str:
    return ", ".join(fact) if isinstance(fact, list) else str(fact)


def tokens_of(exchange: Exchange) -> int:
    """The prompt's length in tokens, about."""
    request = exchange.request
    size = sum(len(text.value) for text in request.texts) if request.texts else len(request.messages)
    return size // CHARACTERS_A_TOKEN + 1


def has_images(exchange: Exchange) -> bool:
    """Whether a message holds an image."""
    return b'"image_url"' in exchange.request.messages


def affinity_of(exchange: Exchange) -> tuple[str, bytes]:
    """What a request has in common with others of its kind: session, user, or the beginning of its prompt."""
    if exchange.session is not None:
        return "session", exchange.session.encode()
    if exchange.user is not None:
        return "user", exchange.user.encode()
    return "the beginning of the prompt", exchange.request.messages[:_STICKY_BYTES]


def _hash(key: bytes, name: str) -> int:
    return int.from_bytes(blake2b(key + b"\0" + name.encode(), digest_size=8).digest(), "big")
