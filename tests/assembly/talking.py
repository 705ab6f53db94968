"""A provider whose model can be exchanged behind its name, on a real socket."""

import json
import threading
from http.server import BaseHTTPRequestHandler
from random import Random
from types import TracebackType
from typing import Any, Self

from tests.clients.scripted_model import QuietServer

WORDS = [
    "the",
    "a",
    "it",
    "is",
    "was",
    "and",
    "then",
    "so",
    "when",
    "because",
    "near",
    "far",
    "old",
    "new",
    "green",
    "blue",
    "small",
    "large",
    "city",
    "river",
]


class Talking:
    """Serves while entered. `model` decides what is said; `wobble` is the share of prompts that it words anew."""

    def __enter__(self) -> Self:
        self.model = "first"
        self.wobble = 0.0
        self.verdict = "pass"
        self.asked: list[dict[str, Any]] = []  # Any: JSON
        self.dies_after: int | None = None
        talking = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # head and body leave together

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                talking.asked.append(body)
                dead = talking.dies_after is not None and len(talking.asked) > talking.dies_after
                raw = json.dumps({"error": {"message": "no"}} if dead else talking.answer(body)).encode()
                self.send_response(500 if dead else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        """What is said to a prompt: the same each time by one model, but for what wobbles."""
        prompt = str(body["messages"][-1]["content"])
        anew = Random(f"{len(self.asked)}").random() < self.wobble
        chance = Random(f"{self.model} {prompt} {len(self.asked) if anew else ''}")
        text = " ".join(chance.choices(WORDS, k=30))
        if "response_format" in body:
            text = json.dumps({"reason": "by the script", "verdict": self.verdict})
        elif "decline" in prompt:
            text = "I'm sorry, but I can't help with that."
        return {
            "id": "c", "object": "chat.completion", "created": 1, "model": f"m-{self.model}",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
        }  # fmt: skip

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
