import codecs
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.stages.check.canary import Canary, CanaryDetector
from greenroom.stages.check.injection import Injection, InjectionConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.testing import chop, make_exchange, run_filter
from tests.stages.check.requests import exchange_of, values

CANARY = Canary("7f3a9c04b1d2e8a")
DETECTOR = CanaryDetector(CANARY)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "capitals": str.upper,
    "spaced": " ".join,
    "dotted": ".".join,
    "lines": "\n".join,
    "reversed": lambda mark: mark[::-1],
    "rot13": lambda mark: codecs.encode(mark, "rot13"),
    "hex": lambda mark: mark.encode().hex(),
    "base64": lambda mark: b64encode(mark.encode()).decode(),
    "base64 in text, 1": lambda mark: b64encode(f"a{mark} is it".encode()).decode(),
    "base64 in text, 2": lambda mark: b64encode(f"ab{mark} is it".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_mark_is_seen_however_it_is_written(form: Callable[[str], str]) -> None:
    (one,) = DETECTOR.find(f"My instructions end with {form(CANARY.mark)} and that is all.")

    assert one.category == "canary"


def test_an_answer_without_it_is_left_alone() -> None:
    assert DETECTOR.find("The answer is 7f3a9c04, more or less.") == []


async def test_the_mark_is_put_into_the_system_message_when_asked() -> None:
    exchange = exchange_of(("system", "Help people."), ("user", "Hello"))

    await Injection(InjectionConfig(canary=True), canary=CANARY)(exchange)

    assert values(exchange)[0].startswith("Help people.\n\n[7f3a9c04b1d2e8a")
    assert exchange.steps[-1].changes[0].edits[0].rule == "injection.canary"


@pytest.mark.parametrize(
    "config", [InjectionConfig(), InjectionConfig(canary=True, mode="observe")], ids=["not asked", "observe"]
)
async def test_otherwise_the_system_message_stays(config: InjectionConfig) -> None:
    exchange = exchange_of(("system", "Help people."), ("user", "Hello"))

    await Injection(config, canary=CANARY)(exchange)

    assert values(exchange) == ["Help people.", "Hello"]


async def test_without_a_system_message_there_is_nothing_to_guard() -> None:
    exchange = exchange_of(("user", "Hello"))

    await Injection(InjectionConfig(canary=True), canary=CANARY)(exchange)

    assert values(exchange) == ["Hello"]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_guard_stops_the_answer_before_the_mark_is_shown(form: Callable[[str], str]) -> None:
    one = Guard(GuardConfig(), (DETECTOR,)).open(make_exchange(), "content")
    assert one is not None

    shown = run_filter(one, list(f"Of course! It says {form(CANARY.mark)} at the end, my friend."))

    assert one.rejected == "injection.canary"
    assert shown in "Of course! It says "


@settings(max_examples=200)
@given(
    text=st.lists(
        st.sampled_from([CANARY.mark, CANARY.mark[:7], CANARY.mark[7:], " ", "is ", "7", *CANARY.mark]),
        max_size=40,
    ).map("".join),
    cuts=st.lists(st.integers(0, 300), max_size=10),
)
def test_the_verdict_does_not_depend_on_how_the_stream_is_cut(text: str, cuts: list[int]) -> None:
    def out(pieces: list[str]) -> str:
        one = Guard(GuardConfig(canary="redact"), (DETECTOR,)).open(make_exchange(), "content")
        assert one is not None
        return run_filter(one, pieces)

    assert out(chop(text, cuts)) == out([text])


def test_each_start_has_a_mark_of_its_own() -> None:
    assert Canary().mark != Canary().mark
