"""Policies: who decides on a finding, by caller, place and kind; shadow mode; routes; mixes of actions."""

from typing import Any

import pytest

from greenroom.contracts import Decision, Finding, as_usual
from greenroom.errors import ConfigError
from greenroom.exchange import Caller, Exchange, Where
from greenroom.stages.check.pii import Pii, PiiConfig
from greenroom.stages.check.policy import Policies, PolicyConfig
from greenroom.stages.check.secrets import Secrets, SecretsConfig
from tests.stages.check.requests import CARD, CPF, exchange_of, values

CPF_FOUND = Finding(start=0, end=14, rule="br.cpf", label="CPF", category="personal_data")


def policies(**tables: dict[str, Any]) -> Policies:  # Any: fields of PolicyConfig
    return Policies({name: PolicyConfig(**table) for name, table in tables.items()})


def decided(
    made: Policies, finding: Finding = CPF_FOUND, where: Where = "input", value: str = CPF, **caller: str
) -> Decision:
    exchange = Exchange("x", Caller(**{"key_id": "key_1", **caller}), exchange_of().request, "support")  # type: ignore[arg-type]  # strings only
    return made(exchange, "pii", finding, where, "mask", value)


def test_the_first_that_fits_decides_in_the_order_of_the_file() -> None:
    made = policies(
        cards={"action": "block", "rule": "credit_card"},
        numbers={"action": "redact", "rule": "br.*"},
        rest={"action": "warn"},
    )

    assert decided(made) == Decision("redact", "numbers")
    assert decided(
        made, Finding(start=0, end=1, rule="email", label="EMAIL", category="personal_data")
    ) == Decision("warn", "rest")


def test_what_no_policy_fits_is_done_as_usual() -> None:
    assert decided(policies(other={"action": "block", "app": "sales"})) == Decision("mask")


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        ({"app": "support"}, True),
        ({"app": ["sales", "sup*"]}, True),
        ({"app": "sales"}, False),
        ({"project": "acme"}, True),
        ({"project": "other"}, False),
        ({"key": "key_1"}, True),
        ({"key": "the till"}, True),
        ({"key": "key_2"}, False),
        ({"direction": "input"}, True),
        ({"direction": "output"}, False),
        ({"origin": "user"}, True),
        ({"origin": ["passage", "tool"]}, False),
        ({"step": "pii"}, True),
        ({"step": "guard"}, False),
        ({"category": "personal_data"}, True),
        ({"category": "secret"}, False),
        ({"min_severity": 2, "max_severity": 2}, True),
        ({"min_severity": 3}, False),
        ({"max_severity": 1}, False),
    ],
)
def test_a_policy_is_matched_by_each_of_its_keys(table: dict[str, Any], fits: bool) -> None:
    table = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}

    found = decided(policies(one={"action": "block", **table}), project="acme", name="the till")

    assert (found.action == "block") is fits


@pytest.mark.parametrize(
    ("where", "origin"), [("input", "user"), ("passage", "passage"), ("tool", "tool"), ("output", "answer")]
)
def test_every_place_has_its_origin(where: Where, origin: str) -> None:
    made = policies(one={"action": "block", "origin": origin})

    places: tuple[Where, ...] = ("input", "passage", "tool", "output")
    assert [place for place in places if decided(made, where=place).action == "block"] == [where]


def test_a_shadow_policy_says_what_it_would_do_and_lets_the_next_decide() -> None:
    made = policies(
        trial={"action": "block", "shadow": True},
        second={"action": "route", "route_to": "m", "shadow": True},
        real={"action": "redact"},
    )

    assert decided(made) == Decision("redact", "real", "trial", "block")


def test_a_shadow_route_sends_nothing_anywhere() -> None:
    exchange = exchange_of(("user", CPF))

    policies(trial={"action": "route", "route_to": "local", "shadow": True})(
        exchange, "pii", CPF_FOUND, "input", "mask"
    )

    assert exchange.route is None


def test_the_first_route_counts() -> None:
    exchange = exchange_of(("user", CPF))
    made = policies(
        one={"action": "route", "route_to": "local", "rule": "br.cpf"},
        two={"action": "route", "route_to": "far"},
    )

    made(exchange, "pii", CPF_FOUND, "input", "mask")
    made(
        exchange,
        "pii",
        Finding(start=0, end=1, rule="email", label="E", category="personal_data"),
        "input",
        "mask",
    )

    assert exchange.route == "local"


