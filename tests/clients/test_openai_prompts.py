"""Stored prompts over HTTP: the real `openai` client names them, and a running server notices what changes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from greenroom.prompts import dumps
from tests.clients.test_openai_client import Stage
from tests.faults.recipes import openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.patience import within
from tests.prompts.making import prompt
from tests.server_process import ServerProcess, greenroom

pytestmark = pytest.mark.slow  # each starts processes of its own

Json = dict[str, Any]
MESSAGES = [{"role": "system", "text": "You help."}, {"role": "user", "text": "{{question}}, {{city}}"}]
VARIABLES = {"question": {}, "city": {"default": "Lisbon"}}


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[apps.default]\nmodel = "up/scripted"\nground = []\n'
            '[apps.support]\nmodel = "up/scripted"\nprompt = "support"\nground = []\n'
        )
        with ServerProcess(tmp_path / "data", config) as server:
            made = Stage(server, upstream)
            yield made
            await made.client.close()
            await made.admin.close()


async def put(stage: Stage, **fields: Any) -> Json:
    body = {"messages": MESSAGES, "variables": VARIABLES, **fields}
    return await stage.admin.post("/prompts/support/versions", body=body, cast_to=dict[str, Any])


async def get(stage: Stage, path: str) -> Json:
    return await stage.admin.get(path, cast_to=dict[str, Any])


async def settled(stage: Stage, version: str = "1") -> None:
    """Until the server has this version of the prompt: it looks twice a second."""
    async with asyncio.timeout(20):
        while True:
            try:
                await stage.client.responses.create(prompt={"id": "support", "version": version})
            except openai.NotFoundError:
                await asyncio.sleep(0.05)
            except openai.BadRequestError as missing:
                assert missing.code == "invalid_prompt"  # noqa: PT017  # its variables are not given
                return


async def known(client: openai.AsyncOpenAI, path: str) -> None:
    """Until the server knows the client's key."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.get(path, cast_to=dict[str, Any])
            except openai.AuthenticationError:
                await asyncio.sleep(0.05)
            except openai.PermissionDeniedError:
                return
            else:
                return


async def test_responses_fill_a_prompt_by_id_version_and_variables(stage: Stage) -> None:
    await put(stage, label="production")
    await put(stage, messages=[{"role": "user", "text": "Second: {{question}}"}])
    await settled(stage, "2")
    stage.upstream.script(
        "scripted",
        whole(openai_reply("One.")),
        whole(openai_reply("Two.")),
        streamed(openai_events(["Three."])),
    )

    first = await stage.client.responses.create(
        prompt={
            "id": "support",
            "variables": {"question": {"type": "input_text", "text": "Where?"}, "city": "Porto"},
        }
    )
    second = await stage.client.responses.create(
        prompt={"id": "support", "version": "2", "variables": {"question": "When?"}}, input="Tell me."
    )
    events = [
        event
        async for event in await stage.client.responses.create(
            prompt={"id": "support", "variables": {"question": "Who?"}}, stream=True
        )
    ]

    assert (first.output_text, second.output_text) == ("One.", "Two.")
    assert first.prompt is not None
    assert first.prompt.id == "support"
    assert events[-1].type == "response.completed"
    said = [seen.json()["messages"] for seen in stage.upstream.asked("scripted")]
    assert said[0][1]["content"] == "<question>Where?</question>, <city>Porto</city>"  # type: ignore[index]  # JSON
    assert [one["content"] for one in said[1]][-2:] == ["Second: <question>When?</question>", "Tell me."]  # type: ignore[attr-defined]  # JSON
    assert said[2][1]["content"] == "<question>Who?</question>, <city>Lisbon</city>"  # type: ignore[index]  # JSON


async def test_errors_name_prompt_and_variable(stage: Stage) -> None:
    await put(stage)
    await settled(stage)

    with pytest.raises(openai.NotFoundError) as unknown:
        await stage.client.responses.create(prompt={"id": "suport"})
    with pytest.raises(openai.BadRequestError) as missing:
        await stage.client.responses.create(prompt={"id": "support"})

    assert unknown.value.code == "prompt_not_found"
    assert (missing.value.code, missing.value.param) == ("invalid_prompt", "prompt.variables.question")


