"""What is plainly wrong with an answer, in three languages; and which side of a deployment answers."""

from random import Random
from string import ascii_lowercase

import pytest
from msgspec.json import encode

from greenroom.exchange import Exchange, StepRecord
from greenroom.gateway.deployments import Canary
from greenroom.gateway.flaws import Flaws
from greenroom.stages.language import detect, language_of
from greenroom.stages.postprocess.loops import has_loop
from greenroom.store.compared import FLAWS
from greenroom.testing import EchoUpstream, make_app, make_exchange

SOUND = {
    "en": "Your parcel leaves the warehouse tomorrow morning, and arrives on Thursday at the latest.",
    "pt": "A sua encomenda sai do armazém amanhã de manhã e chega o mais tardar na quinta-feira.",
    "es": "Su paquete sale del almacén mañana por la mañana y llega el jueves como muy tarde.",
}
ASKED = {
    "en": "When will the parcel that I ordered last week arrive at my house?",
    "pt": "Quando é que a encomenda que pedi na semana passada chega à minha casa?",
    "es": "¿Cuándo llegará a mi casa el paquete que pedí la semana pasada?",
}
_letters = Random(1)
GARBAGE = " ".join("".join(_letters.choices(ascii_lowercase, k=_letters.randint(3, 9))) for _ in range(30))
FOUND = Flaws(language_of, detect, has_loop)


def answered(text: str, asked: str = "en", reason: str = "stop") -> Exchange:
    exchange = make_exchange(user=ASKED[asked])
    exchange.reply_raw, exchange.finish_reason, exchange.outcome = [text], reason, "answered"
    return exchange


def test_json_is_in_no_language() -> None:
    told = (
        '{"do": "light", "room": "living_room", "to": 42, "because": "it was asked for by the people here"}'
    )

    assert FOUND.of(answered(told, "pt")) is None
    assert FOUND.of(answered(told.replace("{", "").replace("}", ""), "pt")) == "language"


@pytest.mark.parametrize("language", SOUND)
def test_a_sound_answer_has_none(language: str) -> None:
    assert FOUND.of(answered(SOUND[language], language)) is None


@pytest.mark.parametrize(
    ("text", "reason", "flaw"),
    [
        ("", "stop", "empty"),
        (" \n", "stop", "empty"),
        ("", "tool_calls", None),
        (SOUND["en"][:30], "length", "cut"),
        (SOUND["en"] + " and again and again, as I said before," * 40, "stop", "loop"),
        (SOUND["pt"], "stop", "language"),
        (GARBAGE, "stop", "language"),
        ("Yes.", "stop", None),
    ],
    ids=["empty", "blank", "tools", "cut", "loop", "foreign", "garbage", "short"],
)
def test_each_flaw_is_found(text: str, reason: str, flaw: str | None) -> None:
    assert FOUND.of(answered(text, reason=reason)) == flaw
    assert flaw is None or flaw in FLAWS


@pytest.mark.parametrize(
    ("text", "flaw"),
    [('{"a": 1}', None), ('{"a": 1', "json"), ("Sure: {}", "json"), ('{"a": "\ud83d"}', "json")],
    ids=["json", "half", "prose", "half-a-surrogate-pair"],
)
def test_json_that_was_asked_for_must_be_some(text: str, flaw: str | None) -> None:
    exchange = answered(text)
    exchange.request.response_format = "json_object"

    assert FOUND.of(exchange) == flaw


def test_what_verify_could_not_support_is_a_flaw() -> None:
    exchange = answered(SOUND["en"])
    exchange.steps.append(StepRecord("postprocess", "verify", notes={"groundedness": 0.2}))

    assert FOUND.of(exchange) == "unsupported"


def test_only_exchanges_of_a_deployment_are_tagged() -> None:
    plain, drawn = answered(""), answered("")
    drawn.tags["experiment"] = "deploy:7/canary"
    FOUND.note(plain)
    FOUND.note(drawn)

    assert plain.tags == {}
    assert drawn.tags["deploy.flaw"] == "7/empty"


def test_a_larger_share_keeps_whoever_had_the_canary_and_a_client_cannot_choose() -> None:
    app = make_app(EchoUpstream())

    def drawn(share: float, user: str) -> bool:
        exchange = make_exchange(user="Hello.")
        exchange.user = user
        exchange.tags["experiment"] = "deploy:1/canary"
        exchange.tags["deploy.flaw"] = "1/empty"
        canary = Canary(1, "new", share, b"k" * 32, app, lambda: True)
        is_canary = canary(exchange) is app
        assert exchange.tags == {"experiment": f"deploy:1/{'canary' if is_canary else 'current'}"}
        return is_canary

    users = [f"user-{n}" for n in range(2_000)]
    small = {user for user in users if drawn(0.05, user)}
    large = {user for user in users if drawn(0.5, user)}

    assert small < large
    assert 60 < len(small) < 140
    assert 900 < len(large) < 1_100


def test_nobody_is_sent_to_what_has_not_loaded_and_nothing_counts() -> None:
    canary = Canary(1, "new", 0.99, b"k" * 32, make_app(EchoUpstream()), lambda: False)
    exchange = make_exchange(user="Hello.")

    assert canary(exchange) is None
    assert exchange.tags == {}
    assert encode(exchange.tags) == b"{}"