def test_an_answer_is_never_routed() -> None:
    assert decided(policies(one={"action": "route", "route_to": "m"}), where="output") == Decision("mask")
    with pytest.raises(ConfigError, match="an answer can't be routed"):
        policies(one={"action": "route", "route_to": "m", "direction": "output"})


def test_a_value_on_the_allow_list_is_only_recorded() -> None:
    made = policies(ours={"action": "block", "allow": (r"\d{3}\.060\..*",)})

    assert decided(made).action == "log"
    assert decided(made, value="111.222.333-44").action == "block"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"action": "route"}, "route_to"),
        ({"action": "mask", "route_to": "m"}, "goes with action 'route' only"),
        ({"action": "mask", "min_severity": 3, "max_severity": 1}, "min_severity"),
        ({"action": "mask", "direction": "input", "origin": "answer"}, "can never fit"),
        ({"action": "mask", "allow": ("(",)}, "cannot be read"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="Policy 'one'") as caught:
        policies(one=table)

    assert said in str(caught.value)


MAIL = "maria@exemplo.com.br"
MIXED = f"CPF {CPF}, {MAIL}, card {CARD}"


async def test_actions_of_all_kinds_meet_in_one_request() -> None:
    exchange = exchange_of(("user", MIXED), ("tool", f"tel. {MAIL}"))
    made = policies(
        tools={"action": "redact", "origin": "tool"},
        numbers={"action": "mask", "rule": "br.*"},
        mail={"action": "warn", "rule": "email"},
        cards={"action": "redact", "rule": "credit_card"},
    )

    assert await Pii(PiiConfig(action="block"), None, made)(exchange) is None

    assert values(exchange) == [f"CPF <CPF_1>, {MAIL}, card [CREDIT_CARD]", "tel. [EMAIL]"]
    assert [(one.action, one.policy) for one in exchange.steps[-1].verdicts] == [
        ("mask", "numbers"), ("warn", "mail"), ("redact", "cards"), ("redact", "tools"),
    ]  # fmt: skip
    assert exchange.masks == {"<CPF_1>": CPF}
    assert set(exchange.redactions) == {CPF, MAIL, CARD}


async def test_one_blocked_finding_refuses_and_the_others_are_still_masked() -> None:
    exchange = exchange_of(("user", MIXED))

    reply = await Pii(PiiConfig(), None, policies(cards={"action": "block", "rule": "credit_card"}))(exchange)

    assert reply is not None
    assert "<CPF_1>" in values(exchange)[0]
    assert CARD in values(exchange)[0]


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_policies_change_nothing_where_the_step_only_looks(mode: Any) -> None:
    exchange = exchange_of(("user", MIXED))

    assert await Pii(PiiConfig(mode=mode), None, policies(all={"action": "block"}))(exchange) is None

    assert values(exchange) == [MIXED]
    assert {one.action for one in exchange.steps[-1].verdicts} == {"block"}


async def test_passages_have_their_own_policy() -> None:
    exchange = exchange_of(("user", "olá"))
    key = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fG3hJ5"
    exchange.request.added.append((0, {"role": "system", "content": f"key {key}"}))
    made = policies(docs={"action": "log", "origin": "passage"})

    assert await Secrets(SecretsConfig(), None, made)(exchange) is None

    assert exchange.request.added[0][1]["content"] == f"key {key}"
    assert [(one.action, one.where) for one in exchange.steps[-1].verdicts] == [("log", "passage")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"my CPF is {CPF}, what can you do with it?", "personal data"),
        (f"meu CPF é {CPF}, você pode ver isso?", "dados pessoais"),
        (f"mi tarjeta es {CARD}, ¿qué puede hacer con ella?", "datos personales"),
    ],
    ids=["en", "pt", "es"],
)
async def test_a_policy_refuses_in_the_users_language(text: str, said: str) -> None:
    reply = await Pii(PiiConfig(), None, policies(all={"action": "block"}))(exchange_of(("user", text)))

    assert reply is not None
    assert said in str(reply.refusal)


def test_as_usual_is_the_step_s_own_word() -> None:
    assert as_usual(exchange_of(), "pii", CPF_FOUND, "input", "redact") == Decision("redact")
