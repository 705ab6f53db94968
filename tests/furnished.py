"""What else a server has that is in use: prompts, evaluations, a batch, documents, a canary, keys, scores.

Everything is made as its users make it: by the `openai` client, over the API, by commands.
"""

import contextlib
import http.client
import io
import json
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

from openai import OpenAI

from greenroom.cli import main
from greenroom.prompts import dumps
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.prompts.making import prompt
from tests.seeded import PROMPTS, answering, seed
from tests.server_process import ADMIN, ServerProcess

MORE = """
[apps.tutor.steps.spell]
mode = "observe"
[experiments.shorter]
app = "tutor"
unit = "request"
metric = "helpful"
guards = [{ metric = "failed", limit = 0.05 }]
[experiments.shorter.arms.fast]
model = "fast"
share = 0.3
[budgets.all]
usd = 50
period = "month"
project = "default"
[policies."cards never"]
action = "block"
rule = "credit_card"
[policies."try it first"]
action = "block"
shadow = true
category = "secret"
"""
SUITE = """
data = "capitals.jsonl"
[subjects.fast]
model = "fast"
[subjects.careful]
model = "careful"
[scorers.right]
type = "contains"
[scorers.latency]
[scorers.cost]
"""
CAPITALS = (
    ("What is the capital of France?", "Paris"),
    ("What is the capital of Portugal?", "Lisbon"),
    ("Qual é a capital da França?", "Paris"),
    ("What is the capital of Peru?", "Lima"),
    ("¿Cuál es la capital de Francia?", "Paris"),
    ("Name the capital of Italy.", "Rome"),
)


def furnish(folder: Path, count: int) -> Path:
    """Fill `folder` as `seed` does, then use it; its configuration, in which `{url}` is where the provider is."""
    config = seed(folder, count)
    data = folder / "data"
    _score(data)
    with answering() as url:
        kept = template(config)
        config.write_text(kept.replace("{url}", url), encoding="utf-8")
        _suite(folder)
        for command in _commands(folder):
            _run("--data", str(data), "--config", str(config), *command)
        with ServerProcess(data, config.read_text(encoding="utf-8")) as server:
            _use(server)
        config.write_text(kept, encoding="utf-8")
    return config


def _run(*arguments: str) -> None:
    """A command, in this process: seven starts of the interpreter take longer than all they do."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(arguments)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert code in {0, 1, 2}, f"{arguments}: {code} {said.getvalue()}"


def template(config: Path) -> str:
    """The configuration with `{url}` in place of an address, and with what more there is to see."""
    lines = config.read_text(encoding="utf-8").splitlines()
    return "\n".join('base_url = "{url}"' if one.startswith("base_url") else one for one in lines) + MORE


def _score(data: Path) -> None:
    """What people said of some of the newest."""
    chance = random.Random(3)
    store = TraceStore(data / "traces.db")
    try:
        for row in store.list(TraceFilter(limit=200)).rows[::2]:
            happy = row["outcome"] == "answered" and chance.random() < 0.8
            store.score(
                None, row["id"], Score(name="helpful", value=float(happy), comment="" if happy else "Not it.")
            )
    finally:
        store.close()


def _suite(folder: Path) -> None:
    rows = [json.dumps({"question": asked, "expected": told}) + "\n" for asked, told in CAPITALS]
    (folder / "capitals.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "capitals.toml").write_text(SUITE, encoding="utf-8")
    first = dumps(prompt("support", "Keep answers short.", "{{question}}", description="Orders and refunds."))
    for number, words in enumerate(
        ("short", "under three sentences", "under three sentences, and name the order"), 1
    ):
        (folder / f"support-{number}.toml").write_text(first.replace("short", words), encoding="utf-8")


def _commands(folder: Path) -> Sequence[Sequence[str]]:
    return (
        ("prompts", "add", str(folder / "support-1.toml"), "--label", "production"),
        ("prompts", "add", str(folder / "support-2.toml"), "--label", "production"),
        ("prompts", "add", str(folder / "support-3.toml")),
        ("eval", "data", "add", "capitals", str(folder / "capitals.jsonl")),
        ("eval", "run", str(folder / "capitals.toml")),
        ("keys", "create", "web shop"),
        ("keys", "create", "mobile app"),
    )


def _use(server: ServerProcess) -> None:
    client = OpenAI(base_url=f"{server.url}/v1", api_key=ADMIN)
    stored = client.files.create(
        file=("returns.md", b"# Returns\n\nGoods come back within 30 days."), purpose="assistants"
    )
    client.vector_stores.create(name="handbook", file_ids=[stored.id])
    lines = [
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "fast", "messages": [{"role": "user", "content": one.text}]}}
        for n, one in enumerate(PROMPTS[:6])
    ]  # fmt: skip
    rows = "".join(json.dumps(one) + "\n" for one in lines).encode()
    batch = client.batches.create(
        input_file_id=client.files.create(file=("bulk.jsonl", rows), purpose="batch").id,
        endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "shop"},
    )  # fmt: skip
    _tell(server, "/api/deployments", {
        "name": "careful", "app": "loja", "kind": "model", "share": 0.2, "no_gate": "seen by hand",
    })  # fmt: skip
    for asked in (*PROMPTS, *PROMPTS):
        message = {"role": "user", "content": asked.text}
        body = {"model": asked.app, "messages": [message], "user": asked.user}
        _tell(
            server,
            "/v1/chat/completions",
            {name: one for name, one in body.items() if one},
            {200, 400, 502, 503},
        )
    until = time.monotonic() + 20
    while client.batches.retrieve(batch.id).status not in {"completed", "failed"}:
        assert time.monotonic() < until, "the batch did not end"
        time.sleep(0.1)


def _tell(
    server: ServerProcess,
    path: str,
    body: object,
    expected: frozenset[int] | set[int] = frozenset({200, 201}),
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    head = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(body), head)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status in expected, f"{path}: {answer.status} {said[:300]!r}"
    finally:
        connection.close()