async def test_a_key_for_some_apps_names_only_the_prompts_it_may(stage: Stage) -> None:
    await put(stage)
    await settled(stage)
    stage.upstream.script("scripted", whole(openai_reply("Hi.")))
    made = await stage.admin.post(
        "/keys", body={"name": "k", "apps": ["default", "prompt:allowed"]}, cast_to=dict[str, Any]
    )
    client = openai.AsyncOpenAI(base_url=f"{stage.server.url}/v1", api_key=made["key"], max_retries=0)
    await known(client, "/models")

    with pytest.raises(openai.PermissionDeniedError, match="may not name the prompt 'support'"):
        await client.responses.create(prompt={"id": "support", "variables": {"question": "?"}})
    await client.close()


async def test_versions_labels_diff_lint_and_rollback_over_http(stage: Stage) -> None:
    first = await put(stage, label="production", note="first")
    same = await put(stage)
    second = await put(
        stage, messages=[{"role": "user", "text": "Be brief. Be thorough. {{question}}"}], after=1
    )

    assert (first["number"], same["number"], same["is_new"], second["number"]) == (1, 1, False, 2)
    assert {one["rule"] for one in second["findings"]} == {"contradiction", "unused-variable"}
    moved = await stage.admin.post(
        "/prompts/support/labels/production", body={"version": 2}, cast_to=dict[str, Any]
    )
    assert (moved["before"], moved["version"]) == (1, 2)
    back = await stage.admin.post("/prompts/support/labels/production/rollback", cast_to=dict[str, Any])
    assert back["version"] == 1
    shown = await get(stage, "/prompts/support?version=production")
    assert (shown["number"], shown["labels"], shown["note"]) == (1, ["production"], "first")
    assert len(shown["prompt"]["moves"]) == 3
    found = await get(stage, "/prompts/support/diff?from=1&to=2")
    assert found["differences"][0]["place"] == "messages[0].role"
    linted = await get(stage, "/prompts/support/lint?version=2")
    assert linted["number"] == 2
    log = await get(stage, "/audit?kind=change")
    whats = [one["what"] for one in log["data"]]
    assert whats.count("prompt.version") == 2
    assert "prompt.rollback" in whats
    document = (await stage.admin.get("/../openapi.json", cast_to=dict[str, Any]))["paths"]
    assert {"get", "post", "delete"} <= {
        method for path, one in document.items() if path.startswith("/api/prompts") for method in one
    }


async def test_wrong_bodies_conflicts_and_roles_are_refused(stage: Stage) -> None:
    await put(stage)
    with pytest.raises(openai.ConflictError, match="newest version of 'support' is 1, not 7"):
        await put(stage, note="x", messages=[{"role": "user", "text": "Hi"}], variables={}, after=7)
    with pytest.raises(openai.BadRequestError, match="'\\{\\{x\\}\\}' is not declared"):
        await put(stage, messages=[{"role": "user", "text": "{{x}}"}])
    with pytest.raises(openai.BadRequestError, match="unknown field"):
        await put(stage, messges=[])
    with pytest.raises(openai.NotFoundError, match="no prompt 'nobody'"):
        await get(stage, "/prompts/nobody")
    roles = {}
    for role in ("viewer", "operator"):
        made = await stage.admin.post("/keys", body={"name": role, "role": role}, cast_to=dict[str, Any])
        roles[role] = openai.AsyncOpenAI(
            base_url=f"{stage.server.url}/api", api_key=made["key"], max_retries=0
        )
    for client in roles.values():
        await known(client, "/traces")
    with pytest.raises(openai.PermissionDeniedError):
        await roles["viewer"].get("/prompts", cast_to=dict[str, Any])
    rows = await roles["operator"].get("/prompts", cast_to=dict[str, Any])
    with pytest.raises(openai.PermissionDeniedError):
        await roles["operator"].post(
            "/prompts/support/labels/live", body={"version": 1}, cast_to=dict[str, Any]
        )
    for client in roles.values():
        await client.close()

    assert [one["name"] for one in rows["data"]] == ["support"]


def test_a_running_server_takes_what_the_command_line_changes_within_a_second(tmp_path: Path) -> None:
    config = '[apps.support]\nmodel = "greenroom/reader"\nprompt = "support"\nground = []\n'
    with ServerProcess(tmp_path / "data", config) as server:
        status, body = server.ask(model="support")
        assert (status, body["error"]["code"]) == (404, "prompt_not_found")
        (tmp_path / "p.toml").write_text(dumps(prompt("support", "Hello.")), encoding="utf-8")

        added = greenroom(tmp_path / "data", "prompts", "add", str(tmp_path / "p.toml"))

        assert added.returncode == 0, added.stderr
        assert within(1.0, lambda: server.ask(model="support")[0] == 200)
