"""A Greenroom of several processes, and a model it asks: real sockets, real signals."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import slowness, within
from tests.scripted import Json, Reply, ScriptedServer, reply
from tests.server_process import ADMIN, ServerProcess

Answer = tuple[int, dict[str, str], Any]
"""Status, headers in lower case, decoded JSON or text."""


class Model(ScriptedServer):
    """An OpenAI-compatible provider that says back what it was told, after `delay_s`."""

    def __init__(self) -> None:
        super().__init__()
        self.delay_s = 0.0
        self.bodies: list[dict[str, Any]] = []
        self.at_work = 0
        self.most_at_work = 0
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self.config = (
            f'[providers.there]\nkind = "openai_compatible"\nbase_url = "{self.base_url}"\n'
            '[models.mock]\ntargets = ["there/mock"]\n'
        )
        self.__enter__()

    def answer(self, path: str, body: Json) -> Reply:
        """The question again, whole or streamed."""
        with self._lock:
            self.bodies.append(body)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        self._let_go.wait(self.delay_s)
        with self._lock:
            self.at_work -= 1
        said = body["messages"][-1]["content"]
        return _streamed(body, said) if body.get("stream") else _whole(body, said)

    def forget(self) -> None:
        """Be as new: what still waits, though nobody waits for it any more, ends."""
        self._let_go.set()
        assert wait_until(lambda: self.at_work == 0)
        self._let_go.clear()
        self.delay_s, self.most_at_work = 0.0, 0
        self.bodies.clear()


_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def _whole(body: Json, said: str) -> Reply:
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return reply({**answer, "choices": [choice], "usage": _USAGE})


def _streamed(body: Json, said: str) -> Reply:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    delta = {"role": "assistant", "content": said}
    chunks: list[dict[str, Any]] = [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": _USAGE},
    ]
    events = [f"data: {json.dumps(one)}\n\n" for one in chunks]
    return Reply("".join([*events, "data: [DONE]\n\n"]).encode(), kind="text/event-stream")


def call(
    server: ServerProcess,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request over a connection of its own, so that any worker may get it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    data = body if isinstance(body, str) or body is None else json.dumps(body)
    sent = {"Authorization": f"Bearer {key or server.local_key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, data, sent | (headers or {}))
        answer = connection.getresponse()
        read = answer.read().decode()
        kept = {name.lower(): value for name, value in answer.getheaders()}
        kept["set-cookie"] = ", ".join(answer.headers.get_all("set-cookie", []))
        return answer.status, kept, json.loads(read) if "json" in kept.get("content-type", "") else read
    finally:
        connection.close()


def ask(
    server: ServerProcess,
    text: str,
    *,
    model: str = "mock",
    key: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One chat request."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 10}
    return call(server, "POST", "/v1/chat/completions", body, key=key, headers=headers)


def at_once(count: int, do: Callable[[int], Answer]) -> list[Answer]:
    """So many calls at the same time; their answers in order."""
    answers: list[Answer | None] = [None] * count
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait()
        answers[number] = do(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [one for one in answers if one is not None]


def new_key(server: ServerProcess, **limits: object) -> str:
    """A key with limits, once every worker knows it."""
    status, _, made = call(
        server, "POST", "/api/keys", {"project": "default", "name": "limited"} | limits, key=ADMIN
    )
    assert status in {200, 201}, made
    key = str(made["key"])
    time.sleep(slowness())
    assert within(1.0, lambda: {call(server, "GET", "/api/keys", key=key)[0] for _ in range(40)} == {403})
    return key


def metrics(server: ServerProcess) -> dict[str, float]:
    """What `/metrics` says, by sample."""
    _, _, text = call(server, "GET", "/metrics", key=ADMIN)
    return {
        sample: float(value)
        for sample, _, value in (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    }


def traces(server: ServerProcess) -> list[dict[str, Any]]:
    """All traces."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, _, page = call(
            server, "GET", f"/api/traces?limit=500{cursor and '&cursor=' + cursor}", key=ADMIN
        )
        assert status == 200, page
        rows += page["data"]
        if not page["next"]:
            return rows
        cursor = page["next"]


def workers_of(server: ServerProcess) -> list[int]:
    """The process ids of the workers."""
    try:
        found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in found.split()]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    """Whether something comes to hold in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def all_ready(server: ServerProcess, count: int) -> bool:
    """Whether so many workers have posted their metrics, which they do once they answer."""
    folder = server.data / "workers"
    return len(workers_of(server)) == count and all(
        (folder / f"metrics-{number + 1}").exists() for number in range(count)
    )


@contextmanager
def serving(
    folder: Path, config: str = "", *, workers: int = 2, server_keys: str = ""
) -> Iterator[ServerProcess]:
    """A server of several processes, all of which answer."""
    table = f"[server]\nworkers = {workers}\n{server_keys}\n"
    with ServerProcess(folder / "data", table + config) as server:
        assert wait_until(lambda: all_ready(server, workers)), server.log()
        pids = workers_of(server)
        yield server
    assert wait_until(lambda: not any(map(is_alive, pids)), 10), "workers outlived the server"


__all__ = [
    "Answer", "Model", "all_ready", "ask", "at_once", "call", "is_alive", "metrics", "new_key", "serving",
    "traces", "wait_until", "workers_of",
]  # fmt: skip
