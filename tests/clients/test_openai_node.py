"""The `openai` package of npm, unchanged, against a real server in front of a scripted provider."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.recipes import error, openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ServerProcess, environment_of

SOURCES = Path(__file__).parent / "node"
BUILD = Path(__file__).parents[2] / "build" / "node"
SCRIPT = "check.mjs"
NODE, NPM = shutil.which("node"), shutil.which("npm")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(NODE is None or NPM is None, reason="node and npm are not installed"),
]


@pytest.fixture(scope="module")
def installed() -> Path:
    """The folder with the script and the package beside it, at the pinned version."""
    BUILD.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCES / SCRIPT, BUILD)
    wanted = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))["dependencies"]["openai"]
    manifest = BUILD / "node_modules" / "openai" / "package.json"
    if manifest.is_file() and json.loads(manifest.read_text(encoding="utf-8"))["version"] == wanted:
        return BUILD
    shutil.copy(SOURCES / "package.json", BUILD)
    assert NPM is not None
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        ran = subprocess.run(
            [NPM, "install", *options], cwd=BUILD, capture_output=True, text=True, timeout=50, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the openai package in time")
    if ran.returncode and any(
        code in ran.stderr for code in ("ENOTFOUND", "ECONN", "ETIMEDOUT", "EAI_AGAIN")
    ):
        pytest.skip("the npm registry can't be reached")
    assert ran.returncode == 0, ran.stderr
    return BUILD


class Stage:
    """A server, the script in front of it and the provider behind."""

    def __init__(self, server: ServerProcess, upstream: FaultUpstream, folder: Path) -> None:
        self.server = server
        self.upstream = upstream
        self._folder = folder

    async def ask(self, what: str) -> Any:  # Any: JSON
        """What the script printed."""
        assert NODE is not None
        told = {"GREENROOM_URL": self.server.url, "GREENROOM_KEY": self.server.local_key}
        process = await asyncio.create_subprocess_exec(
            NODE, SCRIPT, what, cwd=self._folder, env=environment_of() | told,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n'
        )
        with ServerProcess(tmp_path_factory.mktemp("node") / "data", config) as server:
            yield Stage(server, upstream, installed)


@pytest.fixture
def stage(running: Stage) -> Stage:
    """The same for a test that wants to know what the provider got of it."""
    running.upstream.forget()
    return running


async def test_a_whole_chat_has_its_usage_request_id_and_facts(stage: Stage) -> None:
    said = await stage.ask("whole")

    assert said["content"] == "Good morning."
    assert said["total"] == 18
    assert said["requestID"]
    assert said["model"] == "up/scripted"


async def test_a_streamed_chat_ends_with_its_reason_and_usage(stage: Stage) -> None:
    assert await stage.ask("stream") == {"content": "Good morning.", "finish": "stop", "total": 18}


async def test_the_stream_helper_accepts_our_streams(stage: Stage) -> None:
    assert await stage.ask("helper") == {"content": "Good morning."}


async def test_tools_schema_and_image_pass_and_a_tool_call_comes_back(stage: Stage) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    reply = json.loads(openai_reply())
    reply["choices"][0] |= {
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
    }
    stage.upstream.script("scripted", whole(json.dumps(reply).encode()))

    said = await stage.ask("everything")

    assert said == {"finish": "tool_calls", "calls": [call]}
    sent: Any = stage.upstream.requests[-1].json()
    assert sent["tools"][0]["function"]["strict"] is True
    assert sent["tool_choice"] == "auto"
    assert sent["response_format"]["json_schema"]["name"] == "s"
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"


async def test_errors_are_the_classes_the_package_knows(stage: Stage) -> None:
    said = await stage.ask("errors")

    found = {name: (one["kind"], one["status"], one["code"], one["param"]) for name, one in said.items()}
    assert found["unknown"] == ("NotFoundError", 404, "model_not_found", "model")
    assert found["refused"][:3] == ("AuthenticationError", 401, "invalid_api_key")
    assert found["wrong"][:2] == ("BadRequestError", 400)
    assert found["wrong"][3] == "n"
    assert said["unknown"]["requestID"]
    assert said["wrong"]["requestID"]


async def test_an_error_inside_a_stream_is_thrown_after_what_came_before_it(stage: Stage) -> None:
    words = [f"word{number} " for number in range(200)]
    events = openai_events(words, finish=None, done=False, usage=False)
    stage.upstream.script("scripted", streamed(events))

    said = await stage.ask("broken")

    assert said["content"].startswith("word0 word1 ")
    assert "".join(words).startswith(said["content"])
    assert said["error"]["kind"] == "APIError"
    assert said["error"]["code"] == "upstream_disconnected"


async def test_the_packages_own_retries_help_when_the_provider_recovers(stage: Stage) -> None:
    stage.upstream.script("scripted", error(500), whole(openai_reply("second time")))

    assert await stage.ask("retries") == {"content": "second time"}
    assert len(stage.upstream.asked("scripted")) == 2


async def test_legacy_completions_are_whole_and_streamed(stage: Stage) -> None:
    said = await stage.ask("completions")

    assert said == {"texts": ["Good morning."] * 2, "total": 36, "streamed": "Good morning."}


async def test_each_text_is_moderated_by_thirteen_categories(stage: Stage) -> None:
    assert await stage.ask("moderation") == [[False, 13], [False, 13]]


async def test_models_are_listed_and_found(stage: Stage) -> None:
    said = await stage.ask("models")

    assert said["names"][0] == "default"
    assert "main" in said["names"]
    assert said["one"] == "up/scripted"
    assert said["missing"]["code"] == "model_not_found"
