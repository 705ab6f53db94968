"""Run the resource tests of OpenAI's and Anthropic's own clients against Greenroom, and print what they say.

Takes the folders of unpacked source distributions, and downloads nothing:

    pip download --no-binary openai,anthropic --no-deps openai anthropic
    tar xzf openai-3.57.0.tar.gz && tar xzf anthropic-2.14.0.tar.gz
    PYTHONPATH=. python scripts/compatibility.py --python PYTHON openai-3.57.0 anthropic-2.14.0

PYTHON is an interpreter with what the clients' tests need (`openai[aiohttp]`, `anthropic[aiohttp]`,
pytest, pytest-asyncio, respx, dirty-equals, inline-snapshot, http-snapshot[httpx], time-machine, trio);
the clients themselves come from the folders. `--beside` names a folder with other versions of what they
need (openai before 1.56 wants httpx before 0.28). With `--langchain` LangChain's standard tests of chat
models run as well, where the interpreter has langchain-tests, langchain-openai and langchain-anthropic.

Greenroom runs in front of a scripted model. The clients' tests name objects that exist nowhere ("file_id"),
since their authors run them against answers made up from a schema: a go-between puts in the ids of objects
that it makes for each request, and Greenroom's own key. A body of /v1/responses that asks nothing gets a
model and an input, one that goes on from two places is left one, and none names a stored prompt, since no
prompt has the id that they make up. Nothing else is changed, either way.

Ends with 1 when a test of a route fails that Greenroom claims.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from go_between import Greenroom, go_between

from tests.clients.scripted_model import ScriptedModel
from tests.scripted import QuietServer
from tests.server_process import ServerProcess


class Route(NamedTuple):
    """A file of a client's tests: the route it is about, and those of its tests that are left out."""

    file: str
    path: str
    left_out: tuple[tuple[str, str], ...] = ()
    """(pattern of names, reason)."""


_STORED = (
    r"test_\w+?_(retrieve|update|list|delete)(_|\b)",
    "stored chat completions are not claimed: the record is at /api/traces",
)
CLAIMED = {
    "openai": (
        Route("chat/test_completions.py", "/v1/chat/completions", (_STORED,)),
        Route("test_completions.py", "/v1/completions"),
        Route(
            "test_embeddings.py", "/v1/embeddings",
            ((
                r"test_(method|raw_response|streaming_response)_create\[(strict|aiohttp)\]",
                "the client asks for base64, and its strict mode then refuses what it asked for",
            ),),
        ),
        Route("test_moderations.py", "/v1/moderations"),
        Route(
            "test_models.py", "/v1/models",
            ((r"test_\w+?_delete(_|\b)", "models are the operator's: no client deletes one"),),
        ),
        Route("test_files.py", "/v1/files"),
        Route("test_batches.py", "/v1/batches"),
        Route("test_uploads.py", "/v1/uploads"),
        Route("uploads/test_parts.py", "/v1/uploads/{}/parts"),
        Route("test_vector_stores.py", "/v1/vector_stores"),
        Route("vector_stores/test_files.py", "/v1/vector_stores/{}/files"),
        Route("vector_stores/test_file_batches.py", "/v1/vector_stores/{}/file_batches"),
        Route(
            "test_responses.py", "/v1/responses",
            ((
                r"test_(method|raw_response|streaming_response)_compact(_|\b)",
                "the client's own type has no user messages in the output, which it says is made of them",
            ),),
        ),
        Route("responses/test_input_items.py", "/v1/responses/{}/input_items"),
        Route("responses/test_input_tokens.py", "/v1/responses/input_tokens"),
        Route("test_conversations.py", "/v1/conversations"),
        Route("conversations/test_items.py", "/v1/conversations/{}/items"),
        Route("test_evals.py", "/v1/evals"),
        Route("evals/test_runs.py", "/v1/evals/{}/runs"),
        Route("evals/runs/test_output_items.py", "/v1/evals/{}/runs/{}/output_items"),
    ),
    "anthropic": (
        Route("test_messages.py", "/v1/messages"),
        Route("beta/test_messages.py", "/v1/messages"),
        Route("test_models.py", "/v1/models"),
        Route("beta/test_models.py", "/v1/models"),
    ),
}  # fmt: skip
_MODEL = re.compile(r'\bmodel(?:_id)?="([\w./:-]+)"')
_DEPRECATED = re.compile(r'"(claude-[\w.-]+)": "')
_NAMED = re.compile(r'\.(?:retrieve|delete)\(\s*(?:model_id=)?"([\w./:-]+)"')
_NAME = re.compile(r"\{\w+\}")


def models_of(folder: Path) -> set[str]:
    """The models that a client's tests ask for."""
    files = [*folder.glob("tests/api_resources/**/*.py"), *folder.glob("src/anthropic/**/*.py")]
    texts = [one.read_text(encoding="utf-8") for one in files]
    named = [text for one, text in zip(files, texts, strict=True) if one.name == "test_models.py"]
    return {name for text in texts for name in (*_MODEL.findall(text), *_DEPRECATED.findall(text))} | {
        name for text in named for name in _NAMED.findall(text)
    }


class Outcome(NamedTuple):
    """What became of the tests of a route."""

    passed: int
    failed: list[str]
    left_out: int


