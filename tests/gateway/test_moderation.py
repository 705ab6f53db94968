"""Moderation: the checks of an app over texts, one record for each, whatever the key may do elsewhere."""

from typing import Any

import pytest

from greenroom.errors import Forbidden, MalformedRequest, ModelNotFound, Overloaded
from greenroom.exchange import Caller, Exchange
from greenroom.gateway.access import Access
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.moderation import moderate
from greenroom.gateway.pipeline import App, StepEntry
from greenroom.gateway.rooms import Rooms
from greenroom.stages.check.pii import Pii, PiiConfig
from greenroom.stages.check.secrets import Secrets, SecretsConfig
from greenroom.testing import EchoUpstream, make_app
from greenroom.wire.moderation import Asked

CPF = "390.533.447-05"
TEXTS = {
    "en": f"my CPF is {CPF}, what can you do with it?",
    "pt": f"meu CPF é {CPF}, você pode ver isso?",
    "es": f"mi CPF es {CPF}, ¿qué puede hacer usted con el dato?",
}


class Kept:
    """A sink that keeps."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def put(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


def app(name: str, **config: Any) -> App:
    checks = (StepEntry(Pii(PiiConfig(**config)), True), StepEntry(Secrets(SecretsConfig()), True))
    return make_app(EchoUpstream(), checks)._replace(name=name, checks=checks)


class Stage:
    """A gateway with a lenient app, a strict one, and one without checks."""

    def __init__(self, in_flight: int = 16) -> None:
        self.sink = Kept()
        apps = {
            "default": app("default"), "strict": app("strict", action="block"),
            "empty": make_app(EchoUpstream())._replace(name="empty"),
        }  # fmt: skip
        self.gateway = Gateway(Access({}), Rooms(apps, (), lambda _: None), self.sink, in_flight)

    async def ask(self, *texts: str, app: str | None = None, headers: Any = None, **caller: Any) -> Any:
        asked = Asked(app, [[text] for text in texts])
        return await moderate(self.gateway, "0" * 32, Caller(key_id="k", **caller), asked, headers or {})


@pytest.mark.parametrize("language", TEXTS)
async def test_the_app_decides_what_is_flagged_and_says_it_in_the_users_language(language: str) -> None:
    stage = Stage()
    said = {"en": "personal data", "pt": "dados pessoais", "es": "datos personales"}

    (lenient,) = (await stage.ask(TEXTS[language]))["results"]
    (strict,) = (await stage.ask(TEXTS[language], app="strict"))["results"]

    assert not lenient["flagged"]
    assert lenient["greenroom"]["categories"] == {"personal_data": 1.0}
    assert strict["flagged"]
    assert said[language] in strict["greenroom"]["refusal"]


async def test_every_text_has_its_own_result_and_record() -> None:
    stage = Stage()

    answer = await stage.ask("hello", TEXTS["pt"], "", app="strict")

    kept = stage.sink.exchanges
    assert [one["greenroom"]["id"] for one in answer["results"]] == [one.id for one in kept]
    assert kept[0].id == "0" * 32
    assert len({one.id for one in kept}) == 3
    assert [one.outcome for one in kept] == ["answered", "refused", "answered"]
    assert [one["flagged"] for one in answer["results"]] == [False, True, False]
    assert answer["model"] == "greenroom/strict"
    assert stage.gateway.counts == {("strict", "answered"): 2, ("strict", "refused"): 1}
    assert stage.gateway.at_work == 0
    assert all(one.cost_nano_usd == 0 for one in kept)


async def test_a_key_without_a_pipeline_may_have_texts_judged() -> None:
    (found,) = (await Stage().ask(TEXTS["en"], pipeline_off=True))["results"]

    assert found["greenroom"]["categories"] == {"personal_data": 1.0}


async def test_a_key_for_some_apps_has_the_first_of_them_judge_and_no_other() -> None:
    stage = Stage()

    assert (await stage.ask("x", apps=("gpt", "strict")))["model"] == "greenroom/strict"
    with pytest.raises(Forbidden):
        await stage.ask("x", app="default", apps=("strict",))


async def test_the_header_names_the_app_and_the_user() -> None:
    stage = Stage()

    answer = await stage.ask("x", headers={b"x-greenroom-app": b"strict", b"x-greenroom-user": b"ana"})

    assert answer["model"] == "greenroom/strict"
    assert stage.sink.exchanges[0].user == "ana"


async def test_what_has_no_checks_is_not_called_clean() -> None:
    with pytest.raises(MalformedRequest, match="no checks"):
        await Stage().ask("x", app="empty")
    with pytest.raises(ModelNotFound):
        await Stage().ask("x", app="nobody")


async def test_a_full_house_says_so() -> None:
    with pytest.raises(Overloaded):
        await Stage(in_flight=0).ask("x")
