"""Cached answers through the real `openai` client: headers, records, cost, and everyone's own data."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.test_openai_client import CPF, Stage
from tests.faults.recipes import openai_reply, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow  # each starts processes of its own

ANOTHER = "111.444.777-35"


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.p]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n\n'
            '[apps.a]\nmodel = "p/m"\ncache = "exact"\nground = []\n'
        )
        with ServerProcess(tmp_path / "data", config) as server:
            stage = Stage(server, upstream)
            async with stage.client, stage.admin:
                yield stage


async def test_an_equal_prompt_costs_nothing_and_each_gets_their_own_data(stage: Stage) -> None:
    stage.upstream.script("m", whole(openai_reply("O CPF <CPF_1> é válido.")))
    answers = []
    for cpf in (CPF, ANOTHER):
        said: list[Any] = [{"role": "user", "content": f"O CPF {cpf} é válido?"}]
        answer = await stage.client.chat.completions.with_raw_response.create(model="a", messages=said)
        answers.append((answer.headers["x-greenroom-cache"], answer.parse().choices[0].message.content))
    record = await stage.trace(answer.headers["x-request-id"])

    assert answers == [("miss", f"O CPF {CPF} é válido."), ("hit", f"O CPF {ANOTHER} é válido.")]
    assert answer.headers["x-greenroom-cost-usd"] == "0"
    assert len(stage.upstream.asked("m")) == 1
    assert record["outcome"] == "cached"
    assert record["cost_usd"] == "0"
    assert record["model"]["used"] == "p/m"
    assert record["model"]["attempts"] == []


async def test_a_kept_answer_is_streamed_and_no_store_keeps_none(stage: Stage) -> None:
    stage.upstream.script("m", whole(openai_reply("Good morning to all of you, and to nobody else.")))
    said: list[Any] = [{"role": "user", "content": "Say good morning."}]
    headers = {"Cache-Control": "no-store"}
    for extra in (headers, None, None):
        await stage.client.chat.completions.create(model="a", messages=said, extra_headers=extra)
    assert len(stage.upstream.asked("m")) == 2

    stream = await stage.client.chat.completions.create(model="a", messages=said, stream=True)
    pieces = [one.choices[0].delta.content or "" async for one in stream if one.choices]

    assert "".join(pieces) == "Good morning to all of you, and to nobody else."
    assert len(pieces) > 2
    assert len(stage.upstream.asked("m")) == 2
