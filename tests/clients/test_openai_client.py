"""The real `openai` client, unchanged, against a real server in front of a scripted provider."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.faults.recipes import error, openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CPF = "390.533.447-05"


class Stage:
    """A server, a client of it, and the provider behind."""

    def __init__(self, server: ServerProcess, upstream: FaultUpstream) -> None:
        self.server = server
        self.upstream = upstream
        self.client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.local_key)
        self.admin = openai.AsyncOpenAI(base_url=f"{server.url}/api", api_key=ADMIN)

    async def trace(self, id: str) -> dict[str, Any]:
        """The stored record, once it is there."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return await self.admin.get(f"/traces/{id}", cast_to=dict[str, Any])
            except openai.NotFoundError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n'
        )
        with ServerProcess(tmp_path_factory.mktemp("client") / "data", config) as server:
            made = Stage(server, upstream)
            yield made
            await made.client.close()
            await made.admin.close()


@pytest.fixture
def stage(running: Stage) -> Stage:
    """The same for a test that wants to know what the provider got of it."""
    running.upstream.forget()
    return running


HELLO: Any = [{"role": "user", "content": "Say good morning."}]


async def test_chat_whole_with_request_id_and_facts(stage: Stage) -> None:
    answer = await stage.client.chat.completions.with_raw_response.create(model="default", messages=HELLO)
    parsed = answer.parse()

    assert parsed.choices[0].message.content == "Good morning."
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 18
    assert answer.headers["x-greenroom-model"] == "up/scripted"
    assert "overhead;dur=" in answer.headers["server-timing"]
    record = await stage.trace(answer.headers["x-request-id"])
    assert record["outcome"] == "answered"
    assert [step["step"] for step in record["stages"]][:3] == ["clean", "spell", "fit"]


async def test_chat_streamed_with_usage(stage: Stage) -> None:
    stream = await stage.client.chat.completions.create(
        model="default", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Good morning."
    assert chunks[-1].usage is not None
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


async def test_the_stream_helper_of_the_client_accepts_our_streams(stage: Stage) -> None:
    async with stage.client.chat.completions.stream(model="default", messages=HELLO) as stream:
        final = await stream.get_final_completion()

    assert final.choices[0].message.content == "Good morning."


async def test_tools_schema_images_and_unknown_fields_reach_the_provider_untouched(stage: Stage) -> None:
    tools: Any = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    ]
    schema: Any = {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
    }
    messages: Any = [
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        ]}
    ]  # fmt: skip
    stage.upstream.script("scripted", whole(openai_reply("{}")))
    await stage.client.chat.completions.create(
        model="default", messages=messages, tools=tools, tool_choice="auto", response_format=schema,
        extra_body={"brand_new": {"a": [1, 2.5]}},
    )  # fmt: skip

    sent = stage.upstream.requests[-1].json()
    assert sent["tools"] == tools
    assert sent["tool_choice"] == "auto"
    assert sent["response_format"] == schema
    assert sent["brand_new"] == {"a": [1, 2.5]}
    assert sent["messages"] == messages
    assert sent["model"] == "scripted"


async def test_tool_calls_come_back_whole(stage: Stage) -> None:
    reply = json.loads(openai_reply())
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    reply["choices"][0] |= {"finish_reason": "tool_calls"}
    reply["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    stage.upstream.script("scripted", whole(json.dumps(reply).encode()))

    answer = await stage.client.chat.completions.create(model="default", messages=HELLO)

    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].model_dump()["function"] == call["function"]


async def test_models_are_listed_and_found(stage: Stage) -> None:
    names = [model.id async for model in stage.client.models.list()]

    assert names[0] == "default"
    assert "main" in names
    assert (await stage.client.models.retrieve("up/scripted")).id == "up/scripted"
    with pytest.raises(openai.NotFoundError):
        await stage.client.models.retrieve("nobody/knows")


