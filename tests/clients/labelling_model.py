"""A model on a real socket for runs of evals: it repeats the question, or labels it, takes its time and counts."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LabellingModel:
    """Serves while entered. Each call takes 1,000 tokens each way."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.answers: Counter[str] = Counter()
        """Calls by question."""
        self.labels: Counter[str] = Counter()
        """The same for those that wanted a label."""
        self.delay_s = delay_s
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                data = json.dumps(model.answer(body)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle(self) -> None:
                """Greenroom may be killed meanwhile."""
                with suppress(ConnectionError):
                    super().handle()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def answer(self, body: dict[str, object]) -> dict[str, object]:
        """A chat completion: the question again, or the label "good" unless it holds "bad"."""
        messages = body["messages"]
        assert isinstance(messages, list)
        question = messages[-1]["content"]
        is_label = "response_format" in body
        with self._lock:
            (self.labels if is_label else self.answers)[question] += 1
        time.sleep(self.delay_s)
        label = json.dumps({"reason": "r", "label": "bad" if "bad" in question else "good"})
        message = {"role": "assistant", "content": label if is_label else question}
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return {**head, "choices": choices, "usage": usage}

    @property
    def config(self) -> str:
        """A greenroom.toml that calls it `main`; a call costs $0.002."""
        return f"""
            [providers.up]
            kind = "openai_compatible"
            base_url = "http://127.0.0.1:{self._server.server_address[1]}/v1"
            [prices."up/m"]
            input_per_mtok_usd = 1.0
            output_per_mtok_usd = 1.0
            [models.main]
            targets = ["up/m"]
        """

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
