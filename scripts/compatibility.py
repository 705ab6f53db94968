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
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode
from xml.etree import ElementTree as ET

from tests.clients.scripted_model import QuietServer, ScriptedModel
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
_ASKING = frozenset({"/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"})
_NAME = re.compile(r"\{\w+\}")
_AT_WORK = frozenset({"queued", "in_progress"})
_PART = b"raw file contents"


class Greenroom:
    """What the go-between asks of the server itself."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """One request: status, headers and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**headers, "Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:  # Any: JSON
        """The decoded answer to a request with a JSON body. Raises RuntimeError for an error."""
        data = b"" if body is None else json.dumps(body).encode()
        status, _, told = self.send(method, path, {"Content-Type": "application/json"}, data)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {told.decode()}")
        return json.loads(told)

    def file(self) -> str:
        """A new file."""
        form = (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nSome words.\r\n--b--\r\n'
        )
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", "/v1/files", kind, form)[2])["id"])

    def batch_file(self) -> str:
        """A new file of requests: so many that a batch of them can still be cancelled."""
        asked = {"method": "POST", "url": "/v1/responses", "body": {"model": "main", "input": "Hi."}}
        lines = "\n".join(json.dumps({"custom_id": str(number), **asked}) for number in range(500))
        form = (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n%b\r\n--b--\r\n'
        ) % lines.encode()
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", "/v1/files", kind, form)[2])["id"])

    def batch(self) -> str:
        """A new batch."""
        wanted = {
            "input_file_id": self.batch_file(),
            "endpoint": "/v1/responses",
            "completion_window": "24h",
        }
        return str(self.ask("POST", "/v1/batches", wanted)["id"])

    def upload(self) -> str:
        """A new upload of 17 bytes."""
        wanted = {"filename": "a", "purpose": "assistants", "bytes": len(_PART), "mime_type": "text/plain"}
        return str(self.ask("POST", "/v1/uploads", wanted)["id"])

    def part_in(self, upload: str) -> str:
        """Its only part."""
        form = (
            b'--b\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n%b\r\n--b--\r\n'
        ) % _PART
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", f"/v1/uploads/{upload}/parts", kind, form)[2])["id"])

    def store(self) -> str:
        """A new vector store."""
        return str(self.ask("POST", "/v1/vector_stores", {})["id"])

    def file_in(self, store: str) -> str:
        """A new file in a store, once it was read."""
        file = self.file()
        place = f"/v1/vector_stores/{store}/files"
        self.ask("POST", place, {"file_id": file})
        self._wait(f"{place}/{file}")
        return file

    def batch_in(self, store: str) -> str:
        """A new batch of one file."""
        batch = self.ask("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": [self.file()]})
        return str(batch["id"])

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + 20
        while self.ask("GET", path)["status"] in _AT_WORK and time.monotonic() < deadline:
            time.sleep(0.02)

    def response(self, *, in_background: bool = False) -> str:
        """A new stored response; one that is made in the background can be cancelled."""
        body = {"model": "main", "input": "Hi.", "background": in_background}
        return str(self.ask("POST", "/v1/responses", body)["id"])

    def conversation(self) -> str:
        """A new conversation of one message."""
        item = {"type": "message", "role": "user", "content": "Hi."}
        return str(self.ask("POST", "/v1/conversations", {"items": [item]})["id"])

    def item_in(self, conversation: str) -> str:
        """Its message."""
        return str(self.ask("GET", f"/v1/conversations/{conversation}/items")["data"][0]["id"])

    def eval(self) -> str:
        """A new eval."""
        check = {
            "type": "string_check",
            "name": "a",
            "input": "{{item.a}}",
            "reference": "a",
            "operation": "eq",
        }
        config = {"type": "custom", "item_schema": {}}
        return str(
            self.ask("POST", "/v1/evals", {"data_source_config": config, "testing_criteria": [check]})["id"]
        )

    def run_in(self, eval: str) -> str:
        """A new run of an eval, once it has ended."""
        place = f"/v1/evals/{eval}/runs"
        source = {"type": "file_content", "content": [{"item": {"a": "a"}}]}
        run = str(self.ask("POST", place, {"data_source": {"type": "jsonl", "source": source}})["id"])
        self._wait(f"{place}/{run}")
        return run

    def output_item_in(self, parts: list[str]) -> str:
        """The row that a run graded; `parts` is the path up to it."""
        path = "/".join(parts[: parts.index("output_items") + 1])
        return str(self.ask("GET", path)["data"][0]["id"])