def run(python: str, folder: Path, route: Route, base_url: str, beside: str) -> Outcome:
    """Run one file of a client's tests."""
    options = ["-p", "tests._alias_httpx"] if (folder / "tests" / "_alias_httpx.py").exists() else []
    environment = {
        "TEST_API_BASE_URL": base_url,
        "PYTHONPATH": os.pathsep.join(map(str, filter(None, (beside, folder / "src", folder)))),
    }
    left_out = "|".join(pattern for pattern, _ in route.left_out)
    loops = [
        "-o",
        "asyncio_default_fixture_loop_scope=session",
        "-o",
        "asyncio_default_test_loop_scope=session",
    ]
    place = [*options, *loops, "-o", "addopts=", f"tests/api_resources/{route.file}"]
    return tested(python, folder, place, environment, left_out)


def run_langchain(python: str, name: str, server: ServerProcess) -> Outcome:
    """Run LangChain's standard tests through one of its clients."""
    file = Path(__file__).parent.resolve() / "langchain_standard.py"
    environment = {"GREENROOM_URL": server.url, "GREENROOM_KEY": server.local_key, "PYTHONPATH": ""}
    options = ["-c", os.devnull, "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"]
    return tested(python, file.parent, [*options, f"{file}::{name}"], environment, "")


def tested(
    python: str, folder: Path, options: Sequence[str], environment: dict[str, str], left_out: str
) -> Outcome:
    """Run pytest and count; `left_out` is a pattern of names that are not to be counted."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [
            python, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "default",
            f"--junitxml={report}", "--tb=short", *options,
        ]  # fmt: skip
        ran = subprocess.run(  # noqa: S603  # the interpreter that the caller named
            command,
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            return Outcome(0, [f"did not run: {ran.stdout[-500:]}{ran.stderr[-500:]}"], 0)
        passed, skipped, failed = 0, 0, []
        for case in ET.parse(report).iter("testcase"):  # noqa: S314  # written by pytest just now
            name = case.get("name", "")
            wrong = [*case.iter("failure"), *case.iter("error")]
            if left_out and re.match(left_out, name):
                skipped += 1
            elif wrong:
                said = (wrong[0].get("message") or wrong[0].text or "").splitlines()
                failed.append(f"{name}: {said[0][:300] if said else ''}")
            else:
                passed += case.find("skipped") is None
                skipped += case.find("skipped") is not None
        return Outcome(passed, failed, skipped)


def main() -> int:
    """Print the table; 1 when a claimed route fails a test, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, help="unpacked source distributions")
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter with the tests' requirements"
    )
    parser.add_argument("--beside", default="", help="a folder with other versions of what they require")
    parser.add_argument("--langchain", action="store_true", help="run LangChain's standard tests too")
    parser.add_argument("--only", default="", help="only files with this in their name")
    parser.add_argument("--show", action="store_true", help="print what failed, and errors of the server")
    asked = parser.parse_args()
    models = sorted({name for folder in asked.folders for name in models_of(folder)} | {"main", "other"})
    told: list[str] = []
    table = Table(told if asked.show else None)
    with tempfile.TemporaryDirectory() as scratch, ScriptedModel() as model:
        config = f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{model.base_url}"\n' + "".join(
            f'[models."{name}"]\ntargets = ["up/{name}"]\n' for name in models
        )
        with ServerProcess(Path(scratch) / "data", config) as server:
            room = Greenroom(server.port, server.local_key)
            served = {_NAME.sub("{}", path) for path in room.ask("GET", "/openapi.json")["paths"]}
            between = QuietServer(("127.0.0.1", 0), go_between(room, told))
            threading.Thread(target=between.serve_forever, daemon=True).start()
            origin = f"http://127.0.0.1:{between.server_address[1]}"
            for folder in asked.folders:
                client = "anthropic" if folder.name.startswith("anthropic") else "openai"
                for route in CLAIMED[client]:
                    is_there = (folder / "tests/api_resources" / route.file).exists()
                    if asked.only in route.file and is_there and route.path in served:
                        base_url = origin if client == "anthropic" else f"{origin}/v1"
                        outcome = run(asked.python, folder.resolve(), route, base_url, asked.beside)
                        table.add(folder.name, route.file, outcome)
            for name in ("TestOpenAI", "TestAnthropic", "TestResponses") if asked.langchain else ():
                if name != "TestResponses" or "/v1/responses" in served:
                    table.add("langchain", name, run_langchain(asked.python, name, server))
            between.shutdown()
    print(", ".join(f"{count} {name}" for name, count in table.sums.items()))
    return 1 if table.sums["failed"] else 0


class Table:
    """Prints a line for each file of tests, and what failed where `told`, the server's errors, is given."""

    def __init__(self, told: list[str] | None) -> None:
        self.sums: dict[str, int] = defaultdict(int)
        self._told = told
        print(f"{'client':<18}{'tests':<36}{'passed':>8}{'failed':>8}{'left out':>10}", flush=True)

    def add(self, client: str, tests: str, outcome: Outcome) -> None:
        """One line."""
        counts = (outcome.passed, len(outcome.failed), outcome.left_out)
        for name, count in zip(("passed", "failed", "left out"), counts, strict=True):
            self.sums[name] += count
        print(f"{client:<18}{tests:<36}{counts[0]:>8}{counts[1]:>8}{counts[2]:>10}", flush=True)
        if self._told is not None:
            print("".join(f"    {one}\n" for one in outcome.failed), end="")
            print("".join(f"      {one}\n" for one in dict.fromkeys(self._told)), end="", flush=True)
            self._told.clear()


if __name__ == "__main__":
    sys.exit(main())
