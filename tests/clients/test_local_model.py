"""The real `openai` client, a real server, and a real engine that runs a GGUF of 27,000 parameters."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import anthropic
import openai
import pytest
import pytest_asyncio

from greenroom.models.engine import is_installed
from tests.models import tiny_gguf
from tests.models.test_engine import is_there
from tests.server_process import ADMIN, ServerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]

HELLO: Any = [{"role": "user", "content": "Say good morning."}]
FOREVER: Any = {"ignore_eos": True}
CONFIG = """
[providers.tiny]
kind = "llama"
model_path = "{path}"
threads = 1
context = 16384
parallel = 4

[providers.hasty]
kind = "llama"
model_path = "{path}"
start_s = 0.01

[models.either]
targets = ["hasty/tiny", "tiny/tiny"]

[apps.default]
ground = []   # a byte is a token here, and passages would fill the context

[apps.raw]
model = "tiny/tiny"
pipeline = "off"
"""


class Stage:
    """A server and clients of it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
        self.admin = openai.AsyncOpenAI(base_url=f"{server.url}/api", api_key=ADMIN)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.admin.close()

    async def target(self, name: str = "tiny/tiny") -> dict[str, Any]:
        """What the API says of a target."""
        found: Any = await self.admin.get("/models", cast_to=dict[str, Any])
        return next(one for one in found["data"] if one["id"] == name)

    async def pid(self) -> int:
        """The engine's process."""
        return int((await self.target())["engine"]["pid"])

    async def say(self, model: str = "tiny/tiny", **more: Any) -> Any:
        asked: Any = {"messages": HELLO, "temperature": 0, **more}
        return await self.client.chat.completions.create(model=model, **asked)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder / "data", CONFIG.format(path=model)) as server:
        yield server


@pytest_asyncio.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    async with Stage(server) as made:
        yield made