async def test_errors_have_the_types_the_client_knows(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await stage.client.chat.completions.create(model="nobody/knows", messages=HELLO)
    with pytest.raises(openai.BadRequestError) as wrong:
        await stage.client.chat.completions.create(model="default", messages=HELLO, n=0)
    stranger = openai.AsyncOpenAI(base_url=f"{stage.server.url}/v1", api_key="gr-nobody")
    with pytest.raises(openai.AuthenticationError) as refused:
        await stranger.chat.completions.create(model="default", messages=HELLO)
    await stranger.close()

    assert unknown.value.code == "model_not_found"
    assert unknown.value.param == "model"
    assert wrong.value.param == "n"
    assert wrong.value.request_id
    assert refused.value.code == "invalid_api_key"


async def test_the_clients_own_retries_help_when_the_provider_recovers(stage: Stage) -> None:
    stage.upstream.script("scripted", error(500), whole(openai_reply("third time")))

    answer = await stage.client.with_options(max_retries=2).chat.completions.create(
        model="default", messages=HELLO
    )

    assert answer.choices[0].message.content == "third time"


async def test_an_error_inside_a_stream_is_raised_by_the_client(stage: Stage) -> None:
    events = openai_events(("half",), finish=None, done=False, usage=False)
    stage.upstream.script("scripted", streamed(events))
    stream = await stage.client.chat.completions.create(model="default", messages=HELLO, stream=True)

    with pytest.raises(openai.APIError) as broken:
        async for _ in stream:
            pass

    assert broken.value.code == "upstream_disconnected"


PORTUGUESE: Any = [
    {"role": "user", "content": f"Meu CPF é {CPF}.\u200b Como adiciono um provider? How do I add a provider?"}
]


@pytest.mark.parametrize("streamed_answer", [False, True], ids=["whole", "stream"])
async def test_a_portuguese_prompt_passes_all_stages_and_its_cpf_stays_here(
    stage: Stage, streamed_answer: bool
) -> None:
    said = "O seu CPF é <CPF_1>, veja [1]."
    stage.upstream.script(
        "scripted", streamed(openai_events(list(said))) if streamed_answer else whole(openai_reply(said))
    )
    create = stage.client.chat.completions.with_raw_response.create
    answer = await create(model="default", messages=PORTUGUESE, stream=streamed_answer)
    parsed: Any = answer.parse()
    if streamed_answer:
        text = "".join([c.choices[0].delta.content or "" async for c in parsed if c.choices])
    else:
        text = parsed.choices[0].message.content
    record = await stage.trace(answer.headers["x-request-id"])

    assert text == f"O seu CPF é {CPF}, veja [1]."
    assert CPF.encode() not in stage.upstream.log.bytes_received()
    assert "\\u200b" not in json.dumps(stage.upstream.requests[-1].json())
    steps = {step["step"]: step for step in record["stages"]}
    assert steps["clean"]["outcome"] == "changed"
    assert steps["pii"]["outcome"] == "changed"
    assert steps["unmask"]["outcome"] == "changed"
    assert steps["clean"]["changes"][0]["edits"][0]["reason"]
    assert record["passages"]
    assert any(verdict["rule"] == "br.cpf" for verdict in record["verdicts"])
    assert CPF not in json.dumps(record, ensure_ascii=False)
    assert any(passage["cited"] for passage in record["passages"])


async def test_a_session_header_brings_the_conversation_back_masked(stage: Stage) -> None:
    headers = {"x-greenroom-session": "s1"}
    first: Any = [{"role": "user", "content": f"Meu CPF é {CPF}."}]
    second: Any = [{"role": "user", "content": "E qual era o meu CPF?"}]
    await stage.client.chat.completions.create(model="default", messages=first, extra_headers=headers)
    first_sent: Any = stage.upstream.requests[-1].json()["messages"]
    # Not always `<CPF_1>`: a number that stands in a passage is left out.
    mask = first_sent[-1]["content"].removeprefix("Meu CPF é ").removesuffix(".")
    stage.upstream.script("scripted", whole(openai_reply(f"Era {mask}.")))
    answer = await stage.client.chat.completions.create(
        model="default", messages=second, extra_headers=headers
    )

    sent: Any = stage.upstream.requests[-1].json()["messages"]
    contents = [message["content"] for message in sent]
    assert mask.startswith("<CPF_")
    assert any(mask in content for content in contents[:-1])
    assert CPF.encode() not in stage.upstream.log.bytes_received()
    assert answer.choices[0].message.content == f"Era {CPF}."
