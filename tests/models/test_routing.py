"""The order of targets: each route by what it weighs, and that the unhealthy stand behind."""

import json
from collections import Counter
from collections.abc import Mapping
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.exchange import Caller, Exchange
from greenroom.models.health import Health
from greenroom.models.prices import Period, Price, Rates
from greenroom.models.routing import Candidate, Order, Route, Router, Rule
from greenroom.wire.openai_request import parse_chat

NAMES = ("a/x", "b/y", "c/z")


def exchange(text: str = "Good morning.", *, session: str | None = None, **fields: object) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    found = Exchange("1", Caller(key_id="k"), parse_chat(json.dumps(body).encode()), "m")
    found.session = session
    return found


def price(nano: int) -> Price:
    return Price("m", [Period(Rates.plain(nano * 1000, nano * 1000, nano * 1000))])


class Routed:
    """A router over three targets, and their health."""

    def __init__(
        self,
        route: Route,
        *,
        rules: tuple[Rule, ...] = (),
        prices: Mapping[str, Price] = MappingProxyType({}),
        weights: Mapping[str, float] = MappingProxyType({}),
        names: tuple[str, ...] = NAMES,
    ) -> None:
        self.health = {name: Health(name) for name in names}
        candidates = [
            Candidate(name, prices.get(name), self.health[name], weights.get(name, 1.0)) for name in names
        ]
        self.router = Router(route, candidates, rules, lambda _: "pt", Random(7))

    def order(self, exchange: Exchange, now: float = 0.0) -> Order:
        return self.router.order(exchange, now)


def test_ordered_is_as_configured() -> None:
    assert Routed("ordered").order(exchange(), 0.0) == Order(NAMES, "ordered: as configured", {})


def test_cheapest_goes_by_the_cost_to_expect_and_an_unknown_price_is_last() -> None:
    order = Routed("cheapest", prices={"b/y": price(9), "c/z": price(2)}).order(exchange())

    assert order.names == ("c/z", "b/y", "a/x")
    assert order.weighed["a/x"] == "no known price"
    assert str(order.weighed["c/z"]).endswith(" USD")


def test_fastest_tries_the_unmeasured_and_then_goes_by_what_was_measured() -> None:
    fastest = Routed("fastest")
    fastest.health["a/x"].succeeded(0.0, 0.9)
    fastest.health["b/y"].succeeded(0.0, 0.3)
    assert fastest.order(exchange()).names == ("c/z", "b/y", "a/x")
    fastest.health["c/z"].succeeded(0.0, 0.5)

    order = fastest.order(exchange())

    assert order.names == ("b/y", "c/z", "a/x")
    assert order.weighed == {"a/x": "900.0 ms", "b/y": "300.0 ms", "c/z": "500.0 ms"}


def test_least_busy_counts_calls_at_work_against_weights() -> None:
    busy = Routed("least_busy", weights={"a/x": 4.0})
    for name, count in (("a/x", 3), ("b/y", 1), ("c/z", 2)):
        busy.health[name].at_work = count

    assert busy.order(exchange()).names == ("a/x", "b/y", "c/z")


def test_weighted_draws_by_weight_and_zero_is_only_a_last_resort() -> None:
    weighted = Routed("weighted", weights={"a/x": 3.0, "b/y": 1.0, "c/z": 0.0})
    orders = [weighted.order(exchange()).names for _ in range(2000)]
    first = Counter(names[0] for names in orders)

    assert first["c/z"] == 0
    assert 0.70 < first["a/x"] / 2000 < 0.80
    assert all(names[-1] == "c/z" for names in orders)


def test_sticky_keeps_a_session_and_moves_only_the_share_of_a_target_that_goes() -> None:
    sticky = Routed("sticky")
    before = {str(n): sticky.order(exchange(session=str(n))).names for n in range(300)}
    assert before == {str(n): sticky.order(exchange(session=str(n))).names for n in range(300)}
    share = Counter(names[0] for names in before.values())
    assert all(70 <= share[name] <= 130 for name in NAMES)

    fewer = Routed("sticky", names=NAMES[:2])
    for session, names in before.items():
        if names[0] != "c/z":
            assert fewer.order(exchange(session=session)).names[0] == names[0]


def test_sticky_goes_elsewhere_when_its_target_has_more_than_its_share() -> None:
    sticky = Routed("sticky")
    wished = sticky.order(exchange(session="s")).names[0]
    sticky.health[wished].at_work = 20

    order = sticky.order(exchange(session="s"))

    assert order.names[-1] == wished
    assert order.weighed["more than its share"] == [wished]


def test_sticky_without_session_goes_by_the_beginning_of_the_prompt() -> None:
    sticky = Routed("sticky")
    system = "You answer for the shop. " * 40

    def asked(question: str) -> Exchange:
        body = {
            "model": "m",
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
        }
        return Exchange("1", Caller(key_id="k"), parse_chat(json.dumps(body).encode()), "m")

    assert len({sticky.order(asked(f"Question {n}?")).names for n in range(50)}) == 1


TOOLS = [{"type": "function", "function": {"name": "look"}}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]


@pytest.mark.parametrize(
    ("rule", "fits", "fails"),
    [
        (Rule(targets=("c/z",), tools=True), exchange(tools=TOOLS), exchange()),
        (Rule(targets=("c/z",), tools=False), exchange(), exchange(tools=TOOLS)),
        (Rule(targets=("c/z",), images=True), exchange(messages=IMAGE), exchange()),
        (Rule(targets=("c/z",), min_tokens=100), exchange("word " * 100), exchange()),
        (Rule(targets=("c/z",), max_tokens=100), exchange(), exchange("word " * 100)),
    ],
)
def test_rules_look_at_the_request(rule: Rule, fits: Exchange, fails: Exchange) -> None:
    by_rules = Routed("rules", rules=(rule,))

    assert by_rules.order(fits).names == ("c/z", "a/x", "b/y")
    assert by_rules.order(fails).names == NAMES


def test_rules_of_language_and_the_first_that_fits() -> None:
    spanish, portuguese = Rule(targets=("b/y",), languages=("es",)), Rule(targets=("c/z",), languages=("pt",))

    order = Routed("rules", rules=(spanish, portuguese)).order(exchange("Bom dia."))

    assert order.names[0] == "c/z"
    assert str(order) == "rules: rule 2 fits (language: pt)"


@given(
    st.sampled_from(["ordered", "weighted", "cheapest", "fastest", "least_busy", "sticky"]),
    st.sets(st.sampled_from(NAMES), max_size=2),
)
def test_who_can_not_be_called_stands_behind_all_others(route: Route, resting: set[str]) -> None:
    made = Routed(route)
    for name in resting:
        made.health[name].open_until = 10.0

    names = made.order(exchange(session="s"), 5.0).names

    assert sorted(names) == sorted(NAMES)
    assert set(names[len(NAMES) - len(resting) :]) == resting
