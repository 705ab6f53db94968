"""A provider that means harm: its answers, and what it calls itself, are markup."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.e2e.payloads import PAYLOADS


class Liar:
    """An OpenAI-compatible server on a free port that says the next payload to every question."""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(_turns()))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    @property
    def config(self) -> str:
        """It as a provider, with the model `liar`."""
        base = f"http://127.0.0.1:{self._server.server_port}/v1"
        return (
            f'[providers.lies]\nkind = "openai_compatible"\nbase_url = "{base}"\n'
            '[models.liar]\ntargets = ["lies/liar"]\n'
        )

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _turns() -> Callable[[], str]:
    lock, said = threading.Lock(), [0]

    def turn() -> str:
        with lock:
            said[0] += 1
            return PAYLOADS[said[0] * 7 % len(PAYLOADS)]

    return turn


def _handler(turn: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer = json.dumps(_completion(turn)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _completion(turn: Callable[[], str]) -> dict[str, Any]:  # Any: JSON
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": turn(), "arguments": json.dumps({"x": turn()})},
    }
    message = {"role": "assistant", "content": turn(), "refusal": None, "tool_calls": [call]}
    return {
        "id": turn(), "object": "chat.completion", "created": 1, "model": turn(), "system_fingerprint": turn(),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }  # fmt: skip