@pytest_asyncio.fixture
async def fresh(model: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """A server of the test's own, with a history of no crashes."""
    with ServerProcess(tmp_path / "data", CONFIG.format(path=model)) as server:
        async with Stage(server) as made:
            yield made


async def until(fact: Callable[[], Any], seconds: float = 5.0) -> bool:
    """Whether an awaited fact comes true in time."""
    deadline = time.monotonic() + seconds
    while not await fact():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def cpu_ticks(pid: int) -> int:
    """What a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_whole_with_usage_and_no_cost(stage: Stage) -> None:
    raw = await stage.client.chat.completions.with_raw_response.create(
        model="tiny/tiny", messages=HELLO, temperature=0
    )
    answer = raw.parse()

    assert answer.choices[0].message.content == tiny_gguf.ALPHABET
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 27
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 27
    assert float(raw.headers["x-greenroom-cost-usd"]) == 0
    assert "/" not in answer.model.removeprefix("tiny/")


async def test_streamed_with_usage(stage: Stage) -> None:
    stream = await stage.say("raw", stream=True, stream_options={"include_usage": True})
    chunks = [one async for one in stream]

    pieces = [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content]
    assert "".join(pieces) == tiny_gguf.ALPHABET
    assert len(pieces) > 5
    assert [
        one.choices[0].finish_reason for one in chunks if one.choices and one.choices[0].finish_reason
    ] == ["stop"]
    assert [one.usage.completion_tokens for one in chunks if one.usage] == [27]


async def test_stop_and_length(stage: Stage) -> None:
    stopped = await stage.say(stop=["f"])
    short = await stage.say(max_tokens=3)

    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("abcde", "stop")
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("abc", "length")
    assert short.usage.completion_tokens == 3


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_json_schema_is_obeyed(stage: Stage, is_stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "fits": {"type": "boolean"}},
        "required": ["colour", "fits"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "choice", "strict": True, "schema": schema}}
    answer = await stage.say(response_format=form, stream=is_stream)
    if is_stream:
        text = "".join([one.choices[0].delta.content or "" async for one in answer if one.choices])
    else:
        text = answer.choices[0].message.content

    found = json.loads(text)
    assert found["colour"] in {"red", "green"}
    assert isinstance(found["fits"], bool)


async def test_many_at_once_all_get_their_answer(stage: Stage) -> None:
    answers = await asyncio.gather(*(stage.say(user=f"u{number}") for number in range(12)))

    assert {one.choices[0].message.content for one in answers} == {tiny_gguf.ALPHABET}
    assert (await stage.target())["engine"]["starts"] >= 1
    assert (await stage.target())["at_work"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process has computed")
async def test_a_client_that_leaves_stops_the_engine_from_computing(stage: Stage) -> None:
    stream = await stage.say("raw", stream=True, extra_body=FOREVER)
    async for _ in stream:
        break
    pid = await stage.pid()
    await stream.close()

    async def is_idle() -> bool:
        before = cpu_ticks(pid)
        await asyncio.sleep(0.3)
        return cpu_ticks(pid) == before

    assert await until(is_idle)
    assert await stage.pid() == pid
    assert (await stage.say()).choices[0].message.content == tiny_gguf.ALPHABET


async def test_a_prompt_past_its_context_is_the_clients_fault(stage: Stage) -> None:
    long: Any = [{"role": "user", "content": "a" * 40_000}]

    for name in ("tiny/tiny", "raw"):
        with pytest.raises(openai.BadRequestError):
            await stage.client.chat.completions.create(model=name, messages=long)


async def test_a_name_that_is_not_its_models_is_no_model(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError):
        await stage.say("tiny/other")


async def test_a_target_that_can_not_be_loaded_passes_the_request_on(stage: Stage) -> None:
    answer = await stage.client.chat.completions.with_raw_response.create(model="either", messages=HELLO)

    assert answer.headers["x-greenroom-model"] == "tiny/tiny"
    found = await stage.target("hasty/tiny")
    assert found["engine"]["state"] == "resting"
    assert "start_s" in found["engine"]["said"]


async def test_a_crash_between_two_requests_is_not_noticed_by_clients(fresh: Stage) -> None:
    await fresh.say()
    first = await fresh.pid()
    os.kill(first, signal.SIGKILL)

    answer = await fresh.say()

    assert answer.choices[0].message.content == tiny_gguf.ALPHABET
    assert await fresh.pid() != first


async def test_a_crash_in_the_middle_of_a_stream_is_an_error_in_it_and_the_next_answer_comes(
    fresh: Stage,
) -> None:
    stream = await fresh.say("raw", stream=True, extra_body=FOREVER)
    pid = await fresh.pid()
    await anext(stream)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(openai.APIError):
        [_ async for _ in stream]

    async def answers() -> bool:
        try:
            return bool((await fresh.say()).choices[0].message.content == tiny_gguf.ALPHABET)
        except openai.APIStatusError:
            return False

    assert await until(answers, 10.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_whatever_ends_the_server_ends_the_engine(
    model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config = CONFIG.format(path=model).replace("threads = 1", "threads = 1\neager = true")
    with ServerProcess(tmp_path / "data", config) as server:
        async with Stage(server) as stage:

            async def is_ready() -> bool:
                return bool((await stage.target())["engine"]["state"] == "ready")

            assert await until(is_ready), "eager: it loads without a request"
            pid = await stage.pid()
        server.stop(number)

        async def is_gone() -> bool:
            return not is_there(pid)

        assert await until(is_gone, 3.0)


async def test_a_changed_file_swaps_the_engine(model: Path, fresh: Stage) -> None:
    await fresh.say("raw")
    pid = await fresh.pid()
    changed = CONFIG.format(path=model).replace("16384", "1024")
    fresh.server.config_path.write_text(changed, encoding="utf-8")

    async def is_swapped() -> bool:
        return bool((await fresh.target())["context_window"] == 1024)

    async def is_gone() -> bool:
        return not is_there(pid)

    assert await until(is_swapped)
    assert (await fresh.say("raw")).choices[0].message.content == tiny_gguf.ALPHABET
    assert await fresh.pid() != pid
    assert await until(is_gone)


async def test_a_pulled_model_answers_when_no_model_is_configured(tmp_path: Path) -> None:
    (tmp_path / "data" / "models").mkdir(parents=True)
    tiny_gguf.write(tmp_path / "data" / "models" / "alphabet.gguf")
    with ServerProcess(tmp_path / "data", "[apps.default]\nground = []\n") as server:
        async with Stage(server) as stage:
            answer = await stage.say("default")
            target = await stage.target("llama/alphabet")

    said = "Model: llama/alphabet, since the model 'alphabet' was pulled to this machine."
    assert said in server.greeting
    assert answer.choices[0].message.content == tiny_gguf.ALPHABET
    assert target["file"]["size_bytes"] == len(tiny_gguf.content())


@pytest.mark.parametrize("ended", ["whole", "streamed", "left", "refused"])
async def test_whatever_ended_an_answer_it_is_over_for_the_engine(
    model: Path, tmp_path: Path, ended: str
) -> None:
    config = CONFIG.format(path=model).replace("threads = 1", "threads = 1\nidle_stop_s = 0.3", 1)
    with ServerProcess(tmp_path / "data", config) as server:
        async with Stage(server) as stage:

            async def is_stopped() -> bool:
                return bool((await stage.target())["engine"]["state"] == "stopped")

            if ended == "whole":
                await stage.say("raw")
            elif ended == "streamed":
                [_ async for _ in await stage.say("raw", stream=True)]
            elif ended == "left":
                stream = await stage.say("raw", stream=True, extra_body=FOREVER)
                await anext(stream)
                await stream.close()
            else:
                with pytest.raises(openai.BadRequestError, match="context size"):
                    await stage.say("raw", messages=[{"role": "user", "content": "a" * 40_000}])

            assert await until(is_stopped, 10.0)
            assert (await stage.target())["engine"]["starts"] == 1


async def test_a_model_pulled_while_the_server_runs_can_be_asked_at_once(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError):
        await stage.say("llama/late")
    (stage.server.data / "models").mkdir()
    tiny_gguf.write(stage.server.data / "models" / "late.gguf")

    answer = await stage.say("llama/late", max_tokens=3)

    assert answer.choices[0].message.content == "abc"


async def test_the_other_fronts_reach_it_too(stage: Stage) -> None:
    other = anthropic.AsyncAnthropic(base_url=stage.server.url, api_key=stage.server.local_key, max_retries=0)
    asked: Any = {"model": "raw", "max_tokens": 64, "messages": HELLO}
    async with other:
        message = await other.messages.create(**asked)
        async with other.messages.stream(**asked) as stream:
            streamed = await stream.get_final_message()
    response = await stage.client.responses.create(model="raw", input="Say good morning.", temperature=0)

    assert [one.content[0].text for one in (message, streamed)] == [tiny_gguf.ALPHABET] * 2  # type: ignore[union-attr]  # text, as the model has nothing else
    assert message.usage.output_tokens == streamed.usage.output_tokens == 27
    assert response.output_text == tiny_gguf.ALPHABET