def real_path(room: Greenroom, path: str) -> str:
    """A path with ids that exist instead of those that the tests made up."""
    parts = [unquote(part) for part in path.split("/")]
    above = ""
    for place, part in enumerate(parts):
        family = parts[place - 1] if place else ""
        makers: dict[str, Callable[[], str]] = {
            "vector_stores": room.store,
            "file_batches": partial(room.batch_in, above),
            "files": partial(room.file_in, above) if "vector_stores" in parts else room.file,
            "responses": partial(room.response, in_background=parts[-1] == "cancel"),
            "conversations": room.conversation,
            "items": partial(room.item_in, above),
            "evals": room.eval,
            "batches": room.batch,
            "uploads": room.upload,
            "runs": partial(room.run_in, above),
            "output_items": partial(room.output_item_in, parts),
        }
        fixed = {"search", "input_tokens", "compact"}
        if family in makers and part and part not in fixed:
            parts[place] = made = makers[family]()
            above = above or made
    return "/".join(quote(part, safe="") for part in parts)


def real_query(room: Greenroom, path: str, query: str) -> str:
    """A query whose cursors are ids of the list that it asks for."""
    asked = dict(parse_qsl(query))
    cursors = {"after", "before"} & asked.keys()
    if not cursors or "models" in path:
        return query
    listed = room.ask("GET", path)["data"]
    if listed:
        id = listed[0]["id"]
    elif "/evals/" in path:
        id = room.run_in(path.split("/")[3])
    elif path.endswith("/evals"):
        id = room.eval()
    elif path.endswith("/batches"):
        id = room.batch()
    elif "vector_stores/" in path:
        id = room.file_in(path.split("/")[3])
    else:
        id = room.file() if path.endswith("/files") else room.store()
    return urlencode({**asked, **dict.fromkeys(cursors, id)})


def real_question(room: Greenroom, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A body of /v1/responses that asks something itself, and goes on from one place instead of two."""
    body = {"model": "main", "input": "Hi.", **body}
    body.pop("prompt", None)
    if body.get("previous_response_id") is not None:
        body["previous_response_id"] = room.response()
        body.pop("conversation", None)
    return body


def real_completion(room: Greenroom, path: str, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A body that completes the upload of a path, with the part and the digest that it has."""
    digest = {"md5": hashlib.md5(_PART, usedforsecurity=False).hexdigest()} if "md5" in body else {}
    return {"part_ids": [room.part_in(path.split("/")[3])], **digest}


def real_body(room: Greenroom, given: Any) -> Any:  # Any: JSON
    """A body with ids that exist."""
    if isinstance(given, dict):
        return {
            name: room.file()
            if name == "file_id"
            else [room.file() for _ in value]
            if name == "file_ids"
            else real_body(room, value)
            for name, value in given.items()
        }
    return [real_body(room, one) for one in given] if isinstance(given, list) else given


def go_between(room: Greenroom, failures: list[str]) -> type[BaseHTTPRequestHandler]:
    """A handler that passes on what the tests send; answers that are errors are noted in `failures`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self._body()
            path, mark, query = self.path.partition("?")
            try:
                path = real_path(room, path)
                query = real_query(room, path, query)
                if body and path.startswith("/v1/vector_stores"):
                    body = json.dumps(real_body(room, json.loads(body))).encode()
                if self.command == "POST" and path == "/v1/batches":
                    body = json.dumps({**json.loads(body), "input_file_id": room.batch_file()}).encode()
                if path.startswith("/v1/uploads/") and path.endswith("/complete"):
                    body = json.dumps(real_completion(room, path, json.loads(body))).encode()
                if self.command == "POST" and path in _ASKING:
                    body = json.dumps(real_question(room, json.loads(body or b"{}"))).encode()
                kept = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower()
                    not in {"authorization", "x-api-key", "host", "content-length", "transfer-encoding"}
                }
                status, headers, told = room.send(self.command, path + mark + query, kept, body)
            except (RuntimeError, KeyError, ValueError) as error:  # the stand-in could not be made
                status, headers, told = 599, [], str(error).encode()
            if status >= 400:
                failures.append(f"{self.command} {self.path}: {status} {told.decode(errors='replace')[:300]}")
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def _body(self) -> bytes:
            if "content-length" in self.headers:
                return self.rfile.read(int(self.headers["content-length"]))
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return b""
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        do_GET = do_POST = do_DELETE = _pass  # noqa: N815  # names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the table is what is read."""

    return Handler


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
