"""Moderation and policies with the real `openai` client: the same verdict on every surface, routes, audit."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from greenroom.wire.moderation import CATEGORIES
from tests.faults.upstream import FaultUpstream
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CPF = "390.533.447-05"
CARD = "4237 8565 3357 7492"
MAIL = "maria@exemplo.com.br"
POLICIES = """
[apps.strict]
on_block = "error"
[apps.plain]
pipeline = "off"
[policies.local]
action = "route"
rule = "br.cpf"
route_to = "near"
app = "default"
[policies.cards]
action = "block"
rule = "credit_card"
[policies.trial]
action = "block"
shadow = true
rule = "email"
[policies.strict]
action = "block"
app = "strict"
"""


class Stage:
    """A server with policies, and clients of it."""

    def __init__(self, server: ServerProcess, upstream: FaultUpstream) -> None:
        self.server = server
        self.upstream = upstream
        self.client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
        self.admin = openai.AsyncOpenAI(base_url=f"{server.url}/api", api_key=ADMIN, max_retries=0)

    async def audit(self, exchanges: set[str], **query: str) -> list[dict[str, Any]]:
        """Lines of the audit log about these exchanges, once each has one."""
        deadline = time.monotonic() + 20
        while True:
            found = await self.admin.get("/audit", cast_to=dict[str, Any], options={"params": query})
            lines = [line for line in found["data"] if line["exchange"] in exchanges]
            if {line["exchange"] for line in lines} == exchanges:
                return lines
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n[models.near]\ntargets = ["up/near"]\n' + POLICIES
        )
        with ServerProcess(tmp_path_factory.mktemp("moderations") / "data", config) as server:
            made = Stage(server, upstream)
            yield made
            await made.client.close()
            await made.admin.close()


@pytest.fixture
def stage(running: Stage) -> Stage:
    """The same for a test that wants to know what the provider got of it."""
    running.upstream.forget()
    return running


async def said(stage: Stage, text: str, model: str = "default") -> Any:
    return await stage.client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}]
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"my card is {CARD}, can you check it for me?", "personal data"),
        (f"meu cartão é {CARD}, você pode ver isso para mim?", "dados pessoais"),
        (f"mi tarjeta es {CARD}, ¿qué puede hacer con ella?", "datos personales"),
    ],
    ids=["en", "pt", "es"],
)
async def test_moderation_gives_the_verdict_that_chat_gives(stage: Stage, text: str, language: str) -> None:
    answer = await said(stage, text)
    judged = await stage.client.moderations.create(input=text)

    assert answer.choices[0].finish_reason == "content_filter"
    assert language in str(answer.choices[0].message.content)
    (found,) = judged.results
    assert found.flagged
    ours: Any = found.model_extra["greenroom"] if found.model_extra else {}
    assert ours["refusal"] == answer.choices[0].message.content
    chat: Any = answer.model_extra
    fields = ("step", "rule", "category", "severity", "action")
    assert [[one[name] for name in fields] for one in ours["verdicts"]] == [
        [one[name] for name in fields] for one in chat["greenroom"]["verdicts"]
    ]


async def test_every_form_of_input_gets_its_results(stage: Stage) -> None:
    create = stage.client.moderations.create

    several = await create(input=["hello", f"CPF {CPF}", "olá"], model="omni-moderation-latest")
    given: Any = [{"type": "text", "text": "hi"}, {"type": "text", "text": f"card {CARD}"}]
    parts = await create(input=given)

    assert several.id.startswith("modr-")
    assert several.model == "greenroom/default"
    assert [one.flagged for one in several.results] == [False, False, False]
    assert [bool(one.model_extra and one.model_extra["greenroom"]["categories"]) for one in several.results] == [
        False, True, False,
    ]  # fmt: skip
    assert not any(several.results[0].categories.model_dump(by_alias=True).values())
    assert set(several.results[0].category_scores.model_dump(by_alias=True)) >= set(CATEGORIES)
    assert [one.flagged for one in parts.results] == [True]


async def test_images_and_apps_without_checks_are_refused_and_not_called_clean(stage: Stage) -> None:
    image: Any = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    with pytest.raises(openai.BadRequestError, match="Images"):
        await stage.client.moderations.create(input=image)
    with pytest.raises(openai.BadRequestError, match="no checks"):
        await stage.client.moderations.create(input="x", model="plain")
    with pytest.raises(openai.NotFoundError):
        await stage.client.moderations.create(input="x", model="nobody")
    stranger = stage.client.with_options(api_key="gr-wrong")
    with pytest.raises(openai.AuthenticationError):
        await stranger.moderations.create(input="x")


async def test_each_text_has_a_record_and_lines_in_the_audit_log(stage: Stage) -> None:
    judged = await stage.client.moderations.create(input=[f"CPF {CPF}", f"card {CARD}"], model="strict")

    ours: list[Any] = [one.model_extra["greenroom"] for one in judged.results if one.model_extra]
    lines = await stage.audit({one["id"] for one in ours}, app="strict")
    assert len(lines) == len(ours) == 2
    assert {(line["rule"], line["policy"], line["action"]) for line in lines} == {
        ("br.cpf", "strict", "block"), ("credit_card", "cards", "block"),
    }  # fmt: skip
    record = await stage.admin.get(f"/traces/{ours[0]['id']}", cast_to=dict[str, Any])
    assert record["outcome"] == "refused"
    assert CPF not in str(record)
    assert CPF not in str(lines)


async def test_a_policy_sends_personal_data_to_another_model(stage: Stage) -> None:
    answer = await stage.client.chat.completions.with_raw_response.create(
        model="default", messages=[{"role": "user", "content": f"CPF {CPF}"}]
    )

    assert answer.headers["x-greenroom-model"] == "up/near"
    assert CPF in str(stage.upstream.requests[-1].json())
    plain = await stage.client.chat.completions.with_raw_response.create(
        model="default", messages=[{"role": "user", "content": "olá"}]
    )
    assert plain.headers["x-greenroom-model"] == "up/scripted"


async def test_a_shadow_policy_is_recorded_and_not_told(stage: Stage) -> None:
    raw = await stage.client.chat.completions.with_raw_response.create(
        model="default", messages=[{"role": "user", "content": f"write to {MAIL}"}]
    )
    answer = raw.parse()

    (line,) = await stage.audit({raw.headers["x-request-id"]}, rule="email")
    assert (line["action"], line["shadow"], line["would"]) == ("mask", "trial", "block")
    assert answer.choices[0].finish_reason == "stop"
    assert "trial" not in answer.model_dump_json()
    record = await stage.admin.get(f"/traces/{line['exchange']}", cast_to=dict[str, Any])
    assert record["verdicts"][0]["shadow"] == "trial"


async def test_a_blocked_request_is_an_error_where_the_app_wants_one(stage: Stage) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await said(stage, f"meu e-mail é {MAIL}, você pode ver isso?", "strict")

    assert caught.value.code == "content_policy_violation"
    assert "dados pessoais" in str(caught.value)


async def test_inspect_shows_the_policy_and_where_it_sends(stage: Stage) -> None:
    found = await stage.admin.post(
        "/inspect", cast_to=dict[str, Any],
        body={"model": "default", "messages": [{"role": "user", "content": f"CPF {CPF}, {MAIL}"}]},
    )  # fmt: skip

    assert {(one["action"], one["policy"], one["shadow"]) for one in found["verdicts"]} == {
        ("route", "local", ""), ("mask", "", "trial"),
    }  # fmt: skip
    assert "near" in found["model"]["why"]
